//! Rot: every byte of a log changed in turn, sectors lost, files cut or gone. The log is
//! read back whole or not at all.

use std::path::Path;

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

/// What recovery makes of a disk: the entries, or the error.
fn recovered(disk: &Arc<SimDisk>) -> Result<BTreeMap<u64, Entry>, LedgerError> {
    let found = recover(disk.as_ref(), Path::new("/log"), NODE)?;
    assert_eq!(found.book.vote, Some(Vote::new_committed(1, NODE)));
    let copies = found.book.copies(0..u64::MAX);
    let here = copies.into_iter().map(|copy| match copy {
        super::super::book::Copy::Here(entry) => (entry.log_id.index, entry),
        super::super::book::Copy::There(_) => panic!("a small log is in memory"),
    });
    Ok(here.collect())
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
