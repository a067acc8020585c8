//! Reads the log back and decides what to believe.
//!
//! **The rule.** Groups are read in order. Where one is missing or incomplete, nothing
//! after it may have been written: the writer starts group N+1 only after the sync of
//! group N returned. So the tail is *torn* (never acknowledged, and dropped) only if
//!
//! * every sector after the last complete group is blank, cut short, or a whole sector of
//!   the one group that would come next, and
//! * the anchor does not say that this next group was durable.
//!
//! Anything else is damage and a hard error that names file and offset: a sector that
//! fails its checksum (a sector that was being written when the power went is blank or
//! whole, never a mixture), a group beyond the missing one, a segment that is missing,
//! short or another log's, a record off the chain. The log is never silently shortened.
//!
//! **What is guaranteed.** No change of bytes inside the sectors of an acknowledged group
//! goes unnoticed, whenever it happens. The loss of *whole sectors* (reverted to zeros, by
//! a disk that lied about a sync or a file system repair) is noticed if anything later
//! was written or if the anchor knew the group: it is told within 50 ms of idleness, at
//! shutdown and at each start. What remains is a power cut within those 50 ms together
//! with the loss of whole acknowledged sectors at the end; on one disk nothing can tell
//! that from a write that never happened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use super::anchor::Anchor;
use super::book::{Book, Place};
use super::links::{At, Links};
use super::record::{Chain, Checkpoint, Found, GROUP_HEADER_BYTES, GroupHeader, Record};
use super::sector::{CONTENT_BYTES, SECTOR_BYTES, Sector, inspect};
use super::segment::{self, Segment};
use crate::fault::storage;
use crate::files::{DiskFile, Files};
use crate::raft::LogId;

/// The log as found, ready to be written on.
pub(crate) struct Recovered {
    pub(crate) book: Book,
    pub(crate) active: Segment,
    /// The number the next group gets.
    pub(crate) group: u64,
    pub(crate) chain: Chain,
    pub(crate) anchor: Anchor,
    /// Index of the last membership entry in the log.
    pub(crate) last_membership: Option<u64>,
}

/// Reads the log of `node` in `directory`.
pub(crate) fn recover(files: &dyn Files, directory: &Path, node: u64) -> Result<Recovered, LedgerError> {
    let anchor = Anchor::open(files, directory)?;
    let numbers = segment::numbers(files, directory).map_err(|e| storage("listing the log's segments", &e))?;
    if !numbers.is_empty() && anchor.proof.node != node {
        return Err(damaged(directory, 0, "the log belongs to another node"));
    }
    let mut scan = Scan::new(node, anchor.proof.group);
    let scanned = scan.segments(files, directory, &numbers);
    // It lies before whatever ended the scan.
    if let Some(At { segment, offset }) = scan.links.broken() {
        let path = segment::path(directory, segment);
        return Err(damaged(&path, offset as u64, "a record does not follow the one before it"));
    }
    let (active, torn_end) = scanned?;
    let path = segment::path(directory, active.number);
    scan.finish(&anchor, &path, active.offset())?;
    wipe(&active, torn_end)?;
    let group = scan.next_group();
    let chain = scan.links.last();
    let Scan { book, last_membership, .. } = scan;
    let mut recovered = Recovered { book, active, group, chain, anchor, last_membership };
    recovered.witness()?;
    Ok(recovered)
}

impl Recovered {
    /// Tells the anchor what was found, so that it is proven from here on.
    fn witness(&mut self) -> Result<(), LedgerError> {
        let Some(last) = self.group.checked_sub(1) else { return Ok(()) };
        if self.anchor.proof.group == Some(last) {
            return Ok(());
        }
        self.anchor.advance(last, self.chain).map_err(|e| storage("writing the log's anchor", &e))
    }
}

/// Blanks the sectors of a torn group, so that the next one can't be mixed with it.
fn wipe(active: &Segment, torn_end: usize) -> Result<(), LedgerError> {
    let from = active.offset();
    if torn_end as u64 <= from {
        return Ok(());
    }
    tracing::warn!(segment = active.number, offset = from, "dropping the torn, unacknowledged end of the log");
    let zeros = vec![0; torn_end - from as usize];
    let written = active.file.write_all_at(&zeros, from).and_then(|()| active.file.sync());
    written.map_err(|e| storage("clearing the torn end of the log", &e))
}

/// A segment being read from its start to its end, a window at a time: most of the newest
/// one is blank, and a start should not cost the memory of a whole segment.
struct Reading {
    path: PathBuf,
    number: u64,
    file: Arc<dyn DiskFile>,
    length: usize,
    window: Vec<u8>,
    window_at: usize,
}

/// Bytes read at once. Why: they stay in the processor's cache until they are looked at.
const WINDOW_BYTES: usize = 256 * 1024;

impl Reading {
    fn new(path: PathBuf, number: u64, file: Arc<dyn DiskFile>, mut window: Vec<u8>) -> Result<Self, LedgerError> {
        window.clear();
        let length = file.len().map_err(|e| storage("reading a segment of the log", &e))? as usize;
        let reading = Self { path, number, file, length, window, window_at: 0 };
        if length == 0 { Err(reading.damaged(0, "the file is empty")) } else { Ok(reading) }
    }

    fn damaged(&self, offset: usize, why: &str) -> LedgerError {
        damaged(&self.path, offset as u64, why)
    }

    /// The sector at an offset; `None` if the file ends before its end.
    fn sector(&mut self, offset: usize) -> Result<Option<Sector<'_>>, LedgerError> {
        if offset + SECTOR_BYTES > self.length {
            return Ok(None);
        }
        let held = self.window_at..self.window_at + self.window.len();
        if offset < held.start || offset + SECTOR_BYTES > held.end {
            self.window.resize(WINDOW_BYTES.min(self.length - offset), 0);
            self.window_at = offset;
            let read = self.file.read_at(&mut self.window, offset as u64);
            read.map_err(|e| storage("reading a segment of the log", &e))?;
        }
        let at = offset - self.window_at;
        Ok(Some(inspect(&self.window[at..at + SECTOR_BYTES])))
    }
}

struct Scan {
    node: u64,
    book: Book,
    /// The number the next group must have; `None` before the first.
    expect: Option<u64>,
    links: Links,
    last_membership: Option<u64>,
    /// The last entry before the oldest segment; it must turn out to be purged.
    base: Option<u64>,
    purged: Option<u64>,
    /// The group the anchor knows, and the chain after it once read.
    anchored: Option<u64>,
    anchored_chain: Option<Chain>,
}

impl Scan {
    fn new(node: u64, anchored: Option<u64>) -> Self {
        Self {
            node,
            book: Book::default(),
            expect: None,
            links: Links::default(),
            last_membership: None,
            base: None,
            purged: None,
            anchored,
            anchored_chain: None,
        }
    }

    fn next_group(&self) -> u64 {
        self.expect.unwrap_or(0)
    }

    /// Reads all segments; returns the newest, and where the sectors of a torn group in it
    /// end.
    fn segments(
        &mut self,
        files: &dyn Files,
        directory: &Path,
        numbers: &[u64],
    ) -> Result<(Segment, usize), LedgerError> {
        let (Some(oldest), Some(newest)) = (numbers.first().copied(), numbers.last().copied()) else {
            return Err(damaged(directory, 0, "the log has no segments"));
        };
        let (mut tail, mut window) = (None, Vec::new());
        for (number, expected) in numbers.iter().copied().zip(oldest..) {
            let path = segment::path(directory, number);
            if number != expected {
                return Err(damaged(&path, 0, &format!("segment {expected} is missing before it")));
            }
            let file = files.open(&path).map_err(|e| storage("opening a segment of the log", &e))?;
            let mut reading = Reading::new(path, number, file, window)?;
            let end = self.groups(&mut reading)?;
            let torn_end = self.beyond(&mut reading, end, number == newest)?;
            self.book.segments.insert(number, Arc::clone(&reading.file));
            let sectors = segment::sectors(reading.length as u64);
            let active = Segment { number, file: reading.file, sectors, sectors_used: (end / SECTOR_BYTES) as u32 };
            tail = Some((active, torn_end));
            window = reading.window;
        }
        Ok(tail.expect("there is at least one segment"))
    }

    /// Reads complete groups from the start of a segment; returns where they end.
    fn groups(&mut self, reading: &mut Reading) -> Result<usize, LedgerError> {
        let mut offset = 0;
        while let Some((header, start)) = self.group_at(reading, offset)? {
            // The content leaves its place, so that what it says can be noted meanwhile.
            let content = std::mem::take(self.links.content());
            let noted = self.records(reading, offset, &header, (&content, start));
            *self.links.content() = content;
            noted?;
            self.expect = Some(header.group + 1);
            if self.anchored == Some(header.group) {
                self.anchored_chain = Some(self.links.last());
            }
            self.links.flow();
            offset += sectors_of(&header) * SECTOR_BYTES;
        }
        Ok(offset)
    }

    /// Reads the group that starts at an offset, if all its sectors are there and whole;
    /// returns where its content starts.
    fn group_at(&mut self, reading: &mut Reading, offset: usize) -> Result<Option<(GroupHeader, usize)>, LedgerError> {
        let oldest = reading.number == 1;
        let Some(Sector::Whole { group, part: 0, content: first }) = reading.sector(offset)? else { return Ok(None) };
        let first_ever = self.expect.is_none() && oldest == (group == 0);
        if self.expect != Some(group) && !first_ever {
            return Ok(None);
        }
        let header = GroupHeader::parse(first).filter(|header| header.group == group);
        let header = header.ok_or_else(|| reading.damaged(offset, "a group's header fails its checksum"))?;
        let content_bytes = usize::try_from(header.content_bytes).unwrap_or(usize::MAX);
        let sectors = sectors_of(&header);
        if content_bytes < GROUP_HEADER_BYTES || sectors > (reading.length - offset) / SECTOR_BYTES {
            return Err(reading.damaged(offset, "a group reaches beyond its segment"));
        }
        let content = self.links.content();
        let start = content.len();
        for part in 0..sectors {
            match reading.sector(offset + part * SECTOR_BYTES)? {
                Some(Sector::Whole { group: g, part: p, content: piece }) if g == group && usize::from(p) == part => {
                    content.extend_from_slice(piece);
                }
                _ => {
                    content.truncate(start);
                    return Ok(None);
                }
            }
        }
        content.truncate(start + content_bytes);
        Ok(Some((header, start)))
    }

    /// Notes what a group says whose content starts there.
    fn records(
        &mut self,
        reading: &Reading,
        offset: usize,
        header: &GroupHeader,
        (content, start): (&[u8], usize),
    ) -> Result<(), LedgerError> {
        let mut at = start + GROUP_HEADER_BYTES;
        for count in 0..header.records {
            let found = Found::at(&content[at..]).map_err(|why| reading.damaged(offset, why))?;
            if offset == 0 && count == 0 {
                let checkpoint = found.checkpoint();
                let checkpoint = checkpoint.ok_or_else(|| reading.damaged(0, "a segment has no checkpoint"))?;
                self.checkpoint(reading, &checkpoint)?;
            }
            self.links.add(at..at + found.bytes, At { segment: reading.number, offset }, found.chain);
            let sector = (offset / SECTOR_BYTES) as u32;
            let place = Place { segment: reading.number, sector, at: (at - start) as u32, bytes: found.bytes as u32 };
            self.take(&found, place).map_err(|why| reading.damaged(offset, why))?;
            at += found.bytes;
        }
        if at != content.len() {
            return Err(reading.damaged(offset, "a group holds more than its records"));
        }
        if header.committed.is_some() {
            self.book.committed = header.committed;
        }
        Ok(())
    }

    fn checkpoint(&mut self, reading: &Reading, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        let wrong = if checkpoint.format != super::FORMAT {
            Some("it is of a format this version does not know")
        } else if checkpoint.node != self.node {
            Some("it belongs to another node")
        } else if checkpoint.segment != reading.number {
            Some("it is another segment under this name")
        } else if checkpoint.segment_bytes != reading.length as u64 {
            Some("the file is not of its length")
        } else if self.expect.is_some() && checkpoint.chain != self.links.last() {
            Some("it does not follow the segment before it")
        } else {
            None
        };
        if let Some(why) = wrong {
            return Err(reading.damaged(0, why));
        }
        if self.expect.is_none() {
            self.links.start(checkpoint.chain);
            self.base = checkpoint.last.map(|id| id.index);
            self.purged = checkpoint.purged.map(|id| id.index);
            self.book.purged = checkpoint.last;
            self.book.vote = checkpoint.vote;
        }
        Ok(())
    }

    fn take(&mut self, found: &Found<'_>, place: Place) -> Result<(), &'static str> {
        if found.is_plain_entry() {
            return self.entry(found.id, place);
        }
        match found.decode()? {
            Record::Entry(entry) => {
                self.last_membership = Some(entry.log_id.index);
                self.entry(entry.log_id, place)?;
            }
            Record::Vote(vote) => self.book.vote = Some(vote),
            Record::TruncatedAfter(last) => self.book.truncate_after(last),
            Record::Purged(id) => {
                self.purged = self.purged.max(Some(id.index));
                if self.book.purged.is_none_or(|purged| purged.index < id.index) {
                    self.book.purge(id);
                }
            }
            Record::Checkpoint(_) => {}
        }
        Ok(())
    }

    fn entry(&mut self, id: LogId, place: Place) -> Result<(), &'static str> {
        if self.book.found(id, place) { Ok(()) } else { Err("an entry leaves a hole in the log") }
    }

    /// Judges what lies beyond the last complete group of a segment; returns where the
    /// sectors of a torn group end.
    fn beyond(&mut self, reading: &mut Reading, end: usize, newest: bool) -> Result<usize, LedgerError> {
        if self.expect.is_none() && reading.number != 1 {
            return Err(reading.damaged(0, "the oldest segment does not start with a complete group"));
        }
        let next = self.next_group();
        let mut torn_end = end;
        for (nth, offset) in (end..reading.length).step_by(SECTOR_BYTES).enumerate() {
            match reading.sector(offset)? {
                Some(Sector::Unwritten { blank: true }) => {}
                Some(Sector::Unwritten { blank: false }) => torn_end = offset + SECTOR_BYTES,
                Some(Sector::Whole { group, part, .. }) if newest && group == next && usize::from(part) == nth => {
                    torn_end = offset + SECTOR_BYTES;
                }
                Some(Sector::Whole { group, .. }) => {
                    let why = format!("group {group} follows, but group {next} is missing or incomplete");
                    return Err(reading.damaged(end, &why));
                }
                Some(Sector::Damaged) => return Err(reading.damaged(offset, "a sector fails its checksum")),
                None => return Err(reading.damaged(offset, "the file is not of its length")),
            }
        }
        Ok(torn_end)
    }

    /// The checks that need the whole log.
    fn finish(&self, anchor: &Anchor, path: &Path, offset: u64) -> Result<(), LedgerError> {
        if let Some(known) = anchor.proof.group {
            if known >= self.next_group() {
                let why = format!("the log ends before group {known}, which was acknowledged as durable");
                return Err(damaged(path, offset, &why));
            }
            if self.anchored_chain.is_some_and(|chain| chain != anchor.proof.chain) {
                return Err(damaged(path, offset, &format!("group {known} is not the one that was written")));
            }
        }
        if self.base > self.purged {
            return Err(damaged(path, 0, "segments before it are missing, and their entries were not purged"));
        }
        Ok(())
    }
}

/// Sectors a group takes.
fn sectors_of(header: &GroupHeader) -> usize {
    usize::try_from(header.content_bytes).unwrap_or(usize::MAX).div_ceil(CONTENT_BYTES)
}

fn damaged(path: &Path, offset: u64, why: &str) -> LedgerError {
    LedgerError::Damaged {
        what: format!(
            "the log is damaged at {} offset {offset}: {why}; this node must not start: restore it from a snapshot, \
             or remove it from the cluster and join it as a new node",
            path.display()
        ),
    }
}
