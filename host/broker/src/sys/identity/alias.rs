//! `identity/entity-alias`, and its older name `identity/alias`: what entities are called
//! in auth methods. An entity has one alias at a mount, and an alias one entity.

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::json;

use super::entity::named;
use super::{lists, shown, taken};
use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::{Alias, Id, id_text, parse_id};
use crate::fault::Fault;
use crate::login;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &["id", "name", "mount_accessor", "canonical_id", "entity_id", "custom_metadata"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("entity-alias", W, Handler::Now(write), "Make or change an alias.").fields(FIELDS),
    HostRoute::new("entity-alias/id", &[Verb::List], Handler::Later(list), "List aliases."),
    HostRoute::new("entity-alias/id/{id}", &[Verb::Read], Handler::Now(read), "Read an alias."),
    HostRoute::new("entity-alias/id/{id}", W, Handler::Now(write), "Change an alias.").fields(FIELDS),
    HostRoute::new("entity-alias/id/{id}", &[Verb::Delete], Handler::Now(delete), "Delete an alias."),
    HostRoute::new("alias", W, Handler::Now(write), "Make or change an alias.").fields(FIELDS),
    HostRoute::new("alias/id", &[Verb::List], Handler::Later(list), "List aliases."),
    HostRoute::new("alias/id/{id}", &[Verb::Read], Handler::Now(read), "Read an alias."),
    HostRoute::new("alias/id/{id}", W, Handler::Now(write), "Change an alias.").fields(FIELDS),
    HostRoute::new("alias/id/{id}", &[Verb::Delete], Handler::Now(delete), "Delete an alias."),
];

/// The entity that has the alias of this id, and the alias's place in it.
pub(super) fn by_id(visit: &mut Visit, id: &str) -> Result<Option<(EntityRecord, usize)>, Fault> {
    let Some(id) = parse_id(id) else { return Ok(None) };
    Ok(placed(ENTITIES.by_alias_id(&mut visit.tx, &id)?, &id))
}

fn placed(entity: Option<EntityRecord>, alias: &Id) -> Option<(EntityRecord, usize)> {
    let entity = entity?;
    let at = entity.aliases.iter().position(|have| have.id == *alias)?;
    Some((entity, at))
}

/// The same by the name at a mount.
pub(super) fn by_name(visit: &mut Visit, accessor: &str, name: &str) -> Result<Option<(EntityRecord, usize)>, Fault> {
    let entity = ENTITIES.by_alias(&mut visit.tx, &visit.open.names, accessor, name)?;
    Ok(entity.and_then(|entity| {
        let at = entity.aliases.iter().position(|alias| alias.is_at(accessor, name))?;
        Some((entity, at))
    }))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (entity, at) = by_id(visit, ask.capture("id"))?.ok_or_else(Failure::absent)?;
    Ok(data(&shown::alias(visit, &entity.aliases[at], &entity.id)))
}

fn list<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    let tell = |visit: &Visit, tx: &mut Transaction, id: &Id| {
        let found = placed(ENTITIES.by_alias_id_untracked(tx, id)?, id);
        Ok(found.map(|(entity, at)| shown::alias_in_list(visit, &entity.aliases[at], &entity.id)))
    };
    Box::pin(lists::ids(visit, |tx, after| ENTITIES.alias_ids(tx, after), tell))
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if let Some((before, at)) = by_id(visit, ask.capture("id"))? {
        let mut entity = before.clone();
        entity.aliases.remove(at);
        entities::save(&mut visit.tx, &visit.open.names, Some(&before), &entity)?;
    }
    Ok(Reply::Empty)
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let fields = &ask.fields;
    let id = named(ask, "id")?;
    let (name, accessor) = (fields.text_or_empty("name")?, fields.text_or_empty("mount_accessor")?);
    if id.is_empty() && (name.is_empty() || accessor.is_empty()) {
        return Err(Fault::invalid("'id' or 'mount_accessor' and 'name' must be provided"));
    }
    let owner = match fields.text_or_empty("canonical_id")? {
        empty if empty.is_empty() => fields.text_or_empty("entity_id")?,
        owner => owner,
    };
    let found = match id.as_str() {
        "" => {
            taken::known_accessor(visit, &accessor)?;
            by_name(visit, &accessor, &name)?
        }
        id => Some(by_id(visit, id)?.ok_or_else(|| Fault::invalid("invalid alias ID provided"))?),
    };
    let target = match owner.as_str() {
        "" => None,
        id => Some(ENTITIES.by_id(&mut visit.tx, id)?.ok_or_else(|| Fault::invalid("invalid canonical ID"))?),
    };
    let mut alias = match &found {
        Some((entity, at)) => entity.aliases[*at].clone(),
        None => login::new_alias(visit),
    };
    if !name.is_empty() {
        alias.name = name;
    }
    if !accessor.is_empty() {
        alias.mount_accessor = accessor;
    }
    taken::known_accessor(visit, &alias.mount_accessor)?;
    match taken::custom_metadata(fields)? {
        Some(custom) => alias.custom_metadata = custom,
        // A write that names the alias states all of it; one by id changes what it says.
        None if id.is_empty() => alias.custom_metadata.clear(),
        None => {}
    }
    if let Some((other, at)) = by_name(visit, &alias.mount_accessor.clone(), &alias.name.clone())?
        && other.aliases[at].id != alias.id
    {
        return Err(Fault::invalid("alias with combination of mount accessor and name already exists"));
    }
    let stays = |entity: &EntityRecord| target.as_ref().is_none_or(|target| target.id == entity.id);
    if found.as_ref().is_some_and(|(entity, at)| entity.aliases[*at] == alias && stays(entity)) {
        return Ok(Reply::Empty);
    }
    alias.updated_ms = visit.now_ms;
    let from = found.map(|(entity, _)| entity);
    let owner = place(visit, from, target, &alias)?;
    Ok(data(&json!({ "canonical_id": id_text(&owner), "id": id_text(&alias.id) })))
}

/// Puts an alias into the entity it is to be of, out of the one it was of. Without either,
/// an entity is made for it.
fn place(
    visit: &mut Visit,
    from: Option<EntityRecord>,
    target: Option<EntityRecord>,
    alias: &Alias,
) -> Result<Id, Fault> {
    let moves = match (&from, &target) {
        (Some(from), Some(target)) => from.id != target.id,
        _ => false,
    };
    let before = target.or_else(|| from.clone());
    let mut entity = before.clone().unwrap_or_else(|| login::new_entity(visit));
    entity.aliases.retain(|have| have.id != alias.id);
    // Two of one mount would let a template mean either (CVE-2021-43998).
    if entity.aliases.iter().any(|have| have.mount_accessor == alias.mount_accessor) {
        return Err(Fault::invalid("Alias already exists for requested entity and mount accessor"));
    }
    entity.aliases.push(alias.clone());
    if let Some(old) = from.filter(|_| moves) {
        let mut left = old.clone();
        left.aliases.retain(|have| have.id != alias.id);
        entities::save(&mut visit.tx, &visit.open.names, Some(&old), &left)?;
    }
    entities::save(&mut visit.tx, &visit.open.names, before.as_ref(), &entity)?;
    Ok(entity.id)
}
