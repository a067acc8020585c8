//! Roles: what is in the tokens that are made for them, and which key signs those.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::{read, space, write};

/// A stored role. Fields may be added at the end, with a new format byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    /// Name of the key.
    pub key: String,
    /// JSON with directives in it; empty: none.
    pub template: String,
    /// Whom the tokens are for.
    pub client_id: String,
    /// How long they hold.
    pub ttl_secs: u64,
}

/// A name as a key; a name that is no canonical path names nothing.
fn key(name: &str) -> Option<Key> {
    Key::leaf(space::OIDC_ROLES, name).ok()
}

/// That a role uses a key: found by the key's name.
fn use_key(record: &RoleRecord, name: &str) -> Result<Key, StoreError> {
    Ok(Key::leaf(space::OIDC_USES, &format!("{}/{name}", record.key))?)
}

/// The role of this name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, name: &str) -> Result<Option<RoleRecord>, StoreError> {
    let Some(key) = key(name) else { return Ok(None) };
    read(tx.get(&key)?, (space::OIDC_ROLES, "a role of identity tokens"))
}

/// Keeps a role in the place of what stood there.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, name: &str, record: &RoleRecord) -> Result<(), StoreError> {
    remove(tx, name)?;
    tx.put(&use_key(record, name)?, &[])?;
    write(tx, &Key::leaf(space::OIDC_ROLES, name)?, record)
}

/// Removes a role, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, name: &str) -> Result<(), StoreError> {
    let (Some(record), Some(key)) = (get(tx, name)?, key(name)) else { return Ok(()) };
    tx.delete(&use_key(&record, name)?)?;
    tx.delete(&key)
}

/// All names.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    Ok(tx.scan(&Folder::root(space::OIDC_ROLES), None, usize::MAX)?.keys)
}

fn uses(key: &str) -> Option<Folder> {
    Folder::new(space::OIDC_USES, &format!("{key}/")).ok()
}

/// Names of the roles that use a key.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn using(tx: &mut Transaction, key: &str) -> Result<Vec<String>, StoreError> {
    Ok(match uses(key) {
        Some(folder) => tx.scan(&folder, None, usize::MAX)?.keys,
        None => Vec::new(),
    })
}

/// Whether any role uses a key.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn use_it(tx: &mut Transaction, key: &str) -> Result<bool, StoreError> {
    Ok(match uses(key) {
        Some(folder) => !tx.walk(&folder, None, 1)?.keys.is_empty(),
        None => false,
    })
}
