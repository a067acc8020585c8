//! One request's reads and writes: reads of a snapshot, writes kept until the whole
//! becomes one change. Own writes are seen by own reads. Who may read what is decided
//! above; whether the reads still hold, below.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_model::change::{Change, ReadCheck, Version, Write};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::{CHANGE_BYTES_MAX, CHANGE_RECORDS_MAX, LIST_NAMES_MAX, VALUE_BYTES_MAX};
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::ledger::View;

use crate::count;
use crate::error::StoreError;
use crate::key::{Key, Realm};
use crate::keyring::Keyring;
use crate::names::plain_key;
use crate::record::{self, NONCE, OVERHEAD};

use self::found::Found;
use self::ranges::Ranges;

mod ended;
mod found;
mod listing;
mod outside;
mod ranges;
mod realm;

/// What [`Transaction::version`] says of a record this transaction wrote itself. Nothing
/// may be cached under it.
pub const UNCOMMITTED: Version = Version::MAX;

/// Records one transaction may read and write, and one that writes may walk over. One
/// fewer than a change may have, because the count of encryptions may have to go in.
const RECORDS_MAX: usize = CHANGE_RECORDS_MAX - 1;

/// Keys one transaction may walk over while it looks for names. Source: ours, so that as
/// many names as an answer may hold can be found. Why: a walk keeps a core, and what it
/// finds is in memory. More than [`RECORDS_MAX`], because what only reads costs the
/// state machines of the cluster nothing.
const WALKED_MAX: usize = LIST_NAMES_MAX;

/// Reads of one snapshot and buffered writes. See [`Barrier::begin`](crate::Barrier::begin).
pub struct Transaction {
    view: Arc<dyn View>,
    keyring: Arc<Keyring>,
    realm: Realm,
    reads: Vec<ReadCheck>,
    ranges: Ranges,
    /// By ledger key, so that a walk can merge them in.
    writes: BTreeMap<Vec<u8>, Pending>,
    /// Of the writes, as they will be in the change.
    written_bytes: usize,
    /// Records read or written.
    touched: usize,
    /// Keys walked over.
    walked: usize,
    /// Names of folders that were listed.
    found: Found,
    /// Keeps its allocation between records.
    scratch: Vec<u8>,
    /// Names of things that there are none of any more after the commit.
    ended: Vec<[u8; 32]>,
}

/// A write to come.
enum Pending {
    /// To be encrypted when the change is made, under a nonce of its own.
    Put(Hidden<Vec<u8>>),
    /// Wrapped already: one of the barrier's own records.
    Wrapped(Vec<u8>),
    Delete,
}

/// Whether a read may make the change conflict.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Track {
    /// The change commits only if what was read still holds.
    Recorded,
    /// For what is read on every request and checked in other ways.
    Unrecorded,
}

impl Transaction {
    pub(crate) fn new(view: Arc<dyn View>, keyring: Arc<Keyring>) -> Self {
        Self {
            view,
            keyring,
            realm: Realm::ROOT,
            reads: Vec::new(),
            ranges: Ranges::default(),
            writes: BTreeMap::new(),
            written_bytes: 0,
            touched: 0,
            walked: 0,
            found: Found::default(),
            scratch: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// A transaction on the same snapshot, over the same books, in which nothing was read or
    /// written.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { realm: self.realm, ..Self::new(Arc::clone(&self.view), Arc::clone(&self.keyring)) }
    }

    /// A record's value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&mut self, key: &Key) -> Result<Option<Hidden<Vec<u8>>>, StoreError> {
        self.read_value(key, Track::Recorded)
    }

    /// As [`get`](Self::get), but a change of the record in the meantime is no conflict.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get_untracked(&mut self, key: &Key) -> Result<Option<Hidden<Vec<u8>>>, StoreError> {
        self.read_value(key, Track::Unrecorded)
    }

    /// Which version of a record this snapshot has, without decrypting it: what a cache
    /// asks. [`UNCOMMITTED`] for one this transaction wrote.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn version(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        self.read_version(key, Track::Recorded)
    }

    /// As [`version`](Self::version), but a change of the record in the meantime is no
    /// conflict.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn version_untracked(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        self.read_version(key, Track::Unrecorded)
    }

    /// Writes a record. Nothing is read for it, so by itself it conflicts with nothing.
    ///
    /// # Errors
    /// [`StoreError`]: over a limit.
    pub fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "value", limit: VALUE_BYTES_MAX });
        }
        let ledger_key = self.ledger_key(key)?;
        self.write(ledger_key, Pending::Put(Hidden::new(value.to_vec())))?;
        self.found.put(key);
        Ok(())
    }

    /// Removes a record, whether or not there is one.
    ///
    /// # Errors
    /// [`StoreError`]: over a limit.
    pub fn delete(&mut self, key: &Key) -> Result<(), StoreError> {
        let ledger_key = self.ledger_key(key)?;
        self.write(ledger_key, Pending::Delete)?;
        self.found.delete(key);
        Ok(())
    }

    /// Removes a record that was written after this transaction's snapshot, at this version:
    /// if it is not that one any more when the change is committed, the change conflicts.
    ///
    /// # Errors
    /// [`StoreError`]: over a limit.
    pub fn delete_later(&mut self, key: &Key, version: Version) -> Result<(), StoreError> {
        let ledger_key = self.ledger_key(key)?;
        self.record(ledger_key, Some(version), Track::Recorded);
        self.delete(key)
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Goes on over a later state, if everything read so far is the same there: reads from
    /// here on see what was committed meanwhile. Says whether it does; if not, nothing has
    /// changed, and a commit would conflict.
    ///
    /// # Errors
    /// [`StoreError::Ledger`].
    pub fn renew(&mut self, view: Arc<dyn View>) -> Result<bool, StoreError> {
        for read in &self.reads {
            if view.get(&read.key)?.map(|found| found.version) != read.version {
                return Ok(false);
            }
        }
        if !self.ranges.hold_in(&*view)? {
            return Ok(false);
        }
        self.view = view;
        // Listings may have been read without a check.
        self.found.forget();
        Ok(true)
    }

    /// Everything as one change for the ledger: names and values encrypted, each value
    /// under a fresh nonce, with the checks of what was read.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; [`StoreError::TooMany`] if so much was walked over that
    /// the check of it would keep the state machines busy.
    pub fn into_change(mut self, entropy: &dyn Entropy) -> Result<Change, StoreError> {
        // The same key read twice gave the same: it is one snapshot.
        self.reads.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        self.reads.dedup_by(|a, b| a.key == b.key);
        let ranges = self.ranges.into_checks(self.touched)?;
        let mut change = Change { reads: self.reads, ranges, writes: Vec::with_capacity(self.writes.len()) };
        let puts = self.writes.values().filter(|write| matches!(write, Pending::Put(_))).count();
        let mut nonces = Nonces::draw(puts + 1, entropy);
        if puts > 0 && self.keyring.newest().count(puts as u64) {
            change.writes.push(count::reserve(&self.keyring, &*self.view, nonces.next())?);
        }
        for (key, pending) in self.writes {
            let value = match pending {
                Pending::Put(value) => {
                    let term = self.keyring.newest();
                    Some(record::seal(term, &key, value.expose(), nonces.next(), &mut self.scratch))
                }
                Pending::Wrapped(value) => Some(value),
                Pending::Delete => None,
            };
            change.writes.push(Write { key, value });
        }
        if change.bytes() > CHANGE_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "change", limit: CHANGE_BYTES_MAX });
        }
        Ok(change)
    }

    /// One of the barrier's own records, still wrapped.
    pub(crate) fn get_plain(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let ledger_key = plain_key(name);
        if let Some(Pending::Wrapped(bytes)) = self.writes.get(&ledger_key) {
            return Ok(Some(bytes.clone()));
        }
        self.touch(1)?;
        let found = self.view.get(&ledger_key)?;
        self.record(ledger_key, found.as_ref().map(|found| found.version), Track::Recorded);
        Ok(found.map(|found| found.bytes))
    }

    /// Writes one of the barrier's own records, wrapped already, or removes it.
    pub(crate) fn put_plain(&mut self, name: &str, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.write(plain_key(name), value.map_or(Pending::Delete, Pending::Wrapped))
    }

    fn ledger_key(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        self.keyring.names().ledger_key_in(self.realm, key)
    }

    fn read_value(&mut self, key: &Key, track: Track) -> Result<Option<Hidden<Vec<u8>>>, StoreError> {
        let ledger_key = self.ledger_key(key)?;
        match self.writes.get(&ledger_key) {
            Some(Pending::Put(value)) => return Ok(Some(value.duplicate())),
            Some(_) => return Ok(None),
            None => {}
        }
        self.touch(1)?;
        let found = self.view.get(&ledger_key)?;
        let version = found.as_ref().map(|found| found.version);
        let value = match found {
            Some(found) => Some(record::open(&self.keyring, &ledger_key, found.bytes, &mut self.scratch)?),
            None => None,
        };
        self.record(ledger_key, version, track);
        Ok(value)
    }

    fn read_version(&mut self, key: &Key, track: Track) -> Result<Option<Version>, StoreError> {
        let ledger_key = self.ledger_key(key)?;
        match self.writes.get(&ledger_key) {
            Some(Pending::Delete) => return Ok(None),
            Some(_) => return Ok(Some(UNCOMMITTED)),
            None => {}
        }
        self.touch(1)?;
        let version = self.view.get(&ledger_key)?.map(|found| found.version);
        self.record(ledger_key, version, track);
        Ok(version)
    }

    fn record(&mut self, key: Vec<u8>, version: Option<Version>, track: Track) {
        if track == Track::Recorded {
            self.reads.push(ReadCheck { key, version });
        }
    }

    fn write(&mut self, ledger_key: Vec<u8>, pending: Pending) -> Result<(), StoreError> {
        self.touch(1)?;
        let bytes = ledger_key.len() + pending.bytes();
        let replaced = self.writes.get(&ledger_key).map_or(0, |old| ledger_key.len() + old.bytes());
        let written_bytes = self.written_bytes + bytes - replaced;
        if written_bytes > CHANGE_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "change", limit: CHANGE_BYTES_MAX });
        }
        self.written_bytes = written_bytes;
        self.writes.insert(ledger_key, pending);
        Ok(())
    }

    /// Counts records against the limit, before the work on them is done.
    fn touch(&mut self, records: usize) -> Result<(), StoreError> {
        let touched = self.touched + records;
        if touched > RECORDS_MAX {
            return Err(StoreError::TooMany { what: "records", limit: RECORDS_MAX });
        }
        self.touched = touched;
        Ok(())
    }
}

impl Pending {
    /// Length in the change, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Put(value) => value.expose().len() + OVERHEAD,
            Self::Wrapped(value) => value.len(),
            Self::Delete => 0,
        }
    }
}

/// Nonces for one change, drawn at once: a call to the system for each would cost more
/// than the encryption.
struct Nonces {
    bytes: Vec<u8>,
    at: usize,
}

impl Nonces {
    fn draw(count: usize, entropy: &dyn Entropy) -> Self {
        let mut bytes = vec![0; count * NONCE];
        entropy.fill(&mut bytes);
        Self { bytes, at: 0 }
    }

    fn next(&mut self) -> [u8; NONCE] {
        let nonce = self.bytes[self.at..self.at + NONCE].try_into().expect("one nonce was drawn for each record");
        self.at += NONCE;
        nonce
    }
}

#[cfg(test)]
mod tests;
