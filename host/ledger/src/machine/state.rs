//! Holds the open map and the directory it lies in: which one is current, how a damaged
//! one is set aside, how a whole new one takes its place. Views are made here.
//!
//! ```text
//! state/current      the number of the map in use
//! state/N/           that map
//! state/rebuild      its bytes were found damaged: start from snapshot and log
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use bulkhead_model::metrics::Timer;
use bulkhead_model::seam::ledger::{LedgerError, Versioned, View};
use parking_lot::RwLock;
use serde::Serialize;

use crate::disk::{Disk, DiskView, Slice};
use crate::fault::storage;
use crate::files::{Files, RealFiles, make_dir, write_atomically};
use crate::machine::recent::Recent;
use crate::raft::{LogId, StoredMembership};
use crate::removed;

/// Where the machine's own note lies; before every record.
const META_KEY: [u8; 1] = [0];

/// First byte of every record's key in the map.
const RECORD_PREFIX: u8 = 1;

/// Bytes of the version in front of every value.
pub(crate) const VERSION_BYTES: usize = 8;

/// What the machine knows about itself, written with every batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Meta {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    /// Chained over every applied entry and its verdict: nodes that applied the same
    /// entries hold the same digest.
    pub(crate) digest: [u8; 32],
    /// Numbers of nodes that were members, the oldest first. Last, and missing in notes that
    /// were written before it was kept.
    pub(crate) removed: Vec<u64>,
}

impl Meta {
    /// The note as it is kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("the machine's note is plain data")
    }

    /// The note that was kept; `None` if it is none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ((applied, membership, digest), rest) = postcard::take_from_bytes(bytes).ok()?;
        let removed = if rest.is_empty() { Vec::new() } else { postcard::from_bytes(rest).ok()? };
        Some(Self { applied, membership, digest, removed })
    }

    /// The members are these from now on, by the entry of this id.
    pub(crate) fn turn(&mut self, members: StoredMembership) {
        let before = std::mem::replace(&mut self.membership, members);
        let list = std::mem::take(&mut self.removed);
        self.removed = removed::after(list, before.membership(), self.membership.membership());
    }
}

/// What lies in the state's directory. To look takes some time and changes nothing, so it is done
/// beside the opening of the log; what to make of it is [`State::open`]'s.
pub(crate) struct FoundState {
    directory: PathBuf,
    number: u64,
    opened: Result<(Disk, Meta), LedgerError>,
}

impl FoundState {
    /// Looks.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]; what is damaged is found as that.
    pub(crate) fn look(directory: PathBuf) -> Result<Self, LedgerError> {
        make_dir(&directory).map_err(|e| storage("making the state's directory", &e))?;
        let number = current(&directory).map_err(|e| storage("finding the state", &e))?;
        let opened = if directory.join("rebuild").exists() {
            Err(LedgerError::Damaged { what: "the state, noticed while it was in use".to_owned() })
        } else {
            open_map(&map_path(&directory, number))
        };
        Ok(Self { directory, number, opened })
    }
}

/// The state of one node.
pub(crate) struct State {
    directory: PathBuf,
    disk: RwLock<Option<Arc<Disk>>>,
    /// Records read lately, and the index views are good for.
    pub(crate) recent: Recent,
    /// The newest view: one for all requests until something is applied.
    latest: RwLock<Option<Arc<StateView>>>,
    /// How long it takes to apply what was committed, a batch at a time.
    pub(crate) applying: Timer,
    number: AtomicU64,
    /// One past the last index that was brought to the disk.
    synced: AtomicU64,
}

impl State {
    /// Opens the state, or starts an empty one where it is missing or damaged: the log
    /// and the snapshot hold all of it.
    pub(crate) fn open(found: FoundState) -> Result<(Arc<Self>, Meta), LedgerError> {
        let FoundState { directory, number, opened } = found;
        let (number, disk, meta) = match opened {
            Ok((disk, meta)) => (number, disk, meta),
            Err(LedgerError::Damaged { what }) => {
                tracing::warn!(what, "setting the damaged state aside; rebuilding it from snapshot and log");
                let number =
                    set_aside(&directory, number).map_err(|e| storage("setting the damaged state aside", &e))?;
                let (disk, meta) = open_map(&map_path(&directory, number))?;
                (number, disk, meta)
            }
            Err(other) => return Err(other),
        };
        let state = Self {
            directory,
            disk: RwLock::new(Some(Arc::new(disk))),
            applying: Timer::default(),
            recent: Recent::new(meta.applied.map(|id| id.index)),
            latest: RwLock::new(None),
            number: AtomicU64::new(number),
            synced: AtomicU64::new(0),
        };
        state.remove_leftovers();
        Ok((Arc::new(state), meta))
    }

    /// The open map.
    pub(crate) fn disk(&self) -> Result<Arc<Disk>, LedgerError> {
        self.disk.read().clone().ok_or_else(|| LedgerError::Stopped { cause: "it was shut down".to_owned() })
    }

    /// The records as they are now.
    pub(crate) fn view(self: &Arc<Self>) -> Result<Arc<StateView>, LedgerError> {
        let index = self.recent.index();
        if let Some(latest) = self.latest.read().as_ref().filter(|view| view.index == index) {
            return Ok(Arc::clone(latest));
        }
        let mut latest = self.latest.write();
        // After the index was read, before the map can be replaced or closed.
        let disk = self.disk()?;
        let view = Arc::new(StateView { view: disk.view(), index, state: Arc::downgrade(self) });
        *latest = Some(Arc::clone(&view));
        Ok(view)
    }

    /// Brings everything up to `index` to the disk, if it is not there yet.
    pub(crate) fn sync_upto(&self, index: u64) -> Result<(), LedgerError> {
        if self.synced.load(SeqCst) > index {
            return Ok(());
        }
        self.disk()?.sync()?;
        self.synced.fetch_max(index + 1, SeqCst);
        Ok(())
    }

    /// Fills a new map, of this index, and puts it in the place of the old. Until the last
    /// step, a crash leaves the old one.
    pub(crate) fn replace(
        &self,
        index: Option<u64>,
        fill: impl FnOnce(&Disk) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let number = self.number.load(SeqCst) + 1;
        let path = map_path(&self.directory, number);
        remove_tree(&path).map_err(|e| storage("clearing the place of a new state", &e))?;
        let disk = Disk::open(&path)?;
        fill(&disk)?;
        disk.sync()?;
        point_to(&self.directory, number).map_err(|e| storage("switching to a new state", &e))?;
        self.number.store(number, SeqCst);
        self.recent.forget_all(index);
        // Views of the old map keep it open until they end.
        let mut latest = self.latest.write();
        *self.disk.write() = Some(Arc::new(disk));
        *latest = None;
        drop(latest);
        if let Some(index) = index {
            self.recent.applied(index);
        }
        self.remove_leftovers();
        Ok(())
    }

    /// Brings everything to the disk and closes the map, once the last view ends.
    pub(crate) fn close(&self) -> Result<(), LedgerError> {
        let mut latest = self.latest.write();
        let disk = self.disk.write().take();
        *latest = None;
        drop(latest);
        disk.map_or(Ok(()), |disk| disk.sync())
    }

    /// Has the next start rebuild the state.
    fn doubt(&self, what: &str) {
        tracing::error!(what, "what was read is damaged; restart this node: it then rebuilds it from snapshot and log");
        if let Err(e) = std::fs::write(self.directory.join("rebuild"), b"") {
            tracing::error!(error = %e, "could not note that the state is damaged");
        }
    }

    /// Removes maps that are no longer, or not yet, in use.
    fn remove_leftovers(&self) {
        let number = self.number.load(SeqCst);
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let other = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if other.is_some_and(|other| other != number) {
                // A map still in use by a view goes at the next start.
                drop(std::fs::remove_dir_all(entry.path()));
            }
        }
    }
}

/// The records at one moment.
pub(crate) struct StateView {
    view: DiskView,
    index: u64,
    /// Weak, because the state keeps its newest view.
    state: Weak<State>,
}

impl StateView {
    fn judge<T>(&self, found: Result<T, LedgerError>) -> Result<T, LedgerError> {
        if let (Err(LedgerError::Damaged { what }), Some(state)) = (&found, self.state.upgrade()) {
            state.doubt(what);
        }
        found
    }
}

impl StateView {
    fn find(&self, key: &[u8]) -> Result<Option<Slice>, LedgerError> {
        let state = self.state.upgrade();
        if let Some(known) = state.as_ref().and_then(|state| state.recent.at(key, self.index)) {
            return Ok(known);
        }
        let found = self.judge(with_map_key(key, |key| self.view.get(key)))?;
        if let Some(state) = state {
            state.recent.remember(key, found.as_ref(), self.index);
        }
        Ok(found)
    }
}

impl View for StateView {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, LedgerError> {
        let Some(value) = self.find(key)? else { return Ok(None) };
        let (version, bytes) = self.judge(split_version(&value))?;
        Ok(Some(Versioned { version, bytes: bytes.to_vec() }))
    }

    fn keys(&self, from: &[u8], end: &[u8], limit: u32) -> Result<Vec<Vec<u8>>, LedgerError> {
        let (from, end) = (map_key(from), map_key(end));
        let keys = self.view.keys(&from, &end).take(limit as usize);
        let keys = keys.map(|key| key.map(|key| key[1..].to_vec())).collect();
        self.judge(keys)
    }
}

/// A record's key as the map has it.
pub(crate) fn map_key(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 1);
    out.push(RECORD_PREFIX);
    out.extend_from_slice(key);
    out
}

/// Calls with a record's key as the map has it, without allocating for short ones.
pub(crate) fn with_map_key<T>(key: &[u8], call: impl FnOnce(&[u8]) -> T) -> T {
    let mut short = [0; 256];
    if key.len() < short.len() {
        short[0] = RECORD_PREFIX;
        short[1..=key.len()].copy_from_slice(key);
        call(&short[..=key.len()])
    } else {
        call(&map_key(key))
    }
}

/// A value with its version in front.
pub(crate) fn versioned(version: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(VERSION_BYTES + bytes.len());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(bytes);
    out
}

/// Takes a value apart again.
pub(crate) fn split_version(value: &Slice) -> Result<(u64, &[u8]), LedgerError> {
    let (version, bytes) = value
        .split_first_chunk::<VERSION_BYTES>()
        .ok_or_else(|| LedgerError::Damaged { what: "the state: a value without a version".to_owned() })?;
    Ok((u64::from_be_bytes(*version), bytes))
}

/// The machine's note as a put.
pub(crate) fn meta_put(meta: &Meta) -> (Slice, Vec<u8>) {
    (META_KEY.into(), meta.to_bytes())
}

/// Every record of a view, keys and values as the map has them.
pub(crate) fn records(view: &DiskView) -> impl Iterator<Item = Result<(Slice, Slice), LedgerError>> {
    view.range(&[RECORD_PREFIX], &[RECORD_PREFIX + 1])
}

/// Every record, and what lies apart to become one: what a node must be sent.
pub(crate) fn records_and_apart(view: &DiskView) -> impl Iterator<Item = Result<(Slice, Slice), LedgerError>> {
    view.range(&[RECORD_PREFIX], &[RECORD_PREFIX + 2])
}

/// A record as a caller knows it, from what the map has; `None` if it is no record.
pub(crate) fn record_of<'a>(key: &'a [u8], value: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let key = key.strip_prefix(&[RECORD_PREFIX])?;
    Some((key, value.get(VERSION_BYTES..)?))
}

fn open_map(path: &Path) -> Result<(Disk, Meta), LedgerError> {
    let disk = Disk::open(path)?;
    let meta = match disk.get(&META_KEY)? {
        Some(bytes) => Meta::from_bytes(&bytes)
            .ok_or_else(|| LedgerError::Damaged { what: "the state: its note can't be decoded".to_owned() })?,
        None => Meta::default(),
    };
    Ok((disk, meta))
}

fn map_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(number.to_string())
}

fn current(directory: &Path) -> io::Result<u64> {
    match std::fs::read_to_string(directory.join("current")) {
        Ok(text) => text.trim().parse().map_err(|_| io::Error::other("state/current names no state")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => point_to(directory, 1).map(|()| 1),
        Err(e) => Err(e),
    }
}

fn point_to(directory: &Path, number: u64) -> io::Result<()> {
    write_atomically(&RealFiles, &directory.join("current"), number.to_string().as_bytes())
}

/// Keeps the damaged map beside the others for whoever wants to look, once.
fn set_aside(directory: &Path, number: u64) -> io::Result<u64> {
    let aside = directory.join("damaged");
    remove_tree(&aside)?;
    match std::fs::rename(map_path(directory, number), &aside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    point_to(directory, number + 1)?;
    remove_tree(&map_path(directory, number + 1))?;
    match std::fs::remove_file(directory.join("rebuild")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => RealFiles.sync_dir(directory).map(|()| number + 1),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Meta;
    use crate::raft::{StoredMembership, log_id};

    #[test]
    fn a_note_from_before_removed_nodes_were_kept_is_read() {
        let id = Some(log_id(3, 7, 12));
        let old = postcard::to_stdvec(&(id, StoredMembership::default(), [9_u8; 32])).unwrap();
        let note = Meta { applied: id, digest: [9; 32], ..Meta::default() };
        assert_eq!(Meta::from_bytes(&old), Some(note.clone()));
        let now = Meta { removed: vec![4, u64::MAX], ..note };
        assert_eq!(Meta::from_bytes(&now.to_bytes()), Some(now));
        assert_eq!(Meta::from_bytes(&old[1..]), None);
    }
}
