//! Tokens. A token itself is never stored: its record lies under a salted hash, and
//! so does the way from its accessor to it.

pub(crate) mod tree;

use bulkhead_barrier::{Barrier, HmacKey, Key, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use serde::{Deserialize, Serialize};

use super::kept::{self, Kept};
use super::{leases, space};

/// Salted hash of a token or accessor.
pub(crate) type TokenHash = [u8; 32];

/// Makes token hashes. The salt is a subkey of the barrier and never changes.
pub(crate) struct Salt(HmacKey);

impl Salt {
    pub(crate) fn of(barrier: &Barrier) -> Self {
        Self(barrier.hmac_key("token hashes"))
    }

    pub(crate) fn hash(&self, token: &str) -> TokenHash {
        self.0.sign(token.as_bytes())
    }
}

/// A stored token. Fields may be added at the end, with a new [`FORMAT`].
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub accessor: String,
    pub parent: Option<TokenHash>,
    pub policies: Vec<String>,
    /// Where it was made: `auth/token/create`, `auth/userpass/login/ann`.
    pub path: String,
    pub display_name: String,
    pub metadata: Vec<(String, String)>,
    /// Uses left; 0: unlimited.
    pub num_uses: u64,
    pub created_ms: u64,
    /// Lifetime granted at creation or at the last renewal; 0: no end.
    pub ttl_secs: u64,
    pub creation_ttl_secs: u64,
    /// 0: never.
    pub expires_ms: u64,
    pub explicit_max_ttl_secs: u64,
    pub period_secs: u64,
    pub renewable: bool,
    pub entity_id: String,
    /// Of a token that another made: the role of `auth/token` it was made with. Of a login: the role of the auth
    /// method, in lower case, where quotas of leases are for roles of it.
    pub role: String,
    pub bound_cidrs: Vec<String>,
    /// 0: never renewed.
    pub renewed_ms: u64,
    /// What the auth method wants back at renewal, as JSON text.
    pub internal: Kept,
    /// Accessor of the auth mount behind a login; empty: `auth/token`.
    pub mount_accessor: String,
    /// Id of the namespace it is of; of the root: nothing.
    pub namespace: String,
}

/// Without what says the namespace, as of every token of the root: older versions read it.
const FORMAT: u8 = 1;
/// With it.
const FORMAT_IN_NAMESPACE: u8 = 2;

/// Where a root token was made that an initialisation or `generate-root` gave out.
pub(crate) const FIRST_PATH: &str = "auth/token/root";

/// Kind byte of a token in the due index.
pub(crate) const DUE_TOKEN: u8 = b't';

impl TokenRecord {
    pub(crate) fn is_orphan(&self) -> bool {
        self.parent.is_none()
    }

    /// Seconds left; 0 for a token without an end.
    pub(crate) fn secs_left(&self, now_ms: u64) -> u64 {
        // Never more than was granted, even where a new leader's clock is behind.
        (self.expires_ms.saturating_sub(now_ms) / 1000).min(self.ttl_secs)
    }

    /// The role of `auth/token` that it was made with; empty: none.
    pub(crate) fn token_role(&self) -> &str {
        if self.mount_accessor.is_empty() { &self.role } else { "" }
    }

    /// The role of its login, where quotas of leases are for roles; empty: none.
    pub(crate) fn login_role(&self) -> &str {
        if self.mount_accessor.is_empty() { "" } else { &self.role }
    }

    /// Whether it counts as a lease: it has an end, and is no root's.
    pub(crate) fn is_counted(&self) -> bool {
        self.expires_ms != 0 && self.policies != ["root"]
    }

    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms != 0 && now_ms >= self.expires_ms
    }
}

fn key(hash: &TokenHash) -> Key {
    super::opaque(space::TOKENS, hash)
}

fn accessor_key(salt: &Salt, accessor: &str) -> Key {
    super::opaque(space::ACCESSORS, &salt.hash(accessor))
}

fn child_key(parent: &TokenHash, child: &TokenHash) -> Key {
    super::opaque(space::CHILDREN, &[&parent[..], &child[..]].concat())
}

/// The record of a token, expired or not.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, hash: &TokenHash) -> Result<Option<TokenRecord>, StoreError> {
    tx.get(&key(hash))?.map(|bytes| decoded(&bytes)).transpose()
}

fn decoded(bytes: &Hidden<Vec<u8>>) -> Result<TokenRecord, StoreError> {
    let what = (space::TOKENS, "a token record");
    if bytes.expose().first() != Some(&FORMAT) {
        return kept::decoded(bytes, FORMAT_IN_NAMESPACE, what);
    }
    kept::decoded(&kept::lengthened(bytes), FORMAT, what)
}

/// The hash of the token that an accessor belongs to.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn by_accessor(tx: &mut Transaction, salt: &Salt, accessor: &str) -> Result<Option<TokenHash>, StoreError> {
    let found = tx.get(&accessor_key(salt, accessor))?;
    Ok(found.and_then(|bytes| bytes.expose().as_slice().try_into().ok()))
}

/// Writes a record that exists already; its place in the due index must not have moved.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn update(tx: &mut Transaction, hash: &TokenHash, record: &TokenRecord) -> Result<(), StoreError> {
    let stored = match record.namespace.as_str() {
        "" => kept::shortened(kept::encoded(&[FORMAT], record)),
        _ => kept::encoded(&[FORMAT_IN_NAMESPACE], record),
    };
    tx.put(&key(hash), stored.expose())
}

/// Writes a new token with everything that leads to it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn create(
    tx: &mut Transaction,
    salt: &Salt,
    hash: &TokenHash,
    record: &TokenRecord,
) -> Result<(), StoreError> {
    update(tx, hash, record)?;
    tx.put(&accessor_key(salt, &record.accessor), hash)?;
    if let Some(parent) = &record.parent {
        tie(tx, parent, hash)?;
    }
    if record.expires_ms != 0 {
        tx.put(&leases::due_key(record.expires_ms, DUE_TOKEN, hash), &[])?;
    }
    Ok(())
}

/// Moves a token's end.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn set_expiry(
    tx: &mut Transaction,
    hash: &TokenHash,
    record: &mut TokenRecord,
    expires_ms: u64,
) -> Result<(), StoreError> {
    if record.expires_ms != 0 {
        tx.delete(&leases::due_key(record.expires_ms, DUE_TOKEN, hash))?;
    }
    record.expires_ms = expires_ms;
    if expires_ms != 0 {
        tx.put(&leases::due_key(expires_ms, DUE_TOKEN, hash), &[])?;
    }
    update(tx, hash, record)
}

/// Direct children of a token.
///
/// # Errors
/// [`StoreError`] from the barrier.
fn children(tx: &mut Transaction, parent: &TokenHash, limit: u32) -> Result<Vec<TokenHash>, StoreError> {
    let (from, end) = children_of(parent);
    Ok(children_in(&tx.opaque_range(space::CHILDREN, &from, &end, limit)?))
}

/// As [`children`], behind `after`, and children that come or go meanwhile are no conflict.
fn children_untracked(
    tx: &mut Transaction,
    parent: &TokenHash,
    after: Option<&TokenHash>,
    limit: u32,
) -> Result<Vec<TokenHash>, StoreError> {
    let (mut from, end) = children_of(parent);
    if let Some(after) = after {
        from = [&parent[..], &after[..], &[0]].concat();
    }
    Ok(children_in(&tx.opaque_range_untracked(space::CHILDREN, &from, &end, limit)?))
}

fn children_of(parent: &TokenHash) -> (Vec<u8>, Vec<u8>) {
    ([&parent[..], &[0; 32]].concat(), [&parent[..], &[0xff; 33]].concat())
}

fn children_in(keys: &[Vec<u8>]) -> Vec<TokenHash> {
    keys.iter().filter_map(|key| key.get(32..64)?.try_into().ok()).collect()
}

fn tie(tx: &mut Transaction, parent: &TokenHash, child: &TokenHash) -> Result<(), StoreError> {
    tx.put(&child_key(parent, child), &[])
}

fn untie(tx: &mut Transaction, parent: &TokenHash, child: &TokenHash) -> Result<(), StoreError> {
    tx.delete(&child_key(parent, child))
}

/// Takes a token's record out of the book with all that leads to it but the tie to its
/// parent. Nobody can use the token any more.
fn strike(tx: &mut Transaction, salt: &Salt, hash: &TokenHash, record: &TokenRecord) -> Result<(), StoreError> {
    tx.note_end(*hash);
    tx.delete(&key(hash))?;
    tx.delete(&accessor_key(salt, &record.accessor))?;
    if record.expires_ms != 0 {
        tx.delete(&leases::due_key(record.expires_ms, DUE_TOKEN, hash))?;
    }
    Ok(())
}

/// Cuts the tie between a token and its parent.
fn orphan(tx: &mut Transaction, hash: &TokenHash, record: &mut TokenRecord) -> Result<(), StoreError> {
    if let Some(parent) = record.parent.take() {
        untie(tx, &parent, hash)?;
    }
    update(tx, hash, record)
}

/// Hashes of up to `limit` tokens, behind `after`; without it from the first. Tokens that
/// come or go meanwhile are no conflict.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn page(tx: &mut Transaction, after: Option<&TokenHash>, limit: u32) -> Result<Vec<TokenHash>, StoreError> {
    let from = after.map_or_else(|| vec![0; 32], |after| [&after[..], &[0]].concat());
    let keys = tx.opaque_range_untracked(space::TOKENS, &from, &[0xff; 33], limit)?;
    Ok(keys.iter().filter_map(|key| key.as_slice().try_into().ok()).collect())
}

/// As [`get`], but a change of the record meanwhile is no conflict.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get_untracked(tx: &mut Transaction, hash: &TokenHash) -> Result<Option<TokenRecord>, StoreError> {
    tx.get_untracked(&key(hash))?.map(|bytes| decoded(&bytes)).transpose()
}
