//! `identity/group`: groups of entities and of groups, by id and by name.

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::Failure;
use bulkhead_model::path::lowered;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::json;

use super::entity::named;
use super::{lists, shown, taken};
use crate::book::identity::entities::{self, ENTITIES};
use crate::book::identity::groups::{self, GROUPS, GroupRecord, LEVELS_MAX, Way};
use crate::book::identity::{Id, id_text, parse_id};
use crate::fault::Fault;
use crate::login;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &["id", "name", "type", "metadata", "policies", "member_entity_ids", "member_group_ids"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("group", W, Handler::Now(write), "Make or change a group.").fields(FIELDS),
    HostRoute::new("group/id", &[Verb::List], Handler::Later(list), "List groups by id."),
    HostRoute::new("group/id/{id}", &[Verb::Read], Handler::Now(read), "Read a group."),
    HostRoute::new("group/id/{id}", W, Handler::Now(write), "Change a group.").fields(FIELDS),
    HostRoute::new("group/id/{id}", &[Verb::Delete], Handler::Now(delete), "Delete a group."),
    HostRoute::new("group/name", &[Verb::List], Handler::Later(list_names), "List groups by name."),
    HostRoute::new("group/name/{name...}", &[Verb::Read], Handler::Now(read_named), "Read a group.").folded(lowered),
    HostRoute::new("group/name/{name...}", W, Handler::Now(write), "Make or change a group.")
        .fields(FIELDS)
        .folded(lowered),
    HostRoute::new("group/name/{name...}", &[Verb::Delete], Handler::Now(delete_named), "Delete a group.")
        .folded(lowered),
];

/// The answer that shows a group.
pub(super) fn answer(visit: &mut Visit, group: &GroupRecord) -> Result<Reply, Fault> {
    let members = groups::members(&mut visit.tx, &group.id)?;
    Ok(data(&shown::group(visit, group, &members)))
}

/// A group that has nothing but an id and a name made up for it.
pub(super) fn new_group(visit: &Visit) -> GroupRecord {
    let name = login::made_up_name(visit, "group");
    GroupRecord { id: login::new_id(visit), name, created_ms: visit.now_ms, ..GroupRecord::default() }
}

/// Writes a group as changed now.
pub(super) fn save(visit: &mut Visit, before: Option<&GroupRecord>, group: &mut GroupRecord) -> Result<(), Fault> {
    group.updated_ms = visit.now_ms;
    group.modify_index += 1;
    Ok(groups::save(&mut visit.tx, &visit.open.names, before, group)?)
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = GROUPS.by_id(&mut visit.tx, ask.capture("id"))?;
    answer(visit, &found.ok_or_else(Failure::absent)?)
}

fn read_named(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = GROUPS.by_name(&mut visit.tx, &visit.open.names, ask.capture("name"))?;
    answer(visit, &found.ok_or_else(Failure::absent)?)
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = named(ask, "name")?;
    // What the path names is meant, whatever id comes along.
    let id = if ask.capture("name").is_empty() { named(ask, "id")? } else { String::new() };
    if id.is_empty() && ask.capture("name").is_empty() && ask.fields.has("id") {
        return Err(Fault::invalid("empty group ID"));
    }
    if id.is_empty() && name.is_empty() && ask.fields.has("name") {
        return Err(Fault::invalid("empty group name"));
    }
    let before = match id.as_str() {
        "" => None,
        id => Some(GROUPS.by_id(&mut visit.tx, id)?.ok_or_else(|| Fault::invalid("invalid group ID"))?),
    };
    let of_name = if name.is_empty() { None } else { GROUPS.by_name(&mut visit.tx, &visit.open.names, &name)? };
    let before = match (before, of_name) {
        (Some(before), Some(other)) if before.id != other.id => {
            return Err(Fault::invalid("group name is already in use"));
        }
        (before, of_name) => before.or(of_name),
    };
    let mut group = before.clone().unwrap_or_else(|| new_group(visit));
    if !name.is_empty() {
        group.name = name;
    }
    if let Some(policies) = taken::policies(&ask.fields)? {
        group.policies = policies;
    }
    take_type(ask, before.as_ref(), &mut group)?;
    if ask.fields.has("metadata") {
        group.metadata = taken::metadata(&ask.fields, "group")?.unwrap_or_default();
    }
    let members = taken::members(&ask.fields, "member_entity_ids")?;
    if group.external && members.is_some() {
        return Err(Fault::invalid("member entities can't be set manually for external groups"));
    }
    if let Some(ids) = taken::members(&ask.fields, "member_group_ids")? {
        if group.external {
            return Err(Fault::invalid("member groups can't be set for external groups"));
        }
        set_children(visit, &mut group, &ids)?;
    }
    save(visit, before.as_ref(), &mut group)?;
    if let Some(ids) = members {
        set_members(visit, &group.id, &ids)?;
    }
    if before.is_some() {
        return Ok(Reply::Empty);
    }
    Ok(data(&json!({ "id": id_text(&group.id), "name": group.name })))
}

fn take_type(ask: &Ask<'_>, before: Option<&GroupRecord>, group: &mut GroupRecord) -> Result<(), Fault> {
    let Some(asked) = ask.fields.text("type")? else { return Ok(()) };
    let kind = |external| if external { "external" } else { "internal" };
    if before.is_some_and(|before| asked != kind(before.external)) {
        return Err(Fault::invalid("group type cannot be changed"));
    }
    group.external = match asked.as_str() {
        "" | "internal" => false,
        "external" => true,
        other => return Err(Fault::invalid(format!("invalid group type {other:?}"))),
    };
    Ok(())
}

/// Has just these groups directly in a group, whose record is for the caller to save.
fn set_children(visit: &mut Visit, group: &mut GroupRecord, asked: &[String]) -> Result<(), Fault> {
    let above = groups::levels(&mut visit.tx, &[group.id], Way::Up)?;
    let mut children: Vec<Id> = Vec::with_capacity(asked.len());
    for id in asked {
        let child = GROUPS.by_id(&mut visit.tx, id)?.map(|child| child.id);
        let child = child.or_else(|| parse_id(id).filter(|id| *id == group.id));
        let child = child.ok_or_else(|| taken::refused(&format!("invalid member group ID {id:?}")))?;
        if child == group.id {
            return Err(taken::refused(&format!("member group ID {id:?} is same as the ID of the group")));
        }
        if above.iter().flatten().any(|group| group.id == child) {
            return Err(Fault::invalid(format!("cyclic relationship detected for member group ID {id:?}")));
        }
        let below = groups::levels(&mut visit.tx, &[child], Way::Down)?;
        // A new group has no level of its own yet.
        if above.iter().filter(|level| !level.is_empty()).count().max(1) + below.len() > LEVELS_MAX {
            return Err(Fault::invalid(format!("groups may be nested {LEVELS_MAX} levels deep at most")));
        }
        if !children.contains(&child) {
            children.push(child);
        }
    }
    for id in group.children.iter().filter(|id| !children.contains(id)) {
        tie(visit, id, |child| child.parents.retain(|parent| *parent != group.id))?;
    }
    for id in children.iter().filter(|id| !group.children.contains(id)) {
        tie(visit, id, |child| child.parents.push(group.id))?;
    }
    group.children = children;
    Ok(())
}

/// Changes a group's ties to others.
fn tie(visit: &mut Visit, id: &Id, change: impl FnOnce(&mut GroupRecord)) -> Result<(), Fault> {
    let Some(before) = GROUPS.get(&mut visit.tx, id)? else { return Ok(()) };
    let mut group = before.clone();
    change(&mut group);
    group.modify_index += 1;
    Ok(groups::save(&mut visit.tx, &visit.open.names, Some(&before), &group)?)
}

/// Has just these entities directly in a group.
fn set_members(visit: &mut Visit, group: &Id, asked: &[String]) -> Result<(), Fault> {
    let mut wanted = Vec::with_capacity(asked.len());
    for id in asked {
        let entity = ENTITIES.by_id(&mut visit.tx, id)?;
        let entity = entity.ok_or_else(|| taken::refused(&format!("invalid entity ID {id:?}")))?;
        wanted.push(entity.id);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let members = groups::members(&mut visit.tx, group)?;
    for id in members.iter().filter(|id| wanted.binary_search(id).is_err()) {
        join(visit, id, |groups| groups.retain(|have| have != group))?;
    }
    for id in wanted.iter().filter(|id| members.binary_search(id).is_err()) {
        join(visit, id, |groups| groups.push(*group))?;
    }
    Ok(())
}

/// Changes the groups that an entity is directly in.
fn join(visit: &mut Visit, id: &Id, change: impl FnOnce(&mut Vec<Id>)) -> Result<(), Fault> {
    let Some(before) = ENTITIES.get(&mut visit.tx, id)? else { return Ok(()) };
    let mut entity = before.clone();
    change(&mut entity.groups);
    Ok(entities::save(&mut visit.tx, &visit.open.names, Some(&before), &entity)?)
}

fn remove(visit: &mut Visit, found: Option<GroupRecord>) -> Result<Reply, Fault> {
    let Some(group) = found else { return Ok(Reply::Empty) };
    set_members(visit, &group.id, &[])?;
    for id in &group.children {
        tie(visit, id, |child| child.parents.retain(|parent| *parent != group.id))?;
    }
    for id in &group.parents {
        tie(visit, id, |parent| parent.children.retain(|child| *child != group.id))?;
    }
    groups::remove(&mut visit.tx, &visit.open.names, &group)?;
    Ok(Reply::Empty)
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = GROUPS.by_id(&mut visit.tx, ask.capture("id"))?;
    remove(visit, found)
}

fn delete_named(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = GROUPS.by_name(&mut visit.tx, &visit.open.names, ask.capture("name"))?;
    remove(visit, found)
}

fn list<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    let tell = |visit: &Visit, tx: &mut Transaction, id: &Id| {
        let Some(group) = GROUPS.get_untracked(tx, id)? else { return Ok(None) };
        let members = groups::count_members(tx, id)?;
        let mut told = json!({
            "name": group.name, "num_member_entities": members, "num_parent_groups": group.parents.len(),
        });
        if let Some(alias) = &group.alias {
            told["alias"] = shown::alias_brief(visit, alias);
        }
        Ok(Some(told))
    };
    Box::pin(lists::ids(visit, |tx, after| GROUPS.ids(tx, after), tell))
}

fn list_names<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    let tell = |_: &Visit, tx: &mut Transaction, id: &Id| Ok(GROUPS.get_untracked(tx, id)?.map(|group| group.name));
    Box::pin(lists::names(visit, |tx, after| GROUPS.ids(tx, after), tell))
}
