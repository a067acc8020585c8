//! A segment of the log that a start did not read: what is known of it from how it begins and how
//! the one behind it does. The log grows with the state before a snapshot shortens it, and a start
//! must not. Where its entries lie is learnt when one of them is asked for, or soon after the start,
//! by [`super::recheck`]; either reads all of it, trusting nothing. Of a segment that a start did
//! read, the chain of digests is left to be proven then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use super::reading::{Head, Reading};
use super::record::{Chain, Checkpoint};
use super::recover::Scan;
use super::runs::{Run, Spots};
use super::segment;
use crate::files::DiskFile;
use crate::raft::LogId;

/// A segment of which something is left to be read.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) segment: u64,
    head: Head,
    /// The number of the group after its last, and the digest there.
    end: (u64, Chain),
    /// How the one behind it begins; `None`: it was read.
    behind: Option<Checkpoint>,
    /// Its entries, if it was not: of each leader, the index of the first, and the last.
    entries: Vec<(u64, LogId)>,
    /// Whether more may be written to it.
    is_newest: bool,
}

impl Unread {
    /// What two segments say, one behind the other, of what lies between their beginnings; `None`
    /// where that does not tell which entries the first one holds.
    pub(super) fn between(head: Head, behind: Head) -> Option<Self> {
        let (one, two) = (&head.checkpoint, &behind.checkpoint);
        let follows = (two.format, two.node, two.segment) == (one.format, one.node, one.segment.checked_add(1)?);
        let entries = entries(one.last, two.turns.as_deref()?, two.last?)?;
        let (segment, end) = (one.segment, (behind.group, two.chain));
        let behind = Some(behind.checkpoint);
        (follows && head.group < end.0).then_some(Self { segment, head, end, behind, entries, is_newest: false })
    }

    /// A segment that was read, up to a group and this digest.
    pub(super) fn looked_at(head: Head, end: (u64, Chain), is_newest: bool) -> Self {
        Self { segment: head.checkpoint.segment, head, end, behind: None, entries: Vec::new(), is_newest }
    }

    /// How it begins.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.head.checkpoint
    }

    /// How the one behind it begins, if it was not read.
    pub(super) fn behind(&self) -> Option<&Checkpoint> {
        self.behind.as_ref()
    }

    /// The numbers of its groups.
    pub(super) fn groups(&self) -> std::ops::Range<u64> {
        self.head.group..self.end.0
    }

    /// The entries it holds, a run for each leader.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        self.entries.iter().map(|(first, last)| Run::unknown(self.segment, *first, *last))
    }

    /// Reads it whole, and finds it to hold what it is known to; returns where its entries lie, but
    /// for those that it says itself are purged.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where it does not, and [`LedgerError::Storage`].
    pub(super) fn read(&self, directory: &Path, file: Arc<dyn DiskFile>) -> Result<Spots, LedgerError> {
        let path = segment::path(directory, self.segment);
        let mut scan = Scan::proving(self.checkpoint().node);
        let mut reading = Reading::new(path, self.segment, file)?;
        if self.is_newest {
            scan.groups(&mut reading, Some(self.end.0))?;
        } else {
            scan.segment(&mut reading, false)?;
        }
        let found = (scan.book.vote, scan.book.last(), scan.turns.firsts());
        let fits_behind = |behind: &Checkpoint| found == (behind.vote, behind.last, behind.turns.as_deref());
        if (scan.next_group(), scan.chain) != self.end || !self.behind.as_ref().is_none_or(fits_behind) {
            return Err(reading.damaged(0, "it does not hold what was written to it"));
        }
        Ok(scan.book.places.spots())
    }
}

/// Segments of which something is left to be read, with their files.
#[derive(Default)]
pub(super) struct Leftovers(BTreeMap<u64, (Arc<Unread>, Arc<dyn DiskFile>)>);

impl Leftovers {
    pub(super) fn add(&mut self, unread: Unread, file: Arc<dyn DiskFile>) {
        self.0.insert(unread.segment, (Arc::new(unread), file));
    }

    pub(super) fn remove(&mut self, segment: u64) {
        self.0.remove(&segment);
    }

    pub(super) fn get(&self, segment: u64) -> Option<(Arc<Unread>, Arc<dyn DiskFile>)> {
        self.0.get(&segment).cloned()
    }

    /// The oldest.
    pub(super) fn next(&self) -> Option<(Arc<Unread>, Arc<dyn DiskFile>)> {
        self.0.values().next().cloned()
    }
}

/// The entries behind one and up to the last, where these are the first of each further leader.
fn entries(before: Option<LogId>, turns: &[LogId], last: LogId) -> Option<Vec<(u64, LogId)>> {
    let end = last.index.checked_add(1)?;
    let mut entries = Vec::with_capacity(turns.len() + 1);
    let mut leader = before.or(turns.first().copied())?;
    let mut first = before.map_or(Some(leader.index), |before| before.index.checked_add(1))?;
    for turn in turns.iter().copied().chain([LogId { index: end, ..last }]) {
        if turn.index < first {
            return None;
        }
        if turn.index > first {
            entries.push((first, LogId { index: turn.index - 1, ..leader }));
        }
        (leader, first) = (turn, turn.index);
    }
    // What the last of them is must be what it is said to be.
    let of_leader = entries.last().map_or(before, |(_, found)| Some(*found));
    (of_leader == Some(last)).then_some(entries)
}
