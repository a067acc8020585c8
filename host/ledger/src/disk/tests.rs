use std::fs;
use std::path::Path;

use bulkhead_model::seam::ledger::LedgerError;

use super::{Disk, MEMTABLE_BYTES};

fn put(disk: &Disk, key: &str, value: &str) {
    let mut batch = disk.batch(1);
    batch.put(key.as_bytes(), value.as_bytes());
    batch.commit().unwrap();
}

fn get(disk: &Disk, key: &str) -> Option<String> {
    disk.get(key.as_bytes()).unwrap().map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn what_was_synced_is_there_again_and_the_rest_is_gone_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    put(&disk, "a", "1");
    put(&disk, "b", "1");
    disk.sync().unwrap();
    let mut batch = disk.batch(2);
    batch.put(&b"a"[..], &b"2"[..]);
    batch.remove(&b"b"[..]);
    batch.commit().unwrap();
    assert_eq!((get(&disk, "a"), get(&disk, "b")), (Some("2".to_owned()), None));
    drop(disk);
    let disk = Disk::open(dir.path()).unwrap();
    assert_eq!((get(&disk, "a"), get(&disk, "b")), (Some("1".to_owned()), Some("1".to_owned())));
    put(&disk, "a", "3");
    disk.sync().unwrap();
    drop(disk);
    assert_eq!(get(&Disk::open(dir.path()).unwrap(), "a").as_deref(), Some("3"));
}

#[test]
fn a_view_stays_as_it_was_while_files_are_written_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    for n in 0..100 {
        put(&disk, &format!("key/{n:03}"), "old");
    }
    let view = disk.view();
    let big = "v".repeat(64 * 1024);
    let batches = 8 * MEMTABLE_BYTES as usize / big.len();
    for n in 0..batches {
        put(&disk, &format!("key/{:03}", n % 100), &format!("{n} {big}"));
    }
    disk.sync().unwrap();
    let values: Vec<_> = view.range(b"key/", b"key0").map(|found| found.unwrap().1.to_vec()).collect();
    assert_eq!(values.len(), 100);
    assert!(values.iter().all(|value| value == b"old"));
    assert_eq!(view.keys(b"key/090", b"key/095").count(), 5);
    drop(view);
    for n in batches - 100..batches {
        let found = get(&disk, &format!("key/{:03}", n % 100)).unwrap();
        assert!(found.starts_with(&format!("{n} ")), "{n}");
    }
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    let keys = 50_u8;
    let write = |round: u32| {
        let mut batch = disk.batch(usize::from(keys));
        for key in 0..keys {
            batch.put(vec![key], [&round.to_be_bytes()[..], &[0; 2000]].concat());
        }
        batch.commit().unwrap();
    };
    write(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..400).for_each(write));
        while !writer.is_finished() {
            let view = disk.view();
            let rounds: Vec<_> =
                (0..keys).map(|key| view.get(&[key]).unwrap().expect("it was put")[..4].to_vec()).collect();
            assert!(rounds.iter().all(|round| *round == rounds[0]), "a view shows two rounds");
        }
    });
}

#[test]
fn files_are_merged_however_they_came_about() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    let round = |n: usize| {
        put(&disk, &format!("key/{}", n % 7), &n.to_string());
        disk.sync().unwrap();
    };
    (0..40).for_each(round);
    // What was merged goes from the disk once it is older than what is read now, so the
    // writing goes on, slowly: the thread that merges may be behind.
    let files = || std::fs::read_dir(dir.path().join("tables")).unwrap().count();
    let mut rounds = 40;
    while files() >= 12 {
        assert!(rounds < 400, "{} files of {rounds} are left", files());
        std::thread::sleep(std::time::Duration::from_millis(50));
        round(rounds);
        rounds += 1;
    }
    let newest = (0..rounds).rev().find(|n| n % 7 == 4).map(|n| n.to_string());
    assert_eq!(get(&disk, "key/4"), newest);
}

#[test]
fn what_was_removed_gives_its_room_back_while_the_disk_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    let bytes = || files_bytes(dir.path());
    // Nothing that packs well.
    let mut dice = crate::peer::sim::Dice::new(1);
    let mut value = || (0..8 * 1024).flat_map(|_| dice.next().to_be_bytes()).collect::<Vec<u8>>();
    let count = 2 * MEMTABLE_BYTES as usize / value().len();
    for n in 0..count {
        let mut batch = disk.batch(1);
        batch.put(format!("key/{n:05}").into_bytes(), value());
        batch.commit().unwrap();
    }
    disk.sync().unwrap();
    let full = bytes();
    assert!(full > MEMTABLE_BYTES, "{full}");
    let mut batch = disk.batch(count);
    (0..count).for_each(|n| batch.remove(format!("key/{n:05}").into_bytes()));
    batch.commit().unwrap();
    for n in 0..400 {
        put(&disk, &format!("other/{}", n % 7), "small");
        disk.sync().unwrap();
        if bytes() < full / 10 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{} of {full} bytes are still taken", bytes());
}

fn files_bytes(directory: &Path) -> u64 {
    let sizes = fs::read_dir(directory).unwrap().map(|entry| {
        // One may go while it is looked at.
        let entry = entry.unwrap();
        match entry.metadata() {
            Ok(about) if about.is_dir() => files_bytes(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        }
    });
    sizes.sum()
}

/// A tree of two files, closed.
fn two_files(directory: &Path) {
    let disk = Disk::open(directory).unwrap();
    for name in ["a", "b"] {
        put(&disk, name, "1");
        disk.sync().unwrap();
    }
}

#[test]
fn no_bit_of_the_list_of_files_can_change_unseen() {
    let dir = tempfile::tempdir().unwrap();
    two_files(dir.path());
    let current = dir.path().join("current");
    let newest = fs::read(&current).unwrap()[0];
    for list in [dir.path().join(format!("v{newest}")), current] {
        let whole = fs::read(&list).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&list, bytes).unwrap();
            let opened = Disk::open(dir.path());
            assert!(matches!(opened, Err(LedgerError::Damaged { .. })), "bit {bit} of {}", list.display());
        }
        fs::remove_file(&list).unwrap();
        assert!(matches!(Disk::open(dir.path()), Err(LedgerError::Damaged { .. })), "without {}", list.display());
        fs::write(&list, whole).unwrap();
    }
    let disk = Disk::open(dir.path()).unwrap();
    assert_eq!((get(&disk, "a"), get(&disk, "b")), (Some("1".to_owned()), Some("1".to_owned())));
}
