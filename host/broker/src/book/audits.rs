//! Audit devices: what the operator asked for, and the salt each one hashes with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_barrier::{Barrier, Folder, HmacKey, Key, StoreError, Transaction};
use bulkhead_model::seam::audit::AuditSink;
use serde::{Deserialize, Serialize};

use super::space;

/// A device as it is stored. The salt never leaves the barrier.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AuditEntry {
    /// With a slash at the end.
    pub path: String,
    /// `file`.
    pub kind: String,
    pub description: String,
    pub options: BTreeMap<String, String>,
    pub local: bool,
    /// Whether it comes from the server's own config file.
    pub from_config: bool,
    /// 32 random bytes, hexadecimal.
    pub salt: String,
}

impl Drop for AuditEntry {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.salt);
    }
}

/// A device that takes lines.
pub(crate) struct Device {
    pub entry: AuditEntry,
    pub sink: Arc<dyn AuditSink>,
    hasher: HmacKey,
}

impl Device {
    pub(crate) fn new(entry: AuditEntry, sink: Arc<dyn AuditSink>, barrier: &Barrier) -> Self {
        let hasher = barrier.hmac_key(&format!("audit device {}", entry.salt));
        Self { entry, sink, hasher }
    }

    /// Vault's form of a hashed text: `hmac-sha256:` and hexadecimal digits.
    pub(crate) fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", hex::encode(self.hasher.sign(text.as_bytes())))
    }

    /// Whether an option is set to `true`.
    pub(crate) fn option(&self, name: &str) -> bool {
        self.entry.options.get(name).is_some_and(|v| v == "true" || v == "1")
    }
}

fn key(path: &str) -> Option<Key> {
    Key::leaf(space::AUDITS, path.trim_end_matches('/')).ok()
}

/// All devices, by path.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all(tx: &mut Transaction) -> Result<Vec<AuditEntry>, StoreError> {
    let mut entries = Vec::new();
    for name in tx.scan(&Folder::root(space::AUDITS), None, usize::MAX)?.keys {
        if let Some(entry) = read(tx, &name)? {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The device at this path.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn read(tx: &mut Transaction, path: &str) -> Result<Option<AuditEntry>, StoreError> {
    let Some(key) = key(path) else { return Ok(None) };
    let Some(bytes) = tx.get(&key)? else { return Ok(None) };
    serde_json::from_slice(bytes.expose()).map(Some).map_err(|_| super::damaged(space::AUDITS, "an audit device"))
}

/// Writes a device. Its path must have been checked: it is a key.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, entry: &AuditEntry) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(entry).expect("an audit entry is plain data");
    let key = Key::leaf(space::AUDITS, entry.path.trim_end_matches('/'))?;
    tx.put(&key, &bytes)
}

/// Removes a device.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, path: &str) -> Result<(), StoreError> {
    match key(path) {
        Some(key) => tx.delete(&key),
        None => Ok(()),
    }
}
