//! Rot: every byte of a log changed in turn, sectors lost, files cut or gone. The log is
//! read back whole or not at all.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::book::{Book, Copy};
use super::super::reading::Head;
use super::super::record::{Checkpoint, GROUP_HEADER_BYTES, RECORD_HEADER_BYTES};
use super::super::recover::recover;
use super::super::sector::SECTOR_BYTES;
use super::super::unread::Unread;
use super::*;
use crate::files::sim::Failure;

const SEGMENT: &str = "/log/segment-0000000000000001.log";
const ANCHOR: &str = "/log/anchor";

/// A log of a few groups, the last one acknowledged and longer than a sector; ended
/// cleanly, or by a power cut right after the acknowledgement.
async fn sample(clean: bool) -> (Arc<SimDisk>, BTreeMap<u64, Entry>) {
    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    log.save_vote(&Vote::new_committed(1, NODE)).await.unwrap();
    let mut written = BTreeMap::new();
    for (index, bytes) in [(0, 10), (1, 700), (2, 0), (3, 1100)] {
        let entry = entry(1, index, bytes);
        append(&mut log, vec![entry.clone()]).await.unwrap();
        written.insert(index, entry);
    }
    if !clean {
        disk.fail_at(1, Failure::Power);
    }
    log.close();
    disk.crash(|| false);
    (disk, written)
}

/// What recovery makes of a disk, with what is looked at after a start: the entries, or the error.
fn recovered(disk: &Arc<SimDisk>) -> Result<BTreeMap<u64, Entry>, LedgerError> {
    let directory = Path::new("/log");
    let mut book = recover(disk.as_ref(), directory, NODE)?.book;
    assert_eq!(book.vote, Some(Vote::new_committed(1, NODE)));
    read_unread(&mut book)?;
    let mut entries = BTreeMap::new();
    for copy in book.copies(&(0..u64::MAX)) {
        let Copy::There(fetch) = copy else { panic!("what was found stays on the disk") };
        let damaged = |e: std::io::Error| LedgerError::Damaged { what: format!("/log/ {e}") };
        entries.insert(fetch.id.index, super::super::fetch_entry(&fetch).map_err(damaged)?);
    }
    Ok(entries)
}

/// Reads what a start left unread, as is done soon after it; returns which segments it had not read.
fn read_unread(book: &mut Book) -> Result<Vec<u64>, LedgerError> {
    let mut read = Vec::new();
    while let Some((unread, file)) = book.leftovers.next() {
        let spots = unread.read(Path::new("/log"), file)?;
        book.learn(unread.segment, spots);
        read.extend(unread.behind().map(|_| unread.segment));
    }
    Ok(read)
}

/// Which segments a start leaves unread.
fn unread(disk: &Arc<SimDisk>) -> Vec<u64> {
    read_unread(&mut recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().book).unwrap()
}

fn whole_or_refused(disk: &Arc<SimDisk>, written: &BTreeMap<u64, Entry>, context: &str) -> bool {
    match recovered(disk) {
        Ok(found) => {
            assert_eq!(&found, written, "{context}: silently changed");
            true
        }
        Err(LedgerError::Damaged { what }) => {
            assert!(what.contains("/log/"), "{context}: {what}");
            false
        }
        Err(other) => panic!("{context}: {other}"),
    }
}

/// Where the last written sector of the segment ends.
fn used(disk: &SimDisk) -> usize {
    let bytes = disk.bytes(Path::new(SEGMENT));
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    (last / SECTOR_BYTES + 1) * SECTOR_BYTES
}

#[tokio::test]
async fn whatever_byte_rots_the_log_is_read_whole_or_refused() {
    for clean in [true, false] {
        let (disk, written) = sample(clean).await;
        assert_eq!(recovered(&disk.copy()).unwrap(), written);
        let (mut refused, end) = (0, used(&disk));
        for at in 0..end + 2 * SECTOR_BYTES {
            for flip in [0x01, 0x80, 0xff] {
                let copy = disk.copy();
                copy.edit(Path::new(SEGMENT), |bytes| bytes[at] ^= flip);
                let whole = whole_or_refused(&copy, &written, &format!("clean {clean}, byte {at} ^ {flip:#x}"));
                refused += u32::from(!whole);
            }
        }
        assert!(refused as usize > end * 2, "most flips are noticed: {refused} of {}", end * 3);
    }
}

#[tokio::test]
async fn whatever_byte_of_the_anchor_rots_the_log_is_read_whole_or_refused() {
    let (disk, written) = sample(true).await;
    for at in 0..disk.bytes(Path::new(ANCHOR)).len() {
        let copy = disk.copy();
        copy.edit(Path::new(ANCHOR), |bytes| bytes[at] ^= 0x10);
        whole_or_refused(&copy, &written, &format!("anchor byte {at}"));
    }
}

#[tokio::test]
async fn lost_sectors_of_acknowledged_groups_are_noticed() {
    let (disk, written) = sample(true).await;
    for sector in 0..used(&disk) / SECTOR_BYTES {
        let copy = disk.copy();
        copy.edit(Path::new(SEGMENT), |bytes| bytes[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0));
        assert!(!whole_or_refused(&copy, &written, &format!("sector {sector}")), "sector {sector} is lost");
        copy.edit(Path::new(SEGMENT), |bytes| bytes[sector * SECTOR_BYTES..].fill(0));
        assert!(!whole_or_refused(&copy, &written, &format!("from sector {sector}")), "the end is lost");
    }
}

#[tokio::test]
async fn segments_cut_short_or_gone_are_noticed() {
    let (disk, written) = sample(true).await;
    let length = disk.bytes(Path::new(SEGMENT)).len();
    for cut in [0, 1, 511, 512, 1024, length - 512, length - 1] {
        let copy = disk.copy();
        copy.edit(Path::new(SEGMENT), |bytes| bytes.truncate(cut));
        assert!(!whole_or_refused(&copy, &written, "cut"), "cut to {cut} bytes");
    }
    disk.delete(Path::new(SEGMENT));
    assert!(matches!(open(&disk), Err(LedgerError::Damaged { .. })));

    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    append(&mut log, (0..60).map(|index| entry(1, index, 900)).collect()).await.unwrap();
    log.close();
    let segments: Vec<_> = disk.paths().into_iter().filter(|path| path.to_str().unwrap().contains("segment")).collect();
    assert!(segments.len() > 3);
    for path in &segments {
        let copy = disk.copy();
        copy.delete(path);
        assert!(matches!(open(&copy), Err(LedgerError::Damaged { .. })), "without {}", path.display());
    }
    let copy = disk.copy();
    copy.delete(Path::new(ANCHOR));
    assert!(matches!(open(&copy), Err(LedgerError::Damaged { .. })), "without the anchor");
}

#[tokio::test]
async fn an_unacknowledged_end_is_dropped_wherever_it_was_cut() {
    let (disk, mut written) = sample(false).await;
    let from = used(&disk);
    let longer = disk.copy();
    let mut log = open(&longer).unwrap();
    let before = longer.bytes(Path::new(ANCHOR));
    append(&mut log, vec![entry(1, 4, 1500)]).await.unwrap();
    longer.fail_at(1, Failure::Power);
    log.close();
    longer.crash(|| false);
    longer.edit(Path::new(ANCHOR), |bytes| *bytes = before);
    let end = used(&longer);
    assert_eq!((end - from) / SECTOR_BYTES, 4);
    for cut in from..end {
        let copy = longer.copy();
        copy.edit(Path::new(SEGMENT), |bytes| bytes[cut..].fill(0));
        let found = recovered(&copy).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        // Only a cut within the last sector's mark leaves the group complete.
        assert!(found == written || cut >= end - 2, "cut at {cut}");
        assert_eq!(recovered(&copy).unwrap(), found, "the second recovery finds what the first did");
    }
    for lost in 1..16u32 {
        let copy = longer.copy();
        for sector in (0..4).filter(|sector| lost & (1 << sector) != 0) {
            copy.edit(Path::new(SEGMENT), |bytes| bytes[from + sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0));
        }
        assert_eq!(recovered(&copy).unwrap(), written, "sectors {lost:04b} lost");
        assert_eq!(used(&copy), from, "what is left of the torn group is cleared");
    }
    written.insert(4, entry(1, 4, 1500));
    assert_eq!(recovered(&longer).unwrap(), written);
}

/// Puts a record into the place of one of the same length, with checksums that are right: only
/// the digest over all before it can tell.
fn forge(disk: &SimDisk, segment: &str, offset: usize) {
    disk.edit(Path::new(segment), |bytes| {
        let sector = &mut bytes[offset..offset + SECTOR_BYTES];
        let record = GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + RECORD_HEADER_BYTES + 8;
        sector[record.end - 8] ^= 1;
        let payload = crc32c::crc32c(&sector[record.end - 8..record.end]);
        sector[record.end..record.end + 4].copy_from_slice(&payload.to_le_bytes());
        let whole = crc32c::crc32c(&sector[..506]);
        sector[506..510].copy_from_slice(&whole.to_le_bytes());
    });
}

/// A log of several segments. In one of them entries are taken back and written anew under the
/// same leader, as a disk may have it that lost some; later, leaders change.
async fn sample_of_segments() -> (Arc<SimDisk>, BTreeMap<u64, Entry>) {
    let disk = Arc::new(SimDisk::default());
    let mut log = LogStore::open(setup(&disk, 4 * 1024), Arc::default(), Arc::default()).unwrap();
    log.save_vote(&Vote::new_committed(1, NODE)).await.unwrap();
    let mut written = BTreeMap::new();
    for index in 0..24 {
        // Two change leaders in one segment.
        let term = if index < 16 { 1 } else { 2 + u64::from(index >= 18) };
        let entry = entry(term, index, 300 + 20 * index as usize);
        append(&mut log, vec![entry.clone()]).await.unwrap();
        written.insert(index, entry);
        if index == 12 {
            log.truncate_after(Some(log_id(1, NODE, 9))).await.unwrap();
            for index in 10..=12 {
                let anew = super::entry(1, index, 200);
                append(&mut log, vec![anew.clone()]).await.unwrap();
                written.insert(index, anew);
            }
        }
    }
    log.close();
    (disk, written)
}

#[tokio::test]
async fn full_segments_are_not_read_at_a_start() {
    let (disk, written) = sample_of_segments().await;
    let segments = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().book.segments.len();
    let unread = unread(&disk);
    // Not where entries were taken back, and not the newest.
    assert_eq!(unread.len(), segments - 2, "{unread:?} of {segments}");
    assert!(unread.len() >= 4);
    assert_eq!(recovered(&disk).unwrap(), written);
    let mut log = LogStore::open(setup(&disk, 4 * 1024), Arc::default(), Arc::default()).unwrap();
    let leaders = log.get_key_log_ids(log_id(1, NODE, 0)..=log_id(3, NODE, 23)).await.unwrap();
    assert_eq!(leaders, [log_id(1, NODE, 15), log_id(2, NODE, 17), log_id(3, NODE, 23)]);
    let unknown =
        |log: &LogStore| log.shared.book.lock().unknown(&(0..u64::MAX)).iter().map(|(one, _)| one.segment).collect();
    let before: BTreeSet<u64> = unknown(&log);
    assert_eq!(before.iter().copied().collect::<Vec<_>>(), unread, "to know the leaders, nothing is read");
    let few = log.try_get_log_entries(5..6).await.unwrap();
    assert_eq!(few, [written[&5].clone()]);
    let after: BTreeSet<u64> = unknown(&log);
    assert_eq!(before.len() - after.len(), 1, "only what was asked for is read");
    assert_eq!(log.limited_get_log_entries(6, 8).await.unwrap().len(), 2);
    assert_eq!(entries(&mut log).await, written);
    log.close();
}

#[tokio::test]
async fn a_segment_whose_first_group_is_torn_tells_the_turns_of_the_one_before_when_it_is_begun_anew() {
    let entry_of = |index: u64| entry(1 + u64::from(index >= 6), index, 700);
    let newest =
        |disk: &SimDisk| disk.paths().into_iter().filter(|path| path.to_str().unwrap().contains("segment")).max();
    let open = |disk: &Arc<SimDisk>| LogStore::open(setup(disk, 4 * 1024), Arc::default(), Arc::default()).unwrap();
    let disk = Arc::new(SimDisk::default());
    open(&disk).close();
    // Nobody told the anchor since: it is told when the log rests.
    let anchor = disk.bytes(Path::new(ANCHOR));
    let mut torn = 0;
    for index in 0..24 {
        let segment = newest(&disk);
        let mut log = open(&disk);
        append(&mut log, vec![entry_of(index)]).await.unwrap();
        log.close();
        if index == 0 || newest(&disk) == segment {
            continue;
        }
        // It was the first of a new segment: the second sector of it was never written.
        let copy = disk.copy();
        copy.edit(&newest(&disk).unwrap(), |bytes| bytes[SECTOR_BYTES..].fill(0));
        copy.edit(Path::new(ANCHOR), |bytes| bytes.clone_from(&anchor));
        let mut log = open(&copy);
        assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(entry_of(index - 1).log_id));
        for index in index..index + 9 {
            append(&mut log, vec![entry_of(index)]).await.unwrap();
        }
        log.close();
        let written: Vec<Entry> = (0..index + 9).map(entry_of).collect();
        let mut log = open(&copy);
        assert_eq!(entries(&mut log).await.into_values().collect::<Vec<_>>(), written, "torn at {index}");
        log.close();
        let segments = recover(copy.as_ref(), Path::new("/log"), NODE).unwrap().book.segments.len();
        assert_eq!(unread(&copy).len(), segments - 1, "torn at {index}: all but the newest are left unread");
        torn += 1;
    }
    assert!(torn > 3);
}

#[test]
fn a_checkpoint_from_before_turns_were_kept_leaves_its_segment_to_be_read() {
    let head = |segment, last, turns| Head {
        group: segment * 10,
        checkpoint: Checkpoint {
            format: 1,
            node: NODE,
            segment,
            segment_bytes: 4096,
            chain: [7; 16],
            vote: Some(Vote::new_committed(1, NODE)),
            purged: None,
            last: Some(log_id(1, NODE, last)),
            turns,
        },
    };
    let old = head(3, 9, None).checkpoint;
    let bytes = postcard::to_stdvec(&old).unwrap();
    assert_eq!(Checkpoint::from_bytes(&bytes[..bytes.len() - 1]), Some(old));
    assert_eq!(Checkpoint::from_bytes(&bytes[..bytes.len() - 2]), None);
    let between = |last, turns| Unread::between(head(3, 9, None), head(4, last, turns)).is_some();
    assert!(between(20, Some(Vec::new())));
    assert!(between(9, Some(Vec::new())), "it holds no entry");
    assert!(!between(20, None));
    assert!(!between(8, Some(Vec::new())));
    assert!(!between(20, Some(vec![log_id(1, NODE, 9)])), "an entry of before cannot be the first of a leader");
    assert!(!between(20, Some(vec![log_id(0, NODE, 12)])), "the last is another leader's");
    assert!(!between(20, Some(vec![log_id(1, NODE, 12), log_id(1, NODE, 11)])));
    assert!(!between(u64::MAX, Some(Vec::new())));
    assert!(Unread::between(head(3, 9, None), head(5, 20, Some(Vec::new()))).is_none());
}

#[tokio::test]
async fn whatever_byte_rots_of_a_segment_that_a_start_does_not_read_it_is_noticed_before_or_after() {
    let (disk, written) = sample_of_segments().await;
    for segment in unread(&disk) {
        let path = super::super::segment::path(Path::new("/log"), segment);
        for at in 0..disk.bytes(&path).len() {
            let copy = disk.copy();
            copy.edit(&path, |bytes| bytes[at] ^= 0x81);
            let context = format!("byte {at} of {}", path.display());
            let refused = !whole_or_refused(&copy, &written, &context);
            // What was never written holds nothing that could be lost; the mark of a sector's end is two bytes long.
            let is_used = disk.bytes(&path)[at - at % SECTOR_BYTES..][..SECTOR_BYTES].iter().any(|byte| *byte != 0);
            assert!(refused || !is_used || at % SECTOR_BYTES >= 510, "{context}");
        }
    }
}

#[tokio::test]
async fn what_is_taken_back_from_before_a_segment_is_no_damage_in_it() {
    for purged in [false, true] {
        let disk = Arc::new(SimDisk::default());
        let open = || LogStore::open(setup(&disk, 4 * 1024), Arc::default(), Arc::default()).unwrap();
        let mut log = open();
        for index in 0..14 {
            append(&mut log, vec![entry(1, index, 700)]).await.unwrap();
        }
        let newest = *recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().book.segments.keys().last().unwrap();
        let first_of_newest = 14 - disk_entries(&disk, newest);
        // Behind the boundary, and on into further segments.
        let back_to = first_of_newest - 3;
        log.truncate_after(Some(log_id(1, NODE, back_to))).await.unwrap();
        for index in back_to + 1..back_to + 20 {
            append(&mut log, vec![entry(2, index, 700)]).await.unwrap();
        }
        if purged {
            log.purge(log_id(2, NODE, back_to + 5)).await.unwrap();
            append(&mut log, vec![entry(2, back_to + 20, 10)]).await.unwrap();
        }
        let written = entries(&mut log).await;
        log.close();
        assert!(unread(&disk).len() >= 2, "purged {purged}");
        // The segment that takes back is the oldest or not.
        let mut log = open();
        assert_eq!(entries(&mut log).await, written, "purged {purged}");
        log.close();
    }
}

/// How many entries lie in a segment.
fn disk_entries(disk: &Arc<SimDisk>, segment: u64) -> u64 {
    let mut book = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().book;
    read_unread(&mut book).unwrap();
    let there = |copy: &Copy| match copy {
        Copy::There(fetch) => fetch.place.segment == segment,
        Copy::Here(_) => false,
    };
    book.copies(&(0..u64::MAX)).iter().filter(|copy| there(copy)).count() as u64
}

/// Reads a log whole, at a start and after it.
fn chained(disk: &Arc<SimDisk>) -> Result<(), LedgerError> {
    read_unread(&mut recover(disk.as_ref(), Path::new("/log"), NODE)?.book).map(drop)
}

#[tokio::test]
async fn a_record_off_the_chain_is_noticed_wherever_it_lies() {
    let disk = Arc::new(SimDisk::default());
    let mut log = LogStore::open(setup(&disk, 4 << 20), Arc::default(), Arc::default()).unwrap();
    // A group each, of a sector each: 1.2 MB, which is checked in several pieces at once.
    for index in 0..2400 {
        append(&mut log, vec![entry(1, index, 8)]).await.unwrap();
    }
    log.close();
    let number = |path: &std::path::PathBuf| path.to_str().unwrap().contains("segment").then(|| path.clone());
    let segments: Vec<_> = disk.paths().iter().filter_map(number).collect();
    assert!(segments.len() > 1);
    assert!(chained(&disk).is_ok());
    for (segment, sector) in [(0, 1), (0, 700), (0, 1500), (0, 2000), (1, 5), (1, 200)] {
        let copy = disk.copy();
        let path = segments[segment].to_str().unwrap();
        forge(&copy, path, sector * SECTOR_BYTES);
        let refused = chained(&copy).err();
        let Some(LedgerError::Damaged { what }) = refused else { panic!("{path} {sector}: {refused:?}") };
        let expected = format!("{path} offset {}: a record does not follow the one before it", sector * SECTOR_BYTES);
        assert!(what.contains(&expected), "{what}, and not {expected}");
    }
}
