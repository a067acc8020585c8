//! What a ledger finds when it comes back.

use std::fs;

use super::*;

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    for n in 0..50 {
        ledger.propose(put(&format!("key/{n}"), &format!("value {n}"))).await.unwrap();
    }
    let before = (ledger.standing(), ledger.digest().await.unwrap());
    ledger.shutdown().await.unwrap();

    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    assert!(ledger.standing().leader, "a cluster of one leads at once");
    assert!(ledger.standing().applied_index >= before.0.applied_index);
    for n in 0..50 {
        assert_eq!(read(&ledger, &format!("key/{n}")), Some(format!("value {n}")));
    }
    ledger.bootstrap().await.unwrap();
    ledger.propose(put("key/0", "new")).await.unwrap();
    ledger.linearizable().await.unwrap();
    assert_eq!(read(&ledger, "key/0").as_deref(), Some("new"));
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_state_that_is_gone_is_rebuilt_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    for n in 0..50 {
        ledger.propose(put(&format!("key/{n}"), "value")).await.unwrap();
    }
    let (index, digest) = ledger.digest().await.unwrap();
    ledger.shutdown().await.unwrap();
    fs::remove_dir_all(dir.path().join("data/state")).unwrap();

    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    assert_eq!(read(&ledger, "key/49").as_deref(), Some("value"));
    let (index_now, digest_now) = ledger.digest().await.unwrap();
    if index == index_now {
        assert_eq!(digest, digest_now, "the same entries leave the same digest");
    }
    ledger.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_snapshots_old_segments_go_and_the_state_is_still_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    let big = "v".repeat(4000);
    for n in 0..400 {
        ledger.propose(put(&format!("key/{}", n % 70), &format!("{n} {big}"))).await.unwrap();
    }
    let segments = || fs::read_dir(dir.path().join("data/log")).unwrap().count();
    for _ in 0..200 {
        if segments() < 6 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(segments() < 6, "400 entries of 4 KiB fill 7 segments; {} files are left", segments());
    ledger.shutdown().await.unwrap();
    fs::remove_dir_all(dir.path().join("data/state")).unwrap();

    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    for n in 330..400 {
        assert_eq!(read(&ledger, &format!("key/{}", n % 70)), Some(format!("{n} {big}")));
    }
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_damaged_state_is_set_aside_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    for n in 0..50 {
        ledger.propose(put(&format!("key/{n}"), "value")).await.unwrap();
    }
    ledger.shutdown().await.unwrap();
    let state = dir.path().join("data/state");
    let number = fs::read_to_string(state.join("current")).unwrap();
    for entry in fs::read_dir(state.join(number.trim())).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            let mut bytes = fs::read(entry.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle.saturating_sub(2000)).take(4000).step_by(7).for_each(|b| *b ^= 0x55);
            fs::write(entry.path(), bytes).unwrap();
        }
    }
    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    for n in 0..50 {
        assert_eq!(read(&ledger, &format!("key/{n}")).as_deref(), Some("value"), "key {n}");
    }
    ledger.shutdown().await.unwrap();
}

/// A ledger whose log no longer has everything: the state and a snapshot hold the rest.
async fn shortened(dir: &Path) {
    let ledger = started(small(dir)).await;
    let big = "v".repeat(4000);
    for n in 0..300 {
        ledger.propose(put(&format!("key/{n}"), &format!("{n} {big}"))).await.unwrap();
    }
    ledger.shutdown().await.unwrap();
    assert!(!dir.join("data/log/segment-0000000000000000.log").exists(), "the log still has everything");
}

/// Copies a file and everything below it.
fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_whose_list_of_files_is_damaged_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    shortened(dir.path()).await;
    let map = Path::new("data/state").join(fs::read_to_string(dir.path().join("data/state/current")).unwrap().trim());
    let names = fs::read_dir(dir.path().join(&map)).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name != "tables").collect();
    assert!(names.len() >= 2, "a list, and which one it is: {names:?}");
    for name in names {
        let whole = fs::read(dir.path().join(&map).join(&name)).unwrap();
        let flips = (0..whole.len()).step_by(1 + whole.len() / 12).map(Some);
        for flip in flips.chain([None]) {
            let other = tempfile::tempdir().unwrap();
            copy(&dir.path().join("data"), other.path());
            let file = other.path().join(&map).join(&name);
            match flip {
                Some(at) => {
                    let mut bytes = whole.clone();
                    bytes[at] ^= 1 << (at % 8);
                    fs::write(&file, bytes).unwrap();
                }
                None => fs::remove_file(&file).unwrap(),
            }
            let ledger = RaftLedger::open(small(other.path())).await.unwrap();
            for n in 0..300 {
                let found = read(&ledger, &format!("key/{n}"));
                assert!(found.is_some(), "{name:?} flipped at {flip:?}: key/{n} is gone");
            }
            ledger.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_state_that_are_empty_or_damaged_are_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    shortened(dir.path()).await;
    let number = fs::read_to_string(dir.path().join("data/state/current")).unwrap();
    let tables = Path::new("data/state").join(number.trim()).join("tables");
    for entry in fs::read_dir(dir.path().join(&tables)).unwrap() {
        let name = entry.unwrap().file_name();
        let whole = fs::read(dir.path().join(&tables).join(&name)).unwrap();
        // Empty, cut, and with its index and trailer damaged.
        for damage in 0..6 {
            let other = tempfile::tempdir().unwrap();
            copy(&dir.path().join("data"), other.path());
            let mut bytes = whole.clone();
            match damage {
                0 => bytes.clear(),
                1 => bytes.truncate(whole.len() / 2),
                _ => bytes[whole.len() - 40 * (damage - 1)] ^= 0x10,
            }
            fs::write(other.path().join(&tables).join(&name), bytes).unwrap();
            // What shows only when it is read is rebuilt at the next start.
            let mut whole = false;
            for _ in 0..2 {
                let ledger = RaftLedger::open(small(other.path())).await.unwrap();
                let view = ledger.view().unwrap();
                whole = (0..300).all(|n| matches!(view.get(format!("key/{n}").as_bytes()), Ok(Some(_))));
                drop(view);
                ledger.shutdown().await.unwrap();
            }
            assert!(whole, "{name:?} with damage {damage}");
        }
    }
}

#[tokio::test]
async fn a_log_that_is_gone_keeps_the_node_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    ledger.propose(put("key", "value")).await.unwrap();
    ledger.shutdown().await.unwrap();
    let log = dir.path().join("data/log");
    fs::remove_file(log.join("anchor")).unwrap();
    let Err(LedgerError::Damaged { what }) = RaftLedger::open(small(dir.path())).await else {
        panic!("a log without its anchor was opened")
    };
    assert!(what.contains("anchor"), "{what}");
    fs::remove_dir_all(&log).unwrap();
    let Err(LedgerError::Damaged { what }) = RaftLedger::open(small(dir.path())).await else {
        panic!("a node without its log was opened")
    };
    assert!(what.contains("is gone"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_alone_does_not_make_a_node_start_again() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    for n in 0..150 {
        ledger.propose(put(&format!("key/{n}"), "value")).await.unwrap();
    }
    ledger.shutdown().await.unwrap();
    let data = dir.path().join("data");
    assert!(fs::read_dir(data.join("snapshots")).unwrap().next().is_some(), "there is a snapshot");
    fs::remove_dir_all(data.join("log")).unwrap();
    fs::remove_dir_all(data.join("state")).unwrap();
    let Err(LedgerError::Damaged { what }) = RaftLedger::open(small(dir.path())).await else {
        panic!("a node that forgot its votes was opened")
    };
    assert!(what.contains("is gone"), "{what}");
}

#[tokio::test]
async fn lost_writes_of_an_only_voter_are_said_and_gone_on_without_if_that_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    ledger.propose(put("key", "early")).await.unwrap();
    ledger.shutdown().await.unwrap();
    let (data, then) = (dir.path().join("data"), dir.path().join("then"));
    let copy = |from: &Path, to: &Path| {
        fs::create_dir(to).unwrap();
        for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    copy(&data.join("log"), &then);
    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    ledger.propose(put("key", "late")).await.unwrap();
    ledger.shutdown().await.unwrap();
    fs::remove_dir_all(data.join("log")).unwrap();
    copy(&then, &data.join("log"));

    // A start that is refused lets the directory go before it says so.
    for _ in 0..20 {
        let Err(LedgerError::Damaged { what }) = RaftLedger::open(small(dir.path())).await else {
            panic!("acknowledged writes are lost, and nobody was told")
        };
        assert!(what.contains("accept-lost-writes"), "{what}");
    }
    fs::write(data.join("accept-lost-writes"), "").unwrap();
    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    assert_eq!(read(&ledger, "key").as_deref(), Some("late"));
    ledger.propose(put("key", "next")).await.unwrap();
    assert!(!data.join("accept-lost-writes").exists(), "it is not accepted for all time");
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_damaged_log_keeps_the_node_from_starting_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    for n in 0..10 {
        ledger.propose(put(&format!("key/{n}"), "value")).await.unwrap();
    }
    ledger.shutdown().await.unwrap();
    let segment = dir.path().join("data/log/segment-0000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[1000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let Err(LedgerError::Damaged { what }) = RaftLedger::open(small(dir.path())).await else {
        panic!("a damaged log was opened")
    };
    assert!(what.contains("segment-0000000000000001.log offset 512"), "{what}");
    assert!(what.contains("must not start"), "{what}");
}

// files of the ledger are for its owner alone.
#[tokio::test]
async fn files_are_the_owners_alone_where_the_room_makes_them() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    let mode = |path: &str| fs::metadata(dir.path().join("data").join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("log"), 0o700);
    assert_eq!(mode("log/segment-0000000000000001.log"), 0o600);
    assert_eq!(mode("node"), 0o600);
    ledger.shutdown().await.unwrap();
}
