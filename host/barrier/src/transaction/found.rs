//! Names found by listing, kept for the rest of the transaction so that the next page
//! costs nothing, and kept in step with the transaction's own writes. Knows nothing of
//! ciphertext; names are secrets, so they are wiped when they go.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bulkhead_model::seam::plugin::NamePage;
use zeroize::Zeroize;

use super::Track;
use crate::error::StoreError;
use crate::key::{Folder, Key, Place, SpaceId};

/// Names kept at a time, in bytes. Source: ours, the largest memory a guest may have.
/// Why: a million names may be four kilobytes each, and no guest could take them.
const NAMES_BYTES_MAX: usize = 64 << 20;

/// A name or path that is wiped when it goes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

/// The folders listed so far. A listing whose changes would conflict and one whose would
/// not are two: the second has recorded no checks.
#[derive(Default)]
pub(super) struct Found {
    listings: HashMap<(SpaceId, Track), BTreeMap<Name, Listing>>,
    /// Of the names in all listings.
    bytes: usize,
}

/// What lies directly below a folder.
#[derive(Default)]
pub(super) struct Listing {
    names: BTreeSet<Name>,
    /// Folders below in which the transaction has since deleted: they may be empty now.
    doubtful: BTreeSet<Name>,
    /// Of the names when they were found.
    bytes: usize,
}

impl Name {
    pub(super) fn new(name: String) -> Self {
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Found {
    /// Takes a folder's listing out, to be [kept](Self::keep) again.
    pub(super) fn take(&mut self, folder: &Folder, track: Track) -> Option<Listing> {
        let listing = self.listings.get_mut(&(folder.space, track))?.remove(&*folder.path)?;
        self.bytes -= listing.bytes;
        Some(listing)
    }

    /// Keeps a folder's listing; where there are too many names, the others go.
    pub(super) fn keep(&mut self, folder: &Folder, track: Track, listing: Listing) {
        if self.bytes + listing.bytes > NAMES_BYTES_MAX {
            self.forget();
        }
        self.bytes += listing.bytes;
        let folders = self.listings.entry((folder.space, track)).or_default();
        folders.insert(Name::new(folder.path.to_string()), listing);
    }

    /// Drops all listings: something was written that they cannot follow.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Follows a write of the transaction.
    pub(super) fn put(&mut self, key: &Key) {
        self.follow(key, Listing::put);
    }

    /// Follows a deletion of the transaction.
    pub(super) fn delete(&mut self, key: &Key) {
        self.follow(key, Listing::delete);
    }

    /// Tells the listing of every folder above the key which name below it is meant.
    fn follow(&mut self, key: &Key, tell: impl Fn(&mut Listing, &str)) {
        let Place::Name(path) = &key.place else { return };
        for track in [Track::Recorded, Track::Unrecorded] {
            let Some(folders) = self.listings.get_mut(&(key.space, track)) else { continue };
            let mut begin = 0;
            for part in path.split_inclusive('/') {
                if let Some(listing) = folders.get_mut(&path[..begin]) {
                    tell(listing, part);
                }
                begin += part.len();
            }
        }
    }
}

impl Listing {
    /// Of these names, which are in no order yet.
    pub(super) fn new(names: Vec<Name>, bytes: usize) -> Self {
        Self { names: names.into_iter().collect(), doubtful: BTreeSet::new(), bytes }
    }

    /// Folders that may be empty now; they are no longer in doubt, so whoever asks must
    /// [remove](Self::remove) those that are.
    pub(super) fn take_doubtful(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.doubtful)
    }

    pub(super) fn remove(&mut self, name: &Name) {
        self.names.remove(name);
    }

    /// Up to `limit` names behind `after`, in byte order.
    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> NamePage {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut names = self.names.range::<str, _>((begin, Bound::Unbounded));
        let keys: Vec<String> = names.by_ref().take(limit).map(|name| name.0.clone()).collect();
        let next = keys.last().filter(|_| names.next().is_some()).cloned();
        NamePage { keys, next }
    }

    fn put(&mut self, name: &str) {
        self.doubtful.remove(name);
        self.names.insert(Name::new(name.to_owned()));
    }

    fn delete(&mut self, name: &str) {
        if !name.ends_with('/') {
            self.names.remove(name);
        } else if self.names.contains(name) {
            self.doubtful.insert(Name::new(name.to_owned()));
        }
    }
}

/// Refuses names that take too much memory.
///
/// # Errors
/// [`StoreError::TooLarge`].
pub(super) fn within_memory(names_bytes: usize) -> Result<(), StoreError> {
    if names_bytes > NAMES_BYTES_MAX {
        return Err(StoreError::TooLarge { what: "list of names", limit: NAMES_BYTES_MAX });
    }
    Ok(())
}
