//! The ordered map under the state machine. The only file that names fjall.
//!
//! It is a rebuildable copy of the log: written without syncs, brought to the disk before
//! the log drops anything it came from, and made anew from snapshot and log when it is
//! damaged. Everything lies in one keyspace, so that a journal cut short can't leave the
//! data and the note of what was applied at different points.

use std::io;
use std::path::Path;

use bulkhead_model::seam::ledger::LedgerError;
use fjall::config::CompressionPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

/// Blocks kept in memory, in bytes. Why: fjall's default of 32 MiB is more than the rest
/// of the node at rest.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Newest writes kept in memory before they are sorted out to a file, in bytes.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;

/// Journal kept on the disk, in bytes; fjall takes no less than 64 MiB.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes shared with the map.
pub(crate) type Slice = fjall::Slice;

/// An open map.
pub(crate) struct Disk {
    database: Database,
    records: Keyspace,
}

/// The map at one moment.
pub(crate) struct DiskView {
    snapshot: fjall::Snapshot,
    records: Keyspace,
}

/// Puts and removals that happen together. A key may be in it once only.
pub(crate) struct Batch<'a> {
    disk: &'a Disk,
    writes: fjall::OwnedWriteBatch,
}

impl Disk {
    /// Opens the map in a directory, making it if there is none.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] or [`LedgerError::Storage`].
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |e: fjall::Error| failure("opening the state", &e);
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(failed)?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_compression_policy(CompressionPolicy::disabled())
        };
        let records = database.keyspace("records", options).map_err(failed)?;
        Ok(Self { database, records })
    }

    /// The value at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Slice>, LedgerError> {
        self.records.get(key).map_err(|e| failure("reading the state", &e))
    }

    /// The map as it is now.
    pub(crate) fn view(&self) -> DiskView {
        DiskView { snapshot: self.database.snapshot(), records: self.records.clone() }
    }

    /// An empty batch.
    pub(crate) fn batch(&self, capacity: usize) -> Batch<'_> {
        Batch { disk: self, writes: fjall::OwnedWriteBatch::with_capacity(self.database.clone(), capacity) }
    }

    /// Returns once everything committed is on the disk.
    pub(crate) fn sync(&self) -> Result<(), LedgerError> {
        self.database.persist(PersistMode::SyncAll).map_err(|e| failure("syncing the state", &e))
    }

    /// Bytes of its sorted files.
    pub(crate) fn bytes(&self) -> u64 {
        self.records.disk_space()
    }
}

impl Batch<'_> {
    /// Adds a put.
    pub(crate) fn put(&mut self, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.writes.insert(&self.disk.records, key, value);
    }

    /// Adds a removal.
    pub(crate) fn remove(&mut self, key: impl Into<Slice>) {
        self.writes.remove(&self.disk.records, key);
    }

    /// Makes the batch visible, and durable against the end of the process.
    pub(crate) fn commit(self) -> Result<(), LedgerError> {
        let writes = self.writes.durability(Some(PersistMode::Buffer));
        writes.commit().map_err(|e| failure("writing the state", &e))
    }
}

impl DiskView {
    /// The value at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Slice>, LedgerError> {
        self.snapshot.get(&self.records, key).map_err(|e| failure("reading the state", &e))
    }

    /// Keys and values in `[from, end)`, in byte order.
    pub(crate) fn range(&self, from: &[u8], end: &[u8]) -> impl Iterator<Item = Result<(Slice, Slice), LedgerError>> {
        let found = (from < end).then(|| self.snapshot.range(&self.records, from..end));
        found.into_iter().flatten().map(|guard| guard.into_inner().map_err(|e| failure("listing the state", &e)))
    }

    /// Keys in `[from, end)`, in byte order.
    pub(crate) fn keys(&self, from: &[u8], end: &[u8]) -> impl Iterator<Item = Result<Slice, LedgerError>> {
        let found = (from < end).then(|| self.snapshot.range(&self.records, from..end));
        found.into_iter().flatten().map(|guard| guard.key().map_err(|e| failure("listing the state", &e)))
    }
}

/// Sorts fjall's errors: the world's I/O faults are one thing, bytes that are not what
/// was written another.
fn failure(doing: &'static str, error: &fjall::Error) -> LedgerError {
    match error {
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => io_failure(doing, e),
        fjall::Error::Poisoned => {
            LedgerError::Storage { doing, cause: "an earlier write to the state failed".to_owned() }
        }
        fjall::Error::Locked => LedgerError::Storage { doing, cause: "another process has the state open".to_owned() },
        other => LedgerError::Damaged { what: format!("the state, noticed while {doing}: {other}") },
    }
}

fn io_failure(doing: &'static str, error: &io::Error) -> LedgerError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound => {
            LedgerError::Damaged { what: format!("the state, noticed while {doing}: {error}") }
        }
        _ => crate::fault::storage(doing, error),
    }
}
