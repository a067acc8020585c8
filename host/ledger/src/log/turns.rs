//! Where in a segment of the log the leader changes: what else must be known of it, beside how it
//! begins and ends, to know the ids of its entries without reading it.

use crate::raft::LogId;

/// Changes of the leader that are kept for one segment. Why: the record that holds them must fit a
/// segment's first sector, with everything else in it.
const TURNS_MAX: usize = 6;

/// The changes in one segment, as it is written or read.
pub(super) struct Turns {
    last: Option<LogId>,
    /// `None`: entries were taken back or left out, or there were too many changes.
    firsts: Option<Vec<LogId>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self::after(None)
    }
}

impl Turns {
    /// Of a segment before which this is the last entry.
    pub(super) fn after(last: Option<LogId>) -> Self {
        Self { last, firsts: Some(Vec::new()) }
    }

    /// Of a segment that was not read, which ends with this entry.
    pub(super) fn known(last: Option<LogId>, firsts: Option<Vec<LogId>>) -> Self {
        Self { last, firsts }
    }

    /// An entry was added.
    pub(super) fn entry(&mut self, id: LogId) {
        if self.last.is_none_or(|last| last.leader_id != id.leader_id) {
            self.firsts = self.firsts.take().filter(|firsts| firsts.len() < TURNS_MAX);
            self.firsts.iter_mut().for_each(|firsts| firsts.push(id));
        }
        self.last = Some(id);
    }

    /// What comes next does not follow the entry before: some were taken back or left out.
    pub(super) fn break_off(&mut self) {
        self.firsts = None;
    }

    /// The first entry of each leader whose first entry lies in the segment.
    pub(super) fn firsts(&self) -> Option<&[LogId]> {
        self.firsts.as_deref()
    }
}
