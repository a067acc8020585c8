//! `sys/storage/raft/snapshot-auto`: snapshots that the leader takes by itself. The paths
//! and names are Vault Enterprise's; OpenBao has none.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::shelf::SnapshotShelf;
use serde_json::json;

use super::raft::cluster;
use super::table::{Handler, HostRoute};
use crate::book::plans::{self, Plan};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::open::Open;
use crate::visit::{Ask, Visit, data, listed};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new(
        "storage/raft/snapshot-auto/config",
        &[Verb::List],
        Handler::Now(list),
        "List what snapshots are taken regularly.",
    )
    .sudo(),
    HostRoute::new(
        "storage/raft/snapshot-auto/config/{name}",
        &[Verb::Read],
        Handler::Now(read),
        "Read when snapshots are taken.",
    )
    .sudo(),
    HostRoute::new(
        "storage/raft/snapshot-auto/config/{name}",
        &[Verb::Write],
        Handler::Now(write),
        "Have snapshots taken regularly.",
    )
    .fields(&["interval", "retain", "path_prefix", "file_prefix", "storage_type"])
    .sudo(),
    HostRoute::new(
        "storage/raft/snapshot-auto/config/{name}",
        &[Verb::Delete],
        Handler::Now(delete),
        "Have no more snapshots taken.",
    )
    .sudo(),
    HostRoute::new(
        "storage/raft/snapshot-auto/status/{name}",
        &[Verb::Read],
        Handler::Now(status),
        "Tell what became of the snapshots.",
    ),
];

/// How the files' names begin where nothing is said.
const FILE_PREFIX: &str = "bulkhead-snapshot";
/// Longest prefix of a file's name, in bytes. Source: ours. Why: a name of a file has 255.
const FILE_PREFIX_BYTES_MAX: usize = 128;
/// Longest path, in bytes. Source: ours.
const PATH_BYTES_MAX: usize = 1024;
/// Most snapshots that are kept. Source: ours. Why: each time the directory is listed.
const RETAIN_MAX: u64 = 10_000;
/// Most plans. Source: ours. Why: all are looked at every second.
const PLANS_MAX: usize = 64;

fn shelf(open: &Open) -> Result<&dyn SnapshotShelf, Fault> {
    let text = "this server takes no snapshots by itself: name a directory for them in its config \
                (snapshot_directory)";
    open.parts.shelf.as_deref().ok_or_else(|| Fault::invalid(text))
}

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(plans::names(&mut visit.tx)?)
}

fn known(visit: &mut Visit, ask: &Ask<'_>) -> Result<Plan, Fault> {
    Ok(plans::plan(&mut visit.tx, ask.capture("name"))?.ok_or_else(Failure::absent)?)
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let plan = known(visit, ask)?;
    Ok(data(&json!({
        "file_prefix": plan.file_prefix,
        "interval": plan.interval_secs,
        "path_prefix": plan.path_prefix,
        "retain": plan.retain,
        "storage_type": "local",
    })))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let open = visit.open.clone();
    cluster(&open)?;
    let (name, fields) = (ask.capture("name"), &ask.fields);
    let before = plans::plan(&mut visit.tx, name)?;
    if before.is_none() && plans::names(&mut visit.tx)?.len() >= PLANS_MAX {
        return Err(Fault::invalid(format!("there are {PLANS_MAX} plans for snapshots already")));
    }
    match fields.text("storage_type")?.as_deref() {
        Some("local") => {}
        None if before.is_some() => {}
        None => return Err(Fault::invalid("storage_type is required")),
        Some(other) => {
            return Err(Fault::invalid(format!(
                "storage_type {other:?} is not offered: snapshots are local files only"
            )));
        }
    }
    let interval = fields.seconds_of_field("interval")?.or(before.as_ref().map(|plan| plan.interval_secs));
    let interval_secs = interval.filter(|secs| *secs > 0);
    let interval_secs = interval_secs.ok_or_else(|| Fault::invalid("interval is required, and must be positive"))?;
    let retain = fields.integer("retain")?.map(|retain| u64::try_from(retain).unwrap_or(0));
    let retain = retain.or(before.as_ref().map(|plan| plan.retain)).unwrap_or(1);
    if !(1..=RETAIN_MAX).contains(&retain) {
        return Err(Fault::invalid(format!("retain must be between 1 and {RETAIN_MAX}")));
    }
    let text = |name, of: fn(&Plan) -> &String| -> Result<Option<String>, Fault> {
        Ok(fields.text(name)?.or_else(|| before.as_ref().map(|plan| of(plan).clone())))
    };
    let path_prefix = text("path_prefix", |plan| &plan.path_prefix)?;
    let path_prefix = path_prefix.ok_or_else(|| Fault::invalid("path_prefix is required"))?;
    let file_prefix = text("file_prefix", |plan| &plan.file_prefix)?.unwrap_or_else(|| FILE_PREFIX.to_owned());
    refuse_odd(&path_prefix, &file_prefix)?;
    shelf(&open)?.check(&path_prefix).map_err(Fault::invalid)?;
    plans::save(&mut visit.tx, name, &Plan { interval_secs, retain, path_prefix, file_prefix })?;
    Ok(Reply::Empty)
}

fn refuse_odd(path_prefix: &str, file_prefix: &str) -> Result<(), Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if path_prefix.len() > PATH_BYTES_MAX || path_prefix.chars().any(char::is_control) {
        return Err(Fault::invalid(format!("path_prefix must be a path of {PATH_BYTES_MAX} bytes at most")));
    }
    let too_long = file_prefix.is_empty() || file_prefix.len() > FILE_PREFIX_BYTES_MAX;
    if too_long || file_prefix.starts_with('.') || !file_prefix.chars().all(is_plain) {
        return Err(Fault::invalid("file_prefix must be of letters, digits, '-', '_' and '.', and not begin with '.'"));
    }
    Ok(())
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    plans::remove(&mut visit.tx, ask.capture("name"))?;
    Ok(Reply::Empty)
}

fn status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let plan = known(visit, ask)?;
    let last = plans::outcome(&mut visit.tx, ask.capture("name"))?;
    let time = |ms: u64| if ms == 0 { String::new() } else { rfc3339(ms) };
    Ok(data(&json!({
        "consecutive_errors": last.errors,
        "last_snapshot_end": time(last.ended_ms),
        "last_snapshot_error": last.error,
        "last_snapshot_start": time(last.started_ms),
        "last_snapshot_url": last.url,
        "next_snapshot_start": rfc3339(plan.due_ms(&last, visit.now_ms).max(visit.now_ms)),
    })))
}
