//! The ledger of a node that keeps everything in memory: for tests, and for `inmem`
//! storage. Same checks and limits as the real one; nothing survives the process.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;

use crate::change::{Change, Verdict, Version, keys_digest};
use crate::limits::{CHANGE_BYTES_MAX, LEDGER_KEY_BYTES_MAX, LEDGER_VALUE_BYTES_MAX};
use crate::seam::ledger::{Ledger, LedgerError, Standing, Versioned, View};

use self::pages::{Pages, Record};

mod pages;

/// A cluster of one, in memory. It always leads, and every proposal is applied at once.
#[derive(Default)]
pub struct FakeLedger(RwLock<State>);

/// Views share the pages; a change copies those it touches.
#[derive(Default)]
struct State {
    pages: Arc<Pages>,
    index: Version,
}

impl FakeLedger {
    /// A ledger with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Ledger for FakeLedger {
    fn view(&self) -> Result<Arc<dyn View>, LedgerError> {
        let pages: Arc<Pages> = Arc::clone(&self.0.read().pages);
        Ok(pages)
    }

    async fn linearizable(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn propose(&self, change: Change) -> Result<Verdict, LedgerError> {
        refuse_oversize(&change)?;
        let mut state = self.0.write();
        // A change that meets a conflict takes an index too, as a log entry would.
        state.index += 1;
        if !holds(&state.pages, &change) {
            return Ok(Verdict::Conflict);
        }
        let version = state.index;
        if !change.writes.is_empty() {
            apply(Arc::make_mut(&mut state.pages), change, version);
        }
        Ok(Verdict::Committed(version))
    }

    fn standing(&self) -> Standing {
        let index = self.0.read().index;
        Standing { leader: true, term: 1, committed_index: index, applied_index: index }
    }
}

impl View for Pages {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, LedgerError> {
        let found = self.find(key);
        Ok(found.map(|record| Versioned { version: record.version, bytes: record.bytes.clone() }))
    }

    fn keys(&self, from: &[u8], end: &[u8], limit: u32) -> Result<Vec<Vec<u8>>, LedgerError> {
        Ok(self.stretch(from, end, limit).map(|record| record.key.clone()).collect())
    }
}

fn refuse_oversize(change: &Change) -> Result<(), LedgerError> {
    let within = |what, bytes, limit| {
        if bytes > limit { Err(LedgerError::TooLarge { what, bytes, limit }) } else { Ok(()) }
    };
    for write in &change.writes {
        within("ledger key", write.key.len(), LEDGER_KEY_BYTES_MAX)?;
        within("ledger value", write.value.as_ref().map_or(0, Vec::len), LEDGER_VALUE_BYTES_MAX)?;
    }
    within("change", change.bytes(), CHANGE_BYTES_MAX)
}

fn holds(pages: &Pages, change: &Change) -> bool {
    let same_version = change.reads.iter().all(|read| pages.find(&read.key).map(|r| r.version) == read.version);
    same_version
        && change.ranges.iter().all(|range| {
            let keys = pages.stretch(&range.from, &range.end, range.limit).map(|record| record.key.as_slice());
            keys_digest(keys) == range.digest
        })
}

fn apply(pages: &mut Pages, change: Change, version: Version) {
    for write in change.writes {
        match write.value {
            Some(bytes) => pages.put(Record { key: write.key, version, bytes }),
            None => pages.remove(&write.key),
        }
    }
}

#[cfg(test)]
mod tests;
