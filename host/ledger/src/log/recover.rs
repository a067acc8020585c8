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
//!
//! **What need not be read.** A full segment, where [`super::contents`] says what it holds and this
//! fits what is before and behind it. Its sectors are looked at when an entry is fetched, and
//! all of them by [`super::recheck`], which stops the node as damage at a start does.

use std::path::Path;
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use super::anchor::Anchor;
use super::book::{Book, Place};
use super::contents::{self, Contents, Step};
use super::links::{At, Links};
use super::reading::{self, Head, Reading};
use super::record::{Chain, Checkpoint, Found, GROUP_HEADER_BYTES, GroupHeader, Record};
use super::runs::Run;
use super::sector::{CONTENT_BYTES, SECTOR_BYTES, Sector};
use super::segment::{self, Segment};
use crate::fault::storage;
use crate::files::Files;
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
    /// Segments that were not read, but for their start.
    pub(super) unread: Vec<Contents>,
}

/// Reads the log of `node` in `directory`.
pub(crate) fn recover(files: &dyn Files, directory: &Path, node: u64) -> Result<Recovered, LedgerError> {
    let anchor = Anchor::open(files, directory)?;
    let numbers = segment::numbers(files, directory).map_err(|e| storage("listing the log's segments", &e))?;
    if !numbers.is_empty() && anchor.proof.node != node {
        return Err(reading::damaged(directory, 0, "the log belongs to another node"));
    }
    // The newest is read, and has none until it is full.
    contents::tidy(files, directory, &numbers[..numbers.len().saturating_sub(1)]);
    let mut scan = Scan::new(node, anchor.proof.group);
    let scanned = scan.segments(files, directory, &numbers);
    // It lies before whatever ended the scan.
    if let Some(At { segment, offset }) = scan.links.broken() {
        let path = segment::path(directory, segment);
        return Err(reading::damaged(&path, offset as u64, "a record does not follow the one before it"));
    }
    let (active, torn_end) = scanned?;
    let path = segment::path(directory, active.number);
    scan.finish(&anchor, &path, active.offset())?;
    wipe(&active, torn_end)?;
    let group = scan.next_group();
    let chain = scan.links.last();
    let Scan { book, last_membership, unread, .. } = scan;
    let mut recovered = Recovered { book, active, group, chain, anchor, last_membership, unread };
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

pub(super) struct Scan {
    node: u64,
    book: Book,
    /// What the segment holds that is being read.
    pub(super) contents: Contents,
    unread: Vec<Contents>,
    /// The number the next group must have; `None` before the first.
    expect: Option<u64>,
    pub(super) links: Links,
    last_membership: Option<u64>,
    /// The last entry before the oldest segment; it must turn out to be purged.
    base: Option<u64>,
    /// What was purged, as far as the log says: what the book has may lie before the oldest segment only.
    purged: Option<LogId>,
    /// The group the anchor knows, and the chain after it once read.
    anchored: Option<u64>,
    anchored_chain: Option<Chain>,
}

impl Scan {
    pub(super) fn new(node: u64, anchored: Option<u64>) -> Self {
        Self {
            node,
            book: Book::default(),
            contents: Contents::default(),
            unread: Vec::new(),
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
            return Err(reading::damaged(directory, 0, "the log has no segments"));
        };
        let (mut tail, mut window) = (None, Vec::new());
        for (number, expected) in numbers.iter().copied().zip(oldest..) {
            let path = segment::path(directory, number);
            if number != expected {
                return Err(reading::damaged(&path, 0, &format!("segment {expected} is missing before it")));
            }
            let file = files.open(&path).map_err(|e| storage("opening a segment of the log", &e))?;
            let mut reading = Reading::new(path, number, file, window)?;
            self.book.segments.insert(number, Arc::clone(&reading.file));
            if let Some(contents) = self.contents_of(files, directory, &mut reading, number == newest)? {
                self.leap(&mut reading, &contents)?;
                self.unread.push(contents);
                window = reading.window;
                continue;
            }
            let (end, torn_end) = self.segment(&mut reading, number == newest)?;
            let (sectors, sectors_used) = (segment::sectors(reading.length as u64), (end / SECTOR_BYTES) as u32);
            let contents = std::mem::take(&mut self.contents);
            tail = Some((Segment { number, file: reading.file, sectors, sectors_used, contents }, torn_end));
            window = reading.window;
        }
        Ok(tail.expect("there is at least one segment"))
    }

    /// Reads a segment; returns where its complete groups end, and where the sectors of a torn one do.
    pub(super) fn segment(&mut self, reading: &mut Reading, newest: bool) -> Result<(usize, usize), LedgerError> {
        let whole = (reading.number, reading.length as u64);
        self.contents = Contents::begin(self.node, whole, self.next_group(), self.links.last());
        let end = self.groups(reading)?;
        Ok((end, self.beyond(reading, end, newest)?))
    }

    /// What is written beside a segment, if it fits the segment, what is before and what is behind.
    fn contents_of(
        &mut self,
        files: &dyn Files,
        directory: &Path,
        reading: &mut Reading,
        newest: bool,
    ) -> Result<Option<Contents>, LedgerError> {
        if newest {
            return Ok(None);
        }
        let Some(contents) = Contents::read(files, directory, reading.number) else { return Ok(None) };
        let groups = contents.groups.0..contents.groups.1;
        let fits = contents.node == self.node
            && contents.segment_bytes == reading.length as u64
            && !groups.is_empty()
            && self.expect.is_none_or(|expected| expected == groups.start)
            // The anchor knows the digest after a group within.
            && self.anchored.is_none_or(|anchored| !groups.contains(&anchored));
        let begins_with = |head: Option<Head>, group, chain| {
            head.is_some_and(|head| (head.group, head.checkpoint.chain) == (group, chain))
        };
        if !fits || !begins_with(reading.head()?, groups.start, contents.chain.0) {
            return Ok(None);
        }
        let number = reading.number + 1;
        let path = segment::path(directory, number);
        let Ok(file) = files.open(&path) else { return Ok(None) };
        let behind = Reading::new(path, number, file, Vec::new())?.head()?;
        Ok(begins_with(behind, groups.end, contents.chain.1).then_some(contents))
    }

    /// Takes what is written beside a segment for what it holds.
    fn leap(&mut self, reading: &mut Reading, contents: &Contents) -> Result<(), LedgerError> {
        if let Some(head) = reading.head()? {
            self.checkpoint(reading, &head.checkpoint)?;
        }
        self.links.leap(contents.chain.1);
        self.expect = Some(contents.groups.1);
        for step in &contents.steps {
            self.step(step, contents.segment).map_err(|why| reading.damaged(0, why))?;
        }
        self.book.committed = contents.committed.or(self.book.committed);
        Ok(())
    }

    fn step(&mut self, step: &Step, segment: u64) -> Result<(), &'static str> {
        match step {
            Step::Entries { first, spots } => {
                let whole = self.book.found_run(Run::new(segment, *first, spots.clone()));
                if whole { Ok(()) } else { Err("entries leave a hole in the log") }
            }
            Step::Membership(id, spot) => {
                self.last_membership = Some(id.index);
                self.entry(*id, spot.of(segment))
            }
            Step::Vote(vote) => self.other(&Record::Vote(*vote)),
            Step::TruncatedAfter(last) => self.other(&Record::TruncatedAfter(*last)),
            Step::Purged(id) => self.other(&Record::Purged(*id)),
        }
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
                let whole = (reading.number, reading.length as u64);
                self.contents = Contents::begin(self.node, whole, header.group, checkpoint.chain);
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
        self.book.committed = header.committed.or(self.book.committed);
        self.contents.group(header.group, header.committed, self.links.last());
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
            self.purged = checkpoint.purged;
            self.book.purged = checkpoint.last;
            self.book.vote = checkpoint.vote;
        }
        Ok(())
    }

    fn take(&mut self, found: &Found<'_>, place: Place) -> Result<(), &'static str> {
        if found.is_plain_entry() {
            self.contents.entry(found.id, place);
            return self.entry(found.id, place);
        }
        let record = found.decode()?;
        self.contents.record(&record, || Some(place));
        if let Record::Entry(entry) = &record {
            self.last_membership = Some(entry.log_id.index);
            return self.entry(entry.log_id, place);
        }
        self.other(&record)
    }

    /// A record that is no entry.
    fn other(&mut self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::Vote(vote) => self.book.vote = Some(*vote),
            Record::TruncatedAfter(last) => {
                self.book.truncate_after(*last);
                self.book.reach_back([*last, self.purged].into_iter().flatten().max_by_key(|id| id.index));
            }
            Record::Purged(id) => {
                if self.purged.is_none_or(|purged| purged.index < id.index) {
                    self.purged = Some(*id);
                }
                if self.book.purged.is_none_or(|purged| purged.index < id.index) {
                    self.book.purge(*id);
                }
            }
            Record::Checkpoint(_) => {}
            Record::Entry(_) => return Err("an entry is where none can be"),
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
                return Err(reading::damaged(path, offset, &why));
            }
            if self.anchored_chain.is_some_and(|chain| chain != anchor.proof.chain) {
                return Err(reading::damaged(path, offset, &format!("group {known} is not the one that was written")));
            }
        }
        if self.base > self.purged.map(|id| id.index) {
            return Err(reading::damaged(path, 0, "segments before it are missing, and their entries were not purged"));
        }
        Ok(())
    }
}

/// Sectors a group takes.
fn sectors_of(header: &GroupHeader) -> usize {
    usize::try_from(header.content_bytes).unwrap_or(usize::MAX).div_ceil(CONTENT_BYTES)
}
