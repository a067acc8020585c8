//! Aliases of auth methods that are locked out, each a record, so that a lock holds whoever leads.
//! They have a bound: anybody can try any name.

use std::collections::BTreeMap;

use bulkhead_barrier::{Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::kept;
use super::leases::due_key;
use super::space;

/// Kind byte of a lock in the due index.
pub(crate) const DUE_LOCK: u8 = b'k';

/// Locks stored at most; those beyond are in the leader's memory alone. Source: ours. Why:
/// whoever tries many names would fill the disk.
pub(crate) const LOCKS_MAX: usize = 32_768;
/// Longest alias whose lock is stored, in bytes. Source: ours. Why: as above.
pub(crate) const ALIAS_BYTES_MAX: usize = 512;

/// Names an alias of an auth method, by [`Names::alias_digest`](super::identity::Names::alias_digest): in any
/// case it is one, so that nobody gets more attempts by spelling.
pub(crate) type AliasId = [u8; 32];

/// A stored lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockRecord {
    pub mount_accessor: String,
    pub alias: String,
    /// When the wrong login came that locked.
    pub failed_ms: u64,
    /// When it is looked at whether the record is of use still.
    pub due_ms: u64,
}

fn key(id: &AliasId) -> Key {
    super::opaque(space::LOCKED_ALIASES, id)
}

/// The lock of this alias, whether it holds or not.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &AliasId) -> Result<Option<LockRecord>, StoreError> {
    kept::read(tx.get(&key(id))?, (space::LOCKED_ALIASES, "a lock of an alias"))
}

/// Writes a lock in the place of the one there was.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, id: &AliasId, record: &LockRecord) -> Result<(), StoreError> {
    remove(tx, id)?;
    kept::write(tx, &key(id), record)?;
    tx.put(&due_key(record.due_ms, DUE_LOCK, id), &[])
}

/// Removes a lock, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, id: &AliasId) -> Result<(), StoreError> {
    let Some(old) = get(tx, id)? else { return Ok(()) };
    tx.delete(&due_key(old.due_ms, DUE_LOCK, id))?;
    tx.delete(&key(id))
}

fn ids(tx: &mut Transaction) -> Result<Vec<AliasId>, StoreError> {
    let keys = tx.opaque_range_untracked(space::LOCKED_ALIASES, &[0], &[0xff; 33], u32::MAX)?;
    Ok(keys.iter().filter_map(|key| key.as_slice().try_into().ok()).collect())
}

/// How many locks are stored.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn count(tx: &mut Transaction) -> Result<usize, StoreError> {
    Ok(ids(tx)?.len())
}

/// Aliases whose lock is stored and for which `holds`, in order, by the accessor of their method.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_method(
    tx: &mut Transaction,
    holds: impl Fn(&LockRecord) -> bool,
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let mut methods = BTreeMap::<String, Vec<String>>::new();
    for id in ids(tx)? {
        if let Some(record) = get(tx, &id)?.filter(|record| holds(record)) {
            methods.entry(record.mount_accessor).or_default().push(record.alias);
        }
    }
    methods.values_mut().for_each(|aliases| aliases.sort_unstable());
    Ok(methods)
}
