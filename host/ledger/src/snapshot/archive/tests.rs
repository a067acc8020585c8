use std::io::Read;

use bulkhead_model::seam::ledger::LedgerError;

use super::{Packed, Unpacked, unpack};
use crate::disk::Slice;
use crate::machine::state::{Meta, map_key, versioned};
use crate::raft::log_id;
use crate::snapshot::{Snapshots, check, info};

fn packed(records: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(dir.path().to_owned()).unwrap();
    let meta = Meta { applied: Some(log_id(3, 7, 20)), digest: [9; 32], ..Meta::default() };
    let all = (0..records).map(|n| {
        let (key, value) = (map_key(format!("key/{n:05}").as_bytes()), versioned(4, &vec![n as u8; n % 300]));
        Ok((Slice::from(&key[..]), Slice::from(&value[..])))
    });
    let (file, end) = snapshots.write_apart(&meta, all).unwrap();
    let mut bytes = Vec::new();
    Packed::new(&info(meta.applied, end), end, file, &|_| b"sealed".to_vec()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn unpacked(bytes: &[u8]) -> Result<Unpacked, LedgerError> {
    unpack(bytes, |state| check(state, |_, _| ()))
}

#[test]
fn an_archive_gives_back_what_was_packed() {
    for records in [0, 1, 3000] {
        let found = unpacked(&packed(records)).unwrap();
        assert_eq!((found.info.records, found.info.index, found.info.term), (records as u64, 20, 3));
        assert_eq!(found.seal, b"sealed");
    }
}

/// The program that operators have at hand.
#[test]
fn tar_and_sha256sum_read_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot");
    std::fs::write(&path, packed(3000)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        std::process::Command::new(program).args(arguments).current_dir(dir.path()).output().unwrap()
    };
    let listed = run("tar", &["xzvf", "snapshot"]);
    assert!(listed.status.success(), "{listed:?}");
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "meta.json\nstate.bin\nSHA256SUMS\nSHA256SUMS.sealed\n");
    let checked = run("sha256sum", &["-c", "SHA256SUMS"]);
    assert!(checked.status.success(), "{checked:?}");
}
