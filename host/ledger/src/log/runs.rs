//! Entries that lie one behind the other in segments which a start did not read, or in those
//! between: taken over whole, so that a long log costs a start little.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::book::Place;
use crate::raft::LogId;

/// Where an entry lies in its segment, as [`Place`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    sector: u32,
    at: u32,
    bytes: u32,
}

/// Where entries of a segment lie that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spots {
    /// Index of the first one's entry.
    from: u64,
    spots: Vec<Spot>,
}

impl Spots {
    /// Adds where the next entry lies.
    pub(super) fn push(&mut self, index: u64, place: Place) {
        if self.spots.is_empty() {
            self.from = index;
        }
        self.spots.push(Spot { sector: place.sector, at: place.at, bytes: place.bytes });
    }

    fn get(&self, index: u64, segment: u64) -> Option<Place> {
        let at = usize::try_from(index.checked_sub(self.from)?).ok()?;
        let Spot { sector, at, bytes } = *self.spots.get(at)?;
        Some(Place { segment, sector, at, bytes })
    }
}

/// Entries of one leader in one segment.
pub(super) struct Run {
    pub(super) segment: u64,
    /// The entry they end with, until some are taken back.
    last: LogId,
    range: Range<u64>,
    /// `None`: the segment was not read yet.
    spots: Option<Arc<Spots>>,
}

impl Run {
    /// Entries from this index up to the last one; nobody has looked yet where they lie.
    pub(super) fn unknown(segment: u64, first: u64, last: LogId) -> Self {
        Self { segment, last, range: first..last.index + 1, spots: None }
    }

    /// One entry that lies here.
    pub(super) fn of(id: LogId, place: Place) -> Self {
        let mut spots = Spots::default();
        spots.push(id.index, place);
        Self { segment: place.segment, last: id, range: id.index..id.index + 1, spots: Some(Arc::new(spots)) }
    }

    /// Adds an entry that follows; `false`: it does not.
    fn extend(&mut self, id: LogId, place: Place) -> bool {
        let follows = (id.leader_id, id.index, place.segment) == (self.last.leader_id, self.range.end, self.segment);
        let Some(spots) = self.spots.as_mut().filter(|_| follows).and_then(Arc::get_mut) else { return false };
        spots.push(id.index, place);
        self.range.end += 1;
        true
    }

    /// Index of the first entry.
    pub(super) fn first(&self) -> u64 {
        self.range.start
    }

    /// The last entry, if there is any.
    pub(super) fn last(&self) -> Option<LogId> {
        (!self.range.is_empty()).then(|| self.id(self.range.end - 1))
    }

    fn id(&self, index: u64) -> LogId {
        LogId { index, ..self.last }
    }
}

/// Runs, each of which goes on where the one before ends.
#[derive(Default)]
pub(super) struct Runs(VecDeque<Run>);

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Index of the first entry.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.front().map(Run::first)
    }

    pub(super) fn last(&self) -> Option<LogId> {
        self.0.back().and_then(Run::last)
    }

    /// Adds entries that go on where these end.
    pub(super) fn push(&mut self, run: Run) {
        self.0.push_back(run);
    }

    fn of(&self, index: u64) -> Option<&Run> {
        let run = self.0.get(self.0.partition_point(|run| run.range.end <= index))?;
        run.range.contains(&index).then_some(run)
    }

    pub(super) fn id(&self, index: u64) -> Option<LogId> {
        self.of(index).map(|run| run.id(index))
    }

    /// Where an entry lies, if its segment was read.
    pub(super) fn place(&self, index: u64) -> Option<Place> {
        let run = self.of(index)?;
        run.spots.as_ref()?.get(index, run.segment)
    }

    /// Adds an entry that lies here.
    pub(super) fn take(&mut self, id: LogId, place: Place) {
        if !self.0.back_mut().is_some_and(|run| run.extend(id, place)) {
            self.0.push_back(Run::of(id, place));
        }
    }

    /// Segments of a range of entries that were not read.
    pub(super) fn unknown(&self, range: &Range<u64>) -> impl Iterator<Item = u64> {
        let within = |run: &&Run| run.spots.is_none() && run.range.start < range.end && range.start < run.range.end;
        self.0.iter().filter(within).map(|run| run.segment)
    }

    /// Takes where the entries of a segment lie that was read.
    pub(super) fn learn(&mut self, segment: u64, spots: Spots) {
        let spots = Arc::new(spots);
        for run in self.0.iter_mut().filter(|run| run.segment == segment && run.spots.is_none()) {
            run.spots = Some(Arc::clone(&spots));
        }
    }

    /// Forgets the entries from this index on; where they end then, if there are any.
    pub(super) fn truncate(&mut self, index: u64) -> Option<u64> {
        while self.0.back().is_some_and(|run| run.first() >= index) {
            self.0.pop_back();
        }
        let last = self.0.back_mut()?;
        last.range.end = last.range.end.min(index);
        Some(last.range.end)
    }

    /// Forgets the entries up to this index.
    pub(super) fn purge(&mut self, index: u64) {
        while self.0.front().is_some_and(|run| run.range.end <= index + 1) {
            self.0.pop_front();
        }
        if let Some(first) = self.0.front_mut() {
            first.range.start = first.range.start.max(index + 1);
        }
    }

    /// The last entry of each run within a range.
    pub(super) fn ends(&self, range: &Range<u64>) -> impl Iterator<Item = LogId> {
        self.0.iter().filter_map(|run| {
            let within = run.range.start.max(range.start)..run.range.end.min(range.end);
            (!within.is_empty()).then(|| run.id(within.end - 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log_id;

    fn runs() -> Runs {
        let mut runs = Runs::default();
        let place = |segment, bytes| Place { segment, sector: 1, at: 0, bytes };
        (10..15).for_each(|index| runs.take(log_id(1, 7, index), place(1, index as u32)));
        runs.take(log_id(2, 7, 15), place(1, 15));
        runs.push(Run::unknown(2, 16, log_id(2, 7, 19)));
        let mut spots = Spots::default();
        (16..20).for_each(|index| spots.push(index, place(2, index as u32)));
        runs.learn(2, spots);
        runs
    }

    fn all(runs: &Runs) -> Vec<(u64, u64, u64, u32)> {
        let found = (0..30).filter_map(|index| Some((runs.id(index)?, runs.place(index)?)));
        found.map(|(id, place)| (id.index, id.leader_id.term, place.segment, place.bytes)).collect()
    }

    fn expected(range: Range<u64>) -> Vec<(u64, u64, u64, u32)> {
        let of = |index| (index, if index < 15 { 1 } else { 2 }, if index < 16 { 1 } else { 2 }, index as u32);
        range.map(of).collect()
    }

    #[test]
    fn entries_are_found_by_index_whatever_is_forgotten_at_either_end() {
        for purged in 9..20 {
            for end in purged + 1..=20 {
                for purge_first in [true, false] {
                    let mut runs = runs();
                    if purge_first {
                        runs.purge(purged);
                    }
                    let left = runs.truncate(end);
                    let first = if purge_first { purged + 1 } else { 10 };
                    assert_eq!(left, (first < end).then_some(end), "purged {purged}, end {end}");
                    runs.purge(purged);
                    assert_eq!(all(&runs), expected(purged + 1..end), "purged {purged}, end {end}");
                    assert_eq!(runs.last().map(|id| id.index), (purged + 1..end).last());
                    assert_eq!(runs.first(), (purged + 1 < end).then_some(purged + 1));
                }
            }
        }
    }

    #[test]
    fn ends_are_within_the_range_that_is_asked_for() {
        let ends = |range| runs().ends(&range).map(|id| (id.leader_id.term, id.index)).collect::<Vec<_>>();
        assert_eq!(ends(0..30), [(1, 14), (2, 15), (2, 19)]);
        assert_eq!(ends(12..17), [(1, 14), (2, 15), (2, 16)]);
        assert_eq!(ends(15..16), [(2, 15)]);
        assert_eq!(ends(20..25), []);
    }

    #[test]
    fn where_entries_of_an_unread_segment_lie_is_known_once_it_is_read_whatever_was_forgotten() {
        let mut runs = Runs::default();
        runs.push(Run::unknown(3, 100, log_id(1, 7, 109)));
        runs.push(Run::unknown(4, 110, log_id(1, 7, 119)));
        assert_eq!(runs.id(105), Some(log_id(1, 7, 105)));
        assert!(runs.place(105).is_none());
        assert_eq!(runs.unknown(&(0..u64::MAX)).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(runs.unknown(&(110..111)).collect::<Vec<_>>(), [4]);
        runs.purge(101);
        runs.truncate(108);
        assert_eq!(runs.unknown(&(0..u64::MAX)).collect::<Vec<_>>(), [3]);
        let mut spots = Spots::default();
        (101..110).for_each(|index| spots.push(index, Place { segment: 3, sector: 2, at: 5, bytes: index as u32 }));
        runs.learn(3, spots);
        let places: Vec<_> = (0..200).filter_map(|index| runs.place(index)).map(|place| place.bytes).collect();
        assert_eq!(places, (102..108).collect::<Vec<_>>());
        assert_eq!(runs.unknown(&(0..u64::MAX)).count(), 0);
    }
}
