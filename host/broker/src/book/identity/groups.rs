//! Groups: one record each. Who is in one is an index, so that a login which joins a
//! group does not meet every other login that does.

use std::collections::HashSet;

use bulkhead_barrier::{Key, StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::template::Pairs;
use serde::{Deserialize, Serialize};

use super::{Alias, Id, Kind, Names, id_at, key, lead};

/// Levels of groups within groups at most. Source: ours. Why: every use of a token looks
/// up all of them when it is not cached.
pub(crate) const LEVELS_MAX: usize = 32;

/// A stored group. Fields may be added at the end, with a new format byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub id: Id,
    pub name: String,
    /// Its members come and go with what auth methods say at their logins.
    pub external: bool,
    pub metadata: Pairs,
    pub policies: Vec<String>,
    /// Of an external group: what auth methods call it.
    pub alias: Option<Alias>,
    /// Groups it is directly in.
    pub parents: Vec<Id>,
    /// Groups directly in it.
    pub children: Vec<Id>,
    pub created_ms: u64,
    pub updated_ms: u64,
    /// Counts writes, from 1.
    pub modify_index: u64,
}

fn key_of(id: &Id) -> Key {
    key(Kind::Group, id)
}

/// The place of an entity in the index of a group's members.
pub(super) fn member_key(group: &Id, entity: &Id) -> Key {
    key(Kind::Member, &[&group[..], &entity[..]].concat())
}

/// The group with this id.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &Id) -> Result<Option<GroupRecord>, StoreError> {
    super::read(tx, &key_of(id), "a group")
}

/// What changes with every change to any group, other than who is in it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn version(tx: &mut Transaction) -> Result<Option<Version>, StoreError> {
    tx.version(&key(Kind::GroupsVersion, &[]))
}

/// The group of this name, in any case.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_name(tx: &mut Transaction, names: &Names, name: &str) -> Result<Option<GroupRecord>, StoreError> {
    let id = id_at(tx, &names.key(Kind::GroupName, name))?;
    id.map_or(Ok(None), |id| get(tx, &id))
}

/// The external group that auth methods at this mount call by this name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_alias(
    tx: &mut Transaction,
    names: &Names,
    mount_accessor: &str,
    name: &str,
) -> Result<Option<GroupRecord>, StoreError> {
    let id = id_at(tx, &names.alias_key(Kind::GroupAlias, mount_accessor, name))?;
    id.map_or(Ok(None), |id| get(tx, &id))
}

/// The group that has this alias.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_alias_id(tx: &mut Transaction, alias: &Id) -> Result<Option<GroupRecord>, StoreError> {
    let id = id_at(tx, &key(Kind::GroupAliasId, alias))?;
    id.map_or(Ok(None), |id| get(tx, &id))
}

/// Ids of all groups, in order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all(tx: &mut Transaction) -> Result<Vec<Id>, StoreError> {
    super::ids_after(tx, Kind::Group, &[])
}

/// Ids of all aliases of groups, in order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all_aliases(tx: &mut Transaction) -> Result<Vec<Id>, StoreError> {
    super::ids_after(tx, Kind::GroupAliasId, &[])
}

/// Ids of the entities directly in a group, in order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn members(tx: &mut Transaction, id: &Id) -> Result<Vec<Id>, StoreError> {
    super::ids_after(tx, Kind::Member, id)
}

/// Writes a group with every way to it; `before` is what stood there, if anything. Its
/// names must be free or its own.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(
    tx: &mut Transaction,
    names: &Names,
    before: Option<&GroupRecord>,
    record: &GroupRecord,
) -> Result<(), StoreError> {
    let name_key = |record: &GroupRecord| names.key(Kind::GroupName, &record.name);
    lead(tx, before.map(name_key), Some(name_key(record)), &record.id)?;
    let old_alias = before.and_then(|before| before.alias.as_ref());
    lead_alias(tx, names, old_alias, record.alias.as_ref(), &record.id)?;
    changed(tx)?;
    super::write(tx, &key_of(&record.id), record)
}

/// Removes a group with every way to it. Whoever is in it must have left, and its ties to
/// other groups must have been cut.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, names: &Names, record: &GroupRecord) -> Result<(), StoreError> {
    tx.delete(&names.key(Kind::GroupName, &record.name))?;
    lead_alias(tx, names, record.alias.as_ref(), None, &record.id)?;
    changed(tx)?;
    tx.delete(&key_of(&record.id))
}

fn lead_alias(
    tx: &mut Transaction,
    names: &Names,
    before: Option<&Alias>,
    after: Option<&Alias>,
    id: &Id,
) -> Result<(), StoreError> {
    let by_name = |alias: &Alias| names.alias_key(Kind::GroupAlias, &alias.mount_accessor, &alias.name);
    let by_id = |alias: &Alias| key(Kind::GroupAliasId, &alias.id);
    lead(tx, before.map(by_name), after.map(by_name), id)?;
    lead(tx, before.map(by_id), after.map(by_id), id)
}

fn changed(tx: &mut Transaction) -> Result<(), StoreError> {
    tx.put(&key(Kind::GroupsVersion, &[]), &[])
}

/// Which way to go from a group.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// To the groups it is in.
    Up,
    /// To the groups in it.
    Down,
}

/// Groups reached from some, level by level: the first are those themselves. More levels
/// than there may be are not looked up, so a circle would end too.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn levels(tx: &mut Transaction, start: &[Id], way: Way) -> Result<Vec<Vec<GroupRecord>>, StoreError> {
    let mut levels = Vec::new();
    let mut next = start.to_vec();
    while !next.is_empty() && levels.len() <= LEVELS_MAX {
        let mut level = Vec::with_capacity(next.len());
        for id in &next {
            level.extend(get(tx, id)?);
        }
        let further = level.iter().flat_map(|group| match way {
            Way::Up => &group.parents,
            Way::Down => &group.children,
        });
        let mut seen = HashSet::new();
        next = further.filter(|id| seen.insert(**id)).copied().collect();
        levels.push(level);
    }
    Ok(levels)
}
