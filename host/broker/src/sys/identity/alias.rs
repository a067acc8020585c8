//! `identity/entity-alias`, and its older name `identity/alias`: what entities are called
//! in auth methods. An entity has one alias at a mount, and an alias one entity.

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::template::Pairs;
use serde_json::json;

use super::entity::named;
use super::{lists, shown, taken};
use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::{Alias, Id, id_text, parse_id};
use crate::fault::Fault;
use crate::fields::Fields;
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

/// What a write says of an alias. What is empty stays as it is.
struct Wanted {
    name: String,
    accessor: String,
    owner: String,
    custom: Option<Pairs>,
}

impl Wanted {
    fn of(fields: &Fields) -> Result<Self, Fault> {
        let owner = match fields.text_or_empty("canonical_id")? {
            empty if empty.is_empty() => fields.text_or_empty("entity_id")?,
            owner => owner,
        };
        let (name, accessor) = (fields.text_or_empty("name")?, fields.text_or_empty("mount_accessor")?);
        Ok(Self { name, accessor, owner, custom: taken::custom_metadata(fields)? })
    }

    fn applied_to(self, alias: &Alias) -> Alias {
        let or = |wanted: String, have: &String| if wanted.is_empty() { have.clone() } else { wanted };
        Alias {
            name: or(self.name, &alias.name),
            mount_accessor: or(self.accessor, &alias.mount_accessor),
            custom_metadata: self.custom.unwrap_or_else(|| alias.custom_metadata.clone()),
            ..alias.clone()
        }
    }
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let id = named(ask, "id")?;
    let mut wanted = Wanted::of(&ask.fields)?;
    if !id.is_empty() {
        let (entity, at) = by_id(visit, &id)?.ok_or_else(|| Fault::invalid("invalid alias ID provided"))?;
        return change(visit, (&entity, &entity.aliases[at]), wanted);
    }
    if wanted.name.is_empty() || wanted.accessor.is_empty() {
        return Err(Fault::invalid("'id' or 'mount_accessor' and 'name' must be provided"));
    }
    taken::known_accessor(visit, &wanted.accessor)?;
    match by_name(visit, &wanted.accessor, &wanted.name)? {
        Some((entity, at)) => {
            // A write that names the alias states all of it; one by id changes what it says.
            wanted.custom.get_or_insert_default();
            change(visit, (&entity, &entity.aliases[at]), wanted)
        }
        None => make(visit, wanted),
    }
}

fn make(visit: &mut Visit, wanted: Wanted) -> Result<Reply, Fault> {
    let before = match wanted.owner.as_str() {
        "" => None,
        id => Some(ENTITIES.by_id(&mut visit.tx, id)?.ok_or_else(|| Fault::invalid("invalid canonical ID"))?),
    };
    let mut entity = before.clone().unwrap_or_else(|| login::new_entity(visit));
    let alias = wanted.applied_to(&login::new_alias(visit));
    if has_other_at(&entity, &alias) {
        return Err(Fault::invalid("Alias already exists for requested entity and mount accessor"));
    }
    let told = told(&entity.id, &alias.id);
    entity.aliases.push(alias);
    entities::save(&mut visit.tx, &visit.open.names, before.as_ref(), &entity)?;
    Ok(told)
}

/// Changes an alias of an entity, which it may leave for another.
fn change(visit: &mut Visit, (from, have): (&EntityRecord, &Alias), wanted: Wanted) -> Result<Reply, Fault> {
    let owner = wanted.owner.clone();
    let mut alias = wanted.applied_to(have);
    let stays = owner.is_empty() || owner == id_text(&from.id);
    if stays && is_same(have, &alias) {
        return Ok(Reply::Empty);
    }
    if stays && has_other_at(from, &alias) {
        let text = "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' ";
        return Err(Fault::invalid(text));
    }
    taken::known_accessor(visit, &alias.mount_accessor)?;
    let other = by_name(visit, &alias.mount_accessor, &alias.name)?;
    if other.is_some_and(|(other, at)| other.aliases[at].id != alias.id) {
        return Err(Fault::invalid("alias with combination of mount accessor and name already exists"));
    }
    alias.updated_ms = visit.now_ms;
    let mut left = from.clone();
    left.aliases.retain(|have| have.id != alias.id);
    let before = if stays {
        from.clone()
    } else {
        let unknown = || Fault::invalid("given 'canonical_id' is not associated with an entity");
        let target = ENTITIES.by_id(&mut visit.tx, &owner)?.ok_or_else(unknown)?;
        if has_other_at(&target, &alias) {
            let text = "Alias cannot be updated as the given entity already has an alias for this mount ";
            return Err(Fault::invalid(text));
        }
        entities::save(&mut visit.tx, &visit.open.names, Some(from), &left)?;
        target
    };
    let mut entity = if stays { left } else { before.clone() };
    let told = told(&entity.id, &alias.id);
    entity.aliases.push(alias);
    entities::save(&mut visit.tx, &visit.open.names, Some(&before), &entity)?;
    Ok(told)
}

/// Whether an entity has another alias at the mount. Two would let a template mean either (CVE-2021-43998).
fn has_other_at(entity: &EntityRecord, alias: &Alias) -> bool {
    entity.aliases.iter().any(|have| have.id != alias.id && have.mount_accessor == alias.mount_accessor)
}

/// Whether a write would change nothing.
fn is_same(one: &Alias, other: &Alias) -> bool {
    let sorted = |pairs: &Pairs| {
        let mut pairs = pairs.clone();
        pairs.sort_unstable();
        pairs
    };
    one.name == other.name
        && one.mount_accessor == other.mount_accessor
        && sorted(&one.custom_metadata) == sorted(&other.custom_metadata)
}

fn told(owner: &Id, alias: &Id) -> Reply {
    data(&json!({ "canonical_id": id_text(owner), "id": id_text(alias) }))
}
