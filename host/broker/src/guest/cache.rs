//! Node-local memory for guests. An entry lives until its time is over or a storage
//! key it depends on has another version, whoever wrote it.

use std::collections::HashMap;

use bulkhead_barrier::{Key, SpaceId, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::hidden::Hidden;
use parking_lot::Mutex;

/// Bytes kept per mount at most. Source: ours. Why: guests choose what they keep.
const MOUNT_BYTES_MAX: usize = 4 * 1024 * 1024;

struct Entry {
    value: Hidden<Vec<u8>>,
    ends_ms: u64,
    depends_on: Vec<(Key, Option<Version>)>,
}

/// Every mount's cache.
#[derive(Default)]
pub(crate) struct GuestCache(Mutex<HashMap<SpaceId, HashMap<String, Entry>>>);

impl GuestCache {
    /// The value, if it still holds in this transaction's snapshot.
    pub(crate) fn get(&self, tx: &mut Transaction, space: SpaceId, key: &str, now_ms: u64) -> Option<Vec<u8>> {
        let mut caches = self.0.lock();
        let entries = caches.get_mut(&space)?;
        let entry = entries.get(key)?;
        let fresh = now_ms < entry.ends_ms
            && entry.depends_on.iter().all(|(key, version)| tx.version(key).is_ok_and(|now| now == *version));
        if fresh {
            return Some(entry.value.expose().clone());
        }
        entries.remove(key);
        None
    }

    /// Keeps a value, if the mount has room. Folders cannot be depended on: a value
    /// that would is not kept, which the interface allows at any time.
    pub(crate) fn put(
        &self,
        tx: &mut Transaction,
        space: SpaceId,
        key: &str,
        value: Vec<u8>,
        (ends_ms, depends_on): (u64, &[String]),
    ) {
        let value = Hidden::new(value);
        let mut versions = Vec::with_capacity(depends_on.len());
        for name in depends_on {
            let Ok(key) = Key::leaf(space, name) else { return };
            let Ok(version) = tx.version(&key) else { return };
            versions.push((key, version));
        }
        let mut caches = self.0.lock();
        let entries = caches.entry(space).or_default();
        let held: usize = entries.iter().map(|(k, e)| k.len() + e.value.expose().len()).sum();
        if held + key.len() + value.expose().len() > MOUNT_BYTES_MAX {
            entries.clear();
        }
        if key.len() + value.expose().len() <= MOUNT_BYTES_MAX {
            entries.insert(key.to_owned(), Entry { value, ends_ms, depends_on: versions });
        }
    }

    /// Forgets a value.
    pub(crate) fn remove(&self, space: SpaceId, key: &str) {
        if let Some(entries) = self.0.lock().get_mut(&space) {
            entries.remove(key);
        }
    }

    /// Forgets everything of a mount.
    pub(crate) fn drop_mount(&self, space: SpaceId) {
        self.0.lock().remove(&space);
    }
}
