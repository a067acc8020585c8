//! `cubbyhole/`: each token's private store, which ends with the token.

use std::sync::LazyLock;

use bulkhead_barrier::StoreError;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::{LIST_NAMES_MAX, VALUE_BYTES_MAX};
use bulkhead_model::reply::{Envelope, Reply, hidden_json_within};
use bulkhead_model::request::Verb;

use super::table::{Handler, HostRoute, HostTable};
use super::wrapping;
use crate::book::Cubby;
use crate::fault::{Fault, wrapped};
use crate::visit::{Ask, Visit, enveloped, listed};

const ROUTES: &[HostRoute] = &[
    HostRoute::new("{path...}", &[Verb::Read], Handler::Now(read), "Read from one's own store.").any_fields(),
    HostRoute::new("{path...}", &[Verb::Write], Handler::Now(write), "Write to one's own store.")
        .any_fields()
        .exists(exists),
    HostRoute::new("{path...}", &[Verb::Delete], Handler::Now(delete), "Delete from one's own store.").any_fields(),
    HostRoute::new("{path...}", &[Verb::List], Handler::Now(list), "List one's own store.").any_fields(),
    HostRoute::new("", &[Verb::List], Handler::Now(list), "List one's own store.").any_fields(),
];

/// The routes below `cubbyhole/`.
pub(crate) fn routes() -> &'static HostTable {
    static TABLE: LazyLock<HostTable> = LazyLock::new(|| HostTable::of_each(&[ROUTES]));
    &TABLE
}

/// The caller's store in this namespace. A token that is not stored itself has none.
fn own(visit: &Visit) -> Result<Cubby, Fault> {
    let who = visit.who()?;
    if who.record.is_batch() {
        return Err(Fault::invalid("cubbyhole operations are only supported by 'service' type tokens"));
    }
    let here = &visit.namespace.record.id;
    Ok(if who.record.namespace == *here { Cubby::of(&who.hash) } else { Cubby::elsewhere(&who.hash, here) })
}

fn key(visit: &Visit, path: &str) -> Result<bulkhead_barrier::Key, Fault> {
    own(visit)?.key(path).ok_or_else(|| Fault::invalid("cannot write to a path ending in '/'"))
}

fn exists(visit: &mut Visit, captures: &[(&'static str, String)]) -> Result<bool, Fault> {
    let path = captures.first().map_or("", |(_, path)| path.as_str());
    match own(visit).ok().and_then(|own| own.key(path)) {
        Some(key) => Ok(visit.tx.version(&key)?.is_some()),
        None => Ok(true),
    }
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let path = ask.capture("path").trim_end_matches('/');
    let key = key(visit, path)?;
    let data = visit.tx.get(&key)?.ok_or_else(|| Fault::from(Failure::absent()))?;
    let who = &visit.who()?.record;
    // Only where the token is has its store what it stands for.
    if path == wrapping::CONTENT && wrapping::is_wrapping(who) && who.namespace == visit.namespace.record.id {
        return wrapping::read_as_of_old(&data);
    }
    Ok(enveloped(Envelope { data: Some(data), ..Envelope::default() }))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if ask.fields.all().is_empty() {
        return Err(Failure::new(FailureKind::Internal, wrapped("missing data fields")).into());
    }
    let key = key(visit, ask.capture("path"))?;
    let too_large = StoreError::TooLarge { what: "value", limit: VALUE_BYTES_MAX };
    let text = hidden_json_within(ask.fields.all(), VALUE_BYTES_MAX).ok_or(too_large)?;
    visit.tx.put(&key, text.expose())?;
    Ok(Reply::Empty)
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let key = key(visit, ask.capture("path").trim_end_matches('/'))?;
    visit.tx.delete(&key)?;
    Ok(Reply::Empty)
}

fn list(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let prefix = match ask.capture("path") {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let Some(folder) = own(visit)?.folder(&prefix) else { return listed(Vec::new()) };
    let mut names = visit.tx.list(&folder, None, LIST_NAMES_MAX)?.keys;
    names.retain(|name| !Cubby::is_elsewhere(name));
    listed(names)
}
