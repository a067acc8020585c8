//! What the log holds, in memory: where each entry lies, and the newest entries
//! themselves. Readers take what they need under the lock and read the disk outside it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use openraft::EntryPayload;

use crate::files::DiskFile;
use crate::raft::{Entry, LogId, Vote};

/// Newest entries kept in memory, in bytes of payload. Entries not yet on the disk are
/// kept whatever their size. Why: applying and replicating read what was just written.
const CACHE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where an entry's record lies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    /// First sector of its group, counted from the start of the segment.
    pub(crate) sector: u32,
    /// Where the record starts in the group's content, in bytes.
    pub(crate) at: u32,
    /// Bytes of the record.
    pub(crate) bytes: u32,
}

/// A record to fetch from a segment.
pub(crate) struct Fetch {
    pub(crate) id: LogId,
    pub(crate) place: Place,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// One entry, in memory or to be fetched.
pub(crate) enum Copy {
    Here(Entry),
    There(Fetch),
}

/// The log's table of contents.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    pub(crate) segments: BTreeMap<u64, Arc<dyn DiskFile>>,
    /// The highest index ever written to each segment.
    highest: BTreeMap<u64, u64>,
    /// Index of the first entry in `places`.
    first: u64,
    places: VecDeque<(LogId, Place)>,
    /// The newest entries; ends where `places` ends.
    cache: VecDeque<Entry>,
    cache_bytes: usize,
    /// Entries before this index are on the disk.
    durable_end: u64,
}

impl Book {
    /// One past the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// The last entry, or what was purged last.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.places.back().map(|(id, _)| *id).or(self.purged)
    }

    /// Whether this entry is here, or was purged.
    pub(crate) fn holds(&self, id: LogId) -> bool {
        let purged = self.purged.is_some_and(|purged| id.index <= purged.index);
        let at = id.index.checked_sub(self.first).and_then(|at| self.places.get(at as usize));
        purged || at.is_some_and(|(here, _)| *here == id)
    }

    /// Whether there are entries at this index or after it.
    pub(crate) fn goes_beyond(&self, index: u64) -> bool {
        !self.places.is_empty() && self.end() > index
    }

    /// The entry before this index, or what was purged last.
    pub(crate) fn last_before(&self, index: u64) -> Option<LogId> {
        let at = index.checked_sub(self.first + 1).and_then(|at| self.places.get(at as usize));
        at.map(|(id, _)| *id).or(self.purged)
    }

    /// Adds an entry; `place` is set later by [`Book::placed`] if it is not on disk yet.
    /// `false`: it would leave a hole.
    #[must_use]
    pub(crate) fn push(&mut self, entry: Entry, place: Place) -> bool {
        let index = entry.log_id.index;
        if self.places.is_empty() {
            if self.purged.is_some_and(|purged| index != purged.index + 1) {
                return false;
            }
            self.first = index;
            self.durable_end = self.durable_end.min(index);
        } else if index != self.end() {
            return false;
        }
        self.places.push_back((entry.log_id, place));
        self.cache_bytes += payload_bytes(&entry);
        self.cache.push_back(entry);
        true
    }

    /// Adds an entry read from the disk. `false`: it would leave a hole.
    #[must_use]
    pub(crate) fn push_durable(&mut self, entry: Entry, place: Place) -> bool {
        let end = entry.log_id.index + 1;
        let pushed = self.push(entry, place);
        if pushed {
            self.durable_end = end;
            self.note_highest(place.segment, end - 1);
            self.trim_cache();
        }
        pushed
    }

    /// Entries of a group are on the disk. One truncated since is passed over.
    pub(crate) fn placed(&mut self, places: &[(LogId, Place)]) {
        for (id, place) in places {
            self.note_highest(place.segment, id.index);
            let Some(slot) = id.index.checked_sub(self.first).and_then(|at| self.places.get_mut(at as usize)) else {
                continue;
            };
            if slot.0 == *id {
                slot.1 = *place;
                self.durable_end = id.index + 1;
            }
        }
        self.trim_cache();
    }

    fn note_highest(&mut self, segment: u64, index: u64) {
        let highest = self.highest.entry(segment).or_default();
        *highest = index.max(*highest);
    }

    /// Forgets a segment whose file is gone.
    pub(crate) fn forget_segment(&mut self, segment: u64) {
        self.segments.remove(&segment);
        self.highest.remove(&segment);
    }

    /// Forgets entries after `last`; with `None`, all of them.
    pub(crate) fn truncate_after(&mut self, last: Option<LogId>) {
        let index = last.map_or(0, |id| id.index + 1);
        while self.end() > index && !self.places.is_empty() {
            self.places.pop_back();
            if let Some(entry) = self.cache.pop_back() {
                self.cache_bytes -= payload_bytes(&entry);
            }
        }
        self.durable_end = self.durable_end.min(index);
    }

    /// Forgets entries up to `id`.
    pub(crate) fn purge(&mut self, id: LogId) {
        while self.places.front().is_some_and(|(first, _)| first.index <= id.index) {
            if self.cache.len() == self.places.len() {
                self.drop_oldest_cached();
            }
            self.places.pop_front();
            self.first += 1;
        }
        self.purged = Some(id);
    }

    /// What is needed to read the entries of a range that are in the log.
    pub(crate) fn copies(&self, range: Range<u64>) -> Vec<Copy> {
        let (from, end) = (range.start.max(self.first), range.end.min(self.end()));
        let cached_from = self.end() - self.cache.len() as u64;
        let mut copies = Vec::with_capacity(end.saturating_sub(from) as usize);
        for index in from..end {
            if index >= cached_from {
                copies.push(Copy::Here(self.cache[(index - cached_from) as usize].clone()));
                continue;
            }
            let (id, place) = self.places[(index - self.first) as usize];
            let file = Arc::clone(self.segments.get(&place.segment).expect("a segment with live entries is kept"));
            copies.push(Copy::There(Fetch { id, place, file }));
        }
        copies
    }

    /// How many entries from `start` fit in `bytes_max`, at least one.
    pub(crate) fn fitting_end(&self, start: u64, end: u64, bytes_max: u64) -> u64 {
        let mut bytes = 0;
        for index in start.max(self.first)..end.min(self.end()) {
            bytes += u64::from(self.places[(index - self.first) as usize].1.bytes);
            if bytes > bytes_max {
                return (index).max(start + 1);
            }
        }
        end
    }

    /// The oldest segments before `active`, as far as all their entries are purged up to
    /// `purged`. Not what the book itself holds purged: that may run ahead of the disk,
    /// and a crash must not find a hole between the purge on the disk and the segments.
    pub(crate) fn dead_segments(&self, active: u64, purged: u64) -> Vec<u64> {
        let dead = |segment: &u64| *segment < active && self.highest.get(segment).is_none_or(|index| *index <= purged);
        self.segments.keys().copied().take_while(dead).collect()
    }

    /// Drops from memory what is on the disk, oldest first, down to the limit.
    fn trim_cache(&mut self) {
        while self.cache_bytes > CACHE_BYTES_MAX {
            let oldest = self.end() - self.cache.len() as u64;
            if self.cache.is_empty() || oldest >= self.durable_end {
                return;
            }
            self.drop_oldest_cached();
        }
    }

    fn drop_oldest_cached(&mut self) {
        if let Some(entry) = self.cache.pop_front() {
            self.cache_bytes -= payload_bytes(&entry);
        }
    }
}

/// Memory an entry holds, roughly.
fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len() + 128,
        EntryPayload::Blank | EntryPayload::Membership(_) => 256,
    }
}
