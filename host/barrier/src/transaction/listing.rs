//! Walks over stretches of keys: listing, scanning, ordered indexes, clearing a space.
//! The transaction's own writes show in all of them.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bulkhead_model::change::{RangeCheck, keys_digest};
use bulkhead_model::seam::plugin::NamePage;

use super::found::{Listing, Name, within_memory};
use super::{Pending, Track, Transaction, WALKED_MAX};
use crate::error::StoreError;
use crate::key::{Folder, Key, SpaceId};
use crate::names::{OPAQUE_AT, Prefix, opaque_key, space_stretch};

/// Keys asked for at first. Source: ours. Why: most folders are smaller, so that one
/// look shows them whole.
const PAGE_KEYS: u32 = 256;

/// Keys asked for at most. Source: ours. Why: each look becomes a check of the change, so
/// a large folder should take few; and what was asked for is held in memory.
const PAGE_KEYS_MAX: u32 = 4096;

impl Transaction {
    /// Names directly below a folder, in byte order; those of folders end in a slash.
    /// Ciphertexts have another order, so the first page finds the names of all, and the
    /// transaction keeps them: further pages cost nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&mut self, folder: &Folder, after: Option<&str>, limit: usize) -> Result<NamePage, StoreError> {
        self.list_page(folder, after, limit, Track::Recorded)
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
        self.list_page(folder, after, limit, Track::Unrecorded)
    }

    /// Every record below a folder, as a path relative to it, in byte order. All are
    /// walked over for every page: this is for those who take all at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn scan(&mut self, folder: &Folder, after: Option<&str>, limit: usize) -> Result<NamePage, StoreError> {
        let mut names = self.walk(folder, None, usize::MAX)?.keys;
        names.sort_unstable();
        Ok(page(names, after, limit))
    }

    /// Records below a folder, as paths relative to it, depth first and otherwise in an
    /// order that means nothing but is always the same. A page costs what is on it,
    /// however much lies below the folder. The record that `after` names need not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn walk(&mut self, folder: &Folder, after: Option<&str>, limit: usize) -> Result<NamePage, StoreError> {
        let prefix = self.prefix(folder)?;
        let end = prefix.end();
        let mut from = Some(match after {
            Some(after) => successor(&self.ledger_key(&Key::leaf(folder.space, &[&folder.path, after].concat())?)?),
            None => prefix.bytes.clone(),
        });
        let (mut names, mut names_bytes) = (Vec::new(), 0);
        let mut trail = Trail::new(prefix);
        // One more tells whether this is the last page.
        let wanted = limit.saturating_add(1);
        let mut asked = page_keys(wanted);
        while let Some(start) = from.filter(|_| names.len() < wanted) {
            let stretch = self.stretch(&start, &end, asked, Track::Recorded)?;
            from = stretch.next;
            for key in stretch.keys.iter().take(wanted - names.len()) {
                let name = self.follow(&mut trail, key)?;
                names_bytes += name.len();
                within_memory(names_bytes)?;
                names.push(name);
            }
            // Where the transaction has deleted much there is nothing to see, and no use
            // in going on in small steps.
            let skipping = stretch.keys.is_empty();
            asked = if skipping { (asked * 2).min(PAGE_KEYS_MAX) } else { page_keys(wanted - names.len()) };
        }
        Ok(page(names, None, limit))
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
        let space = self.realm.place(space);
        let stretch = [opaque_key(space, from), opaque_key(space, end)];
        Ok(without_front(self.first_keys(&stretch[0], &stretch[1], limit, Track::Recorded)?))
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
        let space = self.realm.place(space);
        let stretch = [opaque_key(space, from), opaque_key(space, end)];
        Ok(without_front(self.first_keys(&stretch[0], &stretch[1], limit, Track::Unrecorded)?))
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
        let keys = self.first_keys(&from, &end, limit, Track::Unrecorded)?;
        let more = is_full(&keys, limit);
        self.found.forget();
        for key in keys {
            self.write(key, Pending::Delete)?;
        }
        Ok(more)
    }

    fn prefix(&self, folder: &Folder) -> Result<Arc<Prefix>, StoreError> {
        self.keyring.names().folder(self.realm, folder)
    }

    fn list_page(
        &mut self,
        folder: &Folder,
        after: Option<&str>,
        limit: usize,
        track: Track,
    ) -> Result<NamePage, StoreError> {
        let mut listing = match self.found.take(folder, track) {
            Some(listing) => listing,
            None => self.find_names(folder, track)?,
        };
        for name in listing.take_doubtful() {
            let below = Folder::new(folder.space, &[&folder.path, name.as_str()].concat())?;
            if self.is_empty(&below, track)? {
                listing.remove(&name);
            }
        }
        let page = listing.page(after, limit);
        self.found.keep(folder, track, listing);
        Ok(page)
    }

    /// Reads a folder whole, without what lies in the folders below it.
    fn find_names(&mut self, folder: &Folder, track: Track) -> Result<Listing, StoreError> {
        let prefix = self.prefix(folder)?;
        let end = prefix.end();
        let (mut names, mut names_bytes) = (Vec::new(), 0);
        let mut asked = PAGE_KEYS;
        let mut from = Some(prefix.bytes.clone());
        while let Some(start) = from {
            let stretch = self.stretch(&start, &end, asked, track)?;
            let known = names.len();
            // The key of the folder whose contents are being passed over.
            let mut inside: Option<&[u8]> = None;
            for key in &stretch.keys {
                if inside.is_some_and(|folder| key.starts_with(folder)) {
                    continue;
                }
                let component = prefix.component(key)?;
                let mut name = self.keyring.names().open(&prefix, &component)?;
                inside = component.is_folder.then(|| &key[..prefix.bytes.len() + component.bytes]);
                if component.is_folder {
                    name.push('/');
                }
                names_bytes += name.len();
                names.push(Name::new(name));
            }
            within_memory(names_bytes)?;
            asked = next_asked(asked, stretch.keys.len(), names.len() - known);
            // Never back: what the transaction deleted may lie behind the last folder.
            from = stretch.next.map(|next| inside.map_or(next.clone(), |folder| end_of_folder(folder).max(next)));
        }
        Ok(Listing::new(names, names_bytes))
    }

    /// Whether there is no record below a folder.
    fn is_empty(&mut self, folder: &Folder, track: Track) -> Result<bool, StoreError> {
        let prefix = self.prefix(folder)?;
        let end = prefix.end();
        let mut asked = 1;
        let mut from = Some(prefix.bytes.clone());
        while let Some(start) = from {
            let stretch = self.stretch(&start, &end, asked, track)?;
            if !stretch.keys.is_empty() {
                return Ok(false);
            }
            from = stretch.next;
            asked = (asked * 2).min(PAGE_KEYS_MAX);
        }
        Ok(true)
    }

    /// The path of a record below the trail's root. Keys come in order, so most share
    /// their folders with the one before: those are not decrypted again.
    fn follow(&self, trail: &mut Trail, key: &[u8]) -> Result<String, StoreError> {
        trail.steps.truncate(trail.steps.iter().take_while(|step| key.starts_with(&step.prefix.bytes)).count());
        loop {
            let (prefix, path) =
                trail.steps.last().map_or((&*trail.root, ""), |step| (&step.prefix, step.path.as_str()));
            let component = prefix.component(key)?;
            let name = Name::new(self.keyring.names().open(prefix, &component)?);
            if !component.is_folder {
                return Ok([path, name.as_str()].concat());
            }
            let path = Name::new([path, name.as_str(), "/"].concat());
            let prefix = prefix.below(&component, key[..prefix.bytes.len() + component.bytes].to_vec());
            trail.steps.push(Step { prefix, path });
        }
    }

    /// The first `limit` keys of `[from, end)` as this transaction sees them: those of
    /// the snapshot, without its own deletions, with its own puts.
    fn first_keys(&mut self, from: &[u8], end: &[u8], limit: u32, track: Track) -> Result<Vec<Vec<u8>>, StoreError> {
        if from >= end {
            return Ok(Vec::new());
        }
        let deleted = self.own(from, end).filter(|(_, pending)| matches!(pending, Pending::Delete)).count();
        // Enough that `limit` are left when all own deletions are taken away. Then own
        // puts behind the last key found cannot be among the first `limit`.
        let asked = limit.saturating_add(u32::try_from(deleted).unwrap_or(u32::MAX));
        let found = self.look(from, end, asked, track)?;
        let mut seen = merge(found, self.own(from, end));
        seen.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(seen)
    }

    /// What is left of the next `asked` keys of `[from, end)` in the snapshot with the
    /// transaction's own writes laid over, up to the last of them. May be nothing at all
    /// though more follows, if the transaction has deleted them.
    fn stretch(&mut self, from: &[u8], end: &[u8], asked: u32, track: Track) -> Result<Stretch, StoreError> {
        if from >= end {
            return Ok(Stretch { keys: Vec::new(), next: None });
        }
        let found = self.look(from, end, asked, track)?;
        let next = found.last().filter(|_| is_full(&found, asked)).map(|last| successor(last));
        let keys = merge(found, self.own(from, next.as_deref().unwrap_or(end)));
        Ok(Stretch { keys, next })
    }

    fn own(&self, from: &[u8], end: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &Pending)> {
        self.writes.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)))
    }

    /// Up to `asked` keys of the snapshot in `[from, end)`. Every walk comes through
    /// here, so that it is counted and, if it is to be, checked when the change is applied.
    fn look(&mut self, from: &[u8], end: &[u8], asked: u32, track: Track) -> Result<Vec<Vec<u8>>, StoreError> {
        // Bounded before the walk; whoever walks over the last one is refused below.
        let asked = asked.min(u32::try_from(WALKED_MAX - self.walked + 1).unwrap_or(u32::MAX));
        let found = self.view.keys(from, end, asked)?;
        let walked = self.walked + found.len().max(1);
        if walked > WALKED_MAX {
            return Err(StoreError::TooMany { what: "names", limit: WALKED_MAX });
        }
        self.walked = walked;
        if track == Track::Recorded && !self.ranges.is_over() {
            let digest = keys_digest(found.iter().map(Vec::as_slice));
            let check = RangeCheck { from: from.to_vec(), end: end.to_vec(), limit: asked, digest };
            self.ranges.add(check, found.len());
        }
        Ok(found)
    }
}

/// Part of a walk.
struct Stretch {
    /// As the transaction sees them.
    keys: Vec<Vec<u8>>,
    /// Where to go on; none: this was the end.
    next: Option<Vec<u8>>,
}

/// How many keys to ask for after a look at a folder that showed so many keys and among
/// them so many names. The rest lay within folders below. Where all were names the next
/// look is larger, which makes fewer checks; where few were, folders are passed over by
/// jumping behind each, at one key a look, instead of walking through them.
fn next_asked(asked: u32, keys: usize, names: usize) -> u32 {
    if keys == names {
        (asked * 2).min(PAGE_KEYS_MAX)
    } else if keys > names * 4 {
        1
    } else {
        asked
    }
}

/// How many keys to ask for to see so many.
fn page_keys(wanted: usize) -> u32 {
    u32::try_from(wanted).unwrap_or(u32::MAX).min(PAGE_KEYS_MAX)
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
    path: Name,
}

impl Trail {
    fn new(root: Arc<Prefix>) -> Self {
        Self { root, steps: Vec::new() }
    }
}

/// Up to `limit` of these names behind `after`; without it they may have any order.
fn page(mut names: Vec<String>, after: Option<&str>, limit: usize) -> NamePage {
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
