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
//! **What is left for later.** A full segment is not read, where its beginning and that of the one
//! behind tell which entries it holds ([`super::unread`]). It is read when one of them is asked for,
//! or else by [`super::recheck`]. That also proves the chain of digests in what was read, where a
//! start relies on the checksums. Damage that is found then stops the node from taking writes.

use std::path::Path;
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use super::anchor::Anchor;
use super::book::{Book, Place};
use super::reading::{self, Reading};
use super::record::{Chain, Checkpoint, Found, GROUP_HEADER_BYTES, GroupHeader, Record, follows};
use super::sector::{CONTENT_BYTES, SECTOR_BYTES, Sector};
use super::segment::{self, Segment};
use super::turns::Turns;
use super::unread::Unread;
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
    pub(super) turns: Turns,
}

/// Reads the log of `node` in `directory`.
pub(crate) fn recover(files: &dyn Files, directory: &Path, node: u64) -> Result<Recovered, LedgerError> {
    let anchor = Anchor::open(files, directory)?;
    let numbers = segment::numbers(files, directory).map_err(|e| storage("listing the log's segments", &e))?;
    if !numbers.is_empty() && anchor.proof.node != node {
        return Err(reading::damaged(directory, 0, "the log belongs to another node"));
    }
    let mut scan = Scan::at_start(node, anchor.proof.group);
    let (active, torn_end) = scan.segments(files, directory, &numbers)?;
    let path = segment::path(directory, active.number);
    scan.finish(&anchor, &path, active.offset())?;
    wipe(&active, torn_end)?;
    let group = scan.next_group();
    let chain = scan.chain;
    let mut recovered = Recovered { book: scan.book, active, group, chain, anchor, turns: scan.turns };
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
    pub(super) book: Book,
    /// The number the next group must have; `None` before the first.
    expect: Option<u64>,
    /// The digest after the last record, as that record has it; checked if this proves the log.
    pub(super) chain: Chain,
    proves: bool,
    /// What a group holds, without its sectors' frames. Reused between groups.
    content: Vec<u8>,
    /// Of the segment that is being read.
    pub(super) turns: Turns,
    /// The last entry before the oldest segment; it must turn out to be purged.
    base: Option<u64>,
    /// What was purged, as far as the log says: what the book has may lie before the oldest segment only.
    purged: Option<LogId>,
    /// The group the anchor knows, and the chain after it once read.
    anchored: Option<u64>,
    anchored_chain: Option<Chain>,
}

impl Scan {
    /// At a start. That each record follows the one before takes longest to check, and is left to
    /// [`super::recheck`].
    fn at_start(node: u64, anchored: Option<u64>) -> Self {
        Self { anchored, ..Self::new(node) }
    }

    /// Of one segment, of which nothing is believed.
    pub(super) fn proving(node: u64) -> Self {
        Self { proves: true, ..Self::new(node) }
    }

    fn new(node: u64) -> Self {
        Self {
            node,
            book: Book::default(),
            expect: None,
            chain: Chain::default(),
            proves: false,
            content: Vec::new(),
            turns: Turns::default(),
            base: None,
            purged: None,
            anchored: None,
            anchored_chain: None,
        }
    }

    pub(super) fn next_group(&self) -> u64 {
        self.expect.unwrap_or(0)
    }

    /// Reads the segments that must be; returns the newest, and where the sectors of a torn group
    /// in it end.
    fn segments(
        &mut self,
        files: &dyn Files,
        directory: &Path,
        numbers: &[u64],
    ) -> Result<(Segment, usize), LedgerError> {
        let Some(oldest) = numbers.first().copied() else {
            return Err(reading::damaged(directory, 0, "the log has no segments"));
        };
        let open = |number| {
            let path = segment::path(directory, number);
            let file = files.open(&path).map_err(|e| storage("opening a segment of the log", &e))?;
            Reading::new(path, number, file)
        };
        let mut tail = None;
        let mut ahead: Option<Reading> = None;
        for (nth, (number, expected)) in numbers.iter().copied().zip(oldest..).enumerate() {
            if number != expected {
                let path = segment::path(directory, number);
                return Err(reading::damaged(&path, 0, &format!("segment {expected} is missing before it")));
            }
            let mut reading = ahead.take().map_or_else(|| open(number), Ok)?;
            self.book.segments.insert(number, Arc::clone(&reading.file));
            ahead = numbers.get(nth + 1).filter(|next| **next == number + 1).map(|next| open(*next)).transpose()?;
            if let Some(unread) = self.unread(&mut reading, ahead.as_mut())? {
                self.leap(&reading, unread)?;
                continue;
            }
            let newest = nth + 1 == numbers.len();
            let (end, torn_end) = self.segment(&mut reading, newest)?;
            if let Some(head) = reading.head()? {
                let looked_at = Unread::looked_at(head, (self.next_group(), self.chain), newest);
                self.book.leftovers.add(looked_at, Arc::clone(&reading.file));
            }
            let (sectors, sectors_used) = (segment::sectors(reading.length as u64), (end / SECTOR_BYTES) as u32);
            tail = Some((Segment { number, file: reading.file, sectors, sectors_used }, torn_end));
        }
        Ok(tail.expect("the newest is read"))
    }

    /// Reads a segment; returns where its complete groups end, and where the sectors of a torn one do.
    pub(super) fn segment(&mut self, reading: &mut Reading, newest: bool) -> Result<(usize, usize), LedgerError> {
        let end = self.groups(reading, None)?;
        Ok((end, self.beyond(reading, end, newest)?))
    }

    /// What is known of a segment without reading it, if it fits what is before.
    fn unread(&self, reading: &mut Reading, next: Option<&mut Reading>) -> Result<Option<Unread>, LedgerError> {
        let Some(next) = next else { return Ok(None) };
        let heads = reading.head()?.zip(next.head()?);
        let unread = heads.and_then(|(head, behind)| Unread::between(head, behind));
        Ok(unread.filter(|unread| {
            let groups = unread.groups();
            let follows = |expected| expected == groups.start && self.book.last() == unread.checkpoint().last;
            // The anchor knows the digest after a group within.
            self.expect.is_none_or(follows) && self.anchored.is_none_or(|anchored| !groups.contains(&anchored))
        }))
    }

    /// Takes what is known of a segment for what it holds.
    fn leap(&mut self, reading: &Reading, unread: Unread) -> Result<(), LedgerError> {
        self.checkpoint(reading, unread.checkpoint())?;
        self.expect = Some(unread.groups().end);
        let Some(behind) = unread.behind() else { return Ok(()) };
        let purged = behind.purged;
        self.chain = behind.chain;
        self.book.vote = behind.vote;
        self.turns = Turns::known(behind.last, behind.turns.clone());
        if !self.book.found_unread(unread, Arc::clone(&reading.file)) {
            return Err(reading.damaged(0, "entries leave a hole in the log"));
        }
        purged.map_or(Ok(()), |id| self.other(&Record::Purged(id))).map_err(|why| reading.damaged(0, why))
    }

    /// Reads complete groups from the start of a segment, before one of this number; returns where
    /// they end.
    pub(super) fn groups(&mut self, reading: &mut Reading, before: Option<u64>) -> Result<usize, LedgerError> {
        let mut offset = 0;
        while before.is_none_or(|before| self.next_group() < before)
            && let Some(header) = self.group_at(reading, offset)?
        {
            // The content leaves its place, so that what it says can be noted meanwhile.
            let content = std::mem::take(&mut self.content);
            let noted = self.records(reading, offset, &header, &content);
            self.content = content;
            noted?;
            self.expect = Some(header.group + 1);
            if self.anchored == Some(header.group) {
                self.anchored_chain = Some(self.chain);
            }
            offset += sectors_of(&header) * SECTOR_BYTES;
        }
        Ok(offset)
    }

    /// Reads the group that starts at an offset, if all its sectors are there and whole.
    fn group_at(&mut self, reading: &mut Reading, offset: usize) -> Result<Option<GroupHeader>, LedgerError> {
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
        self.content.clear();
        for part in 0..sectors {
            match reading.sector(offset + part * SECTOR_BYTES)? {
                Some(Sector::Whole { group: g, part: p, content: piece }) if g == group && usize::from(p) == part => {
                    self.content.extend_from_slice(piece);
                }
                _ => return Ok(None),
            }
        }
        self.content.truncate(content_bytes);
        Ok(Some(header))
    }

    /// Notes what a group says.
    fn records(
        &mut self,
        reading: &Reading,
        offset: usize,
        header: &GroupHeader,
        content: &[u8],
    ) -> Result<(), LedgerError> {
        let mut at = GROUP_HEADER_BYTES;
        for count in 0..header.records {
            let found = Found::at(&content[at..]).map_err(|why| reading.damaged(offset, why))?;
            if offset == 0 && count == 0 {
                let checkpoint = found.checkpoint();
                let checkpoint = checkpoint.ok_or_else(|| reading.damaged(0, "a segment has no checkpoint"))?;
                self.checkpoint(reading, &checkpoint)?;
            }
            if self.proves && !follows(&content[at..at + found.bytes], &mut self.chain) {
                return Err(reading.damaged(offset, "a record does not follow the one before it"));
            }
            self.chain = found.chain;
            let sector = (offset / SECTOR_BYTES) as u32;
            let place = Place { segment: reading.number, sector, at: at as u32, bytes: found.bytes as u32 };
            self.take(&found, place).map_err(|why| reading.damaged(offset, why))?;
            at += found.bytes;
        }
        if at != content.len() {
            return Err(reading.damaged(offset, "a group holds more than its records"));
        }
        self.book.committed = header.committed.or(self.book.committed);
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
        } else if self.expect.is_some() && checkpoint.chain != self.chain {
            Some("it does not follow the segment before it")
        } else {
            None
        };
        if let Some(why) = wrong {
            return Err(reading.damaged(0, why));
        }
        if self.expect.is_none() {
            self.chain = checkpoint.chain;
            self.base = checkpoint.last.map(|id| id.index);
            self.purged = checkpoint.purged;
            self.book.purged = checkpoint.last;
            self.book.vote = checkpoint.vote;
        }
        self.turns = Turns::after(checkpoint.last);
        Ok(())
    }

    fn take(&mut self, found: &Found<'_>, place: Place) -> Result<(), &'static str> {
        if found.is_plain_entry() {
            return self.entry(found.id, place);
        }
        let record = found.decode()?;
        if let Record::Entry(entry) = &record {
            return self.entry(entry.log_id, place);
        }
        self.other(&record)
    }

    /// A record that is no entry.
    fn other(&mut self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::Vote(vote) => self.book.vote = Some(*vote),
            Record::TruncatedAfter(last) => {
                self.turns.break_off();
                self.book.truncate_after(*last);
                self.book.reach_back([*last, self.purged].into_iter().flatten().max_by_key(|id| id.index));
            }
            Record::Purged(id) => {
                if self.purged.is_none_or(|purged| purged.index < id.index) {
                    self.purged = Some(*id);
                }
                if self.book.last().is_none_or(|last| last.index < id.index) {
                    self.turns.break_off();
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
        self.turns.entry(id);
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
