//! Methods: ways to prove a second time who one is. All of them are by TOTP.

use bulkhead_barrier::{StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::{Kind, ids, key, read, space, write};
use crate::book::identity::Id;
use crate::totp::Scheme;

/// Methods at most. Source: ours. Why: a list tells of each, and a name is looked for among all.
pub(crate) const METHODS_MAX: usize = 1_000;

/// A stored method. Fields may be added at the end, with a new format byte.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MethodRecord {
    pub id: Id,
    /// Empty: it has none.
    pub name: String,
    pub issuer: String,
    /// Of secrets that are made from now on.
    pub scheme: Scheme,
    /// Length of those secrets, in bytes.
    pub key_bytes: u32,
    /// Size of the picture that shows them; 0: none.
    pub qr_pixels: u32,
    /// Passcodes that an entity may try in one period.
    pub attempts_max: u32,
}

/// The method with this id.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &Id) -> Result<Option<MethodRecord>, StoreError> {
    read(tx.get(&key(Kind::Method, &[id]))?, (space::MFA, "an MFA method"))
}

/// Keeps a method.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, record: &MethodRecord) -> Result<(), StoreError> {
    write(tx, &key(Kind::Method, &[&record.id]), record)
}

/// Removes a method; its secrets stay for now.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, id: &Id) -> Result<(), StoreError> {
    tx.delete(&key(Kind::Method, &[id]))
}

/// All of them, in the order of their ids.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all(tx: &mut Transaction) -> Result<Vec<MethodRecord>, StoreError> {
    let mut found = Vec::new();
    for id in ids(tx, Kind::Method, &[], u32::MAX)? {
        found.extend(get(tx, &id)?);
    }
    Ok(found)
}

/// The method of this name; names count with their case, as in Vault.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn named(tx: &mut Transaction, name: &str) -> Result<Option<MethodRecord>, StoreError> {
    Ok(all(tx)?.into_iter().find(|method| method.name == name))
}
