//! Catching up by snapshot; saving, checking and restoring one.

use std::io::Read;

use bulkhead_model::seam::cluster::ClusterError;

use super::*;
use crate::snapshot::inspect_snapshot;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lags_too_far_is_sent_a_snapshot() {
    let mut cluster = Cluster::of(3, 60).await;
    let leader = cluster.leader().await;
    let lagging = (leader + 1) % 3;
    cluster.net.isolate(number(lagging), &cluster.numbers());
    let ledger = cluster.ledger(leader);
    let big = "v".repeat(2000);
    for n in 0..700 {
        ledger.propose(put(&format!("key/{}", n % 300), &format!("{n} {big}"))).await.unwrap();
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
    let mut saved = ledger.save_snapshot().await.unwrap();
    let mut bytes = Vec::new();
    saved.stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(inspect_snapshot(&bytes[..]).unwrap(), saved.info);
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
    assert_eq!(inspect_snapshot(&bytes[..]).unwrap().records, 40);
    cluster.put("key/0", "second").await;
    cluster.put("new", "gone after").await;
    let restore =
        |node: usize, bytes: Vec<u8>| cluster.ledger(node).restore_snapshot(Box::new(std::io::Cursor::new(bytes)));
    let elsewhere = restore(follower, bytes.clone()).await;
    assert!(matches!(elsewhere, Err(ClusterError::Ledger(LedgerError::NotLeader { .. }))));
    let index = restore(leader, bytes.clone()).await.unwrap();
    for (_, ledger) in cluster.alive() {
        assert_eq!(read_now(ledger, "key/0").await.unwrap().as_deref(), Some("first"));
        assert_eq!(read(ledger, "new"), None);
        assert_eq!(ledger.view().unwrap().get(b"key/7").unwrap().unwrap().version, index);
    }
    cluster.agree().await;
    let again = restore(leader, bytes).await.unwrap();
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
    let leader = cluster.leader().await;
    cluster.ledger(leader).restore_snapshot(Box::new(std::io::Cursor::new(bytes))).await.unwrap();
    cluster.agree().await;
    assert_eq!(read(cluster.ledger(leader), "of the new one"), None);
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
async fn a_damaged_snapshot_changes_nothing() {
    let mut cluster = Cluster::of(1, 64).await;
    cluster.put("a", "b").await;
    let bytes = saved(cluster.ledger(0)).await;
    let before = cluster.ledger(0).state_digest().await.unwrap();
    let longer = [&bytes[..], b"x"].concat();
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    for wrong in [&bytes[..bytes.len() - 1], &longer, &changed, b"", b"BkSnap1\n"] {
        let refused = cluster.ledger(0).restore_snapshot(Box::new(std::io::Cursor::new(wrong.to_vec()))).await;
        assert!(matches!(refused, Err(ClusterError::Ledger(LedgerError::Damaged { .. }))));
    }
    assert_eq!(cluster.ledger(0).state_digest().await.unwrap(), before);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restoring_that_was_given_up_left_behind_is_on_all_nodes_the_same() {
    use crate::codec::Raw;
    use crate::codec::restore::{Step, encode};
    use crate::raft::Payload;

    let mut cluster = Cluster::of(3, 65).await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    let records = vec![(Raw(&b"half"[..]), Raw(&b"way"[..]))];
    ledger.write(Payload(encode(&Step::Records { id: [7; 16], records }))).await.unwrap();
    ledger.propose(put("a", "b")).await.unwrap();
    assert_eq!(read(ledger, "half"), None);
    let short = ledger.write(Payload(encode(&Step::End { id: [7; 16], records: 2 }))).await;
    assert!(short.is_err(), "one of two is there");
    assert_eq!(read(ledger, "a").as_deref(), Some("b"));
    cluster.agree().await;
    let ledger = cluster.ledger(leader);
    ledger.write(Payload(encode(&Step::End { id: [7; 16], records: 1 }))).await.unwrap();
    cluster.agree().await;
    assert_eq!(read(cluster.ledger(leader), "half").as_deref(), Some("way"));
    assert_eq!(read(cluster.ledger(leader), "a"), None);
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
        let stream = Box::new(std::io::Cursor::new(bytes.clone()));
        let restoring = tokio::spawn(async move { ledger.restore_snapshot(stream).await.is_ok() });
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
        let again = cluster.ledger(now).restore_snapshot(Box::new(std::io::Cursor::new(bytes.clone()))).await;
        again.unwrap();
        cluster.agree().await;
        assert_eq!(read(cluster.ledger(now), "key/399").as_deref(), Some(&big[..]));
        cluster.shutdown().await;
    }
}
