//! Groups: one record each. Who is in one is an index, so that a login which joins a
//! group does not meet every other login that does.

use std::collections::HashSet;

use bulkhead_barrier::{Key, StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::template::Pairs;
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::{Alias, Id, Kind, Names, kept, key, lead};

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

/// All groups.
pub(crate) const GROUPS: Book<GroupRecord> =
    Book::new("a group", [Kind::Group, Kind::GroupName, Kind::GroupAlias, Kind::GroupAliasId]);

/// The place of an entity in the index of a group's members.
pub(super) fn member_key(group: &Id, entity: &Id) -> Key {
    key(Kind::Member, &[&group[..], &entity[..]].concat())
}

/// What changes with every change to any group, other than who is in it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn version(tx: &mut Transaction) -> Result<Option<Version>, StoreError> {
    tx.version(&key(Kind::GroupsVersion, &[]))
}

/// Ids of the entities directly in a group, in order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn members(tx: &mut Transaction, id: &Id) -> Result<Vec<Id>, StoreError> {
    super::ids_after(tx, Kind::Member, id)
}

/// How many entities are directly in a group; those that come or go meanwhile are no conflict.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn count_members(tx: &mut Transaction, id: &Id) -> Result<usize, StoreError> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = super::ids_untracked(tx, Kind::Member, id, after.as_ref())?;
        count += page.len();
        after = page.last().copied();
        if after.is_none() {
            return Ok(count);
        }
    }
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
    let name_key = |record: &GroupRecord| GROUPS.name_key(names, &record.name);
    lead(tx, before.map(name_key), Some(name_key(record)), &record.id)?;
    let old_alias = before.and_then(|before| before.alias.as_ref());
    lead_alias(tx, names, old_alias, record.alias.as_ref(), &record.id)?;
    changed(tx)?;
    kept::write(tx, &GROUPS.key_of(&record.id), record)
}

/// Removes a group with every way to it. Whoever is in it must have left, and its ties to
/// other groups must have been cut.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, names: &Names, record: &GroupRecord) -> Result<(), StoreError> {
    tx.delete(&GROUPS.name_key(names, &record.name))?;
    lead_alias(tx, names, record.alias.as_ref(), None, &record.id)?;
    changed(tx)?;
    tx.delete(&GROUPS.key_of(&record.id))
}

fn lead_alias(
    tx: &mut Transaction,
    names: &Names,
    before: Option<&Alias>,
    after: Option<&Alias>,
    id: &Id,
) -> Result<(), StoreError> {
    let by_name = |alias: &Alias| GROUPS.alias_key(names, alias);
    let by_id = |alias: &Alias| GROUPS.alias_id_key(&alias.id);
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
            level.extend(GROUPS.get(tx, id)?);
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
