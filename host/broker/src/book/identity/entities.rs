//! Entities: one record each, with their aliases and the groups they are directly in.

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::template::Pairs;
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::{Alias, Id, Kind, Names, id_at, kept, key, lead};

/// A stored entity. Fields may be added at the end, with a new format byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntityRecord {
    pub id: Id,
    pub name: String,
    pub metadata: Pairs,
    pub policies: Vec<String>,
    pub disabled: bool,
    pub aliases: Vec<Alias>,
    /// Groups it is directly in; the other direction is an index.
    pub groups: Vec<Id>,
    /// Entities that were merged into this one.
    pub merged: Vec<Id>,
    pub created_ms: u64,
    pub updated_ms: u64,
}

impl EntityRecord {
    /// Its alias in an auth method, under this name.
    pub(crate) fn alias_at(&mut self, mount_accessor: &str, name: &str) -> Option<&mut Alias> {
        self.aliases.iter_mut().find(|alias| alias.is_at(mount_accessor, name))
    }
}

/// All entities.
pub(crate) const ENTITIES: Book<EntityRecord> =
    Book::new("an entity", [Kind::Entity, Kind::EntityName, Kind::EntityAlias, Kind::EntityAliasId]);

/// The version of an entity's record; `None`: there is none.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn version(tx: &mut Transaction, id: &Id) -> Result<Option<Version>, StoreError> {
    tx.version(&ENTITIES.key_of(id))
}

/// The entity that one was merged into.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn merged_into(tx: &mut Transaction, id: &Id) -> Result<Option<Id>, StoreError> {
    Ok(id_at(tx.get(&key(Kind::Merged, id))?))
}

/// Writes an entity with every way to it; `before` is what stood there, if anything. Its
/// names must be free or its own.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(
    tx: &mut Transaction,
    names: &Names,
    before: Option<&EntityRecord>,
    record: &EntityRecord,
) -> Result<(), StoreError> {
    let name_key = |record: &EntityRecord| ENTITIES.name_key(names, &record.name);
    lead(tx, before.map(name_key), Some(name_key(record)), &record.id)?;
    let old_aliases = before.map_or(&[][..], |before| &before.aliases);
    for old in old_aliases.iter().filter(|old| !record.aliases.contains(old)) {
        forget_alias(tx, names, old)?;
    }
    for alias in record.aliases.iter().filter(|alias| !old_aliases.contains(alias)) {
        tx.put(&ENTITIES.alias_key(names, alias), &record.id)?;
        tx.put(&ENTITIES.alias_id_key(&alias.id), &record.id)?;
    }
    let old_groups = before.map_or(&[][..], |before| &before.groups);
    for group in old_groups.iter().filter(|group| !record.groups.contains(group)) {
        tx.delete(&super::groups::member_key(group, &record.id))?;
    }
    for group in record.groups.iter().filter(|group| !old_groups.contains(group)) {
        tx.put(&super::groups::member_key(group, &record.id), &[])?;
    }
    let old_merged = before.map_or(&[][..], |before| &before.merged);
    for merged in record.merged.iter().filter(|id| !old_merged.contains(id)) {
        tx.put(&key(Kind::Merged, merged), &record.id)?;
    }
    kept::write(tx, &ENTITIES.key_of(&record.id), record)
}

/// Removes an entity with every way to it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, names: &Names, record: &EntityRecord) -> Result<(), StoreError> {
    tx.delete(&ENTITIES.name_key(names, &record.name))?;
    for alias in &record.aliases {
        forget_alias(tx, names, alias)?;
    }
    for group in &record.groups {
        tx.delete(&super::groups::member_key(group, &record.id))?;
    }
    for merged in &record.merged {
        tx.delete(&key(Kind::Merged, merged))?;
    }
    tx.delete(&ENTITIES.key_of(&record.id))
}

fn forget_alias(tx: &mut Transaction, names: &Names, alias: &Alias) -> Result<(), StoreError> {
    tx.delete(&ENTITIES.alias_key(names, alias))?;
    tx.delete(&ENTITIES.alias_id_key(&alias.id))
}
