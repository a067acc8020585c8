//! Node-local memory for guests. An entry lives until its time is over, or a storage
//! key or folder it depends on is not what it was, whoever wrote it.

use std::collections::HashMap;

use bulkhead_barrier::{Folder, Key, SpaceId, Transaction, UNCOMMITTED};
use bulkhead_model::change::{Version, keys_digest};
use bulkhead_model::hidden::Hidden;
use parking_lot::Mutex;

/// Bytes kept per mount at most. Source: ours. Why: guests choose what they keep.
const MOUNT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Records below a folder that an entry depends on at most; beyond this it is not kept,
/// which the interface allows at any time. Source: ours. Why: a folder has no version of
/// its own, so that each look at the entry asks for those of all its records.
const FOLDER_RECORDS_MAX: usize = 64;

struct Entry {
    value: Hidden<Vec<u8>>,
    ends_ms: u64,
    depends_on: Vec<Watched>,
}

/// What an entry depends on, as it was when the entry was made.
enum Watched {
    Record(Key, Option<Version>),
    /// The folder's name, and a digest of the names and versions of all records below.
    Folder(String, [u8; 32]),
}

impl Watched {
    /// A key, or a folder if it ends in a slash. `None`: it cannot be watched.
    fn new(tx: &mut Transaction, space: SpaceId, name: &str) -> Option<Self> {
        if name.ends_with('/') {
            return Some(Self::Folder(name.to_owned(), below(tx, space, name)?));
        }
        let key = Key::leaf(space, name).ok()?;
        let version = committed(tx, &key)?;
        Some(Self::Record(key, version))
    }

    fn is_unchanged(&self, tx: &mut Transaction, space: SpaceId) -> bool {
        match self {
            Self::Record(key, version) => tx.version(key).is_ok_and(|now| now == *version),
            Self::Folder(name, digest) => below(tx, space, name).is_some_and(|now| now == *digest),
        }
    }
}

/// The version in the snapshot. `None` for what the transaction itself has written: that
/// has no version yet to compare with later.
fn committed(tx: &mut Transaction, key: &Key) -> Option<Option<Version>> {
    tx.version(key).ok().filter(|version| *version != Some(UNCOMMITTED))
}

/// A digest of the names and versions of all records below a folder, unless they are too
/// many. What is read for it is checked at the commit, as for a read of the records.
fn below(tx: &mut Transaction, space: SpaceId, folder: &str) -> Option<[u8; 32]> {
    let page = tx.walk(&Folder::new(space, folder).ok()?, None, FOLDER_RECORDS_MAX).ok()?;
    if page.next.is_some() {
        return None;
    }
    let mut parts = Vec::with_capacity(page.keys.len() * 2);
    for name in page.keys {
        let version = committed(tx, &Key::leaf(space, &format!("{folder}{name}")).ok()?)?;
        parts.push(name.into_bytes());
        parts.push(version?.to_be_bytes().to_vec());
    }
    Some(keys_digest(parts.iter().map(Vec::as_slice)))
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
        let fresh = now_ms < entry.ends_ms && entry.depends_on.iter().all(|watched| watched.is_unchanged(tx, space));
        if fresh {
            return Some(entry.value.expose().clone());
        }
        entries.remove(key);
        None
    }

    /// Keeps a value, if the mount has room and all it depends on can be watched.
    pub(crate) fn put(
        &self,
        tx: &mut Transaction,
        space: SpaceId,
        key: &str,
        value: Vec<u8>,
        (ends_ms, depends_on): (u64, &[String]),
    ) {
        let value = Hidden::new(value);
        let watched = depends_on.iter().map(|name| Watched::new(tx, space, name));
        let Some(depends_on) = watched.collect::<Option<Vec<_>>>() else {
            // What was kept under this key before is not what the guest wants kept now.
            self.remove(space, key);
            return;
        };
        let mut caches = self.0.lock();
        let entries = caches.entry(space).or_default();
        let held: usize = entries.iter().map(|(k, e)| k.len() + e.value.expose().len()).sum();
        if held + key.len() + value.expose().len() > MOUNT_BYTES_MAX {
            entries.clear();
        }
        if key.len() + value.expose().len() <= MOUNT_BYTES_MAX {
            entries.insert(key.to_owned(), Entry { value, ends_ms, depends_on });
        }
    }

    /// Forgets a value.
    pub(crate) fn remove(&self, space: SpaceId, key: &str) {
        if let Some(entries) = self.0.lock().get_mut(&space) {
            entries.remove(key);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Forgets everything of a mount.
    pub(crate) fn drop_mount(&self, space: SpaceId) {
        self.0.lock().remove(&space);
    }
}

#[cfg(test)]
mod tests;
