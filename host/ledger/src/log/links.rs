//! Checks that each record follows the one before, beside the reading: a digest over every
//! byte takes about as long as everything else that reading a log does.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::record::{Chain, follows};

/// Bytes of groups checked at once. Why: starting a thread costs a tenth of checking them.
const BATCH_BYTES: usize = 256 * 1024;

/// Batches that may be under way. Why: they are memory.
const BATCHES_MAX: usize = 4;

/// Where the group of a record starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) segment: u64,
    pub(super) offset: usize,
}

/// The records of a log, in their order, on their way to be checked.
#[derive(Default)]
pub(super) struct Links {
    batch: Batch,
    /// The digest after the last record, as that record has it.
    last: Chain,
    under_way: VecDeque<(JoinHandle<Option<At>>, Arc<Batch>)>,
    /// One whose memory can be used again.
    spent: Batch,
    broken: Option<At>,
}

#[derive(Default)]
struct Batch {
    /// The digest before the first record.
    before: Chain,
    /// Groups without their sectors' frames.
    content: Vec<u8>,
    records: Vec<(Range<usize>, At)>,
}

impl Links {
    /// Starts over: the next record is the first, and follows on this.
    pub(super) fn start(&mut self, chain: Chain) {
        (self.batch.before, self.last) = (chain, chain);
    }

    /// The digest after the last record. It is proven once [`Links::broken`] finds nothing.
    pub(super) fn last(&self) -> Chain {
        self.last
    }

    /// Where groups are read to, one behind the other.
    pub(super) fn content(&mut self) -> &mut Vec<u8> {
        &mut self.batch.content
    }

    /// Takes a record that lies in the content, and has this digest after it.
    pub(super) fn add(&mut self, record: Range<usize>, at: At, chain: Chain) {
        self.batch.records.push((record, at));
        self.last = chain;
    }

    /// Has the records so far checked, if they are enough for that. Only between two groups.
    pub(super) fn flow(&mut self) {
        if self.batch.content.len() >= BATCH_BYTES {
            self.send();
        }
    }

    /// Leaves records out: the next one follows on this.
    pub(super) fn leap(&mut self, chain: Chain) {
        if !self.batch.records.is_empty() {
            self.send();
        }
        self.start(chain);
    }

    fn send(&mut self) {
        self.join_down_to(BATCHES_MAX - 1);
        let next = std::mem::take(&mut self.spent).emptied(self.last);
        let batch = Arc::new(std::mem::replace(&mut self.batch, next));
        let theirs = Arc::clone(&batch);
        match Builder::new().name("ledger-links".into()).spawn(move || theirs.broken()) {
            Ok(checking) => self.under_way.push_back((checking, batch)),
            // Where there are no threads, it takes longer.
            Err(_) => {
                self.join_down_to(0);
                self.broken = self.broken.or_else(|| batch.broken());
            }
        }
    }

    /// Where the first record lies that does not follow the one before it, if there is one.
    pub(super) fn broken(&mut self) -> Option<At> {
        self.join_down_to(0);
        self.broken.or_else(|| self.batch.broken())
    }

    fn join_down_to(&mut self, batches: usize) {
        while self.under_way.len() > batches {
            let Some((checking, batch)) = self.under_way.pop_front() else { return };
            let broken = checking.join().unwrap_or_else(|panic| resume_unwind(panic));
            self.broken = self.broken.or(broken);
            self.spent = Arc::into_inner(batch).unwrap_or_default();
        }
    }
}

impl Batch {
    fn emptied(mut self, before: Chain) -> Self {
        self.content.clear();
        self.records.clear();
        Self { before, ..self }
    }

    fn broken(&self) -> Option<At> {
        let mut chain = self.before;
        let broken = self.records.iter().find(|(record, _)| !follows(&self.content[record.clone()], &mut chain));
        broken.map(|(_, at)| *at)
    }
}
