//! Audit devices: what the operator asked for, and the salt each one hashes with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bulkhead_barrier::{Barrier, Folder, HmacKey, Key, StoreError, Transaction};
use bulkhead_model::audit_filter::Scope;
use bulkhead_model::seam::audit::{AuditSink, AuditSinkMaker};
use serde::{Deserialize, Serialize};

use super::space;

/// A device as it is stored. The salt never leaves the barrier.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AuditEntry {
    /// With a slash at the end.
    pub path: String,
    /// `file`, `socket`, `syslog` or `http`.
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

/// How a device's lines are written: the options that all kinds of devices have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Nothing is hashed.
    pub raw: bool,
    /// Accessors are hashed.
    pub hashes_accessors: bool,
    /// Of an answer to a list, the count of names is written instead of the names.
    pub elides_lists: bool,
    /// Stands before every line.
    pub prefix: String,
    /// No line is written as the device is enabled.
    pub skips_test: bool,
}

impl Style {
    /// Reads the options.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn of(options: &BTreeMap<String, String>, may_prefix: bool) -> Result<Self, String> {
        match options.get("format").map(String::as_str) {
            None | Some("" | "json") => {}
            Some("jsonx") => return Err("format \"jsonx\" is not offered: leave it out, or use \"json\"".into()),
            Some(other) => return Err(format!("unknown format type {other:?}")),
        }
        let prefix = options.get("prefix").cloned().unwrap_or_default();
        if !prefix.is_empty() && !may_prefix {
            return Err("audit log prefixing is not allowed: allow_audit_log_prefixing is not set in the config".into());
        }
        if prefix.contains(['\n', '\r']) {
            return Err("prefix must be of one line".into());
        }
        Ok(Self {
            raw: flag(options, "log_raw", false)?,
            hashes_accessors: flag(options, "hmac_accessor", true)?,
            elides_lists: flag(options, "elide_list_responses", false)?,
            prefix,
            skips_test: flag(options, "skip_test", false)?,
        })
    }
}

/// True or false in the spellings Go takes.
fn flag(options: &BTreeMap<String, String>, name: &str, default: bool) -> Result<bool, String> {
    match options.get(name).map(String::as_str) {
        None => Ok(default),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(format!("{name} is neither true nor false: {other:?}")),
    }
}

/// A device that takes lines.
pub(crate) struct Device {
    pub entry: AuditEntry,
    pub style: Style,
    /// Which entries it is for. One whose options make none is for all.
    pub scope: Scope,
    sink: Arc<dyn AuditSink>,
    hasher: HmacKey,
    /// Lines it did not take since it took the last one.
    missed: AtomicU64,
    /// Whether it could not be opened here, and only stands for the device.
    absent: bool,
}

/// What takes no line.
struct Absent(String);

#[async_trait]
impl AuditSink for Absent {
    async fn write(&self, _line: &[u8]) -> Result<(), String> {
        Err(self.0.clone())
    }

    async fn reopen(&self) -> Result<(), String> {
        Err(self.0.clone())
    }
}

/// Tells the operator where requests may be served that nobody records.
pub(crate) fn note_gaps(devices: &[Arc<Device>]) {
    if !devices.is_empty() && devices.iter().all(|device| matches!(device.scope, Scope::Filtered(_))) {
        tracing::warn!(
            "every audit device has a filter, and none is a fallback: what no filter takes is served without a record"
        );
    }
}

impl Device {
    /// Opens a device.
    ///
    /// # Errors
    /// A sentence for the operator: its options make no device, or it does not open.
    pub(crate) async fn open(
        entry: AuditEntry,
        sinks: &dyn AuditSinkMaker,
        may_prefix: bool,
        barrier: &Barrier,
    ) -> Result<Arc<Self>, String> {
        let style = Style::of(&entry.options, may_prefix)?;
        // An entry of the book that says it wrongly is from before it had an effect: it takes all.
        let scope = match Scope::of(&entry.options) {
            Err(error) if !entry.from_config => {
                tracing::error!(device = %entry.path, error, "what an audit device is for cannot be read: it gets all");
                Scope::All
            }
            scope => scope?,
        };
        let sink = sinks.make(&entry.kind, &entry.options).await?;
        let hasher = barrier.hmac_key(&format!("audit device {}", entry.salt));
        Ok(Arc::new(Self { entry, style, scope, sink, hasher, missed: AtomicU64::new(0), absent: false }))
    }

    /// Stands for a device that could not be opened, for this reason: without it, a node that
    /// has no other would serve what nobody records.
    pub(crate) fn absent(entry: AuditEntry, barrier: &Barrier, why: String) -> Arc<Self> {
        let style =
            Style { raw: false, hashes_accessors: true, elides_lists: false, prefix: String::new(), skips_test: true };
        let scope = Scope::of(&entry.options).unwrap_or(Scope::All);
        let hasher = barrier.hmac_key(&format!("audit device {}", entry.salt));
        let (sink, missed) = (Arc::new(Absent(why)), AtomicU64::new(0));
        Arc::new(Self { entry, style, scope, sink, hasher, missed, absent: true })
    }

    /// Hands it a line.
    ///
    /// # Errors
    /// What the device said.
    pub(crate) async fn write(&self, line: &[u8]) -> Result<(), String> {
        self.sink.write(line).await
    }

    /// Hands it a line; true if it took it. When it begins to fail, and when it takes lines
    /// again, the log says so: every single line in between would bury all else in there.
    pub(crate) async fn takes(&self, line: &[u8]) -> bool {
        let path = &self.entry.path;
        match self.sink.write(line).await {
            Ok(()) if self.missed.load(Ordering::Relaxed) == 0 => true,
            Ok(()) => {
                let missed = self.missed.swap(0, Ordering::Relaxed);
                tracing::info!(device = %path, missed, "audit device takes lines again");
                true
            }
            Err(error) if self.missed.fetch_add(1, Ordering::Relaxed) == 0 => {
                tracing::error!(device = %path, %error, "audit device takes no lines");
                false
            }
            Err(error) => {
                tracing::debug!(device = %path, %error, "audit device did not take a line");
                false
            }
        }
    }

    /// Opens its target anew; what is wrong with that is logged.
    pub(crate) async fn reopen(&self) {
        if let Err(error) = self.sink.reopen().await {
            tracing::error!(device = %self.entry.path, %error, "audit device could not be reopened");
        }
    }

    /// Whether it could not be opened, and only stands for the device.
    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }

    /// Vault's form of a hashed text: `hmac-sha256:` and hexadecimal digits.
    pub(crate) fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", hex::encode(self.hasher.sign(text.as_bytes())))
    }

    /// Whether this is the device of an entry, as it stands in the book now. One that is absent
    /// is not, so that it is opened as soon as it can be.
    pub(crate) fn is_of(&self, entry: &AuditEntry) -> bool {
        // Enabling a device again makes a new salt, but the config may have new options.
        !self.absent
            && self.entry.path == entry.path
            && self.entry.salt == entry.salt
            && self.entry.options == entry.options
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

#[cfg(test)]
mod tests;
