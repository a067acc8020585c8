//! Where each entry of the log lies, by index: in runs up to the last segment that a start did not
//! read, and behind it one by one those that it read or that were written since.

use std::collections::VecDeque;
use std::ops::Range;

use super::book::Place;
use super::runs::{Run, Runs, Spots};
use crate::raft::LogId;

/// Entries without a hole between them.
#[derive(Default)]
pub(super) struct Places {
    runs: Runs,
    /// Index of the first entry in `later`; where the runs end, if there are any.
    first: u64,
    later: VecDeque<(LogId, Place)>,
}

impl Places {
    pub(super) fn is_empty(&self) -> bool {
        self.later.is_empty() && self.runs.is_empty()
    }

    /// Index of the first entry.
    pub(super) fn start(&self) -> u64 {
        self.runs.first().unwrap_or(self.first)
    }

    /// One past the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.later.len() as u64
    }

    /// How many of the newest are not in runs.
    pub(super) fn later(&self) -> usize {
        self.later.len()
    }

    pub(super) fn last(&self) -> Option<LogId> {
        self.later.back().map(|(id, _)| *id).or(self.runs.last())
    }

    pub(super) fn id(&self, index: u64) -> Option<LogId> {
        match index.checked_sub(self.first) {
            Some(at) => self.later.get(at as usize).map(|(id, _)| *id),
            None => self.runs.id(index),
        }
    }

    /// Where an entry lies, if its segment was read.
    pub(super) fn get(&self, index: u64) -> Option<(LogId, Place)> {
        match index.checked_sub(self.first) {
            Some(at) => self.later.get(at as usize).copied(),
            None => self.runs.id(index).zip(self.runs.place(index)),
        }
    }

    /// Segments of a range of entries that were not read.
    pub(super) fn unknown(&self, range: &Range<u64>) -> impl Iterator<Item = u64> {
        self.runs.unknown(range)
    }

    /// Takes where the entries of a segment lie that was read.
    pub(super) fn learn(&mut self, segment: u64, spots: Spots) {
        self.runs.learn(segment, spots);
    }

    /// Where all of them lie, if they lie in one segment that was read.
    pub(super) fn spots(&self) -> Spots {
        let mut spots = Spots::default();
        self.later.iter().for_each(|(id, place)| spots.push(id.index, *place));
        spots
    }

    /// Says where an entry lies that is there already; `false`: it is not.
    pub(super) fn set(&mut self, id: LogId, place: Place) -> bool {
        let at = id.index.checked_sub(self.first);
        let Some(slot) = at.and_then(|at| self.later.get_mut(at as usize)) else { return false };
        let is_there = slot.0 == id;
        if is_there {
            slot.1 = place;
        }
        is_there
    }

    /// Adds an entry behind the last.
    pub(super) fn push(&mut self, id: LogId, place: Place) {
        if self.is_empty() {
            self.first = id.index;
        }
        self.later.push_back((id, place));
    }

    /// Adds a run behind the last entry.
    pub(super) fn push_run(&mut self, run: Run) {
        let Some(last) = run.last() else { return };
        self.later.drain(..).for_each(|(id, place)| self.runs.take(id, place));
        self.first = last.index + 1;
        self.runs.push(run);
    }

    /// Forgets the entries from this index on; how many of them were not in runs.
    pub(super) fn truncate(&mut self, index: u64) -> usize {
        let keep = index.saturating_sub(self.first).min(self.later.len() as u64) as usize;
        let gone = self.later.len() - keep;
        self.later.truncate(keep);
        if keep == 0
            && let Some(end) = self.runs.truncate(index)
        {
            self.first = end;
        }
        gone
    }

    /// Forgets the entries up to this index.
    pub(super) fn purge(&mut self, index: u64) {
        self.runs.purge(index);
        while self.later.front().is_some_and(|(first, _)| first.index <= index) {
            self.later.pop_front();
            self.first += 1;
        }
    }

    /// Of a range, the last entry of each leader.
    pub(super) fn last_of_each_leader(&self, range: &Range<u64>) -> Vec<LogId> {
        let later = range.start.max(self.first)..range.end.min(self.end());
        let later = later.map(|index| self.later[(index - self.first) as usize].0);
        let mut last: Vec<LogId> = Vec::new();
        for id in self.runs.ends(range).chain(later) {
            match last.last_mut() {
                Some(before) if before.leader_id == id.leader_id => *before = id,
                _ => last.push(id),
            }
        }
        last
    }
}
