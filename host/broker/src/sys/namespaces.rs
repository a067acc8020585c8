//! `sys/namespaces`: making, reading, changing, deleting and locking namespaces. They are named
//! within the one that is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_barrier::Realm;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::path::ApiPath;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::table::{Answer, Handler, HostRoute};
use crate::book::namespaces::{self, NAMESPACES_MAX, Namespace, NamespaceRecord};
use crate::fault::Fault;
use crate::node::birth;
use crate::step::vacate;
use crate::visit::{After, Ask, Visit, data, warning};

const W: &[Verb] = &[Verb::Write];
const LISTS: &[Verb] = &[Verb::List, Verb::Scan];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("namespaces", LISTS, Handler::Now(list), "List the namespaces in this one."),
    HostRoute::new("namespaces/{path...}", &[Verb::Read], Handler::Now(read), "Read a namespace."),
    HostRoute::new("namespaces/{path...}", W, Handler::Now(create), "Make a namespace, or set its metadata.")
        .fields(&["custom_metadata", "seal", "pgp_keys"]),
    HostRoute::new("namespaces/{path...}", &[Verb::Patch], Handler::Now(patch), "Change a namespace's metadata.")
        .fields(&["custom_metadata", "seal", "pgp_keys"]),
    HostRoute::new(
        "namespaces/{path...}",
        &[Verb::Delete],
        Handler::Later(delete),
        "Delete a namespace with all it has.",
    ),
    HostRoute::new("namespaces/api-lock/lock", W, Handler::Now(lock), "Lock this namespace."),
    HostRoute::new("namespaces/api-lock/lock/{path...}", W, Handler::Now(lock), "Lock a namespace."),
    HostRoute::new("namespaces/api-lock/unlock", W, Handler::Now(unlock), "Unlock this namespace.")
        .fields(&["unlock_key"]),
    HostRoute::new("namespaces/api-lock/unlock/{path...}", W, Handler::Now(unlock), "Unlock a namespace.")
        .fields(&["unlock_key"]),
];

/// Characters of a namespace's id. Source: OpenBao.
const ID_LEN: usize = 6;
/// Characters of the key that unlocks a namespace. Source: OpenBao.
const UNLOCK_KEY_LEN: usize = 24;
/// Bytes of a namespace's metadata at most, names and values together. Source: ours. Why: every node
/// keeps it in memory.
const METADATA_BYTES_MAX: usize = 4096;
/// Names that are the host's own in every namespace, or stand for the root. Source: OpenBao.
const RESERVED: [&str; 6] = ["audit", "auth", "cubbyhole", "identity", "root", "sys"];

/// As answers have it.
fn shown(namespace: &Namespace) -> Value {
    let record = &namespace.record;
    json!({
        "custom_metadata": record.metadata,
        "id": record.id,
        "locked": namespace.locked_by.is_some(),
        "path": record.path,
        "tainted": record.leaving,
        "uuid": record.uuid,
    })
}

/// The name of a namespace in the one that is asked.
fn name<'a>(ask: &'a Ask<'_>) -> Result<&'a str, Fault> {
    let name = ask.capture("path").trim_end_matches('/');
    if name.contains('/') { Err(Fault::invalid("namespace name cannot contain /")) } else { Ok(name) }
}

/// The namespace of this name in the one that is asked.
fn named(visit: &Visit, name: &str) -> Option<Arc<Namespace>> {
    let path = format!("{}/", visit.namespace.full(name.trim_matches('/')));
    visit.config.namespaces.at(&path).filter(|found| !found.is_root()).cloned()
}

fn list(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let here = visit.namespace.clone();
    let deep = ask.request.verb == Verb::Scan;
    let (mut keys, mut info) = (Vec::new(), Map::new());
    for found in visit.config.namespaces.below(&here, deep) {
        let name = found.path().strip_prefix(here.path()).unwrap_or_default();
        keys.push(name);
        info.insert(name.to_owned(), shown(found));
    }
    match (keys.is_empty(), deep) {
        (false, _) => Ok(data(&json!({ "key_info": info, "keys": keys }))),
        (true, true) => Ok(data(&json!({}))),
        (true, false) => Err(Failure::absent().into()),
    }
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = named(visit, name(ask)?).ok_or_else(Failure::absent)?;
    Ok(data(&shown(&found)))
}

/// A name that can be a namespace's. What has a meaning in paths and policies is none.
fn checked(name: &str) -> Result<(), Fault> {
    if RESERVED.contains(&name) {
        let text = format!("\"{name}/\" is a reserved path and cannot be used as a namespace name");
        return Err(Fault::invalid(text));
    }
    if name.chars().any(char::is_whitespace) {
        let text = format!("{name:?} contains space characters that cannot be used in a namespace name");
        return Err(Fault::invalid(text));
    }
    if let Some(wild) = name.chars().find(|c| matches!(c, '*' | '+')) {
        let text = format!("{name:?} contains wildcard characters that cannot be used in a namespace name: '{wild}'");
        return Err(Fault::invalid(text));
    }
    // In a policy these begin a template.
    if name.contains("{{") || name.contains("}}") {
        return Err(Fault::invalid(format!("{name:?} cannot be used as a namespace name")));
    }
    ApiPath::checked(name.to_owned()).map(drop).map_err(|error| Fault::invalid(error.to_string()))
}

/// The metadata that was sent, where a value may be null; `None`: nothing was.
fn metadata(ask: &Ask<'_>) -> Result<Option<BTreeMap<String, Option<String>>>, Fault> {
    let Some(sent) = ask.fields.object("custom_metadata")? else { return Ok(None) };
    let mut found = BTreeMap::new();
    for (name, value) in sent {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            _ => return Err(Fault::invalid("custom_metadata values must be strings")),
        };
        found.insert(name.clone(), value);
    }
    Ok(Some(found))
}

fn bounded(metadata: &BTreeMap<String, String>) -> Result<(), Fault> {
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(Fault::invalid(format!("custom_metadata may have {METADATA_BYTES_MAX} bytes at most")));
    }
    Ok(())
}

/// Whoever wants a namespace under key shares of its own must not believe that it is.
fn refuse_seal(ask: &Ask<'_>) -> Result<(), Fault> {
    for field in ["seal", "pgp_keys"] {
        if ask.fields.all().get(field).is_some_and(|sent| !sent.is_null()) {
            let text = format!("{field:?} cannot be set: namespaces are under the key shares of the cluster");
            return Err(Fault::invalid(text));
        }
    }
    Ok(())
}

fn create(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = name(ask)?;
    checked(name)?;
    refuse_seal(ask)?;
    let sent = metadata(ask)?.unwrap_or_default();
    let sent: Option<BTreeMap<String, String>> =
        sent.into_iter().map(|(name, value)| value.map(|value| (name, value))).collect();
    let sent = sent.ok_or_else(|| Fault::invalid("custom_metadata values must be strings"))?;
    if let Some(found) = named(visit, name) {
        refuse_leaving(&found)?;
        return written(visit, NamespaceRecord { metadata: sent, ..found.record.clone() });
    }
    if visit.config.namespaces.len() >= NAMESPACES_MAX {
        return Err(Fault::invalid(format!("there are {NAMESPACES_MAX} namespaces, and no more can be made")));
    }
    let path = format!("{}/", visit.namespace.full(name));
    let longest = ApiPath::checked(path.clone()).map_err(|error| Fault::invalid(error.to_string()))?;
    if let Some(taken) = visit.config.mounts.collision_of_namespace(longest.as_str()) {
        return Err(Fault::invalid(format!("new namespace conflicts with existing mount: {taken}")));
    }
    let id = std::iter::repeat_with(|| visit.random_text(ID_LEN))
        .find(|id| visit.config.namespaces.with_id(id).is_none())
        .expect("there are far more ids than namespaces");
    let realm = Realm::random(&*visit.open.parts.entropy);
    let mut record = NamespaceRecord::new(visit.uuid(), id, path, realm);
    record.metadata = sent;
    birth::furnish_namespace(visit, &record)?;
    visit.after.push(After::Refresh);
    written(visit, record)
}

fn patch(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = named(visit, name(ask)?).ok_or_else(|| Fault::invalid("namespace not found"))?;
    refuse_leaving(&found)?;
    refuse_seal(ask)?;
    let mut record = found.record.clone();
    if ask.fields.all().get("custom_metadata") == Some(&Value::Null) {
        record.metadata.clear();
    }
    for (name, value) in metadata(ask)?.unwrap_or_default() {
        match value {
            Some(value) => record.metadata.insert(name, value),
            None => record.metadata.remove(&name),
        };
    }
    written(visit, record)
}

fn written(visit: &mut Visit, record: NamespaceRecord) -> Result<Reply, Fault> {
    bounded(&record.metadata)?;
    namespaces::save(&mut visit.tx, &record)?;
    let locked_by = named(visit, record.path.strip_prefix(visit.namespace.path()).unwrap_or_default())
        .and_then(|found| found.locked_by.clone());
    Ok(data(&shown(&Namespace { record, locked_by })))
}

fn refuse_leaving(namespace: &Namespace) -> Result<(), Fault> {
    if namespace.record.leaving {
        return Err(Fault::invalid(format!("namespace {:?} is being deleted; try again later", namespace.path())));
    }
    Ok(())
}

fn delete<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let Some(found) = named(visit, name(ask)?) else {
            return Ok(warning("requested namespace does not exist"));
        };
        if !visit.config.namespaces.below(&found, false).is_empty() {
            return Err(Fault::invalid("unable to delete namespace containing child namespaces"));
        }
        vacate::begin(visit, &found)?;
        visit.after.extend([After::Refresh, After::LookForDue]);
        Ok(data(&json!({ "status": "in-progress" })))
    })
}

/// The namespace to be locked or unlocked: the one asked, or one below it.
fn meant(visit: &Visit, ask: &Ask<'_>) -> Result<Arc<Namespace>, Fault> {
    let found = match ask.capture("path") {
        "" => Some(visit.namespace.clone()),
        path => named(visit, path),
    };
    let found = found.ok_or_else(|| Fault::invalid("requested namespace does not exist"))?;
    if found.is_root() {
        return Err(Fault::invalid("root namespace cannot be locked/unlocked"));
    }
    refuse_leaving(&found)?;
    Ok(found)
}

fn lock(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = meant(visit, ask)?;
    match &found.locked_by {
        Some(by) if by == found.path() => {
            return Err(Fault::invalid(format!("cannot lock namespace {by:?}: is already locked")));
        }
        Some(by) => {
            let text = format!("cannot lock namespace {:?}: ancestor namespace {by:?} is already locked", found.path());
            return Err(Fault::invalid(text));
        }
        None => {}
    }
    let key = visit.random_text(UNLOCK_KEY_LEN);
    let lock = Some(visit.open.salt.hash(&key));
    namespaces::save(&mut visit.tx, &NamespaceRecord { lock, ..found.record.clone() })?;
    Ok(data(&json!({ "unlock_key": key })))
}

/// By the key, or without it for who has sudo on the path.
fn unlock(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = meant(visit, ask)?;
    let Some(digest) = found.record.lock else {
        return Err(Fault::invalid(format!("namespace {:?} is not locked", found.path())));
    };
    if let Some(by) = found.locked_by.as_ref().filter(|by| *by != found.path()) {
        let text = format!("cannot unlock {:?} with namespace {by:?} being locked", found.path());
        return Err(Fault::invalid(text));
    }
    let key = ask.fields.text("unlock_key")?.filter(|key| !key.is_empty()).map(Hidden::new);
    let by_key = key.is_some();
    match key {
        Some(key)
            if aws_lc_rs::constant_time::verify_slices_are_equal(&visit.open.salt.hash(key.expose()), &digest)
                .is_ok() => {}
        Some(_) => return Err(Fault::invalid("incorrect unlock key")),
        None if visit.has_sudo(ask.request)? => {}
        None => return Err(Failure::new(FailureKind::Denied, "permission denied").into()),
    }
    namespaces::save(&mut visit.tx, &NamespaceRecord { lock: None, ..found.record.clone() })?;
    Ok(if by_key { Reply::Empty } else { warning("Namespace unlocked using sudo capabilities") })
}
