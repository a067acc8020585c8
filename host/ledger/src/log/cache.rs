//! The newest entries of the log in memory: applying and replicating read what was just written.

use std::collections::VecDeque;

use openraft::EntryPayload;

use crate::raft::Entry;

/// How much is kept, in bytes of payload. Entries that are not on the disk yet are kept whatever
/// their size.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries, the oldest first.
#[derive(Default)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Cache {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is more than should be kept.
    pub(super) fn is_over(&self) -> bool {
        self.bytes > BYTES_MAX && !self.entries.is_empty()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Entry> {
        self.entries.get(at)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += payload_bytes(&entry);
        self.entries.push_back(entry);
    }

    pub(super) fn drop_newest(&mut self) {
        self.bytes -= self.entries.pop_back().as_ref().map_or(0, payload_bytes);
    }

    pub(super) fn drop_oldest(&mut self) {
        self.bytes -= self.entries.pop_front().as_ref().map_or(0, payload_bytes);
    }
}

/// Memory an entry holds, roughly.
fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len() + 128,
        EntryPayload::Blank | EntryPayload::Membership(_) => 256,
    }
}
