use std::fs::File;
use std::path::Path;

use bulkhead_model::seam::ledger::LedgerError;
use openraft::StoredMembership;

use super::{Contents, SnapshotFile, Snapshots};
use crate::disk::Slice;
use crate::machine::state::Meta;
use crate::raft::log_id;

type Record = (Vec<u8>, Vec<u8>);

fn meta(index: u64) -> Meta {
    Meta {
        applied: Some(log_id(3, 7, index)),
        membership: StoredMembership::default(),
        digest: [9; 32],
        removed: vec![3, 1 << 60],
    }
}

fn records(count: usize) -> Vec<Record> {
    (0..count).map(|n| (format!("key/{n:05}").into_bytes(), vec![n as u8; n % 300])).collect()
}

fn write(directory: &Path, index: u64, records: &[Record]) -> Snapshots {
    let snapshots = Snapshots::open(directory.to_owned()).unwrap();
    let all = records.iter().map(|(key, value)| Ok((Slice::from(&key[..]), Slice::from(&value[..]))));
    snapshots.write(&meta(index), all).unwrap();
    snapshots
}

fn read(file: &File) -> Result<Vec<Record>, LedgerError> {
    let mut contents = Contents::open(file)?;
    assert_eq!(contents.note(), &meta(contents.note().applied.unwrap().index));
    let mut all = Vec::new();
    while let Some(chunk) = contents.next_chunk()? {
        all.extend(chunk);
    }
    Ok(all)
}

fn only_file(directory: &Path) -> std::path::PathBuf {
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

#[test]
fn there_is_a_snapshot_while_another_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = write(dir.path(), 1, &records(1));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| (2..300).for_each(|index| drop(write(dir.path(), index, &records(1)))));
        while !writing.is_finished() {
            assert!(snapshots.current().unwrap().is_some());
        }
    });
}

#[test]
fn a_snapshot_gives_back_every_record_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let written = records(5000);
    let snapshots = write(dir.path(), 10, &written);
    let current = snapshots.current().unwrap().unwrap();
    assert_eq!(current.meta.last_log_id, Some(log_id(3, 7, 10)));
    assert_eq!(read(&current.snapshot.0).unwrap(), written);
}

#[test]
fn only_the_newest_snapshot_is_kept_and_half_written_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 10, &records(3));
    write(dir.path(), 20, &records(4));
    std::fs::write(dir.path().join("snapshot-00000000000000000030-1.tmp"), b"half").unwrap();
    let snapshots = Snapshots::open(dir.path().to_owned()).unwrap();
    assert_eq!(snapshots.last_index(), 20);
    only_file(dir.path());
}

#[test]
fn a_received_snapshot_becomes_the_current_one() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sent = write(there.path(), 10, &records(30)).current().unwrap().unwrap();
    let snapshots = Snapshots::open(here.path().to_owned()).unwrap();
    let kept = snapshots.keep(&SnapshotFile(sent.snapshot.0), sent.meta.last_log_id).unwrap();
    assert_eq!(read(&kept).unwrap(), records(30));
    assert_eq!(snapshots.last_index(), 10);
}

#[test]
fn a_snapshot_changed_or_cut_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 10, &records(8));
    let path = only_file(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        for wrong in [&changed[..], &bytes[..at]] {
            std::fs::write(&path, wrong).unwrap();
            let refused = read(&File::open(&path).unwrap());
            assert!(matches!(refused, Err(LedgerError::Damaged { .. })), "byte {at} of {}", bytes.len());
        }
    }
}
