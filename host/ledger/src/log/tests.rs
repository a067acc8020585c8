use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;
use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::{EntryPayload, RaftLogReader};

use super::LogStore;
use super::writer::Setup;
use crate::fault::Health;
use crate::files::sim::{self, SimDisk};
use crate::gate::Gate;
use crate::raft::{Entry, LogId, Payload, Types, Vote, log_id};

mod crash;
mod flips;

const NODE: u64 = 7;

fn setup(disk: &Arc<SimDisk>, segment_bytes: u64) -> Setup {
    Setup {
        files: Arc::clone(disk) as Arc<dyn crate::files::Files>,
        directory: PathBuf::from("/log"),
        node: NODE,
        segment_bytes,
        make_ahead: false,
        before_drop: Box::new(|_| Ok(())),
        lock: None,
    }
}

fn open(disk: &Arc<SimDisk>) -> Result<LogStore, LedgerError> {
    LogStore::open(setup(disk, 16 * 1024), Arc::new(Health::default()), Arc::new(Gate::default()))
}

/// An entry whose bytes tell who wrote it.
fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let fill = (index * 31 + term) as u8 | 1;
    let payload = EntryPayload::Normal(Payload(Bytes::from(vec![fill; bytes])));
    Entry { log_id: log_id(term, NODE, index), payload }
}

async fn append(log: &mut LogStore, entries: Vec<Entry>) -> std::io::Result<()> {
    let (sender, receiver) = Types::oneshot();
    log.append(entries, IOFlushed::signal(sender)).await?;
    receiver.await.map_err(std::io::Error::other)?
}

async fn entries(log: &mut LogStore) -> BTreeMap<u64, Entry> {
    let found = log.try_get_log_entries(..).await.unwrap();
    found.into_iter().map(|entry| (entry.log_id.index, entry)).collect()
}

#[tokio::test]
async fn entries_are_read_back_from_memory_from_disk_and_after_reopening() {
    let disk = Arc::new(SimDisk::default());
    let mut log = LogStore::open(setup(&disk, 8 << 20), Arc::default(), Arc::default()).unwrap();
    let written: BTreeMap<u64, Entry> = (0..40).map(|index| (index, entry(1, index, 300_000))).collect();
    for entry in written.values() {
        append(&mut log, vec![entry.clone()]).await.unwrap();
    }
    assert_eq!(entries(&mut log).await, written, "12 MB of entries are more than memory keeps");
    let few = log.limited_get_log_entries(0, 40).await.unwrap();
    assert!((1..10).contains(&few.len()), "{} entries of 300 kB for a limit of 1 MiB", few.len());
    log.close();
    let mut log = LogStore::open(setup(&disk, 8 << 20), Arc::default(), Arc::default()).unwrap();
    assert_eq!(entries(&mut log).await, written);
    log.close();
}

#[tokio::test]
async fn an_append_larger_than_a_group_is_split_and_told_once_all_is_durable() {
    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    let many: Vec<Entry> = (0..60).map(|index| entry(1, index, 700)).collect();
    append(&mut log, many).await.unwrap();
    disk.crash(|| false);
    let mut log = open(&disk).unwrap();
    assert_eq!(entries(&mut log).await.len(), 60);
    log.close();
}

#[tokio::test]
async fn an_entry_larger_than_a_segment_gets_one_of_its_size() {
    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    let written =
        BTreeMap::from([(0, 700), (1, 300_000), (2, 700)].map(|(index, bytes)| (index, entry(1, index, bytes))));
    for entry in written.values() {
        append(&mut log, vec![entry.clone()]).await.unwrap();
    }
    disk.crash(|| false);
    let mut log = open(&disk).unwrap();
    assert_eq!(entries(&mut log).await, written);
    log.close();
}

#[tokio::test]
async fn votes_truncations_and_purges_survive_their_order() {
    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    append(&mut log, (0..30).map(|index| entry(1, index, 600)).collect()).await.unwrap();
    log.save_vote(&Vote::new_committed(2, NODE)).await.unwrap();
    log.truncate_after(Some(log_id(1, NODE, 20))).await.unwrap();
    append(&mut log, (21..40).map(|index| entry(2, index, 600)).collect()).await.unwrap();
    log.purge(log_id(1, NODE, 15)).await.unwrap();
    append(&mut log, vec![entry(2, 40, 10)]).await.unwrap();
    log.close();

    let mut log = open(&disk).unwrap();
    let found = entries(&mut log).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), (16..=40).collect::<Vec<_>>());
    assert!(found.values().all(|e| e.log_id.leader_id.term == if e.log_id.index <= 20 { 1 } else { 2 }));
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new_committed(2, NODE)));
    assert_eq!(log.get_log_state().await.unwrap().last_purged_log_id, Some(log_id(1, NODE, 15)));
    log.close();
}

#[tokio::test]
async fn a_purge_beyond_the_end_empties_the_log_and_goes_on_behind() {
    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    append(&mut log, (0..40).map(|index| entry(1, index, 600)).collect()).await.unwrap();
    log.purge(log_id(3, NODE, 100)).await.unwrap();
    append(&mut log, vec![entry(3, 101, 10)]).await.unwrap();
    log.close();
    assert!(disk.paths().len() < 4, "segments without entries are dropped: {:?}", disk.paths());
    let mut log = open(&disk).unwrap();
    assert_eq!(entries(&mut log).await.into_keys().collect::<Vec<_>>(), [101]);
    log.close();
}

#[tokio::test]
async fn an_entry_that_leaves_a_hole_is_refused() {
    let disk = Arc::new(SimDisk::default());
    let mut log = open(&disk).unwrap();
    append(&mut log, vec![entry(1, 0, 1)]).await.unwrap();
    assert!(append(&mut log, vec![entry(1, 2, 1)]).await.is_err());
    log.close();
}

#[tokio::test]
async fn another_nodes_log_is_not_read() {
    let disk = Arc::new(SimDisk::default());
    open(&disk).unwrap().close();
    let other = Setup { node: NODE + 1, ..setup(&disk, 16 * 1024) };
    let refused = LogStore::open(other, Arc::default(), Arc::default());
    assert!(matches!(refused, Err(LedgerError::Damaged { .. })));
}

#[tokio::test]
async fn purges_in_a_row_leave_no_hole_wherever_the_power_goes() {
    for cut in 1..30 {
        let disk = Arc::new(SimDisk::default());
        let mut log = open(&disk).unwrap();
        append(&mut log, (0..80).map(|index| entry(1, index, 900)).collect()).await.unwrap();
        disk.fail_at(cut, sim::Failure::Power);
        for upto in [20, 40, 60, 70] {
            // After the cut the log refuses; what counts is what it left.
            drop(log.purge(log_id(1, NODE, upto)).await);
            tokio::task::yield_now().await;
        }
        log.close();
        disk.crash(|| false);
        let mut log = open(&disk).unwrap_or_else(|e| panic!("power cut at operation {cut}: {e}"));
        let found = entries(&mut log).await;
        assert!((71..80).all(|index| found.contains_key(&index)), "power cut at operation {cut}");
        log.close();
    }
}

/// The last acknowledged id, for messages.
fn last_of(found: &BTreeMap<u64, Entry>) -> Option<LogId> {
    found.values().next_back().map(|entry| entry.log_id)
}
