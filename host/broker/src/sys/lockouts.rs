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
        let mount = config.mounts.with_accessor(&lock.mount_accessor);
        let rule = mount.filter(|mount| mount.namespace.is_within(&visit.namespace)).and_then(|mount| mount.lockout);
        let is_wanted = wanted.is_empty() || lock.mount_accessor == wanted;
        is_wanted && rule.is_some_and(|rule| rule.holds(lock.failed_ms, now_ms))
    };
    let mut locked = lockouts::by_method(&mut visit.tx, holds)?;
    if !wanted.is_empty() {
        locked.entry(wanted).or_default();
    }
    let here = visit.namespace.clone();
    // A method that is none any more is told of where it was asked for.
    let home =
        |accessor: &str| config.mounts.with_accessor(accessor).map_or(here.path(), |mount| mount.namespace.path());
    let mut told = Vec::new();
    let mut total = 0;
    for namespace in [&here].into_iter().chain(config.namespaces.below(&here, true)) {
        let own = locked.iter().filter(|(accessor, _)| home(accessor) == namespace.path());
        let mut methods: Vec<_> = own.collect();
        methods.sort_by_key(|(_, aliases)| usize::MAX - aliases.len());
        let counts: usize = methods.iter().map(|(_, aliases)| aliases.len()).sum();
        let methods: Vec<Value> = methods.into_iter().map(|(accessor, aliases)| method(accessor, aliases)).collect();
        told.push(json!({
            "counts": counts,
            "mount_accessors": methods,
            "namespace_id": namespace.shown_id(),
            "namespace_path": namespace.path(),
        }));
        total += counts;
    }
    Ok(data(&json!({ "by_namespace": told, "total": total })))
}

fn method(accessor: &str, aliases: &[String]) -> Value {
    // As in OpenBao, which tells null where there are none.
    let told = Some(aliases).filter(|aliases| !aliases.is_empty());
    json!({ "alias_identifiers": told, "counts": aliases.len(), "mount_accessor": accessor })
}

fn unlock(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let accessor = ask.capture("mount_accessor");
    // Of a method elsewhere there is nothing to be unlocked here, as of one that is none.
    if visit.config.mounts.with_accessor(accessor).is_none_or(|mount| visit.is_here(mount)) {
        lockout::unlock(visit, accessor, ask.capture("alias_identifier"))?;
    }
    Ok(Reply::Empty)
}
