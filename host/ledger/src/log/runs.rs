//! Entries that lie one behind the other in segments which a start did not read, as those
//! segments' contents have them: taken over whole, so that a long log costs a start little.

use std::collections::VecDeque;
use std::ops::Range;

use super::book::Place;
use super::contents::Spot;
use crate::raft::LogId;

/// Entries of one leader in one segment.
pub(super) struct Run {
    pub(super) segment: u64,
    /// The entry of the first spot.
    base: LogId,
    spots: Vec<Spot>,
    /// Spots at the front that count no more.
    gone: usize,
}

impl Run {
    pub(super) fn new(segment: u64, base: LogId, spots: Vec<Spot>) -> Self {
        Self { segment, base, spots, gone: 0 }
    }

    /// Index of the first entry.
    pub(super) fn first(&self) -> u64 {
        self.base.index + self.gone as u64
    }

    /// One past the last.
    fn end(&self) -> u64 {
        self.base.index + self.spots.len() as u64
    }

    /// The last entry, if there is any.
    pub(super) fn last(&self) -> Option<LogId> {
        (self.first() < self.end()).then(|| self.id(self.end() - 1))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (LogId, Place)> {
        (self.first()..self.end()).map(|index| self.get(index))
    }

    fn id(&self, index: u64) -> LogId {
        LogId { index, ..self.base }
    }

    fn get(&self, index: u64) -> (LogId, Place) {
        (self.id(index), self.spots[(index - self.base.index) as usize].of(self.segment))
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

    pub(super) fn get(&self, index: u64) -> Option<(LogId, Place)> {
        let run = self.0.get(self.0.partition_point(|run| run.end() <= index))?;
        (run.first() <= index).then(|| run.get(index))
    }

    /// Forgets the entries from this index on; where they end then, if there are any.
    pub(super) fn truncate(&mut self, index: u64) -> Option<u64> {
        while self.0.back().is_some_and(|run| run.first() >= index) {
            self.0.pop_back();
        }
        let last = self.0.back_mut()?;
        last.spots.truncate((index - last.base.index) as usize);
        Some(last.end())
    }

    /// Forgets the entries up to this index.
    pub(super) fn purge(&mut self, index: u64) {
        while self.0.front().is_some_and(|run| run.end() <= index + 1) {
            self.0.pop_front();
        }
        if let Some(first) = self.0.front_mut()
            && first.first() <= index
        {
            first.gone = (index + 1 - first.base.index) as usize;
        }
    }

    /// The last entry of each run within a range.
    pub(super) fn ends(&self, range: &Range<u64>) -> impl Iterator<Item = LogId> {
        self.0.iter().filter_map(|run| {
            let within = run.first().max(range.start)..run.end().min(range.end);
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
        let spot = |bytes| Spot::from(Place { segment: 9, sector: 1, at: 0, bytes });
        runs.push(Run::new(1, log_id(1, 7, 10), (10..15).map(spot).collect()));
        runs.push(Run::new(1, log_id(2, 7, 15), (15..16).map(spot).collect()));
        runs.push(Run::new(2, log_id(2, 7, 16), (16..20).map(spot).collect()));
        runs
    }

    fn all(runs: &Runs) -> Vec<(u64, u64, u64, u32)> {
        let found = (0..30).filter_map(|index| runs.get(index));
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
}
