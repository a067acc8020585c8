//! Rot: every byte of a log changed in turn, sectors lost, files cut or gone. The log is
//! read back whole or not at all.

use std::path::Path;

use super::super::contents;
use super::super::recheck;
use super::super::record::{GROUP_HEADER_BYTES, RECORD_HEADER_BYTES};
use super::super::recover::recover;
use super::super::sector::SECTOR_BYTES;
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
    let found = recover(disk.as_ref(), directory, NODE)?;
    assert_eq!(found.book.vote, Some(Vote::new_committed(1, NODE)));
    let mut entries = BTreeMap::new();
    for copy in found.book.copies(0..u64::MAX) {
        let super::super::book::Copy::There(fetch) = copy else { panic!("what was found stays on the disk") };
        let damaged = |e: std::io::Error| LedgerError::Damaged { what: format!("/log/ {e}") };
        entries.insert(fetch.id.index, super::super::fetch_entry(&fetch).map_err(damaged)?);
    }
    for contents in &found.unread {
        recheck::segment(directory, Arc::clone(&found.book.segments[&contents.segment]), contents)?;
    }
    Ok(entries)
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

/// A log of several segments, of which a start reads the newest.
async fn sample_of_segments() -> (Arc<SimDisk>, BTreeMap<u64, Entry>) {
    let disk = Arc::new(SimDisk::default());
    let mut log = LogStore::open(setup(&disk, 4 * 1024), Arc::default(), Arc::default()).unwrap();
    log.save_vote(&Vote::new_committed(1, NODE)).await.unwrap();
    let mut written = BTreeMap::new();
    for index in 0..12 {
        let entry = entry(1, index, 300 + 40 * index as usize);
        append(&mut log, vec![entry.clone()]).await.unwrap();
        written.insert(index, entry);
        if index == 5 {
            // They are written anew, after what took them back.
            log.truncate_after(Some(log_id(1, NODE, 3))).await.unwrap();
            for index in 4..=5 {
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
async fn full_segments_are_not_read_at_a_start_where_their_contents_are_written_down() {
    let (disk, written) = sample_of_segments().await;
    let found = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap();
    assert_eq!(found.unread.len(), found.book.segments.len() - 1, "all but the newest");
    assert!(found.unread.len() >= 2);
    assert_eq!(recovered(&disk).unwrap(), written);
    for contents in &found.unread {
        disk.delete(&contents::path(Path::new("/log"), contents.segment));
        assert_eq!(recovered(&disk).unwrap(), written, "without those of segment {}", contents.segment);
    }
    assert!(recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().unread.is_empty());
}

#[tokio::test]
async fn whatever_byte_rots_of_a_segment_that_a_start_does_not_read_it_is_noticed_before_or_after() {
    let (disk, written) = sample_of_segments().await;
    let unread = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().unread;
    for contents in unread {
        let beside = contents::path(Path::new("/log"), contents.segment);
        for at in 0..disk.bytes(&beside).len() {
            let copy = disk.copy();
            copy.edit(&beside, |bytes| bytes[at] ^= 0x10);
            assert_eq!(recovered(&copy).unwrap(), written, "byte {at} of {}", beside.display());
        }
        let path = super::super::segment::path(Path::new("/log"), contents.segment);
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
        let found = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap();
        assert!(found.unread.len() >= 2, "purged {purged}");
        for contents in &found.unread {
            let file = Arc::clone(&found.book.segments[&contents.segment]);
            recheck::segment(Path::new("/log"), file, contents).unwrap_or_else(|e| panic!("purged {purged}: {e}"));
            disk.delete(&contents::path(Path::new("/log"), contents.segment));
        }
        // Read as well, with the segment that takes back being the oldest or not.
        let mut log = open();
        assert_eq!(entries(&mut log).await, written, "purged {purged}");
        log.close();
    }
}

/// How many entries lie in a segment.
fn disk_entries(disk: &Arc<SimDisk>, segment: u64) -> u64 {
    let found = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap();
    let there = |copy: &super::super::book::Copy| match copy {
        super::super::book::Copy::There(fetch) => fetch.place.segment == segment,
        super::super::book::Copy::Here(_) => false,
    };
    found.book.copies(0..u64::MAX).iter().filter(|copy| there(copy)).count() as u64
}

#[tokio::test]
async fn contents_that_reach_further_than_what_is_behind_are_not_believed() {
    let (disk, written) = sample_of_segments().await;
    let unread = recover(disk.as_ref(), Path::new("/log"), NODE).unwrap().unread;
    let mut contents = unread[0].clone();
    contents.groups.1 += 1;
    contents.write(disk.as_ref(), Path::new("/log")).unwrap();
    assert_eq!(recovered(&disk).unwrap(), written);
    // Of the newest, nothing is believed whatever it says.
    let mut contents = unread.last().unwrap().clone();
    contents.segment += 1;
    contents.write(disk.as_ref(), Path::new("/log")).unwrap();
    assert_eq!(recovered(&disk).unwrap(), written);
    assert!(!disk.paths().contains(&contents::path(Path::new("/log"), contents.segment)));
}

#[tokio::test]
async fn contents_of_another_segment_or_of_one_that_was_written_anew_are_not_believed() {
    let (disk, written) = sample_of_segments().await;
    let [first, second] = [1, 2].map(|segment| contents::path(Path::new("/log"), segment));
    let bytes = disk.bytes(&second);
    disk.edit(&first, |old| *old = bytes);
    assert_eq!(recovered(&disk).unwrap(), written);
    let stray = contents::path(Path::new("/log"), 77);
    let copy = disk.copy();
    crate::files::Files::create(copy.as_ref(), &stray).unwrap();
    assert_eq!(recovered(&copy).unwrap(), written);
    assert!(!copy.paths().contains(&stray), "what is of no segment is removed");
}

/// Reads a log whole, at a start and after it.
fn chained(disk: &Arc<SimDisk>) -> Result<(), LedgerError> {
    let found = recover(disk.as_ref(), Path::new("/log"), NODE)?;
    let mut unread = found.unread.iter();
    unread.try_for_each(|contents| {
        recheck::segment(Path::new("/log"), Arc::clone(&found.book.segments[&contents.segment]), contents)
    })
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
