//! `sys/remount`: moves a mount. Only its path changes, so it is one small change
//! however much is stored below it.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::mounts::full_path;
use super::table::{Handler, HostRoute};
use crate::book::mounts::{self, Table};
use crate::book::{leases, opaque, quotas, space};
use crate::fault::Fault;
use crate::visit::{After, Ask, Visit, data, enveloped};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("remount", &[Verb::Write], Handler::Now(remount), "Move a mount to another path.")
        .sudo()
        .fields(&["from", "to"]),
    HostRoute::new("remount/status/{migration_id}", &[Verb::Read], Handler::Now(status), "Tell how a move went."),
];

/// Table and path of a mount as operators write it.
fn place(raw: &str) -> (Table, String) {
    let trimmed = raw.trim_matches('/');
    match trimmed.strip_prefix("auth/") {
        Some(path) => (Table::Auth, format!("{path}/")),
        None => (Table::Secret, format!("{trimmed}/")),
    }
}

fn remount(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (from, to) = (ask.fields.text_or_empty("from")?, ask.fields.text_or_empty("to")?);
    if from.trim_matches('/').is_empty() || to.trim_matches('/').is_empty() {
        return Err(Fault::invalid("both 'from' and 'to' path must be specified as a string"));
    }
    let ((from_table, from_path), (to_table, to_path)) = (place(&from), place(&to));
    let (from_full, to_full) = (full_path(from_table, &from_path), full_path(to_table, &to_path));
    if matches!(from_full.as_str(), "sys/" | "cubbyhole/" | "identity/" | "auth/token/") {
        return Err(Fault::invalid(format!("cannot remount {from_full:?}")));
    }
    let first = to_full.split('/').next().unwrap_or_default();
    let reserved = matches!(first, "sys" | "cubbyhole" | "identity" | "audit") || to_full == "auth/token/";
    if reserved || from_table != to_table {
        return Err(Fault::invalid(format!("cannot remount to destination {to_full}")));
    }
    bulkhead_model::path::ApiPath::checked(to_full.clone()).map_err(|e| Fault::invalid(e.to_string()))?;
    let Some(mount) = visit.config.mounts.at(&from_full).cloned() else {
        return Err(Fault::invalid(format!("no matching mount at {from_full:?}")));
    };
    if let Some(taken) = visit.config.mounts.collision(&to_full).filter(|t| *t != from_full || to_full == from_full) {
        return Err(Fault::invalid(format!("path already in use at {taken:?}")));
    }
    // Lease ids begin with the path, so they end with it.
    for id in leases::below(&mut visit.tx, &from_full, usize::MAX)? {
        let now_ms = visit.now_ms;
        leases::expire_now(&mut visit.tx, &id, now_ms)?;
    }
    let mut entry = mount.entry.clone();
    entry.path.clone_from(&to_path);
    mounts::save(&mut visit.tx, &entry)?;
    quotas::mount_moved(&mut visit.tx, &from_full, &to_full)?;
    visit.after.push(After::Refresh);
    let id = visit.uuid();
    let info = json!({ "source_mount": from_full, "target_mount": to_full, "status": "success" });
    visit.tx.put(&opaque(space::HOST, format!("move/{id}").as_bytes()), info.to_string().as_bytes())?;
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

fn status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let id = ask.capture("migration_id");
    let stored = visit.tx.get(&opaque(space::HOST, format!("move/{id}").as_bytes()))?;
    let info: Option<Value> = stored.and_then(|bytes| serde_json::from_slice(bytes.expose()).ok());
    let info = info.ok_or_else(|| Fault::from(Failure::absent()))?;
    Ok(data(&json!({ "migration_id": id, "migration_info": info })))
}
