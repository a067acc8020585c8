//! The durable Raft log: openraft's storage contract over a write-ahead log of our own,
//! because a log must never silently shorten. [`sector`] and [`record`] are the format,
//! [`writer`] the thread that writes it, [`recover`] what is believed after a crash (and
//! the exact guarantee), [`unread`] what spares a start the reading of all of it, [`recheck`]
//! what makes up for that, [`anchor`] a second witness, [`book`] what is in memory.
//!
//! Votes, truncations and purges are records of the same stream, so that their order is
//! the order they happened in. Nothing here knows what an entry means.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bulkhead_model::seam::ledger::LedgerError;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{EntryPayload, LogState, OptionalSend, RaftLogReader};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use self::anchor::Anchor;
use self::book::{Book, Copy, Fetch};
use self::record::{Found, Record};
use self::sector::{CONTENT_BYTES, SECTOR_BYTES, Sector, inspect};
use self::unread::Unread;
use self::writer::{Done, Queue, Setup, Work, Writer};
use crate::fault::{Health, as_io, storage};
use crate::files::DiskFile;
use crate::gate::Gate;
use crate::raft::{Entry, LogId, Types, Vote};

mod anchor;
mod book;
mod cache;
mod places;
mod reading;
mod recheck;
mod record;
mod recover;
mod runs;
mod sector;
mod segment;
mod turns;
mod unread;
pub(crate) mod writer;

/// Version of the format on disk.
const FORMAT: u32 = 1;

/// Size of a log's first file, in bytes. Why smaller than the others: a new node should
/// not wait for megabytes of zeros; the next file is made beside the work.
const FIRST_SEGMENT_BYTES: u64 = 1024 * 1024;

/// Most bytes of entries read at once for a peer.
const READ_BYTES_MAX: u64 = 1024 * 1024;

/// The log of one node. Clones share it; the writer's thread ends with [`LogStore::close`].
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    book: Arc<Mutex<Book>>,
    queue: Arc<Queue>,
    health: Arc<Health>,
    gate: Arc<Gate>,
    node: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    /// Reads a segment that the start did not, and notes where its entries lie. Blocks.
    fn learn(&self, unread: &Unread, file: Arc<dyn DiskFile>) -> io::Result<()> {
        let spots = unread.read(&self.directory, file).map_err(|fault| as_io(self.health.fail(fault)))?;
        self.book.lock().learn(unread.segment, spots);
        Ok(())
    }

    /// The book once it knows where the entries of a range lie. Blocks where a segment must be read
    /// for that.
    fn knowing(&self, range: &Range<u64>) -> io::Result<MutexGuard<'_, Book>> {
        loop {
            let book = self.book.lock();
            let unknown = book.unknown(range);
            if unknown.is_empty() {
                return Ok(book);
            }
            drop(book);
            unknown.into_iter().try_for_each(|(unread, file)| self.learn(&unread, file))?;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl LogStore {
    /// Opens the log, making it if it was never there, and starts its writer.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where the log is not what was written, and
    /// [`LedgerError::Storage`].
    pub(crate) fn open(setup: Setup, health: Arc<Health>, gate: Arc<Gate>) -> Result<Self, LedgerError> {
        make_if_new(&setup)?;
        let recovered = recover::recover(setup.files.as_ref(), &setup.directory, setup.node)?;
        gate.found(recovered.book.last().map(|id| id.index));
        gate.voted(recovered.book.vote.is_some_and(|vote| vote.leader_id.node_id == setup.node));
        let (node, directory) = (setup.node, setup.directory.clone());
        let queue = Arc::new(Queue::default());
        let (writer, book) = Writer::new(setup, recovered, Arc::clone(&queue), Arc::clone(&health));
        let thread = std::thread::Builder::new().name("ledger-log".into()).spawn(move || writer.run());
        let thread = thread.map_err(|e| storage("starting the log's writer", &e))?;
        let thread = Mutex::new(Some(thread));
        let shared = Arc::new(Shared { directory, book, queue, health, gate, node, thread });
        recheck::start(&shared);
        Ok(Self { shared })
    }

    /// Whether nothing was ever written: no entry, and no vote either.
    pub(crate) fn is_new(&self) -> bool {
        let book = self.shared.book.lock();
        book.last().is_none() && book.vote.is_none()
    }

    /// Whether this entry is in the log, or was purged from it.
    pub(crate) fn holds(&self, id: LogId) -> bool {
        self.shared.book.lock().holds(id)
    }

    /// Drops the entries from this index on; returns once that is on the disk. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Storage`] and [`LedgerError::Stopped`].
    pub(crate) fn drop_from(&self, index: u64) -> Result<(), LedgerError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut book = self.shared.book.lock();
            let Some(last) = book.drop_from(index) else { return Ok(()) };
            self.shared.queue.push([Work { record: Record::TruncatedAfter(last), done: Done::Saved(sender) }]);
        }
        let written = receiver.blocking_recv();
        let written = written.map_err(|_| LedgerError::Stopped { cause: "the log's writer has ended".to_owned() })?;
        written.map_err(|e| storage("dropping the end of the log", &e))
    }

    /// Writes what waits, tells the anchor and ends the writer. Blocks.
    pub(crate) fn close(&self) {
        self.shared.queue.stop();
        let thread = self.shared.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            let cause = "the log's writer panicked".to_owned();
            self.shared.health.fail(LedgerError::Stopped { cause });
        }
    }

    /// Refuses work after a fault.
    fn check(&self) -> io::Result<()> {
        self.shared.health.fault().map_or(Ok(()), |fault| Err(as_io(&fault)))
    }
}

fn make_if_new(setup: &Setup) -> Result<(), LedgerError> {
    let Setup { files, directory, segment_bytes, .. } = setup;
    let making = |e: io::Error| storage("making the log", &e);
    if anchor::exists(files.as_ref(), directory).map_err(making)? {
        return Ok(());
    }
    // The anchor is made last, before anything is written: while it is missing, a blank
    // first segment is what a crash left, and may be made again.
    let numbers = segment::numbers(files.as_ref(), directory).map_err(making)?;
    let first = segment::path(directory, 1);
    let written = numbers.iter().any(|number| *number > 1)
        || (numbers.contains(&1) && !segment::is_blank(files.as_ref(), &first).map_err(making)?);
    if written {
        let what = format!("the log's anchor in {} is missing", directory.display());
        return Err(LedgerError::Damaged { what });
    }
    let bytes = FIRST_SEGMENT_BYTES.min(*segment_bytes);
    segment::make_spare(files.as_ref(), directory, bytes).map_err(making)?;
    segment::adopt_spare(files.as_ref(), directory, 1).map_err(making)?;
    Anchor::create(files.as_ref(), directory, setup.node).map(drop)
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let range = start..end;
        let copies = self.shared.knowing(&range)?.copies(&range);
        copies.into_iter().map(|copy| self.entry(copy)).collect()
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.book.lock().vote)
    }

    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> Result<Vec<LogId>, io::Error> {
        Ok(self.shared.book.lock().places.last_of_each_leader(&(range.start().index..range.end().index + 1)))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let end = self.shared.knowing(&(start..end))?.fitting_end(start, end, READ_BYTES_MAX);
        self.try_get_log_entries(start..end).await
    }
}

impl LogStore {
    fn entry(&self, copy: Copy) -> io::Result<Entry> {
        match copy {
            Copy::Here(entry) => Ok(entry),
            Copy::There(fetch) => fetch_entry(&fetch).map_err(|e| {
                // That the file ends before the entry does is damage, too.
                if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) {
                    let what = format!("segment {} of the log: {e}", fetch.place.segment);
                    self.shared.health.fail(LedgerError::Damaged { what });
                }
                e
            }),
        }
    }
}

/// Reads an entry back from its segment, trusting nothing.
fn fetch_entry(fetch: &Fetch) -> io::Result<Entry> {
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("entry {}: {why}", fetch.id.index));
    let (at, bytes) = (fetch.place.at as usize, fetch.place.bytes as usize);
    let (first, end) = (at / CONTENT_BYTES, (at + bytes).div_ceil(CONTENT_BYTES));
    let mut sectors = vec![0; (end - first) * SECTOR_BYTES];
    fetch.file.read_at(&mut sectors, (u64::from(fetch.place.sector) + first as u64) * SECTOR_BYTES as u64)?;
    let mut content = Vec::with_capacity((end - first) * CONTENT_BYTES);
    for sector in sectors.chunks(SECTOR_BYTES) {
        match inspect(sector) {
            Sector::Whole { content: piece, .. } => content.extend_from_slice(piece),
            Sector::Unwritten { .. } | Sector::Damaged => return Err(damaged("a sector fails its checksum")),
        }
    }
    let start = at - first * CONTENT_BYTES;
    let found = Found::at(&content[start..]).map_err(damaged)?;
    match found.decode().map_err(damaged)? {
        Record::Entry(entry) if entry.log_id == fetch.id => Ok(entry),
        _ => Err(damaged("another record lies in its place")),
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let book = self.shared.book.lock();
        Ok(LogState { last_purged_log_id: book.purged, last_log_id: book.last() })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let ours = vote.leader_id.node_id == self.shared.node;
        self.shared.gate.voted(ours);
        if ours && vote.is_committed() && self.shared.book.lock().grant(vote) {
            self.check()?;
            self.shared.queue.push([Work { record: Record::Vote(*vote), done: Done::Nobody }]);
            return Ok(());
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.queue.push([Work { record: Record::Vote(*vote), done: Done::Saved(sender) }]);
        receiver.await.map_err(|_| io::Error::other("the log's writer has ended"))??;
        self.shared.book.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        // Goes to the disk with the next group. That it may lag is fine: entries after it
        // are committed anew, and the state keeps its own place.
        self.shared.book.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.shared.book.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.check()?;
        let mut work = Vec::new();
        let mut book = self.shared.book.lock();
        for entry in entries {
            if let EntryPayload::Membership(_) = &entry.payload {
                self.shared.gate.membership_appended(entry.log_id.index);
            }
            let index = entry.log_id.index;
            if !book.push(entry.clone()) {
                return Err(io::Error::other(format!("entry {index} would leave a hole in the log")));
            }
            work.push(Work { record: Record::Entry(entry), done: Done::Nobody });
        }
        drop(book);
        match work.last_mut() {
            Some(last) => last.done = Done::Flushed(callback),
            None => callback.io_completed(Ok(())),
        }
        self.shared.queue.push(work);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        self.check()?;
        self.shared.book.lock().truncate_after(last);
        self.shared.queue.push([Work { record: Record::TruncatedAfter(last), done: Done::Nobody }]);
        Ok(())
    }

    async fn purge(&mut self, id: LogId) -> Result<(), io::Error> {
        self.check()?;
        self.shared.book.lock().purge(id);
        self.shared.queue.push([Work { record: Record::Purged(id), done: Done::Nobody }]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
