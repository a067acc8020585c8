//! Walks over stretches of keys: listing, scanning, ordered indexes, clearing a space.
//! The transaction's own writes show in all of them.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bulkhead_model::change::{RangeCheck, keys_digest};
use bulkhead_model::seam::plugin::NamePage;

use super::{Pending, RECORDS_MAX, Track, Transaction};
use crate::error::StoreError;
use crate::key::{Folder, SpaceId};
use crate::names::{OPAQUE_AT, Prefix, opaque_key, space_stretch};

/// Keys asked for at a time. Source: ours. Why: one call a page, and what lies in
/// folders beyond the first of a page is walked for nothing.
const PAGE_KEYS: u32 = 256;

impl Transaction {
    /// Names directly below a folder, in byte order; those of folders end in a slash.
    /// Ciphertexts have another order, so the whole folder is read for every page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&mut self, folder: &Folder, after: Option<&str>, limit: usize) -> Result<NamePage, StoreError> {
        let names = self.names_in(folder, Track::Recorded)?;
        Ok(page(names, after, limit))
    }

    /// As [`list`](Self::list), but names that come or go in the meantime are no conflict.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_untracked(
        &mut self,
        folder: &Folder,
        after: Option<&str>,
        limit: usize,
    ) -> Result<NamePage, StoreError> {
        let names = self.names_in(folder, Track::Unrecorded)?;
        Ok(page(names, after, limit))
    }

    /// Every record below a folder, as a path relative to it, in byte order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn scan(&mut self, folder: &Folder, after: Option<&str>, limit: usize) -> Result<NamePage, StoreError> {
        let prefix = self.prefix(folder)?;
        let end = prefix.end();
        let mut names = Vec::new();
        let mut trail = Trail::new(prefix);
        let mut from = Some(trail.root.bytes.clone());
        while let Some(start) = from {
            let keys = self.stretch(&start, &end, PAGE_KEYS, Track::Recorded)?;
            from = keys.last().filter(|_| is_full(&keys, PAGE_KEYS)).map(|last| successor(last));
            for key in keys {
                names.push(self.follow(&mut trail, &key)?);
            }
        }
        Ok(page(names, after, limit))
    }

    /// Opaque keys of a space in `[from, end)`, in byte order, without what the ledger
    /// puts in front.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn opaque_range(
        &mut self,
        space: SpaceId,
        from: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let stretch = [opaque_key(space, from), opaque_key(space, end)];
        Ok(without_front(self.stretch(&stretch[0], &stretch[1], limit, Track::Recorded)?))
    }

    /// As [`opaque_range`](Self::opaque_range), but keys that come or go in the meantime
    /// are no conflict.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn opaque_range_untracked(
        &mut self,
        space: SpaceId,
        from: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let stretch = [opaque_key(space, from), opaque_key(space, end)];
        Ok(without_front(self.stretch(&stretch[0], &stretch[1], limit, Track::Unrecorded)?))
    }

    /// Deletes up to `limit` records of a space, whatever they are, and says whether
    /// there may be more. Nothing is decrypted, so damage does not stand in the way.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Panics
    /// On the barrier's own space: without its keyring every record would be lost.
    pub fn drop_space(&mut self, space: SpaceId, limit: u32) -> Result<bool, StoreError> {
        assert!(space != SpaceId::BARRIER, "the barrier's own records cannot be dropped");
        let (from, end) = space_stretch(space);
        let keys = self.stretch(&from, &end, limit, Track::Unrecorded)?;
        let more = is_full(&keys, limit);
        for key in keys {
            self.write(key, Pending::Delete)?;
        }
        Ok(more)
    }

    fn prefix(&self, folder: &Folder) -> Result<Arc<Prefix>, StoreError> {
        self.keyring.names().folder(folder)
    }

    fn names_in(&mut self, folder: &Folder, track: Track) -> Result<Vec<String>, StoreError> {
        let prefix = self.prefix(folder)?;
        let end = prefix.end();
        let mut names = Vec::new();
        let mut from = Some(prefix.bytes.clone());
        while let Some(start) = from {
            let keys = self.stretch(&start, &end, PAGE_KEYS, track)?;
            // The key of the folder whose contents are being passed over.
            let mut inside: Option<&[u8]> = None;
            for key in &keys {
                if inside.is_some_and(|folder| key.starts_with(folder)) {
                    continue;
                }
                let component = prefix.component(key)?;
                let mut name = self.keyring.names().open(&prefix, &component)?;
                inside = component.is_folder.then(|| &key[..prefix.bytes.len() + component.bytes]);
                if component.is_folder {
                    name.push('/');
                }
                names.push(name);
            }
            let last = keys.last().filter(|_| is_full(&keys, PAGE_KEYS));
            from = last.map(|last| inside.map_or_else(|| successor(last), end_of_folder));
        }
        Ok(names)
    }

    /// The path of a record below the trail's root. Keys come in order, so most share
    /// their folders with the one before: those are not decrypted again.
    fn follow(&self, trail: &mut Trail, key: &[u8]) -> Result<String, StoreError> {
        trail.steps.truncate(trail.steps.iter().take_while(|step| key.starts_with(&step.prefix.bytes)).count());
        loop {
            let (prefix, path) = trail.steps.last().map_or((&*trail.root, ""), |step| (&step.prefix, &step.path));
            let component = prefix.component(key)?;
            let name = self.keyring.names().open(prefix, &component)?;
            if !component.is_folder {
                return Ok([path, &name].concat());
            }
            let path = [path, &name, "/"].concat();
            let prefix = prefix.below(&component, key[..prefix.bytes.len() + component.bytes].to_vec());
            trail.steps.push(Step { prefix, path });
        }
    }

    /// The first `limit` keys of `[from, end)` as this transaction sees them: those of
    /// the snapshot, without its own deletions, with its own puts.
    fn stretch(&mut self, from: &[u8], end: &[u8], limit: u32, track: Track) -> Result<Vec<Vec<u8>>, StoreError> {
        if from >= end {
            return Ok(Vec::new());
        }
        let own = || self.writes.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        let deleted = own().filter(|(_, pending)| matches!(pending, Pending::Delete)).count();
        // Enough that `limit` are left when all own deletions are taken away. Then own
        // puts behind the last key found cannot be among the first `limit`.
        let asked = limit.saturating_add(u32::try_from(deleted).unwrap_or(u32::MAX));
        // Bounded before the walk; whoever walks over the last one is refused below.
        let asked = asked.min(u32::try_from(RECORDS_MAX - self.touched + 1).unwrap_or(u32::MAX));
        let found = self.view.keys(from, end, asked)?;
        let check = (track == Track::Recorded).then(|| RangeCheck {
            from: from.to_vec(),
            end: end.to_vec(),
            limit: asked,
            digest: keys_digest(found.iter().map(Vec::as_slice)),
        });
        let walked = found.len();
        let mut seen = merge(found, own());
        seen.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        self.touch(walked.max(1))?;
        self.ranges.extend(check);
        Ok(seen)
    }
}

/// Keys of the snapshot with the transaction's own writes laid over; both ascend.
fn merge<'a>(found: Vec<Vec<u8>>, own: impl Iterator<Item = (&'a Vec<u8>, &'a Pending)>) -> Vec<Vec<u8>> {
    let mut own = own.peekable();
    if own.peek().is_none() {
        return found;
    }
    let mut keys: BTreeSet<Vec<u8>> = found.into_iter().collect();
    for (key, pending) in own {
        match pending {
            Pending::Delete => keys.remove(key),
            Pending::Put(_) | Pending::Wrapped(_) => keys.insert(key.clone()),
        };
    }
    keys.into_iter().collect()
}

/// The folders on the way to the record last seen.
struct Trail {
    root: Arc<Prefix>,
    steps: Vec<Step>,
}

struct Step {
    prefix: Prefix,
    /// Relative to the root, with its slash.
    path: String,
}

impl Trail {
    fn new(root: Arc<Prefix>) -> Self {
        Self { root, steps: Vec::new() }
    }
}

fn page(mut names: Vec<String>, after: Option<&str>, limit: usize) -> NamePage {
    names.sort_unstable();
    let first = after.map_or(0, |after| names.partition_point(|name| name.as_str() <= after));
    let mut keys = names.split_off(first);
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).cloned();
    NamePage { keys, next }
}

/// Opaque keys as they were given.
fn without_front(mut keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for key in &mut keys {
        key.drain(..OPAQUE_AT);
    }
    keys
}

fn is_full(keys: &[Vec<u8>], limit: u32) -> bool {
    u32::try_from(keys.len()).is_ok_and(|count| count == limit)
}

/// The key right behind this one.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The key right behind everything in this folder: its end byte counted up.
fn end_of_folder(folder: &[u8]) -> Vec<u8> {
    let mut key = folder.to_vec();
    *key.last_mut().expect("a folder's key ends in its end byte") += 1;
    key
}
