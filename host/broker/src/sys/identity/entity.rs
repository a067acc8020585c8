//! `identity/entity`: entities, by id and by name.

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::Failure;
use bulkhead_model::path::lowered;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::{lists, shown, taken};
use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::persona::Persona;
use crate::book::identity::{Id, id_text};
use crate::book::mfa::secrets;
use crate::fault::Fault;
use crate::login;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &["id", "name", "metadata", "policies", "disabled"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("entity", W, Handler::Now(write), "Make or change an entity.").fields(FIELDS),
    HostRoute::new("entity/id", &[Verb::List], Handler::Later(list), "List entities by id."),
    HostRoute::new("entity/id/{id}", &[Verb::Read], Handler::Now(read), "Read an entity."),
    HostRoute::new("entity/id/{id}", W, Handler::Now(write), "Change an entity.").fields(FIELDS),
    HostRoute::new("entity/id/{id}", &[Verb::Delete], Handler::Now(delete), "Delete an entity."),
    HostRoute::new("entity/name", &[Verb::List], Handler::Later(list_names), "List entities by name."),
    HostRoute::new("entity/name/{name...}", &[Verb::Read], Handler::Now(read_named), "Read an entity.").folded(lowered),
    HostRoute::new("entity/name/{name...}", W, Handler::Now(write), "Make or change an entity.")
        .fields(FIELDS)
        .folded(lowered),
    HostRoute::new("entity/name/{name...}", &[Verb::Delete], Handler::Now(delete_named), "Delete an entity.")
        .folded(lowered),
    HostRoute::new("entity/batch-delete", W, Handler::Now(delete_many), "Delete entities.").fields(&["entity_ids"]),
];

/// The answer that shows an entity.
pub(super) fn answer(visit: &mut Visit, entity: EntityRecord) -> Result<Reply, Fault> {
    let persona = Persona::of(&mut visit.tx, entity)?;
    Ok(data(&shown::entity(visit, &persona)))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = ENTITIES.by_id(&mut visit.tx, ask.capture("id"))?;
    answer(visit, found.ok_or_else(Failure::absent)?)
}

fn read_named(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = ENTITIES.by_name(&mut visit.tx, &visit.open.names, ask.capture("name"))?;
    answer(visit, found.ok_or_else(Failure::absent)?)
}

/// What the path says of a field, or else the body.
pub(super) fn named(ask: &Ask<'_>, field: &str) -> Result<String, Fault> {
    match ask.capture(field) {
        "" => ask.fields.text_or_empty(field),
        captured => Ok(captured.to_owned()),
    }
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (id, name) = (named(ask, "id")?, named(ask, "name")?);
    let before = match id.as_str() {
        "" => None,
        id => Some(ENTITIES.by_id(&mut visit.tx, id)?.ok_or_else(|| Fault::invalid("entity not found from id"))?),
    };
    let of_name = if name.is_empty() { None } else { ENTITIES.by_name(&mut visit.tx, &visit.open.names, &name)? };
    let before = match (before, of_name) {
        (Some(before), Some(other)) if before.id != other.id => {
            return Err(Fault::invalid("entity name is already in use"));
        }
        (before, of_name) => before.or(of_name),
    };
    let mut entity = before.clone().unwrap_or_else(|| login::new_entity(visit));
    entity.updated_ms = visit.now_ms;
    if !name.is_empty() {
        entity.name = name;
    }
    if let Some(policies) = taken::policies(&ask.fields)? {
        entity.policies = policies;
    }
    if let Some(disabled) = ask.fields.flag("disabled")? {
        entity.disabled = disabled;
    }
    if ask.fields.has("metadata") {
        entity.metadata = taken::metadata(&ask.fields, "entity")?.unwrap_or_default();
    }
    entities::save(&mut visit.tx, &visit.open.names, before.as_ref(), &entity)?;
    if before.is_some() {
        return Ok(Reply::Empty);
    }
    Ok(data(&json!({ "aliases": null, "id": id_text(&entity.id), "name": entity.name })))
}

fn remove(visit: &mut Visit, found: Option<EntityRecord>) -> Result<(), Fault> {
    match found {
        Some(entity) => {
            secrets::forget_entity(&mut visit.tx, &entity.id)?;
            Ok(entities::remove(&mut visit.tx, &visit.open.names, &entity)?)
        }
        None => Ok(()),
    }
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = ENTITIES.by_id(&mut visit.tx, ask.capture("id"))?;
    remove(visit, found).map(|()| Reply::Empty)
}

fn delete_named(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = ENTITIES.by_name(&mut visit.tx, &visit.open.names, ask.capture("name"))?;
    remove(visit, found).map(|()| Reply::Empty)
}

fn delete_many(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let ids = ask.fields.strings("entity_ids", true)?.unwrap_or_default();
    if ids.is_empty() {
        return Err(Fault::invalid("missing entity ids to delete"));
    }
    for id in ids {
        let found = ENTITIES.by_id(&mut visit.tx, &id)?;
        remove(visit, found)?;
    }
    Ok(Reply::Empty)
}

fn list<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    let tell = |visit: &Visit, tx: &mut Transaction, id: &Id| {
        let told = |entity: EntityRecord| {
            let mut told = json!({ "name": entity.name });
            if !entity.aliases.is_empty() {
                let aliases = entity.aliases.iter().map(|alias| shown::alias_brief(visit, alias));
                told["aliases"] = aliases.collect::<Vec<Value>>().into();
            }
            told
        };
        Ok(ENTITIES.get_untracked(tx, id)?.map(told))
    };
    Box::pin(lists::ids(visit, |tx, after| ENTITIES.ids(tx, after), tell))
}

fn list_names<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    let tell = |_: &Visit, tx: &mut Transaction, id: &Id| Ok(ENTITIES.get_untracked(tx, id)?.map(|entity| entity.name));
    Box::pin(lists::names(visit, |tx, after| ENTITIES.ids(tx, after), tell))
}
