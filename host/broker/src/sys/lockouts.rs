//! `sys/locked-users`: who is locked out, and letting them in again.

use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::book::lockouts::{self, LockRecord};
use crate::fault::Fault;
use crate::step::lockout;
use crate::visit::{Ask, Visit, data};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("locked-users", &[Verb::Read], Handler::Now(read), "Read which aliases are locked out.")
        .fields(&["mount_accessor"]),
    HostRoute::new(
        "locked-users/{mount_accessor}/unlock/{alias_identifier...}",
        &[Verb::Write],
        Handler::Now(unlock),
        "Let a locked alias log in again.",
    )
    .fields(&["mount_accessor", "alias_identifier"]),
];

/// Locks that are in the leader's memory alone, because too many are stored, are not told.
fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let wanted = ask.fields.text_or_empty("mount_accessor")?;
    let (config, now_ms) = (visit.config.clone(), visit.now_ms);
    let holds = |lock: &LockRecord| {
        let rule = config.mounts.with_accessor(&lock.mount_accessor).and_then(|mount| mount.lockout);
        let is_wanted = wanted.is_empty() || lock.mount_accessor == wanted;
        is_wanted && rule.is_some_and(|rule| rule.holds(lock.failed_ms, now_ms))
    };
    let mut locked = lockouts::by_method(&mut visit.tx, holds)?;
    if !wanted.is_empty() {
        locked.entry(wanted).or_default();
    }
    let mut methods: Vec<_> = locked.into_iter().collect();
    methods.sort_by_key(|(_, aliases)| usize::MAX - aliases.len());
    let total: usize = methods.iter().map(|(_, aliases)| aliases.len()).sum();
    let methods: Vec<Value> = methods.iter().map(|(accessor, aliases)| method(accessor, aliases)).collect();
    let root = json!({ "counts": total, "mount_accessors": methods, "namespace_id": "root", "namespace_path": "" });
    Ok(data(&json!({ "by_namespace": [root], "total": total })))
}

fn method(accessor: &str, aliases: &[String]) -> Value {
    // As in OpenBao, which tells null where there are none.
    let told = Some(aliases).filter(|aliases| !aliases.is_empty());
    json!({ "alias_identifiers": told, "counts": aliases.len(), "mount_accessor": accessor })
}

fn unlock(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    lockout::unlock(visit, ask.capture("mount_accessor"), ask.capture("alias_identifier"))?;
    Ok(Reply::Empty)
}
