//! The ordered map under the state machine: an LSM tree. Only this file and [`settle`]
//! name its crate.
//!
//! It is a rebuildable copy of the log, so it keeps no journal of its own: what is written
//! stays in memory until it is settled into a sorted file, and what a crash took is applied
//! again from the log. A file is taken up whole or not at all and ends between two batches,
//! so data and the note of what was applied never stand at different points. Before the log
//! drops anything, and when the node ends, everything is settled ([`Disk::sync`]).

use std::io;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;
use lsm_tree::config::{CompressionPolicy, PinningPolicy};
use lsm_tree::{AbstractTree, AnyTree, Cache, CompressionType, Config, Guard, SeqNo, SequenceNumberCounter};

use self::settle::{Settling, Snapshots};

mod manifest;
mod settle;

/// Blocks kept in memory, in bytes. Hot records are kept above, so this is for lists and
/// for whatever is read now and then.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Newest writes kept in memory before they are settled into a file, in bytes. Why: this
/// is also what a node that was killed has to apply again.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes shared with the map.
pub(crate) type Slice = lsm_tree::Slice;

/// An open map.
pub(crate) struct Disk {
    map: Arc<Map>,
    settling: Settling,
}

/// What views share with the map.
struct Map {
    tree: AnyTree,
    /// The number the next batch gets.
    next: SequenceNumberCounter,
    snapshots: Snapshots,
}

/// The map at one moment.
pub(crate) struct DiskView {
    map: Arc<Map>,
    /// Shows what has a lower number than this.
    moment: SeqNo,
}

/// Puts and removals that happen together. A key may be in it once only.
pub(crate) struct Batch<'a> {
    disk: &'a Disk,
    writes: Vec<(Slice, Option<Slice>)>,
}

impl Disk {
    /// Opens the map in a directory, making it if there is none.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] or [`LedgerError::Storage`].
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        manifest::check(path)?;
        // Of some damage the tree makes a panic.
        catch_unwind(|| Self::open_checked(path)).unwrap_or_else(|_| {
            Err(LedgerError::Damaged { what: format!("the state in {}: it could not be opened", path.display()) })
        })
    }

    fn open_checked(path: &Path) -> Result<Self, LedgerError> {
        let next = SequenceNumberCounter::default();
        // The tree's own idea of what is visible would show half of a batch if it settled
        // an earlier one meanwhile; views keep theirs in `snapshots`.
        let unused = SequenceNumberCounter::default();
        let tree = Config::new(path, next.clone(), unused)
            .use_cache(Arc::new(Cache::with_capacity_bytes(CACHE_BYTES)))
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
            // Of a large file, a look-up needs a page of its index and one of its filter. Whole, they are a
            // megabyte, of which the cache holds a few: every look-up in a large state would read one.
            .index_block_partitioning_policy(PinningPolicy::new([false, true]))
            .filter_block_partitioning_policy(PinningPolicy::new([false, true]))
            .open()
            .map_err(|e| failure("opening the state", &e))?;
        // Zero would mean to the tree that nothing was ever written.
        let first = tree.get_highest_persisted_seqno().map_or(1, |highest| highest + 1);
        next.fetch_max(first);
        let map = Arc::new(Map { tree, next, snapshots: Snapshots::new(first) });
        let settling = Settling::start(Arc::clone(&map))?;
        Ok(Self { map, settling })
    }

    /// The value at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Slice>, LedgerError> {
        self.map.get(key, self.map.snapshots.now())
    }

    /// The map as it is now.
    pub(crate) fn view(&self) -> DiskView {
        DiskView { moment: self.map.snapshots.open(), map: Arc::clone(&self.map) }
    }

    /// An empty batch.
    pub(crate) fn batch(&self, capacity: usize) -> Batch<'_> {
        Batch { disk: self, writes: Vec::with_capacity(capacity) }
    }

    /// Returns once everything committed is on the disk.
    pub(crate) fn sync(&self) -> Result<(), LedgerError> {
        self.settling.all(&self.map)
    }

    /// Bytes of its sorted files.
    pub(crate) fn bytes(&self) -> u64 {
        self.map.tree.disk_space()
    }
}

impl Map {
    fn get(&self, key: &[u8], moment: SeqNo) -> Result<Option<Slice>, LedgerError> {
        self.tree.get(key, moment).map_err(|e| failure("reading the state", &e))
    }
}

impl Batch<'_> {
    /// Adds a put.
    pub(crate) fn put(&mut self, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.writes.push((key.into(), Some(value.into())));
    }

    /// Adds a removal.
    pub(crate) fn remove(&mut self, key: impl Into<Slice>) {
        self.writes.push((key.into(), None));
    }

    /// Makes the batch visible. It is on the disk after the next [`Disk::sync`].
    pub(crate) fn commit(self) -> Result<(), LedgerError> {
        let Disk { map, settling } = self.disk;
        let mut turn = settling.turn(map)?;
        let number = map.next.next();
        for (key, value) in self.writes {
            match value {
                Some(value) => map.tree.insert(key, value, number),
                None => map.tree.remove(key, number),
            };
        }
        map.snapshots.publish(number + 1);
        if map.tree.active_memtable().size() >= MEMTABLE_BYTES {
            map.tree.rotate_memtable();
            turn.ask();
        }
        Ok(())
    }
}

impl DiskView {
    /// The value at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Slice>, LedgerError> {
        self.map.get(key, self.moment)
    }

    /// Keys and values in `[from, end)`, in byte order.
    pub(crate) fn range(&self, from: &[u8], end: &[u8]) -> impl Iterator<Item = Result<(Slice, Slice), LedgerError>> {
        let found = (from < end).then(|| self.map.tree.range(from..end, self.moment, None));
        found.into_iter().flatten().map(|guard| guard.into_inner().map_err(|e| failure("listing the state", &e)))
    }

    /// Keys in `[from, end)`, in byte order.
    pub(crate) fn keys(&self, from: &[u8], end: &[u8]) -> impl Iterator<Item = Result<Slice, LedgerError>> {
        let found = (from < end).then(|| self.map.tree.range(from..end, self.moment, None));
        found.into_iter().flatten().map(|guard| guard.key().map_err(|e| failure("listing the state", &e)))
    }
}

impl Drop for DiskView {
    fn drop(&mut self) {
        self.map.snapshots.close(self.moment);
    }
}

/// Sorts the tree's errors: the world's I/O faults are one thing, bytes that are not what
/// was written another.
fn failure(doing: &'static str, error: &lsm_tree::Error) -> LedgerError {
    match error {
        lsm_tree::Error::Io(e) => io_failure(doing, e),
        other => LedgerError::Damaged { what: format!("the state, noticed while {doing}: {other}") },
    }
}

fn io_failure(doing: &'static str, error: &io::Error) -> LedgerError {
    // What the system did not say is the tree's own word on bytes it read. Of what the system
    // says, two come from lengths and names that are wrong in such bytes.
    let by_system = error.raw_os_error().is_some();
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => {}
        _ if !by_system => {}
        _ => return crate::fault::storage(doing, error),
    }
    LedgerError::Damaged { what: format!("the state, noticed while {doing}: {error}") }
}

#[cfg(test)]
mod tests;
