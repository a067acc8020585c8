//! Entities: one record each, with their aliases and the groups they are directly in.

use bulkhead_barrier::{Key, StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::template::Pairs;
use serde::{Deserialize, Serialize};

use super::{Alias, Id, Kind, Names, id_at, key, lead};

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

fn key_of(id: &Id) -> Key {
    key(Kind::Entity, id)
}

/// The entity with this id.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &Id) -> Result<Option<EntityRecord>, StoreError> {
    super::read(tx, &key_of(id), "an entity")
}

/// The version of an entity's record; `None`: there is none.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn version(tx: &mut Transaction, id: &Id) -> Result<Option<Version>, StoreError> {
    tx.version(&key_of(id))
}

/// The entity that one was merged into.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn merged_into(tx: &mut Transaction, id: &Id) -> Result<Option<Id>, StoreError> {
    id_at(tx, &key(Kind::Merged, id))
}

/// The entity of this name, in any case.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_name(tx: &mut Transaction, names: &Names, name: &str) -> Result<Option<EntityRecord>, StoreError> {
    let id = id_at(tx, &names.key(Kind::EntityName, name))?;
    id.map_or(Ok(None), |id| get(tx, &id))
}

/// The entity that has this name in an auth method.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_alias(
    tx: &mut Transaction,
    names: &Names,
    mount_accessor: &str,
    name: &str,
) -> Result<Option<EntityRecord>, StoreError> {
    let id = id_at(tx, &names.alias_key(Kind::EntityAlias, mount_accessor, name))?;
    id.map_or(Ok(None), |id| get(tx, &id))
}

/// The entity that has this alias.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_alias_id(tx: &mut Transaction, alias: &Id) -> Result<Option<EntityRecord>, StoreError> {
    let id = id_at(tx, &key(Kind::EntityAliasId, alias))?;
    id.map_or(Ok(None), |id| get(tx, &id))
}

/// Ids of all entities, in order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all(tx: &mut Transaction) -> Result<Vec<Id>, StoreError> {
    super::ids_after(tx, Kind::Entity, &[])
}

/// Ids of all aliases, in order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all_aliases(tx: &mut Transaction) -> Result<Vec<Id>, StoreError> {
    super::ids_after(tx, Kind::EntityAliasId, &[])
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
    let name_key = |record: &EntityRecord| names.key(Kind::EntityName, &record.name);
    lead(tx, before.map(name_key), Some(name_key(record)), &record.id)?;
    let old_aliases = before.map_or(&[][..], |before| &before.aliases);
    for old in old_aliases.iter().filter(|old| !record.aliases.contains(old)) {
        forget_alias(tx, names, old)?;
    }
    for alias in record.aliases.iter().filter(|alias| !old_aliases.contains(alias)) {
        tx.put(&names.alias_key(Kind::EntityAlias, &alias.mount_accessor, &alias.name), &record.id)?;
        tx.put(&key(Kind::EntityAliasId, &alias.id), &record.id)?;
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
    super::write(tx, &key_of(&record.id), record)
}

/// Removes an entity with every way to it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, names: &Names, record: &EntityRecord) -> Result<(), StoreError> {
    tx.delete(&names.key(Kind::EntityName, &record.name))?;
    for alias in &record.aliases {
        forget_alias(tx, names, alias)?;
    }
    for group in &record.groups {
        tx.delete(&super::groups::member_key(group, &record.id))?;
    }
    for merged in &record.merged {
        tx.delete(&key(Kind::Merged, merged))?;
    }
    tx.delete(&key_of(&record.id))
}

fn forget_alias(tx: &mut Transaction, names: &Names, alias: &Alias) -> Result<(), StoreError> {
    tx.delete(&names.alias_key(Kind::EntityAlias, &alias.mount_accessor, &alias.name))?;
    tx.delete(&key(Kind::EntityAliasId, &alias.id))
}
