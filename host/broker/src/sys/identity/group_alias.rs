//! `identity/group-alias`: what auth methods call external groups. A group has one.

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::json;

use super::entity::named;
use super::group::{new_group, save};
use super::{lists, shown, taken};
use crate::book::identity::groups::{GROUPS, GroupRecord};
use crate::book::identity::{Alias, Id, id_text, parse_id};
use crate::fault::Fault;
use crate::login;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &["id", "name", "mount_accessor", "canonical_id"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("group-alias", W, Handler::Now(write), "Make a group's alias.").fields(FIELDS),
    HostRoute::new("group-alias/id", &[Verb::List], Handler::Later(list), "List aliases of groups."),
    HostRoute::new("group-alias/id/{id}", &[Verb::Read], Handler::Now(read), "Read a group's alias."),
    HostRoute::new("group-alias/id/{id}", W, Handler::Now(write), "Change a group's alias.").fields(FIELDS),
    HostRoute::new("group-alias/id/{id}", &[Verb::Delete], Handler::Now(delete), "Delete a group's alias."),
];

/// The group that has the alias of this id, and the alias.
pub(super) fn by_id(visit: &mut Visit, id: &str) -> Result<Option<(GroupRecord, Alias)>, Fault> {
    let Some(id) = parse_id(id) else { return Ok(None) };
    Ok(with_alias(GROUPS.by_alias_id(&mut visit.tx, &id)?))
}

fn with_alias(group: Option<GroupRecord>) -> Option<(GroupRecord, Alias)> {
    let group = group?;
    let alias = group.alias.clone()?;
    Some((group, alias))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (group, alias) = by_id(visit, ask.capture("id"))?.ok_or_else(Failure::absent)?;
    Ok(data(&shown::alias(visit, &alias, &group.id)))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let id = named(ask, "id")?;
    if id.is_empty() && ask.fields.has("id") {
        return Err(Fault::invalid("empty group alias ID"));
    }
    let found = match id.as_str() {
        "" => None,
        id => Some(by_id(visit, id)?.ok_or_else(|| Fault::invalid("invalid group alias ID"))?),
    };
    let (name, accessor) = (ask.fields.text_or_empty("name")?, ask.fields.text_or_empty("mount_accessor")?);
    if name.is_empty() {
        return Err(Fault::invalid("missing alias name"));
    }
    if accessor.is_empty() {
        return Err(Fault::invalid("missing mount_accessor"));
    }
    let owner = ask.fields.text_or_empty("canonical_id")?;
    let is_same = |(group, alias): &(GroupRecord, Alias)| {
        alias.name == name && alias.mount_accessor == accessor && (owner.is_empty() || owner == id_text(&group.id))
    };
    if found.as_ref().is_some_and(is_same) {
        return Ok(Reply::Empty);
    }
    taken::known_accessor(visit, &accessor)?;
    if shown::is_local(visit, &accessor) {
        return Err(Fault::invalid(format!("mount accessor {accessor:?} is a local mount")));
    }
    let target = match owner.as_str() {
        "" => None,
        id => Some(external(visit, id)?),
    };
    let (from, mut alias) = match found {
        Some((group, alias)) => (Some(group), alias),
        None => (None, login::new_alias(visit)),
    };
    if let Some(other) = GROUPS.by_alias(&mut visit.tx, &visit.open.names, &accessor, &name)?
        && other.alias.is_some_and(|other| other.id != alias.id)
    {
        return Err(Fault::invalid("combination of mount and group alias name is already in use"));
    }
    (alias.name, alias.mount_accessor, alias.updated_ms) = (name, accessor, visit.now_ms);
    let owner = place(visit, from, target, &alias)?;
    Ok(data(&json!({ "canonical_id": id_text(&owner), "id": id_text(&alias.id) })))
}

fn external(visit: &mut Visit, id: &str) -> Result<GroupRecord, Fault> {
    let group = GROUPS.by_id(&mut visit.tx, id)?;
    let group = group.ok_or_else(|| Fault::invalid("invalid group ID given in 'canonical_id'"))?;
    if group.external { Ok(group) } else { Err(Fault::invalid("alias can't be set on an internal group")) }
}

/// Gives an alias to the group it is to be of, and takes it from the one it was of.
/// Without either, a group is made for it.
fn place(
    visit: &mut Visit,
    from: Option<GroupRecord>,
    target: Option<GroupRecord>,
    alias: &Alias,
) -> Result<Id, Fault> {
    if let (Some(from), Some(target)) = (&from, &target)
        && from.id != target.id
    {
        let mut left = GroupRecord { alias: None, ..from.clone() };
        save(visit, Some(from), &mut left)?;
    }
    let before = target.or(from);
    let mut group = match &before {
        Some(group) => group.clone(),
        None => GroupRecord { external: true, ..new_group(visit) },
    };
    group.alias = Some(alias.clone());
    save(visit, before.as_ref(), &mut group)?;
    Ok(group.id)
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if let Some((before, _)) = by_id(visit, ask.capture("id"))? {
        let mut group = GroupRecord { alias: None, ..before.clone() };
        save(visit, Some(&before), &mut group)?;
    }
    Ok(Reply::Empty)
}

fn list<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    let tell = |visit: &Visit, tx: &mut Transaction, id: &Id| {
        let found = with_alias(GROUPS.by_alias_id_untracked(tx, id)?);
        Ok(found.map(|(group, alias)| shown::alias_in_list(visit, &alias, &group.id)))
    };
    Box::pin(lists::ids(visit, |tx, after| GROUPS.alias_ids(tx, after), tell))
}
