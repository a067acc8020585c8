//! Logins that wait for their second factor: what their tokens will be like, so that any node
//! can go on with them. There is no token among it.

use bulkhead_barrier::{Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::{read, space, write};
use crate::book::identity::Id;
use crate::book::leases::{Due, due_key};
use crate::book::tokens::TokenRecord;

/// Kind byte of a waiting login in the due index.
pub(crate) const DUE_WAITING: u8 = b'w';

/// How long a login waits, in milliseconds. Source: Vault.
pub(crate) const WAIT_MS: u64 = 300_000;
/// Logins that wait at once. Source: ours. Why: whoever knows many passwords could fill the disk.
pub(crate) const WAITING_MAX: usize = 65_536;
/// Of one entity; when there is one more, the oldest goes. Source: ours. Why: whoever knows one
/// password must not take everybody's room. Its owner, whose login goes so, can bring the passcode
/// with it: then nothing waits.
pub(crate) const OF_ENTITY_MAX: usize = 16;

/// Of these, of one client's address. Source: ours. Why: who knows a password pushes their own
/// logins out, and not the owner's, who is elsewhere.
pub(crate) const OF_ADDRESS_MAX: usize = 8;

/// Names a waiting login: the salted hash of its id, which is not stored.
pub(crate) type WaitingId = [u8; 32];

/// A stored login. Fields may be added at the end, with a new format byte.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WaitingRecord {
    pub entity: Id,
    /// The token that will be made.
    pub token: TokenRecord,
    pub is_batch: bool,
    pub warnings: Vec<String>,
    /// The answer with the token is to be wrapped for so long.
    pub wrap_secs: Option<u64>,
    /// When it waits no more.
    pub due_ms: u64,
}

fn record_key(id: &WaitingId) -> Key {
    crate::book::opaque(space::MFA_WAITING, &[&b"w"[..], id].concat())
}

/// In the order of their ends.
fn of_entity_key(record: &WaitingRecord, id: &WaitingId) -> Key {
    let place = [&b"e"[..], &record.entity, &record.due_ms.to_be_bytes(), id].concat();
    crate::book::opaque(space::MFA_WAITING, &place)
}

/// A login, whether its time is over or not.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &WaitingId) -> Result<Option<WaitingRecord>, StoreError> {
    read(tx.get(&record_key(id))?, (space::MFA_WAITING, "a login that waits"))
}

/// Keeps a login from an address. Of those of the same entity, and of those from the same address
/// first, the oldest make room, so that there are not too many. Says whether there is one more now.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn add(
    tx: &mut Transaction,
    id: &WaitingId,
    record: &WaitingRecord,
    address: &str,
) -> Result<bool, StoreError> {
    let others = of_entity(tx, &record.entity)?;
    let near: Vec<_> = others.iter().filter(|(_, from)| from == address.as_bytes()).collect();
    let goes = if near.len() >= OF_ADDRESS_MAX {
        near.first().map(|(id, _)| *id)
    } else {
        others.first().filter(|_| others.len() >= OF_ENTITY_MAX).map(|(id, _)| *id)
    };
    if let Some(other) = &goes {
        remove(tx, other)?;
    }
    tx.put(&of_entity_key(record, id), address.as_bytes())?;
    tx.put(&due_key(record.due_ms, DUE_WAITING, id), &[])?;
    write(tx, &record_key(id), record)?;
    Ok(goes.is_none())
}

/// Removes a login, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, id: &WaitingId) -> Result<(), StoreError> {
    let Some(record) = get(tx, id)? else { return Ok(()) };
    tx.delete(&of_entity_key(&record, id))?;
    tx.delete(&due_key(record.due_ms, DUE_WAITING, id))?;
    tx.delete(&record_key(id))
}

/// Removes a login whose time is over, and its place among what is due.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove_due(tx: &mut Transaction, due: &Due) -> Result<(), StoreError> {
    remove(tx, &due.id)?;
    tx.delete(&due_key(due.at_ms, due.kind, &due.id))
}

/// Those of an entity, the oldest first, each with where it came from.
fn of_entity(tx: &mut Transaction, entity: &Id) -> Result<Vec<(WaitingId, Vec<u8>)>, StoreError> {
    let [from, end] = [&[0; 40][..], &[0xff; 41]].map(|rest| [&b"e"[..], entity, rest].concat());
    let keys = tx.opaque_range(space::MFA_WAITING, &from, &end, u32::MAX)?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(id) = key.get(25..).and_then(|id| id.try_into().ok()) else { continue };
        let address = tx.get(&crate::book::opaque(space::MFA_WAITING, &key))?;
        found.push((id, address.map(|address| address.expose().clone()).unwrap_or_default()));
    }
    Ok(found)
}

/// Ids of up to `limit` logins, behind `after`. Those that come or go meanwhile are no conflict.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn page(tx: &mut Transaction, after: Option<&WaitingId>, limit: u32) -> Result<Vec<WaitingId>, StoreError> {
    let from = after.map_or_else(|| b"w\0".to_vec(), |after| [&b"w"[..], after, &[0]].concat());
    let end = [&b"w"[..], &[0xff; 33]].concat();
    let keys = tx.opaque_range_untracked(space::MFA_WAITING, &from, &end, limit)?;
    Ok(keys.iter().filter_map(|key| key.get(1..)?.try_into().ok()).collect())
}

/// How many there are; more than the most are not counted.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn count(tx: &mut Transaction) -> Result<usize, StoreError> {
    let most = u32::try_from(WAITING_MAX).unwrap_or(u32::MAX);
    let end = [&b"w"[..], &[0xff; 33]].concat();
    Ok(tx.opaque_range_untracked(space::MFA_WAITING, b"w\0", &end, most)?.len())
}
