//! Identity tokens: the keys that sign them, the roles that say what is in them, and who they
//! are said to come from. What lives here: records and the ways to them. What must not: who
//! may change them, and how they are shown.

pub(crate) mod keys;
pub(crate) mod roles;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// First byte of every record, so that a later form can be told apart.
const FORMAT: u8 = 1;

fn read<T: DeserializeOwned>(
    found: Option<Hidden<Vec<u8>>>,
    (space, what): (SpaceId, &'static str),
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = found else { return Ok(None) };
    let record = bytes.expose().strip_prefix(&[FORMAT]).and_then(|record| postcard::from_bytes(record).ok());
    record.map(Some).ok_or_else(|| super::damaged(space, what))
}

fn write<T: Serialize>(tx: &mut Transaction, key: &Key, record: &T) -> Result<(), StoreError> {
    let bytes = postcard::to_extend(record, vec![FORMAT]).expect("keys and roles are plain data");
    tx.put(key, &bytes)
}
