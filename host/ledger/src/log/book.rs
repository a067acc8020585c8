//! What the log holds, in memory: where each entry lies, and the newest entries
//! themselves. Readers take what they need under the lock and read the disk outside it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::cache::Cache;
use super::places::Places;
use super::runs::Spots;
use super::unread::{Leftovers, Unread};
use crate::files::DiskFile;
use crate::raft::{Entry, LogId, Vote};

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
    pub(super) places: Places,
    pub(super) leftovers: Leftovers,
    /// The newest entries that were written since the start; ends where `places` ends.
    cache: Cache,
    /// Entries before this index are on the disk.
    durable_end: u64,
}

impl Book {
    /// The last entry, or what was purged last.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.places.last().or(self.purged)
    }

    /// Whether this entry is here, or was purged.
    pub(crate) fn holds(&self, id: LogId) -> bool {
        let purged = self.purged.is_some_and(|purged| id.index <= purged.index);
        purged || self.places.id(id.index) == Some(id)
    }

    /// Drops the entries from this index on, if there are any; then tells which one is the last
    /// now, or was purged last.
    pub(crate) fn drop_from(&mut self, index: u64) -> Option<Option<LogId>> {
        if self.places.is_empty() || self.places.end() <= index {
            return None;
        }
        let before = index.checked_sub(1).and_then(|before| self.places.id(before));
        let last = before.or(self.purged);
        self.truncate_after(last);
        Some(last)
    }

    /// Adds an entry that is not on the disk yet; where it lies is told by [`Book::placed`].
    /// `false`: it would leave a hole.
    #[must_use]
    pub(crate) fn push(&mut self, entry: Entry) -> bool {
        let pushed = self.follows(entry.log_id.index);
        if pushed {
            self.places.push(entry.log_id, Place::default());
            self.cache.push(entry);
        }
        pushed
    }

    /// Adds an entry found on the disk. It stays there: of what a start reads, little is
    /// asked for again. `false`: it would leave a hole.
    #[must_use]
    pub(crate) fn found(&mut self, id: LogId, place: Place) -> bool {
        let placed = self.follows(id.index);
        if placed {
            self.places.push(id, place);
            self.durable_end = id.index + 1;
            self.note_highest(place.segment, id.index);
        }
        placed
    }

    /// Adds the entries of a segment that was not read. `false`: they would leave a hole.
    #[must_use]
    pub(super) fn found_unread(&mut self, unread: Unread, file: Arc<dyn DiskFile>) -> bool {
        for run in unread.runs() {
            let Some(last) = run.last() else { continue };
            if !self.follows(run.first()) {
                return false;
            }
            self.places.push_run(run);
            self.durable_end = last.index + 1;
            self.note_highest(unread.segment, last.index);
        }
        self.leftovers.add(unread, file);
        true
    }

    /// Segments that must be read to know where the entries of a range lie.
    pub(super) fn unknown(&self, range: &Range<u64>) -> Vec<(Arc<Unread>, Arc<dyn DiskFile>)> {
        self.places.unknown(range).filter_map(|segment| self.leftovers.get(segment)).collect()
    }

    /// A segment was read: its entries lie here.
    pub(super) fn learn(&mut self, segment: u64, spots: Spots) {
        self.places.learn(segment, spots);
        self.leftovers.remove(segment);
    }

    /// Whether an entry of this index may come next; if it is the first, the log begins there.
    fn follows(&mut self, index: u64) -> bool {
        if !self.places.is_empty() {
            return index == self.places.end();
        }
        if self.purged.is_some_and(|purged| index != purged.index + 1) {
            return false;
        }
        self.durable_end = self.durable_end.min(index);
        true
    }

    /// Entries of a group are on the disk. One truncated since is passed over.
    pub(crate) fn placed(&mut self, places: &[(LogId, Place)]) {
        for (id, place) in places {
            self.note_highest(place.segment, id.index);
            if self.places.set(*id, *place) {
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
        self.leftovers.remove(segment);
        self.highest.remove(&segment);
    }

    /// Forgets entries after `last`; with `None`, all of them.
    pub(crate) fn truncate_after(&mut self, last: Option<LogId>) {
        let index = last.map_or(0, |id| id.index + 1);
        for _ in 0..self.places.truncate(index) {
            self.cache.drop_newest();
        }
        self.durable_end = self.durable_end.min(index);
    }

    /// Entries were taken back from before the first that was read: the log goes on behind this one.
    pub(super) fn reach_back(&mut self, last: Option<LogId>) {
        if self.places.is_empty() && self.purged.map(|id| id.index) > last.map(|id| id.index) {
            self.purged = last;
        }
    }

    /// Forgets entries up to `id`.
    pub(crate) fn purge(&mut self, id: LogId) {
        self.places.purge(id.index);
        while self.cache.len() > self.places.later() {
            self.cache.drop_oldest();
        }
        self.purged = Some(id);
    }

    /// What is needed to read the entries of a range that are in the log. None of them may be
    /// [`Book::unknown`].
    pub(crate) fn copies(&self, range: &Range<u64>) -> Vec<Copy> {
        let (from, end) = (range.start.max(self.places.start()), range.end.min(self.places.end()));
        let cached_from = self.places.end() - self.cache.len() as u64;
        let mut copies = Vec::with_capacity(end.saturating_sub(from) as usize);
        for index in from..end {
            let cached = index.checked_sub(cached_from).and_then(|at| self.cache.get(at as usize));
            if let Some(entry) = cached {
                copies.push(Copy::Here(entry.clone()));
                continue;
            }
            let (id, place) =
                self.places.get(index).expect("an index between the first and the last, of a segment that was read");
            let file = Arc::clone(self.segments.get(&place.segment).expect("a segment with live entries is kept"));
            copies.push(Copy::There(Fetch { id, place, file }));
        }
        copies
    }

    /// This node asked for votes with a vote that is on the disk, and a majority gave theirs:
    /// it leads. `false`: what is on the disk is another vote.
    ///
    /// That it leads need not be on the disk before it does. A node that forgets it knows the
    /// vote that it asked with, and so leads in a later term or not at all; what it writes as a
    /// leader comes after this in the log.
    pub(crate) fn grant(&mut self, vote: &Vote) -> bool {
        let asked = self.vote.is_some_and(|known| known.leader_id == vote.leader_id);
        if asked {
            self.vote = Some(*vote);
        }
        asked
    }

    /// How many entries from `start` fit in `bytes_max`, at least one.
    pub(crate) fn fitting_end(&self, start: u64, end: u64, bytes_max: u64) -> u64 {
        let mut bytes = 0;
        for index in start.max(self.places.start())..end.min(self.places.end()) {
            bytes += self.places.get(index).map_or(0, |(_, place)| u64::from(place.bytes));
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
        while self.cache.is_over() && self.places.end() - (self.cache.len() as u64) < self.durable_end {
            self.cache.drop_oldest();
        }
    }
}
