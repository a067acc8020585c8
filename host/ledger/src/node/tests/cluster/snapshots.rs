//! Catching up by snapshot; saving, checking and restoring one.

use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use bulkhead_model::seam::cluster::{ClusterError, Restoration};

use super::*;
use crate::snapshot::inspect_snapshot;

const BYTES_MAX: u64 = 1 << 30;

fn inspected(bytes: &[u8]) -> bulkhead_model::seam::cluster::SnapshotInfo {
    inspect_snapshot(bytes, |_, _| ()).unwrap()
}

/// Puts a snapshot in the place of the state, but for these keys.
async fn restore_but(ledger: &RaftLedger, bytes: Vec<u8>, keep: &[&str]) -> Result<u64, ClusterError> {
    let keep = keep.iter().map(|key| key.as_bytes().to_vec()).collect();
    let received = ledger.receive_snapshot(Box::new(Cursor::new(bytes)), BYTES_MAX, Vec::new()).await?;
    let put = vec![(b"put".to_vec(), b"there".to_vec())];
    let mut index = 0;
    for step in (received.steps)(Restoration { attempt: [1; 16], keep, put, alone: false }).steps {
        index = ledger.restore_step(step?).await?;
    }
    Ok(index)
}

async fn restore(ledger: &RaftLedger, bytes: Vec<u8>) -> Result<u64, ClusterError> {
    restore_but(ledger, bytes, &[]).await
}

/// Restores wherever the leader is, until it is done.
async fn restored(cluster: &Cluster, bytes: &[u8]) {
    let began = Instant::now();
    loop {
        let leader = cluster.leader().await;
        match restore(cluster.ledger(leader), bytes.to_vec()).await {
            Ok(_) => return,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lags_too_far_is_sent_a_snapshot() {
    let mut cluster = Cluster::of(3, 60).await;
    let leader = cluster.leader().await;
    let lagging = (leader + 1) % 3;
    cluster.net.isolate(number(lagging), &cluster.numbers());
    let big = "v".repeat(2000);
    for n in 0..700 {
        cluster.put(&format!("key/{}", n % 300), &format!("{n} {big}")).await;
    }
    let snapshots = cluster.dir.path().join(name(lagging)).join("snapshots");
    let before = std::fs::read_dir(&snapshots).unwrap().count();
    cluster.net.weather(Weather { delay_us_max: 5000, lost_per_mille: 20, doubled_per_mille: 20 });
    cluster.net.heal();
    cluster.agree().await;
    let kept = std::fs::read_dir(&snapshots).unwrap().flatten().count();
    assert!(kept >= 1 && before <= 1, "it was sent a snapshot");
    assert_eq!(read(cluster.ledger(lagging), "key/299"), Some(format!("599 {big}")));
    cluster.kill(lagging).await;
    cluster.start(lagging).await;
    cluster.agree().await;
    cluster.shutdown().await;
}

async fn saved(ledger: &RaftLedger) -> Vec<u8> {
    let mut saved = ledger.save_snapshot(&|sums| sums.to_ascii_uppercase()).await.unwrap();
    let mut bytes = Vec::new();
    saved.stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(inspected(&bytes), saved.info);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_restored_into_the_cluster_it_is_of() {
    let mut cluster = Cluster::of(3, 61).await;
    for n in 0..40 {
        cluster.put(&format!("key/{n}"), "first").await;
    }
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let bytes = saved(cluster.ledger(follower)).await;
    assert_eq!(inspected(&bytes).records, 40);
    cluster.put("key/0", "second").await;
    cluster.put("new", "gone after").await;
    let elsewhere = restore(cluster.ledger(follower), bytes.clone()).await;
    assert!(matches!(elsewhere, Err(ClusterError::Ledger(LedgerError::NotLeader { .. }))));
    let index = restore(cluster.ledger(leader), bytes.clone()).await.unwrap();
    for (_, ledger) in cluster.alive() {
        assert_eq!(read_now(ledger, "key/0").await.unwrap().as_deref(), Some("first"));
        assert_eq!([read(ledger, "new"), read(ledger, "put")], [None, Some("there".to_owned())]);
        assert_eq!(ledger.view().unwrap().get(b"key/7").unwrap().unwrap().version, index);
    }
    cluster.agree().await;
    let again = restore(cluster.ledger(leader), bytes).await.unwrap();
    assert!(again > index);
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_restored_into_a_fresh_cluster_and_outlives_restarts() {
    let mut old = Cluster::of(1, 62).await;
    let big = "v".repeat(10_000);
    for n in 0..300 {
        old.put(&format!("key/{n}"), &format!("{n} {big}")).await;
    }
    let bytes = saved(old.ledger(0)).await;
    old.shutdown().await;

    let mut cluster = Cluster::of(3, 63).await;
    cluster.put("of the new one", "gone after").await;
    restored(&cluster, &bytes).await;
    cluster.agree().await;
    assert_eq!(read(cluster.ledger(0), "of the new one"), None);
    for node in 0..3 {
        cluster.kill(node).await;
        std::fs::remove_dir_all(cluster.dir.path().join(name(node)).join("state")).unwrap();
        cluster.start(node).await;
    }
    cluster.agree().await;
    for (_, ledger) in cluster.alive() {
        assert_eq!(read(ledger, "key/299"), Some(format!("299 {big}")));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_kept_stays_with_its_version_whatever_the_snapshot_has() {
    let mut cluster = Cluster::of(3, 68).await;
    for key in ["changed", "gone", "other"] {
        cluster.put(key, "then").await;
    }
    let leader = cluster.leader().await;
    let bytes = saved(cluster.ledger(leader)).await;
    cluster.put("changed", "now").await;
    cluster.put("new", "now").await;
    let gone = Write { key: b"gone".to_vec(), value: None };
    cluster.ledger(leader).propose(Change { writes: vec![gone], ..Change::default() }).await.unwrap();
    let before = cluster.ledger(leader).view().unwrap().get(b"changed").unwrap().unwrap().version;
    let keep = ["changed", "new", "gone", "never there"];
    restore_but(cluster.ledger(leader), bytes, &keep).await.unwrap();
    cluster.agree().await;
    for (_, ledger) in cluster.alive() {
        let now = |key| read(ledger, key);
        assert_eq!([now("changed"), now("new")], [Some("now".to_owned()), Some("now".to_owned())]);
        assert_eq!([now("gone"), now("other")], [None, Some("then".to_owned())]);
        assert_eq!(ledger.view().unwrap().get(b"changed").unwrap().unwrap().version, before);
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_changed_or_cut_anywhere_or_too_long_changes_nothing() {
    let mut cluster = Cluster::of(1, 64).await;
    cluster.put("a", "b").await;
    let bytes = saved(cluster.ledger(0)).await;
    let before = cluster.ledger(0).state_digest().await.unwrap();
    let longer = [&bytes[..], b"x"].concat();
    for wrong in [&bytes[..bytes.len() - 1], &longer, b"", b"BkSnap1\n", &bytes[..10]] {
        let refused = restore(cluster.ledger(0), wrong.to_vec()).await;
        assert!(matches!(refused, Err(ClusterError::Ledger(LedgerError::Damaged { .. }))));
    }
    // What gzip and tar say of times, owners and systems counts for nothing.
    let mut passed = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        if inspect_snapshot(&changed[..], |_, _| ()).is_ok() {
            passed += 1;
            assert!(at < 10, "byte {at} may be anything");
        }
    }
    assert!(passed <= 6, "{passed} bytes may be anything");
    let stream = Box::new(Cursor::new(bytes.clone()));
    let refused = cluster.ledger(0).receive_snapshot(stream, bytes.len() as u64 - 1, Vec::new()).await;
    assert!(matches!(refused, Err(ClusterError::Ledger(LedgerError::TooLarge { .. }))));
    assert_eq!(cluster.ledger(0).state_digest().await.unwrap(), before);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restoring_whose_leader_dies_changes_everything_or_nothing() {
    let mut old = Cluster::of(1, 66).await;
    let big = "v".repeat(20_000);
    for n in 0..400 {
        old.put(&format!("key/{n}"), &big).await;
    }
    let bytes = saved(old.ledger(0)).await;
    old.shutdown().await;
    for (round, after_ms) in [5, 40, 120].into_iter().enumerate() {
        let mut cluster = Cluster::of(3, 67 + round as u64).await;
        cluster.put("here", "before").await;
        let leader = cluster.leader().await;
        let ledger = Arc::clone(cluster.ledger(leader));
        let to_restore = bytes.clone();
        let restoring = tokio::spawn(async move { restore(&ledger, to_restore).await.is_ok() });
        sleep(Duration::from_millis(after_ms)).await;
        cluster.kill(leader).await;
        let told = restoring.await.unwrap();
        cluster.start(leader).await;
        cluster.agree().await;
        let now = cluster.leader().await;
        let replaced = read(cluster.ledger(now), "here").is_none();
        let keys = cluster.ledger(now).view().unwrap().keys(b"key/", b"key0", 1000).unwrap().len();
        assert_eq!(keys, if replaced { 400 } else { 0 }, "killed after {after_ms} ms");
        assert!(replaced || !told, "it was said to be done");
        restored(&cluster, &bytes).await;
        cluster.agree().await;
        assert_eq!(read(cluster.ledger(now), "key/399").as_deref(), Some(&big[..]));
        cluster.shutdown().await;
    }
}

/// The log that is kept anyway is written several times while a snapshot is on its way: what comes
/// after that snapshot has to be kept until the node has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_sent_a_snapshot_catches_up_however_much_is_written() {
    let mut cluster = Cluster::of(3, 66).await;
    let big = "v".repeat(2000);
    let leader = Arc::clone(cluster.ledger(cluster.leader().await));
    for hundred in 0..30 {
        let puts = (0..100).map(|n| leader.propose(put(&format!("key/{hundred}/{n}"), &big)));
        futures::future::try_join_all(puts).await.unwrap();
    }
    cluster.make_room();
    cluster.start(3).await;
    let (over, began) = (AtomicBool::new(false), Instant::now());
    // What is sent in turns takes long, what is sent at once does not.
    cluster.net.weather(Weather { delay_us_max: 30_000, ..Weather::default() });
    let (writers, joining) = (0..64, cluster.ledger(3).candidate());
    let write = |writer: u64| {
        let (leader, over) = (&leader, &over);
        async move {
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                drop(leader.propose(put(&format!("more/{writer}"), &n.to_string())).await);
            }
        }
    };
    let caught_up = async {
        leader.join(joining).await.unwrap();
        let lacks =
            async || leader.digest().await.unwrap().0.saturating_sub(cluster.ledger(3).digest().await.unwrap().0);
        while lacks().await > 300 {
            assert!(began.elapsed() < Duration::from_secs(20), "it lacks {} entries still", lacks().await);
            sleep(Duration::from_millis(20)).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(caught_up, futures::future::join_all(writers.map(write)));
    // Each one that is put in place makes a new state.
    let states = std::fs::read_dir(cluster.dir.path().join(name(3)).join("state")).unwrap();
    let mut states: Vec<_> = states.map(|state| state.unwrap().file_name()).collect();
    states.sort();
    assert_eq!(states, ["2", "current"], "one snapshot is enough");
    cluster.agree().await;
    cluster.shutdown().await;
}
