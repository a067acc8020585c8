//! `identity/mfa/login-enforcement`: whose logins need a second factor.

use std::sync::Arc;

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::no_path;
use crate::book::identity::entities::ENTITIES;
use crate::book::identity::groups::GROUPS;
use crate::book::identity::{Id, id_text, parse_id};
use crate::book::mfa::enforcements::{self, ENFORCEMENTS_MAX, EnforcementRecord, TARGETS_MAX};
use crate::book::mfa::methods;
use crate::book::mounts::Mount;
use crate::fault::Fault;
use crate::login;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

const FIELDS: &[&str] = &[
    "name",
    "mfa_method_ids",
    "auth_method_accessors",
    "auth_method_types",
    "identity_group_ids",
    "identity_entity_ids",
];

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("mfa/login-enforcement", &[Verb::List], Handler::Now(list), "List whose logins need MFA."),
    HostRoute::new("mfa/login-enforcement/{name}", &[Verb::Read], Handler::Now(read), "Read whose logins need MFA."),
    HostRoute::new("mfa/login-enforcement/{name}", &[Verb::Write], Handler::Now(write), "Say whose logins need MFA.")
        .fields(FIELDS),
    HostRoute::new(
        "mfa/login-enforcement/{name}",
        &[Verb::Delete],
        Handler::Now(delete),
        "Let logins in without MFA again.",
    ),
];

/// Methods of which one has to be passed, at most. Source: ours. Why: each login that waits is told
/// of all of them.
const METHODS_MAX: usize = 64;
/// Longest name, in bytes. Source: ours. Why: as above.
const NAME_BYTES_MAX: usize = 256;

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (names, mut about) = (enforcements::names(&mut visit.tx)?, Map::new());
    if names.is_empty() {
        return Err(Failure::absent().into());
    }
    for name in &names {
        if let Some(enforcement) = enforcements::get(&mut visit.tx, name)? {
            about.insert(name.clone(), shown(visit, &enforcement));
        }
    }
    Ok(data(&json!({ "key_info": about, "keys": names })))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = enforcements::get(&mut visit.tx, name(ask)?)?;
    Ok(data(&shown(visit, &found.ok_or_else(Failure::absent)?)))
}

fn shown(visit: &Visit, enforcement: &EnforcementRecord) -> Value {
    let ids = |ids: &[Id]| ids.iter().map(id_text).collect::<Vec<_>>();
    json!({
        "auth_method_accessors": enforcement.accessors,
        "auth_method_types": enforcement.types,
        "id": id_text(&enforcement.id),
        "identity_entity_ids": ids(&enforcement.entities),
        "identity_group_ids": ids(&enforcement.groups),
        "mfa_method_ids": ids(&enforcement.methods),
        "name": enforcement.name,
        "namespace_id": visit.namespace.shown_id(),
        "namespace_path": visit.namespace.path(),
    })
}

/// The name in the path: in Vault there are no paths with anything else there.
fn name<'a>(ask: &'a Ask<'_>) -> Result<&'a str, Fault> {
    let name = ask.capture("name");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let inside = name.chars().all(|c| is_word(c) || c == '-' || c == '.');
    if inside && name.starts_with(is_word) && name.ends_with(is_word) { Ok(name) } else { Err(no_path()) }
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = name(ask)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(Fault::invalid(format!("the name must not be longer than {NAME_BYTES_MAX} bytes")));
    }
    let before = enforcements::get(&mut visit.tx, name)?;
    if before.is_none() && enforcements::names(&mut visit.tx)?.len() >= ENFORCEMENTS_MAX {
        return Err(Fault::invalid(format!("there are {ENFORCEMENTS_MAX} enforcements already")));
    }
    let new = || EnforcementRecord { id: login::new_id(visit), name: name.to_owned(), ..EnforcementRecord::default() };
    let mut record = before.unwrap_or_else(new);
    record.methods = taken_methods(visit, ask)?;
    take_targets(visit, ask, &mut record)?;
    enforcements::save(&mut visit.tx, &visit.open.names, &record)?;
    Ok(Reply::Empty)
}

fn taken_methods(visit: &mut Visit, ask: &Ask<'_>) -> Result<Vec<Id>, Fault> {
    // Of none, none could be passed, and nobody would get in any more.
    let sent = ask.fields.strings("mfa_method_ids", false)?.filter(|ids| !ids.is_empty());
    let sent = sent.ok_or_else(|| Fault::invalid("missing method ids"))?;
    if sent.len() > METHODS_MAX {
        return Err(Fault::invalid(format!("mfa_method_ids must not be more than {METHODS_MAX}")));
    }
    ids(&sent, "one of the provided method ids doesn't exist", |id| Ok(methods::get(&mut visit.tx, id)?.is_some()))
}

/// Ids of what is there, each once.
fn ids(sent: &[String], lacking: &str, mut is_there: impl FnMut(&Id) -> Result<bool, Fault>) -> Result<Vec<Id>, Fault> {
    let mut ids = Vec::with_capacity(sent.len());
    for text in sent {
        match parse_id(text) {
            Some(id) if is_there(&id)? => ids.push(id),
            _ => return Err(Fault::invalid(lacking)),
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

/// Whom it is about: what is not said stays as it is.
fn take_targets(visit: &mut Visit, ask: &Ask<'_>, record: &mut EnforcementRecord) -> Result<(), Fault> {
    let (fields, config, here) = (&ask.fields, visit.config.clone(), visit.namespace.record.id.clone());
    let is_here = |mount: &&Arc<Mount>| mount.entry.namespace == here && mount.request_path().starts_with("auth/");
    let methods = || config.mounts.all().filter(is_here);
    let mut is_said = false;
    if let Some(accessors) = fields.strings("auth_method_accessors", false)? {
        if accessors.iter().any(|one| !methods().any(|mount| mount.entry.accessor == *one)) {
            return Err(Fault::invalid("one of the auth method accessors provided is invalid"));
        }
        (record.accessors, is_said) = (accessors, true);
    }
    if let Some(types) = fields.strings("auth_method_types", false)? {
        if types.iter().any(|one| !methods().any(|mount| mount.entry.kind == *one)) {
            return Err(Fault::invalid("one of the auth method types provided is invalid"));
        }
        (record.types, is_said) = (types, true);
    }
    if let Some(sent) = fields.strings("identity_group_ids", false)? {
        let lacking = "one of the provided group ids doesn't exist";
        record.groups = ids(&sent, lacking, |id| Ok(GROUPS.get(&mut visit.tx, id)?.is_some()))?;
        is_said = true;
    }
    if let Some(sent) = fields.strings("identity_entity_ids", false)? {
        let lacking = "one of the provided entity ids doesn't exist";
        record.entities = ids(&sent, lacking, |id| Ok(ENTITIES.get(&mut visit.tx, id)?.is_some()))?;
        is_said = true;
    }
    if !is_said {
        let text = "One of auth_method_accessors, auth_method_types, identity_group_ids, identity_entity_ids must be \
                    specified";
        return Err(Fault::invalid(text));
    }
    let many = record.accessors.len() + record.types.len() + record.groups.len() + record.entities.len();
    if many > TARGETS_MAX {
        return Err(Fault::invalid(format!("an enforcement must not be about more than {TARGETS_MAX}")));
    }
    Ok(())
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = name(ask)?;
    enforcements::remove(&mut visit.tx, &visit.open.names, name)?;
    Ok(Reply::Empty)
}
