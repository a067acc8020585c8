//! The one thread that writes the log. It takes everything that waits, writes it as one
//! group, syncs once, and only then tells those who wait: while it syncs, the next group
//! gathers. After a failed write or sync it writes nothing more, ever: what the disk
//! holds is unknown, and trying again could report success for bytes that are lost.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::storage::IOFlushed;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::anchor::Anchor;
use super::book::{Book, Place};
use super::record::{self, Chain, Checkpoint, GROUP_HEADER_BYTES, GroupHeader, Record};
use super::recover::Recovered;
use super::sector::{CONTENT_BYTES, SECTOR_BYTES, lay_out};
use super::segment::{self, Segment};
use super::turns::Turns;
use crate::fault::{Health, as_io, storage};
use crate::files::Files;
use crate::identity::Lock;
use crate::raft::{LogId, Types, Vote};

/// A group takes no more records once it holds this many bytes.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a segment's checkpoint adds to a group, at most.
const CHECKPOINT_SECTORS: usize = 2;

/// How long the log rests before the anchor is told. Why: a sync in the middle of steady
/// work would delay the next group.
const IDLE: Duration = Duration::from_millis(50);

/// Who is told once a record is on the disk.
pub(crate) enum Done {
    Nobody,
    Flushed(IOFlushed<Types>),
    Saved(oneshot::Sender<io::Result<()>>),
}

impl Done {
    fn tell(self, result: io::Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Flushed(callback) => callback.io_completed(result),
            // Whoever asked may have gone; the record is on the disk all the same.
            Self::Saved(sender) => drop(sender.send(result)),
        }
    }
}

/// A record to write.
pub(crate) struct Work {
    pub(crate) record: Record,
    pub(crate) done: Done,
}

#[derive(Default)]
struct Waiting {
    work: VecDeque<Work>,
    stop: bool,
}

/// What waits to be written.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

impl Queue {
    /// Hands records over, in order.
    pub(crate) fn push(&self, work: impl IntoIterator<Item = Work>) {
        let mut waiting = self.waiting.lock();
        waiting.work.extend(work);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Asks the writer to finish what waits and end.
    pub(crate) fn stop(&self) {
        self.waiting.lock().stop = true;
        self.wake.notify_one();
    }
}

/// Where and how the log is written.
pub(crate) struct Setup {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) directory: PathBuf,
    pub(crate) node: u64,
    pub(crate) segment_bytes: u64,
    /// Makes the next segment in a thread of its own when the current one is half full.
    pub(crate) make_ahead: bool,
    /// Called before segments are dropped whose entries go up to an index: returns once
    /// the state up to there is on the disk.
    pub(crate) before_drop: Box<dyn Fn(u64) -> io::Result<()> + Send>,
    /// The directory's lock, held until the writer has ended: dropping a ledger does not
    /// wait for it, and a second writer must not start before.
    #[expect(dead_code, reason = "holding it is its use")]
    pub(crate) lock: Option<Arc<Lock>>,
}

/// What a segment's checkpoint repeats.
struct Position {
    vote: Option<Vote>,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// Of the segment that is being written.
    turns: Turns,
}

impl Position {
    fn follow(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => {
                self.last = Some(entry.log_id);
                self.turns.entry(entry.log_id);
            }
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::TruncatedAfter(last) => {
                self.last = last.or(self.purged);
                self.turns.break_off();
            }
            Record::Purged(id) => {
                self.purged = Some(*id);
                if self.last.is_none_or(|last| last.index < id.index) {
                    self.last = Some(*id);
                    self.turns.break_off();
                }
            }
            Record::Checkpoint(_) => {}
        }
    }
}

/// The writer's own state; it moves into the thread.
pub(crate) struct Writer {
    setup: Setup,
    queue: Arc<Queue>,
    book: Arc<Mutex<Book>>,
    health: Arc<Health>,
    active: Segment,
    spare: Option<JoinHandle<io::Result<()>>>,
    group: u64,
    chain: Chain,
    anchor: Anchor,
    position: Position,
    /// Reused between groups.
    content: Vec<u8>,
    framed: Vec<u8>,
}

enum Wake {
    Work(Vec<Work>),
    Idle,
    Stop,
}

impl Writer {
    pub(crate) fn new(
        setup: Setup,
        recovered: Recovered,
        queue: Arc<Queue>,
        health: Arc<Health>,
    ) -> (Self, Arc<Mutex<Book>>) {
        let Recovered { book, active, group, chain, anchor, turns } = recovered;
        let position = Position { vote: book.vote, purged: book.purged, last: book.last(), turns };
        let book = Arc::new(Mutex::new(book));
        let writer = Self {
            setup,
            queue,
            book: Arc::clone(&book),
            health,
            active,
            spare: None,
            group,
            chain,
            anchor,
            position,
            content: Vec::new(),
            framed: Vec::new(),
        };
        (writer, book)
    }

    /// Writes until told to stop.
    pub(crate) fn run(mut self) {
        loop {
            match self.wait() {
                Wake::Work(work) => self.settle(work),
                Wake::Idle => self.tell_anchor(),
                Wake::Stop => break,
            }
        }
        self.tell_anchor();
        if let Some(spare) = self.spare.take() {
            // A spare that could not be made is made again when it is needed.
            drop(spare.join());
        }
    }

    fn wait(&mut self) -> Wake {
        let unproven =
            self.health.fault().is_none() && self.group > 0 && self.anchor.proof.group != Some(self.group - 1);
        let queue = Arc::clone(&self.queue);
        let mut waiting = queue.waiting.lock();
        while waiting.work.is_empty() {
            if waiting.stop {
                return Wake::Stop;
            }
            if !unproven {
                queue.wake.wait(&mut waiting);
            } else if queue.wake.wait_for(&mut waiting, IDLE).timed_out() && waiting.work.is_empty() {
                return Wake::Idle;
            }
        }
        let limit = GROUP_BYTES_MAX.min(self.setup.segment_bytes as usize / 4);
        let (mut taken, mut bytes) = (Vec::with_capacity(waiting.work.len()), 0);
        while let Some(work) = waiting.work.pop_front() {
            bytes += rough_bytes(&work.record);
            taken.push(work);
            if bytes >= limit {
                break;
            }
        }
        Wake::Work(taken)
    }

    /// Writes a group and tells those who wait how it went.
    fn settle(&mut self, work: Vec<Work>) {
        let written = match self.health.fault() {
            Some(fault) => Err(fault),
            None => self.write(&work).map_err(|e| self.health.fail(storage("writing the log", &e)).clone()),
        };
        let purged = work.iter().any(|work| matches!(work.record, Record::Purged(_)));
        for work in work {
            work.done.tell(written.as_ref().map_or_else(|fault| Err(as_io(fault)), |()| Ok(())));
        }
        if written.is_ok() && purged {
            self.drop_dead_segments();
        }
    }

    fn write(&mut self, work: &[Work]) -> io::Result<()> {
        let chain = self.chain;
        let mut places = self.compose(work);
        let needed = self.content.len().div_ceil(CONTENT_BYTES);
        if needed > self.active.sectors_left() as usize && self.active.sectors_used > 0 {
            self.chain = chain;
            self.rotate(needed)?;
            places = self.compose(work);
        }
        self.framed.clear();
        let sectors = lay_out(self.group, &self.content, &mut self.framed);
        if sectors > self.active.sectors_left() as usize {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "an entry is larger than a segment of the log"));
        }
        self.active.file.write_all_at(&self.framed, self.active.offset())?;
        self.active.file.sync()?;
        if self.active.sectors_used == 0 {
            self.position.turns = Turns::after(self.position.last);
        }
        self.active.sectors_used += sectors as u32;
        self.group += 1;
        self.book.lock().placed(&places);
        work.iter().for_each(|work| self.position.follow(&work.record));
        self.make_ahead();
        Ok(())
    }

    /// Builds a group's content, with a checkpoint where a segment begins; returns where its entries will lie.
    fn compose(&mut self, work: &[Work]) -> Vec<(LogId, Place)> {
        let mut places = Vec::with_capacity(work.len());
        self.content.clear();
        self.content.resize(GROUP_HEADER_BYTES, 0);
        let mut records = work.len() as u32;
        if self.active.sectors_used == 0 {
            let checkpoint = Record::Checkpoint(self.checkpoint());
            record::push(&checkpoint, &mut self.content, &mut self.chain);
            records += 1;
        }
        let mut last = self.position.last;
        for work in work {
            let at = self.content.len();
            record::push(&work.record, &mut self.content, &mut self.chain);
            if let Record::Entry(entry) = &work.record {
                let bytes = (self.content.len() - at) as u32;
                let place =
                    Place { segment: self.active.number, sector: self.active.sectors_used, at: at as u32, bytes };
                places.push((entry.log_id, place));
                last = Some(entry.log_id);
            }
        }
        // A commit may run ahead of a group that holds only part of an append.
        let committed = self.book.lock().committed.filter(|id| last.is_some_and(|last| id.index <= last.index));
        let header = GroupHeader { records, content_bytes: self.content.len() as u64, group: self.group, committed };
        header.seal(&mut self.content);
        places
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            format: super::FORMAT,
            node: self.setup.node,
            segment: self.active.number,
            segment_bytes: u64::from(self.active.sectors) * SECTOR_BYTES as u64,
            chain: self.chain,
            vote: self.position.vote,
            purged: self.position.purged,
            last: self.position.last,
            turns: self.position.turns.firsts().map(<[LogId]>::to_vec),
        }
    }

    /// Goes on in a new segment with room for this many sectors and a checkpoint.
    fn rotate(&mut self, needed: usize) -> io::Result<()> {
        let Setup { files, directory, segment_bytes, .. } = &self.setup;
        let bytes = ((needed + CHECKPOINT_SECTORS) as u64 * SECTOR_BYTES as u64).max(*segment_bytes);
        let made = self.spare.take().is_some_and(|spare| matches!(spare.join(), Ok(Ok(()))));
        if !made || bytes > *segment_bytes {
            segment::make_spare(files.as_ref(), directory, bytes)?;
        }
        let number = self.active.number + 1;
        let file = segment::adopt_spare(files.as_ref(), directory, number)?;
        self.active = Segment { number, file, sectors: segment::sectors(bytes), sectors_used: 0 };
        self.book.lock().segments.insert(self.active.number, Arc::clone(&self.active.file));
        Ok(())
    }

    /// Starts making the next segment once this one is half full.
    fn make_ahead(&mut self) {
        let half_full = self.active.sectors_used > self.active.sectors / 2;
        if !self.setup.make_ahead || !half_full || self.spare.is_some() {
            return;
        }
        let (files, directory) = (Arc::clone(&self.setup.files), self.setup.directory.clone());
        let segment_bytes = self.setup.segment_bytes;
        let making = move || segment::make_spare(files.as_ref(), &directory, segment_bytes);
        // Without a thread the segment is made when it is needed.
        self.spare = std::thread::Builder::new().name("ledger-spare".into()).spawn(making).ok();
    }

    /// Tells the anchor that everything written is durable.
    fn tell_anchor(&mut self) {
        let Some(last) = self.group.checked_sub(1) else { return };
        if self.health.fault().is_some() || self.anchor.proof.group == Some(last) {
            return;
        }
        if let Err(e) = self.anchor.advance(last, self.chain) {
            self.health.fail(storage("writing the log's anchor", &e));
        }
    }

    fn drop_dead_segments(&mut self) {
        let Some(purged) = self.position.purged else { return };
        let dead = self.book.lock().dead_segments(self.active.number, purged.index);
        if dead.is_empty() {
            return;
        }
        if let Err(e) = self.remove_segments(&dead, purged.index) {
            self.health.fail(storage("dropping old segments of the log", &e));
        }
    }

    fn remove_segments(&self, dead: &[u64], purged: u64) -> io::Result<()> {
        (self.setup.before_drop)(purged)?;
        for number in dead {
            self.setup.files.remove(&segment::path(&self.setup.directory, *number))?;
            // Oldest first, and durably so: a hole in the row of segments is damage.
            self.setup.files.sync_dir(&self.setup.directory)?;
            self.book.lock().forget_segment(*number);
        }
        Ok(())
    }
}

fn rough_bytes(record: &Record) -> usize {
    let payload = match record {
        Record::Entry(entry) => match &entry.payload {
            openraft::EntryPayload::Normal(payload) => payload.0.len(),
            _ => 0,
        },
        _ => 0,
    };
    payload + record::RECORD_HEADER_BYTES + record::RECORD_TRAILER_BYTES
}
