//! How entities and groups are found: each by its id, by its name, and by what auth methods
//! call it. What lives here: looking. What must not: writing, where the two differ.

use std::marker::PhantomData;

use bulkhead_barrier::{Key, StoreError, Transaction};
use serde::de::DeserializeOwned;

use super::{Id, Kind, Names, kept, key, parse_id, space};

/// Ids read at once where all are walked over. Source: ours.
pub(crate) const IDS_A_LOOK: u32 = 1_000;

/// What there is of one sort, and the ways to it.
pub(crate) struct Book<T> {
    /// What one is called where it is damaged.
    what: &'static str,
    record: Kind,
    name: Kind,
    alias: Kind,
    alias_id: Kind,
    holds: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Book<T> {
    /// A book whose records are at the first of these, and the ways by name, alias and id of
    /// an alias at the others.
    pub(super) const fn new(what: &'static str, [record, name, alias, alias_id]: [Kind; 4]) -> Self {
        Self { what, record, name, alias, alias_id, holds: PhantomData }
    }

    pub(super) fn key_of(&self, id: &Id) -> Key {
        key(self.record, id)
    }

    pub(super) fn name_key(&self, names: &Names, name: &str) -> Key {
        names.key(self.name, name)
    }

    pub(super) fn alias_key(&self, names: &Names, alias: &super::Alias) -> Key {
        names.alias_key(self.alias, &alias.mount_accessor, &alias.name)
    }

    pub(super) fn alias_id_key(&self, alias: &Id) -> Key {
        key(self.alias_id, alias)
    }

    /// The one with this id.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn get(&self, tx: &mut Transaction, id: &Id) -> Result<Option<T>, StoreError> {
        kept::read(tx.get(&self.key_of(id))?, (space::IDENTITY, self.what))
    }

    /// The one with this id, as callers write it.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn by_id(&self, tx: &mut Transaction, id: &str) -> Result<Option<T>, StoreError> {
        parse_id(id).map_or(Ok(None), |id| self.get(tx, &id))
    }

    /// The one of this name, in any case.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn by_name(&self, tx: &mut Transaction, names: &Names, name: &str) -> Result<Option<T>, StoreError> {
        self.led_to(tx, &self.name_key(names, name))
    }

    /// The one that is called so in an auth method.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn by_alias(
        &self,
        tx: &mut Transaction,
        names: &Names,
        mount_accessor: &str,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        self.led_to(tx, &names.alias_key(self.alias, mount_accessor, name))
    }

    /// The one that has this alias.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn by_alias_id(&self, tx: &mut Transaction, alias: &Id) -> Result<Option<T>, StoreError> {
        self.led_to(tx, &self.alias_id_key(alias))
    }

    fn led_to(&self, tx: &mut Transaction, way: &Key) -> Result<Option<T>, StoreError> {
        super::id_at(tx.get(way)?).map_or(Ok(None), |id| self.get(tx, &id))
    }

    /// The next ids behind one, or the first, in order. What comes or goes meanwhile is no
    /// conflict: whoever walks over all of them would meet somebody at every attempt.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn ids(&self, tx: &mut Transaction, after: Option<&Id>) -> Result<Vec<Id>, StoreError> {
        super::ids_untracked(tx, self.record, &[], after)
    }

    /// The same with the ids of aliases.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn alias_ids(&self, tx: &mut Transaction, after: Option<&Id>) -> Result<Vec<Id>, StoreError> {
        super::ids_untracked(tx, self.alias_id, &[], after)
    }

    /// As [`get`](Self::get), but a change meanwhile is no conflict.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn get_untracked(&self, tx: &mut Transaction, id: &Id) -> Result<Option<T>, StoreError> {
        kept::read(tx.get_untracked(&self.key_of(id))?, (space::IDENTITY, self.what))
    }

    /// As [`by_alias_id`](Self::by_alias_id), but a change meanwhile is no conflict.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn by_alias_id_untracked(&self, tx: &mut Transaction, alias: &Id) -> Result<Option<T>, StoreError> {
        let id = super::id_at(tx.get_untracked(&self.alias_id_key(alias))?);
        id.map_or(Ok(None), |id| self.get_untracked(tx, &id))
    }
}
