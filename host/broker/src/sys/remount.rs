//! `sys/remount`: moves a mount. Only its path changes, so it is one small change
//! however much is stored below it.

use bulkhead_barrier::Key;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::mounts::full_path;
use super::table::{Handler, HostRoute};
use crate::book::leases;
use crate::book::mounts::{self, Mount, Table};
use crate::book::removals::LeaseEnd;
use crate::book::{lease_quotas, opaque, quotas, space};
use crate::fault::Fault;
use crate::step::remove;
use crate::visit::{After, Ask, Visit, data, enveloped};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("remount", &[Verb::Write], Handler::Now(remount), "Move a mount to another path.")
        .sudo()
        .fields(&["from", "to"]),
    HostRoute::new("remount/status/{migration_id}", &[Verb::Read], Handler::Now(status), "Tell how a move went."),
];

/// How a key of a move begins.
const MOVED: &[u8] = b"move/";
/// How long it is told how a move went, in milliseconds: a day. Source: ours. Why: a move
/// is done when its id is given out.
const MOVED_MS_MAX: u64 = 86_400_000;
/// Moves that are told of at most; the oldest are forgotten first. Source: ours.
const MOVED_MAX: usize = 100;
/// Moves looked at when another is kept. Why: those from before they were ever forgotten
/// go bit by bit.
const MOVED_A_LOOK: u32 = 1_000;

/// Table and path of a mount as operators write it.
fn place(raw: &str) -> (Table, String) {
    let trimmed = raw.trim_matches('/');
    match trimmed.strip_prefix("auth/") {
        Some(path) => (Table::Auth, format!("{path}/")),
        None => (Table::Secret, format!("{trimmed}/")),
    }
}

/// Whether a path leads into a namespace below.
fn is_elsewhere(visit: &Visit, full: &str) -> bool {
    let (at, rest) = visit.config.namespaces.locate(&visit.namespace, full);
    at.path() != visit.namespace.path() && !rest.is_empty()
}

/// Checks that a mount of one table may come to a path of another, with OpenBao's text for each.
fn destined((from_table, from): (Table, &str), (to_table, to): (Table, &str)) -> Result<(), Fault> {
    let of_auth = from.starts_with("auth/");
    if of_auth && !to.starts_with("auth/") {
        return Err(Fault::invalid(format!("cannot remount auth mount to non-auth mount {to:?}")));
    }
    let first = to.split('/').next().unwrap_or_default();
    let reserved = matches!(first, "sys" | "cubbyhole" | "identity" | "audit") || to == "auth/token/";
    if !reserved && from_table == to_table && to != "auth/" {
        return Ok(());
    }
    let told = if of_auth { format!("{to:?}") } else { to.to_owned() };
    Err(Fault::invalid(format!("cannot remount to destination {told}")))
}

fn remount(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (from, to) = (ask.fields.text_or_empty("from")?, ask.fields.text_or_empty("to")?);
    if from.trim_matches('/').is_empty() || to.trim_matches('/').is_empty() {
        return Err(Fault::invalid("both 'from' and 'to' path must be specified as a string"));
    }
    if let Some((name, _)) = [("from", &from), ("to", &to)].into_iter().find(|(_, path)| path.trim() != path.as_str()) {
        return Err(Fault::invalid(format!("'{name}' path cannot contain trailing whitespace")));
    }
    let ((from_table, from_path), (to_table, to_path)) = (place(&from), place(&to));
    let (from_full, to_full) = (full_path(from_table, &from_path), full_path(to_table, &to_path));
    if matches!(from_full.as_str(), "sys/" | "cubbyhole/" | "identity/" | "auth/token/") {
        return Err(Fault::invalid(format!("cannot remount {from_full:?}")));
    }
    destined((from_table, &from_full), (to_table, &to_full))?;
    bulkhead_model::path::ApiPath::checked(to_full.clone()).map_err(|e| Fault::invalid(e.to_string()))?;
    if [&from_full, &to_full].into_iter().any(|full| is_elsewhere(visit, full)) {
        return Err(Fault::invalid("a mount cannot be moved between namespaces yet"));
    }
    let Some(mount) = visit.mount_at(&from_full).cloned() else {
        return Err(Fault::invalid(format!("no matching mount at {from_full:?}")));
    };
    if let Some(taken) = visit.taken_at(&to_full) {
        return Err(Fault::invalid(format!("path already in use at {taken:?}")));
    }
    // Lease ids begin with the path, so they end with it.
    // Where they are many, the scheduler goes on.
    let _ = remove::begin_leases(visit, &mount.full_path, Some(mount.space), LeaseEnd::FallDue)?;
    visit.after.push(After::LookForDue);
    let mut entry = mount.entry.clone();
    entry.path.clone_from(&to_path);
    entry.former_paths = former_paths(visit, &mount, &to_full)?;
    mounts::save(&mut visit.tx, &entry)?;
    quotas::mount_moved(&mut visit.tx, &mount.full_path, &visit.namespace.full(&to_full))?;
    lease_quotas::mount_moved(&mut visit.tx, &mount.full_path, &visit.namespace.full(&to_full))?;
    visit.after.push(After::Refresh);
    let id = visit.uuid();
    let info = json!({ "source_mount": from_full, "target_mount": to_full, "status": "success" });
    keep(visit, &id, info)?;
    Ok(enveloped(bulkhead_model::reply::Envelope {
        data: Some(bulkhead_model::reply::hidden_json(&json!({ "migration_id": id }))),
        flatten: true,
        warnings: vec![
            "Mount move has been queued. Progress will be reported in Bulkhead's server log, tagged with the returned \
             migration_id"
                .into(),
        ],
        ..Default::default()
    }))
}

/// Where leases of a mount may be after this move, but at its new path. Until they are
/// revoked they keep the ids that they were granted under.
fn former_paths(visit: &Visit, mount: &Mount, to_full: &str) -> Result<Vec<String>, Fault> {
    // Nobody grants a lease below a path that the mount has left.
    let mut tx = visit.open.begin()?;
    let mut paths = Vec::new();
    for path in &mount.entry.former_paths {
        let full = mount.namespace.full(path);
        if path != to_full && !leases::page(&mut tx, &full, None, 1)?.0.is_empty() {
            paths.push(path.clone());
        }
    }
    paths.push(mount.request_path().to_owned());
    Ok(paths)
}

/// How a move went, as it is stored.
#[derive(Serialize, Deserialize)]
struct Moved {
    /// Missing in those from before they were ever forgotten.
    #[serde(default)]
    at_ms: u64,
    /// Id of the namespace it was in.
    #[serde(default)]
    namespace: String,
    #[serde(flatten)]
    info: Value,
}

fn moved_key(id: &str) -> Key {
    opaque(space::HOST, &[MOVED, id.as_bytes()].concat())
}

/// Keeps how a move went, and forgets what nobody will ask for any more.
fn keep(visit: &mut Visit, id: &str, info: Value) -> Result<(), Fault> {
    let end = [&MOVED[..MOVED.len() - 1], b"0"].concat();
    let mut kept = Vec::new();
    for place in visit.tx.opaque_range(space::HOST, MOVED, &end, MOVED_A_LOOK)? {
        let key = opaque(space::HOST, &place);
        let at_ms = visit.tx.get(&key)?.and_then(|bytes| serde_json::from_slice::<Moved>(bytes.expose()).ok());
        let at_ms = at_ms.map_or(0, |moved| moved.at_ms);
        if visit.now_ms.saturating_sub(at_ms) > MOVED_MS_MAX {
            visit.tx.delete(&key)?;
        } else {
            kept.push((at_ms, key));
        }
    }
    kept.sort_unstable_by_key(|(at_ms, _)| *at_ms);
    for (_, key) in kept.iter().take((kept.len() + 1).saturating_sub(MOVED_MAX)) {
        visit.tx.delete(key)?;
    }
    let moved = serde_json::to_vec(&Moved { at_ms: visit.now_ms, namespace: visit.namespace.record.id.clone(), info })
        .expect("a move is plain data");
    visit.tx.put(&moved_key(id), &moved).map_err(Fault::from)
}

fn status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let id = ask.capture("migration_id");
    let stored = visit.tx.get(&moved_key(id))?;
    let moved: Option<Moved> = stored.and_then(|bytes| serde_json::from_slice(bytes.expose()).ok());
    let moved = moved.filter(|moved| moved.namespace == visit.namespace.record.id);
    let info = moved.ok_or_else(|| Fault::from(Failure::absent()))?.info;
    Ok(data(&json!({ "migration_id": id, "migration_info": info })))
}
