//! What operators set for the node as a whole: web pages of other sites, request headers in
//! the audit log, headers of a web interface.

use std::collections::BTreeMap;

use bulkhead_barrier::{Key, StoreError, Transaction};
use bulkhead_model::cors::Cors;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{opaque, space};

/// Request headers by name in lower case, and whether their values are hashed in the audit
/// log.
pub(crate) type AuditedHeaders = BTreeMap<String, bool>;

/// Headers of a web interface by name as Go writes it, with their values.
pub(crate) type UiHeaders = BTreeMap<String, Vec<String>>;

/// The settings that every request meets.
pub(crate) struct Settings {
    pub cors: Option<Cors>,
    pub audited_headers: AuditedHeaders,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &mut Transaction) -> Result<Self, StoreError> {
        Ok(Self { cors: cors(tx)?, audited_headers: audited_headers(tx)? })
    }
}

fn read<T: DeserializeOwned + Default>(tx: &mut Transaction, key: &Key) -> Result<T, StoreError> {
    let Some(bytes) = tx.get(key)? else { return Ok(T::default()) };
    serde_json::from_slice(bytes.expose()).map_err(|_| super::damaged(space::HOST, "a setting"))
}

/// Writes a setting and starts a new epoch.
fn write<T: Serialize>(tx: &mut Transaction, key: &Key, value: &T) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(value).expect("a setting is plain data");
    tx.put(key, &bytes)?;
    tx.put(&super::epoch_key(), &[])
}

fn cors_key() -> Key {
    opaque(space::HOST, b"cors")
}

fn audited_key() -> Key {
    opaque(space::HOST, b"audited-headers")
}

fn ui_key() -> Key {
    opaque(space::HOST, b"ui-headers")
}

/// Rules for web pages of other sites; `None`: browsers decide as if there were none.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn cors(tx: &mut Transaction) -> Result<Option<Cors>, StoreError> {
    read(tx, &cors_key())
}

/// Sets the rules for web pages.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save_cors(tx: &mut Transaction, cors: Option<&Cors>) -> Result<(), StoreError> {
    write(tx, &cors_key(), &cors)
}

/// Request headers that audit lines show.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn audited_headers(tx: &mut Transaction) -> Result<AuditedHeaders, StoreError> {
    read(tx, &audited_key())
}

/// Sets the request headers that audit lines show.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save_audited_headers(tx: &mut Transaction, headers: &AuditedHeaders) -> Result<(), StoreError> {
    write(tx, &audited_key(), headers)
}

/// Headers of a web interface.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn ui_headers(tx: &mut Transaction) -> Result<UiHeaders, StoreError> {
    read(tx, &ui_key())
}

/// Sets the headers of a web interface.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save_ui_headers(tx: &mut Transaction, headers: &UiHeaders) -> Result<(), StoreError> {
    write(tx, &ui_key(), headers)
}
