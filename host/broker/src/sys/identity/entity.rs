//! `identity/entity`: entities, by id and by name.

use bulkhead_model::failure::Failure;
use bulkhead_model::path::lowered;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::{shown, taken};
use crate::book::identity::entities::{self, EntityRecord};
use crate::book::identity::persona::Persona;
use crate::book::identity::{id_text, parse_id};
use crate::fault::Fault;
use crate::login;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, data, listed};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &["id", "name", "metadata", "policies", "disabled"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("entity", W, Handler::Now(write), "Make or change an entity.").fields(FIELDS),
    HostRoute::new("entity/id", &[Verb::List], Handler::Now(list), "List entities by id."),
    HostRoute::new("entity/id/{id}", &[Verb::Read], Handler::Now(read), "Read an entity."),
    HostRoute::new("entity/id/{id}", W, Handler::Now(write), "Change an entity.").fields(FIELDS),
    HostRoute::new("entity/id/{id}", &[Verb::Delete], Handler::Now(delete), "Delete an entity."),
    HostRoute::new("entity/name", &[Verb::List], Handler::Now(list_names), "List entities by name."),
    HostRoute::new("entity/name/{name...}", &[Verb::Read], Handler::Now(read_named), "Read an entity.").folded(lowered),
    HostRoute::new("entity/name/{name...}", W, Handler::Now(write), "Make or change an entity.").fields(FIELDS).folded(lowered),
    HostRoute::new("entity/name/{name...}", &[Verb::Delete], Handler::Now(delete_named), "Delete an entity.").folded(lowered),
    HostRoute::new("entity/batch-delete", W, Handler::Now(delete_many), "Delete entities.").fields(&["entity_ids"]),
];

/// The entity with this id, as callers write it.
pub(super) fn by_id(visit: &mut Visit, id: &str) -> Result<Option<EntityRecord>, Fault> {
    match parse_id(id) {
        Some(id) => Ok(entities::get(&mut visit.tx, &id)?),
        None => Ok(None),
    }
}

pub(super) fn by_name(visit: &mut Visit, name: &str) -> Result<Option<EntityRecord>, Fault> {
    Ok(entities::by_name(&mut visit.tx, &visit.open.names, name)?)
}

/// The answer that shows an entity.
pub(super) fn answer(visit: &mut Visit, entity: EntityRecord) -> Result<Reply, Fault> {
    let persona = Persona::of(&mut visit.tx, entity)?;
    Ok(data(&shown::entity(visit, &persona)))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = by_id(visit, ask.capture("id"))?;
    answer(visit, found.ok_or_else(Failure::absent)?)
}

fn read_named(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = by_name(visit, ask.capture("name"))?;
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
        id => Some(by_id(visit, id)?.ok_or_else(|| Fault::invalid("entity not found from id"))?),
    };
    let of_name = if name.is_empty() { None } else { by_name(visit, &name)? };
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
        Some(entity) => Ok(entities::remove(&mut visit.tx, &visit.open.names, &entity)?),
        None => Ok(()),
    }
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = by_id(visit, ask.capture("id"))?;
    remove(visit, found).map(|()| Reply::Empty)
}

fn delete_named(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = by_name(visit, ask.capture("name"))?;
    remove(visit, found).map(|()| Reply::Empty)
}

fn delete_many(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let ids = ask.fields.strings("entity_ids", true)?.unwrap_or_default();
    if ids.is_empty() {
        return Err(Fault::invalid("missing entity ids to delete"));
    }
    for id in ids {
        let found = by_id(visit, &id)?;
        remove(visit, found)?;
    }
    Ok(Reply::Empty)
}

fn all(visit: &mut Visit) -> Result<Vec<EntityRecord>, Fault> {
    let mut found = Vec::new();
    for id in entities::all(&mut visit.tx)? {
        found.extend(entities::get(&mut visit.tx, &id)?);
    }
    Ok(found)
}

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let entities = all(visit)?;
    if entities.is_empty() {
        return listed(Vec::new());
    }
    let about = |entity: &EntityRecord| {
        let mut told = json!({ "name": entity.name });
        if !entity.aliases.is_empty() {
            let aliases = entity.aliases.iter().map(|alias| shown::alias_brief(visit, alias));
            told["aliases"] = aliases.collect::<Vec<Value>>().into();
        }
        told
    };
    let about = entities.iter().map(about).collect();
    Ok(data(&shown::list(shown::ids(entities.iter().map(|entity| &entity.id)), about)))
}

fn list_names(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(all(visit)?.into_iter().map(|entity| entity.name).collect())
}
