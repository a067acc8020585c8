//! Judges entries one after the other and gathers what they write, so that many entries
//! become one batch. Each sees what those before it in the group wrote. Deterministic:
//! the answer depends on the entries and the state alone.

use std::collections::BTreeMap;
use std::ops::Bound;

use bulkhead_model::change::{Verdict, keys_digest};
use bulkhead_model::seam::ledger::LedgerError;
use openraft::EntryPayload;
use sha2::{Digest, Sha256};

use super::recent::Recent;
use super::restore::{self as apart, UNDER_WAY, apart_key};
use super::state::{Meta, VERSION_BYTES, map_key, meta_put, split_version, versioned, with_map_key};
use crate::codec::restore::{self, Form, RestoreId, Step};
use crate::codec::{ChangeLines, RangeLine, ReadLine, decode};
use crate::disk::Disk;
use crate::raft::{Answer, Entry, StoredMembership};

/// A group is written out once it holds this many bytes.
pub(crate) const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries judged but not yet written.
pub(crate) struct Group<'a> {
    disk: &'a Disk,
    recent: &'a Recent,
    /// The note as it will be after these entries.
    pub(crate) meta: Meta,
    /// What they leave at each key: the whole value, or `None` for a removal.
    left: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    /// The meta differs from what is on the disk.
    dirty: bool,
}

impl<'a> Group<'a> {
    pub(crate) fn new(disk: &'a Disk, recent: &'a Recent, meta: Meta) -> Self {
        Self { disk, recent, meta, left: BTreeMap::new(), bytes: 0, dirty: false }
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= GROUP_BYTES_MAX
    }

    /// Judges an entry and keeps what it writes.
    pub(crate) fn take(&mut self, entry: &Entry) -> Result<Answer, LedgerError> {
        let (answer, bytes): (_, &[u8]) = match &entry.payload {
            EntryPayload::Blank => (Answer::Nothing, &[]),
            EntryPayload::Membership(membership) => {
                self.meta.turn(StoredMembership::new(Some(entry.log_id), membership.clone()));
                (Answer::Nothing, &[])
            }
            EntryPayload::Normal(payload) => (self.change(entry.log_id.index, &payload.0)?, &payload.0),
        };
        self.note(entry, answer, bytes);
        Ok(answer)
    }

    /// Notes an entry that was judged elsewhere.
    pub(crate) fn note(&mut self, entry: &Entry, answer: Answer, bytes: &[u8]) {
        self.meta.applied = Some(entry.log_id);
        self.meta.digest = next_digest(&self.meta.digest, entry.log_id.index, answer, bytes);
        self.dirty = true;
    }

    /// Writes the group as one batch.
    pub(crate) fn write(&mut self) -> Result<(), LedgerError> {
        if !self.dirty {
            return Ok(());
        }
        let last = self.meta.applied.map(|id| id.index);
        if let Some(last) = last {
            self.recent.forget(self.left.keys().map(|key| &key[1..]), last);
        }
        let mut batch = self.disk.batch(self.left.len() + 1);
        for (key, value) in std::mem::take(&mut self.left) {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.remove(key),
            }
        }
        let (key, value) = meta_put(&self.meta);
        batch.put(key, value);
        batch.commit()?;
        if let Some(last) = last {
            self.recent.applied(last);
        }
        (self.bytes, self.dirty) = (0, false);
        Ok(())
    }

    fn change(&mut self, index: u64, payload: &[u8]) -> Result<Answer, LedgerError> {
        let Some(lines) = decode(payload) else { return self.lay_apart(index, payload) };
        if !self.holds(&lines)? {
            return Ok(Answer::Judged(Verdict::Conflict));
        }
        for write in &lines.writes {
            let value = write.value.map(|value| versioned(index, value.0));
            self.bytes += write.key.0.len() + value.as_ref().map_or(0, Vec::len);
            self.left.insert(map_key(write.key.0), value);
        }
        Ok(Answer::Judged(Verdict::Committed(index)))
    }

    fn lay_apart(&mut self, index: u64, payload: &[u8]) -> Result<Answer, LedgerError> {
        let Some((form, Step::Records { id, records })) = restore::decode(payload) else { return Ok(Answer::Refused) };
        if form == Form::Begun && !self.is_under_way(&id)? {
            return Ok(Answer::Judged(Verdict::Conflict));
        }
        for (key, value) in records {
            self.bytes += key.0.len() + value.0.len();
            self.left.insert(apart_key(&id, key.0), Some(value.0.to_vec()));
        }
        Ok(Answer::Judged(Verdict::Committed(index)))
    }

    fn is_under_way(&self, id: &RestoreId) -> Result<bool, LedgerError> {
        Ok(self.disk.get(&UNDER_WAY)?.map(|noted| apart::id_of(&noted)).transpose()? == Some(*id))
    }

    /// Notes which restoring is under way from now on, if any is.
    pub(crate) fn turn_to(&mut self, id: Option<&RestoreId>) {
        self.left.insert(UNDER_WAY.to_vec(), id.map(|id| id.to_vec()));
    }

    fn holds(&mut self, lines: &ChangeLines<'_>) -> Result<bool, LedgerError> {
        for read in &lines.reads {
            if !self.read_holds(read)? {
                return Ok(false);
            }
        }
        for range in &lines.ranges {
            if !self.range_holds(range)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_holds(&self, read: &ReadLine<'_>) -> Result<bool, LedgerError> {
        let version = with_map_key(read.key.0, |key| match self.left.get(key) {
            Some(left) => Ok(left.as_ref().map(|value| version_of(value))),
            None => {
                let found = match self.recent.now(read.key.0) {
                    Some(known) => known,
                    None => self.disk.get(key)?,
                };
                found.map(|value| split_version(&value).map(|(version, _)| version)).transpose()
            }
        })?;
        Ok(version == read.version)
    }

    fn range_holds(&mut self, range: &RangeLine<'_>) -> Result<bool, LedgerError> {
        let (from, end) = (map_key(range.from.0), map_key(range.end.0));
        // Listing sees the disk only, so what this group left in the stretch goes there first.
        if from < end && self.left.range::<Vec<u8>, _>((Bound::Included(&from), Bound::Excluded(&end))).next().is_some()
        {
            self.write()?;
        }
        let view = self.disk.view();
        let keys = view.keys(&from, &end).take(range.limit as usize).collect::<Result<Vec<_>, _>>()?;
        Ok(keys_digest(keys.iter().map(|key| &key[1..])) == range.digest)
    }
}

fn version_of(value: &[u8]) -> u64 {
    let version = value.first_chunk::<VERSION_BYTES>().expect("the group put the version in front");
    u64::from_be_bytes(*version)
}

fn next_digest(before: &[u8; 32], index: u64, answer: Answer, payload: &[u8]) -> [u8; 32] {
    let verdict = match answer {
        Answer::Nothing => 0u8,
        Answer::Judged(Verdict::Committed(_)) => 1,
        Answer::Judged(Verdict::Conflict) => 2,
        Answer::Refused | Answer::NotWhole | Answer::NotAlone => 3,
    };
    let hash = Sha256::new().chain_update(before).chain_update(index.to_be_bytes()).chain_update([verdict]);
    hash.chain_update(payload).finalize().into()
}
