//! Identity tokens: the keys that sign them, the roles that say what is in them, and who they
//! are said to come from. What lives here: records and the ways to them. What must not: who
//! may change them, and how they are shown.

pub(crate) mod keys;
pub(crate) mod roles;

use bulkhead_barrier::{Key, StoreError, Transaction};

use super::kept::{read, write};
use super::{opaque, space};

fn issuer_key() -> Key {
    opaque(space::OIDC_KEYS, b"issuer")
}

/// The address that tokens are said to come from; empty: the cluster's own.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn issuer(tx: &mut Transaction) -> Result<String, StoreError> {
    let Some(bytes) = tx.get(&issuer_key())? else { return Ok(String::new()) };
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| super::damaged(space::OIDC_KEYS, "an issuer"))?;
    Ok(text.to_owned())
}

/// Keeps an issuer.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save_issuer(tx: &mut Transaction, issuer: &str) -> Result<(), StoreError> {
    tx.put(&issuer_key(), issuer.as_bytes())
}
