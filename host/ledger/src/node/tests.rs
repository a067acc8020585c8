use std::path::Path;
use std::sync::Arc;

use bulkhead_model::change::{Change, ReadCheck, Verdict, Write};
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::seam::ledger::{Ledger, LedgerError};
use bulkhead_model::suite;

use super::RaftLedger;
use crate::config::LedgerConfig;

mod cluster;
mod contract;
mod faults;
mod history;
mod restart;

/// A small ledger's configuration: little files, frequent snapshots.
fn small(directory: &Path) -> LedgerConfig {
    LedgerConfig {
        segment_bytes: 256 * 1024,
        snapshot_every_entries: 100,
        keep_entries: 20,
        ..LedgerConfig::new(directory.join("data"), "one", &FakeEntropy::seeded(1))
    }
}

/// As operators have it.
fn full(directory: &Path) -> LedgerConfig {
    LedgerConfig::new(directory.join("data"), "one", &FakeEntropy::seeded(1))
}

async fn started(config: LedgerConfig) -> Arc<RaftLedger> {
    let ledger = RaftLedger::open(config).await.unwrap();
    ledger.bootstrap().await.unwrap();
    ledger
}

fn put(key: &str, value: &str) -> Change {
    let write = Write { key: key.into(), value: Some(value.into()) };
    Change { writes: vec![write], ..Change::default() }
}

fn read(ledger: &RaftLedger, key: &str) -> Option<String> {
    let found = ledger.view().unwrap().get(key.as_bytes()).unwrap();
    found.map(|record| String::from_utf8(record.bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_every_rule_of_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(full(dir.path())).await;
    suite::ledger::all(ledger.clone()).await;
    ledger.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_one_group_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(full(dir.path())).await;
    let Verdict::Committed(version) = ledger.propose(put("counter", "0")).await.unwrap() else { panic!() };
    let check = ReadCheck { key: b"counter".to_vec(), version: Some(version) };
    let mut racing = tokio::task::JoinSet::new();
    for nth in 0..32 {
        let change = Change { reads: vec![check.clone()], ..put("counter", &nth.to_string()) };
        let ledger = Arc::clone(&ledger);
        racing.spawn(async move { ledger.propose(change).await.unwrap() });
    }
    let verdicts = racing.join_all().await;
    assert_eq!(verdicts.iter().filter(|verdict| **verdict != Verdict::Conflict).count(), 1);
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_without_a_cluster_neither_reads_nor_writes() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    assert!(!ledger.is_member());
    assert!(matches!(ledger.linearizable().await, Err(LedgerError::NotLeader { .. })));
    assert!(matches!(ledger.propose(put("a", "b")).await, Err(LedgerError::NotLeader { .. })));
    assert!(!ledger.standing().leader);
    ledger.bootstrap().await.unwrap();
    assert!(ledger.is_member() && ledger.standing().leader);
    ledger.linearizable().await.unwrap();
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_second_ledger_on_the_same_directory_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    let refused = RaftLedger::open(small(dir.path())).await.err().unwrap().to_string();
    assert!(refused.contains("another process is using"), "{refused}");
    ledger.shutdown().await.unwrap();
    RaftLedger::open(small(dir.path())).await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn after_its_shutdown_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(small(dir.path())).await;
    ledger.shutdown().await.unwrap();
    ledger.shutdown().await.unwrap();
    assert!(matches!(ledger.propose(put("a", "b")).await, Err(LedgerError::Stopped { .. })));
    assert!(matches!(ledger.view(), Err(LedgerError::Stopped { .. })));
    assert!(!ledger.standing().leader);
}
