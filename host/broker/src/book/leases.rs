//! Leases, and the index of what falls due. The index is ordered by time, so that the
//! work at start and at unseal does not grow with the number of leases.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::kept::{self, Kept};
use super::space;
use super::tokens::TokenHash;

/// A stored lease. Fields may be added at the end, with a new [`FORMAT`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    /// Path of the request that made it, then a random part.
    pub id: String,
    /// Path of that request.
    pub path: String,
    /// Space of the mount that made it.
    pub mount: [u8; 16],
    pub kind: String,
    pub token: Option<TokenHash>,
    pub issued_ms: u64,
    pub expires_ms: u64,
    pub max_expires_ms: u64,
    pub ttl_secs: u64,
    pub renewed_ms: u64,
    pub renewable: bool,
    /// JSON text the engine wants back.
    pub internal: Kept,
    /// Empty in what is written now: once the answer's data, which nobody needs to have stored.
    pub data: Kept,
    pub data_version: u32,
    /// Attempts to revoke that failed.
    pub failures: u32,
    /// When it is looked at next: its end, or the next attempt.
    pub due_ms: u64,
}

const FORMAT: u8 = 1;

impl LeaseRecord {
    /// Bytes that are written for it, roughly.
    pub(crate) fn stored_bytes(&self) -> usize {
        2 * self.id.len() + self.path.len() + self.internal.len() + self.data.len()
    }
}

/// Why the last attempt to revoke a lease failed. Kept apart from the lease: most never have one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub at_ms: u64,
    /// For operators: a plugin's words, which the log must not have.
    pub text: String,
}

/// Kind byte of a lease in the due index.
pub(crate) const DUE_LEASE: u8 = b'l';
/// Kind byte of a job in the due index.
pub(crate) const DUE_JOB: u8 = b'j';

/// A place in the due index: time, kind, and 32 bytes that name the thing.
pub(crate) fn due_key(at_ms: u64, kind: u8, id: &[u8; 32]) -> Key {
    super::opaque(space::DUE, &due_bytes(at_ms, kind, id))
}

fn due_bytes(at_ms: u64, kind: u8, id: &[u8; 32]) -> [u8; 41] {
    let mut bytes = [0; 41];
    bytes[..8].copy_from_slice(&at_ms.to_be_bytes());
    bytes[8] = kind;
    bytes[9..].copy_from_slice(id);
    bytes
}

/// A thing that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub at_ms: u64,
    pub kind: u8,
    pub id: [u8; 32],
}

/// What is due by now, earliest first.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn due(tx: &mut Transaction, now_ms: u64, limit: u32) -> Result<Vec<Due>, StoreError> {
    let end = now_ms.saturating_add(1).to_be_bytes();
    Ok(tx.opaque_range(space::DUE, &[0], &end, limit)?.iter().filter_map(parsed).collect())
}

/// Up to `limit` things that are due or will be, behind this one, earliest first.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn to_come(tx: &mut Transaction, after: Option<&Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
    let from = match after {
        // The next key there can be.
        Some(last) => [&due_bytes(last.at_ms, last.kind, &last.id)[..], &[0]].concat(),
        None => vec![0],
    };
    Ok(tx.opaque_range_untracked(space::DUE, &from, &[0xff; 42], limit)?.iter().filter_map(parsed).collect())
}

fn parsed(key: impl AsRef<[u8]>) -> Option<Due> {
    let key = key.as_ref();
    let at_ms = u64::from_be_bytes(key.get(..8)?.try_into().ok()?);
    Some(Due { at_ms, kind: *key.get(8)?, id: key.get(9..)?.try_into().ok()? })
}

/// Names a lease (or anything else with a text id) in 32 bytes.
pub(crate) fn digest(id: &str) -> [u8; 32] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn key(id: &str) -> Option<Key> {
    Key::leaf(space::LEASES, id).ok()
}

fn token_key(token: &TokenHash, id: &str) -> Key {
    super::opaque(space::TOKEN_LEASES, &[&token[..], &digest(id)[..]].concat())
}

fn refusal_key(id: &str) -> Key {
    super::opaque(space::LEASE_REFUSALS, &digest(id))
}

/// Notes why an attempt to revoke a lease failed, in place of what was noted before.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn note_refusal(tx: &mut Transaction, id: &str, refusal: &Refusal) -> Result<(), StoreError> {
    kept::write(tx, &refusal_key(id), refusal)
}

/// Why the last attempt to revoke a lease failed, if that is known.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn refusal(tx: &mut Transaction, lease: &LeaseRecord) -> Result<Option<Refusal>, StoreError> {
    if lease.failures == 0 {
        return Ok(None);
    }
    kept::read(tx.get(&refusal_key(&lease.id))?, (space::LEASE_REFUSALS, "why a lease could not be revoked"))
}

/// The lease with this id.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &str) -> Result<Option<LeaseRecord>, StoreError> {
    let Some(key) = key(id) else { return Ok(None) };
    let Some(bytes) = tx.get(&key)? else { return Ok(None) };
    kept::decoded(&bytes, FORMAT, (space::LEASES, "a lease record")).map(Some)
}

/// Writes a lease and its place in the due index; `before` is what stood there, if anything.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, before: Option<&LeaseRecord>, record: &LeaseRecord) -> Result<(), StoreError> {
    let bytes = kept::encoded(&[FORMAT], record);
    let id = digest(&record.id);
    let key = key(&record.id).ok_or(super::damaged(space::LEASES, "a lease id"))?;
    match before {
        Some(old) if old.due_ms != record.due_ms => tx.delete(&due_key(old.due_ms, DUE_LEASE, &id))?,
        Some(_) => {}
        None => {
            if let Some(token) = &record.token {
                tx.put(&token_key(token, &record.id), record.id.as_bytes())?;
            }
        }
    }
    // The value leads from the index to the lease, since the key only holds a digest.
    tx.put(&due_key(record.due_ms, DUE_LEASE, &id), record.id.as_bytes())?;
    tx.put(&key, bytes.expose())
}

/// Strikes a lease from the book.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, record: &LeaseRecord) -> Result<(), StoreError> {
    tx.note_end(digest(&record.id));
    if let Some(key) = key(&record.id) {
        tx.delete(&key)?;
    }
    tx.delete(&due_key(record.due_ms, DUE_LEASE, &digest(&record.id)))?;
    if record.failures > 0 {
        tx.delete(&refusal_key(&record.id))?;
    }
    if let Some(token) = &record.token {
        tx.delete(&token_key(token, &record.id))?;
    }
    Ok(())
}

/// Lets a lease fall due now, unless it has.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn fall_due(tx: &mut Transaction, old: &LeaseRecord, now_ms: u64) -> Result<(), StoreError> {
    if old.expires_ms <= now_ms && old.due_ms <= now_ms {
        return Ok(());
    }
    let new = LeaseRecord { expires_ms: old.expires_ms.min(now_ms), due_ms: now_ms, ..old.clone() };
    save(tx, Some(old), &new)
}

/// Strikes a lease whose record cannot be read. Its places in the indexes lead nowhere
/// from then on, and go when they are come upon.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove_unread(tx: &mut Transaction, id: &str) -> Result<(), StoreError> {
    tx.note_end(digest(id));
    tx.delete(&refusal_key(id))?;
    key(id).map_or(Ok(()), |key| tx.delete(&key))
}

/// Places of up to `limit` leases in a token's index of them, in no order.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn of_token(tx: &mut Transaction, token: &TokenHash, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
    let (from, end) = ([&token[..], &[0; 32]].concat(), [&token[..], &[0xff; 33]].concat());
    tx.opaque_range(space::TOKEN_LEASES, &from, &end, limit)
}

/// The lease behind a place in a token's index; none if it cannot be read, for then it
/// must wait for whoever looks into the damage, and must not keep the token.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn behind(tx: &mut Transaction, place: &[u8]) -> Result<Option<LeaseRecord>, StoreError> {
    let Some(id) = tx.get(&super::opaque(space::TOKEN_LEASES, place))? else { return Ok(None) };
    match get(tx, &String::from_utf8_lossy(id.expose())) {
        Err(StoreError::Damaged { .. }) => Ok(None),
        found => found,
    }
}

/// Lets a lease whose token has ended fall due now, and takes it out of the token's index.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn leave_token(
    tx: &mut Transaction,
    place: &[u8],
    lease: Option<LeaseRecord>,
    now_ms: u64,
) -> Result<(), StoreError> {
    tx.delete(&super::opaque(space::TOKEN_LEASES, place))?;
    let Some(old) = lease else { return Ok(()) };
    let expires_ms = old.expires_ms.min(now_ms);
    save(tx, Some(&old), &LeaseRecord { token: None, expires_ms, due_ms: now_ms, ..old.clone() })
}

/// Names below a prefix of lease ids; folders end in a slash. Leases that come or go
/// meanwhile are no conflict.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn list(tx: &mut Transaction, prefix: &str) -> Result<Vec<String>, StoreError> {
    match Folder::new(space::LEASES, prefix) {
        Ok(folder) => Ok(tx.list_untracked(&folder, None, usize::MAX)?.keys),
        Err(_) => Ok(Vec::new()),
    }
}

/// Up to `limit` ids of leases below a prefix, behind `after`, and where to go on; in no
/// order, but always the same. Bound to what it sees: for a transaction that only looks.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn page(
    tx: &mut Transaction,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<String>, Option<String>), StoreError> {
    let Ok(folder) = Folder::new(space::LEASES, prefix) else { return Ok((Vec::new(), None)) };
    let after = after.and_then(|id| id.strip_prefix(prefix));
    let page = tx.walk(&folder, after, limit)?;
    let ids = page.keys.into_iter().map(|name| format!("{prefix}{name}")).collect();
    Ok((ids, page.next.map(|name| format!("{prefix}{name}"))))
}

/// The id of the lease that a place in the due index leads to.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn id_at(tx: &mut Transaction, due: &Due) -> Result<Option<String>, StoreError> {
    let found = tx.get(&due_key(due.at_ms, due.kind, &due.id))?;
    Ok(found.and_then(|bytes| String::from_utf8(bytes.expose().clone()).ok()))
}
