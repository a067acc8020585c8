//! Secrets: one for each entity and method, with what was tried and what was used already. All of
//! it changes with the login that tries, so that no two can pass with the same code, and none is
//! tried without being counted.

use bulkhead_barrier::{Key, Realm, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::{Kind, ids, key, read, space, write};
use crate::book::identity::Id;
use crate::book::kept::Kept;
use crate::book::leases::{Due, due_key};
use crate::totp::Scheme;

/// Kind byte, in the due index, of a method that was removed and whose secrets go.
pub(crate) const DUE_SECRETS: u8 = b's';
/// Secrets removed in one change. Source: ours.
const SLICE: u32 = 500;

/// A stored secret. Fields may be added at the end, with a new format byte.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SecretRecord {
    pub secret: Kept,
    /// As the method had it when the secret was made: so the app has it.
    pub scheme: Scheme,
    /// Periods whose code was used.
    pub used: Vec<u64>,
    /// Passcodes tried since then, without one that was right.
    pub attempts: u32,
    pub began_ms: u64,
}

fn secret_key(method: &Id, entity: &Id) -> Key {
    key(Kind::Secret, &[method, entity])
}

/// The secret that an entity has for a method.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, method: &Id, entity: &Id) -> Result<Option<SecretRecord>, StoreError> {
    read(tx.get(&secret_key(method, entity))?, (space::MFA, "an MFA secret"))
}

/// Keeps a secret.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(
    tx: &mut Transaction,
    (method, entity): (&Id, &Id),
    record: &SecretRecord,
) -> Result<(), StoreError> {
    tx.put(&key(Kind::OfEntity, &[entity, method]), &[])?;
    update(tx, (method, entity), record)
}

/// Keeps a secret that was there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn update(
    tx: &mut Transaction,
    (method, entity): (&Id, &Id),
    record: &SecretRecord,
) -> Result<(), StoreError> {
    write(tx, &secret_key(method, entity), record)
}

/// Removes a secret, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, method: &Id, entity: &Id) -> Result<(), StoreError> {
    tx.delete(&key(Kind::OfEntity, &[entity, method]))?;
    tx.delete(&secret_key(method, entity))
}

/// Methods that an entity has a secret for.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn of_entity(tx: &mut Transaction, entity: &Id) -> Result<Vec<Id>, StoreError> {
    ids(tx, Kind::OfEntity, entity, u32::MAX)
}

/// Removes all that an entity has.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn forget_entity(tx: &mut Transaction, entity: &Id) -> Result<(), StoreError> {
    for method in of_entity(tx, entity)? {
        remove(tx, &method, entity)?;
    }
    Ok(())
}

/// Has all secrets of a method removed from now on, a slice after the other: every entity may
/// have one.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn schedule_removal(tx: &mut Transaction, method: &Id, now_ms: u64) -> Result<(), StoreError> {
    let mut id = [0; 32];
    id[..16].copy_from_slice(method);
    id[16..31].copy_from_slice(&tx.realm().bytes());
    tx.put(&due_key(now_ms, DUE_SECRETS, &id), &[])
}

/// Removes a slice of a method's secrets. True: there is more.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove_slice(tx: &mut Transaction, due: &Due) -> Result<bool, StoreError> {
    let method = due.id.first_chunk::<16>().expect("an id is half of it");
    let realm = Realm::of(due.id[16..31].try_into().expect("and a realm nearly the other"));
    let has_more = tx.within(realm, |tx| {
        let entities = ids(tx, Kind::Secret, method, SLICE)?;
        entities.iter().try_for_each(|entity| remove(tx, method, entity))?;
        Ok::<_, StoreError>(!entities.is_empty())
    })?;
    if !has_more {
        tx.delete(&due_key(due.at_ms, due.kind, &due.id))?;
    }
    Ok(has_more)
}
