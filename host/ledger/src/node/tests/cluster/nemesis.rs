//! Clients that read, write and swap on any node, while the cluster is broken
//! ([`breaking`]). Afterwards: what they saw has an explanation, and all nodes hold the same.
//! Bugs that are put in on purpose must not pass for a cluster that works.
//!
//! The seed fixes the faults, their order and the clients' choices; the threads' timing
//! it does not fix.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::time::timeout;

use self::breaking::Fault;
use super::super::history::{Event, Op, unexplained};
use super::*;
use crate::peer::sim::Dice;
use crate::planted::Bug;

mod breaking;

const KEYS: u64 = 16;
const CLIENTS: u64 = 24;

/// How long a client waits, before it asks another node.
const PATIENCE: Duration = Duration::from_millis(400);

/// What clients and the one who breaks things share.
struct Stage {
    nodes: Mutex<Vec<Option<Arc<RaftLedger>>>>,
    events: Mutex<Vec<Event>>,
    value: AtomicU64,
    ended: AtomicBool,
    began: Instant,
}

impl Stage {
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64 + 1
    }

    fn node(&self, dice: &mut Dice) -> Option<Arc<RaftLedger>> {
        let nodes = self.nodes.lock();
        nodes[dice.below(nodes.len() as u64) as usize].clone()
    }

    fn named(&self, id: &str) -> Option<Arc<RaftLedger>> {
        self.nodes.lock().iter().flatten().find(|ledger| ledger.candidate().id == id).cloned()
    }

    fn note(&self, key: u64, op: Op, called: u64, known: bool) {
        let returned = known.then(|| self.now());
        self.events.lock().push(Event { key, op, called, returned });
    }
}

fn value_of(record: Option<&[u8]>) -> Option<u64> {
    record.map(|bytes| std::str::from_utf8(bytes).unwrap().parse().unwrap())
}

async fn client(stage: Arc<Stage>, seed: u64) {
    let mut dice = Dice::new(seed);
    while !stage.ended.load(SeqCst) {
        let Some(ledger) = stage.node(&mut dice) else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let key = dice.below(KEYS);
        match dice.below(10) {
            0..=4 => look(&stage, &ledger, key).await,
            choice => change(&stage, &ledger, key, choice >= 8).await,
        }
        sleep(Duration::from_micros(dice.below(8000))).await;
    }
}

fn name_of(key: u64) -> String {
    format!("register/{key}")
}

async fn look(stage: &Stage, ledger: &RaftLedger, key: u64) {
    let called = stage.now();
    if !matches!(timeout(PATIENCE, ledger.linearizable()).await, Ok(Ok(()))) {
        return;
    }
    // A node that is being shut down has no view any more.
    let Ok(view) = ledger.view() else { return };
    let found = view.get(name_of(key).as_bytes()).unwrap();
    stage.note(key, Op::Read(value_of(found.as_ref().map(|found| &found.bytes[..]))), called, true);
}

async fn change(stage: &Stage, ledger: &Arc<RaftLedger>, key: u64, swap: bool) {
    let new = stage.value.fetch_add(1, SeqCst);
    let mut change = put(&name_of(key), &new.to_string());
    let called = stage.now();
    let mut op = Op::Write(new);
    if swap {
        // Of whatever this node has: if it is old, the swap fails.
        let Ok(view) = ledger.view() else { return };
        let found = view.get(name_of(key).as_bytes()).unwrap();
        let version = found.as_ref().map(|found| found.version);
        change.reads.push(ReadCheck { key: name_of(key).into(), version });
        op = Op::Swap(value_of(found.as_ref().map(|found| &found.bytes[..])), new);
    }
    let asking = async {
        match ledger.propose(change.clone()).await {
            Err(LedgerError::NotLeader { leader: Some(leader) }) => match stage.named(&leader.id) {
                Some(other) => other.propose(change).await,
                None => Err(LedgerError::NotLeader { leader: None }),
            },
            outcome => outcome,
        }
    };
    match timeout(PATIENCE, asking).await {
        Ok(Ok(Verdict::Committed(_))) => stage.note(key, op, called, true),
        Ok(Ok(Verdict::Conflict) | Err(LedgerError::NotLeader { .. })) => {}
        Ok(Err(_)) | Err(_) => stage.note(key, op, called, false),
    }
}

/// What clients saw while each of these happened, one after the other, and from every node
/// afterwards.
async fn seen_by_clients(cluster: &mut Cluster, seed: u64, faults: &[Fault]) -> Vec<Event> {
    let nodes = cluster.ledgers.len();
    cluster.net.weather(Weather { delay_us_max: 3000, lost_per_mille: 5, doubled_per_mille: 10 });
    let stage = Arc::new(Stage {
        nodes: Mutex::new(cluster.ledgers.clone()),
        events: Mutex::default(),
        value: AtomicU64::new(1),
        ended: AtomicBool::new(false),
        began: Instant::now(),
    });
    let mut clients = tokio::task::JoinSet::new();
    for nth in 0..CLIENTS {
        clients.spawn(client(Arc::clone(&stage), seed * 1000 + nth));
    }
    let mut dice = Dice::new(seed ^ 0xbad);
    for fault in faults {
        // What is asked in peace is part of what was seen, and may be lost by what follows.
        sleep(Duration::from_millis(200 + dice.below(400))).await;
        fault.inflict(cluster, &stage, &mut dice).await;
    }
    stage.ended.store(true, SeqCst);
    clients.join_all().await;
    cluster.net.weather(Weather::default());
    for node in 0..nodes {
        for key in 0..KEYS {
            look(&stage, cluster.ledger(node), key).await;
        }
    }
    let events = stage.events.lock();
    events.clone()
}

async fn survives(nodes: usize, seed: u64, faults: &[Fault]) {
    let mut cluster = Cluster::of(nodes, seed).await;
    let events = seen_by_clients(&mut cluster, seed, faults).await;
    cluster.agree().await;
    cluster.shutdown().await;
    let acknowledged = events.iter().filter(|event| event.returned.is_some()).count();
    println!("{} operations, {acknowledged} of them with a known outcome", events.len());
    assert!(acknowledged > 50, "{acknowledged} operations are no test");
    if let Some(key) = unexplained(&events) {
        let mut seen: Vec<_> = events.iter().filter(|event| event.key == key).collect();
        seen.sort_by_key(|event| event.called);
        panic!("seed {seed}: no order explains what was seen of register {key}: {seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_lose_nothing_and_show_nothing_stale() {
    each_seed(2, async |seed| survives(3, seed, &Fault::some(seed, 8)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_lose_nothing_and_show_nothing_stale() {
    each_seed(1, async |seed| survives(5, 50 + seed, &Fault::some(50 + seed, 8)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_nodes_lose_nothing_and_show_nothing_stale() {
    each_seed(1, async |seed| survives(7, 70 + seed, &Fault::some(70 + seed, 4)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_power_goes_nothing_acknowledged_is_lost() {
    use Fault::{PowerOfAll, PowerOfLeader, PowerOfOne};
    let cuts = [PowerOfAll, PowerOfLeader, PowerOfOne, PowerOfAll, PowerOfLeader, PowerOfAll];
    each_seed(1, async |seed| survives(3, 20 + seed, &cuts).await).await;
}

/// Breaks clusters in which something is wrong on purpose, until somebody notices.
async fn is_found_out(seeds: std::ops::Range<u64>, faults: &[Fault], wrong: impl Fn(&Cluster)) {
    // How much goes wrong when is up to the threads; a few seeds are enough for any.
    for seed in seeds.clone() {
        let mut cluster = Cluster::of(3, seed).await;
        wrong(&cluster);
        if unexplained(&seen_by_clients(&mut cluster, seed, faults).await).is_some() {
            println!("found with seed {seed}");
            return;
        }
    }
    panic!("seeds {seeds:?}: what was seen passed for the work of a good cluster");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_read_without_asking_the_leader_are_found_out() {
    let stale = |cluster: &Cluster| {
        cluster.alive().for_each(|(_, ledger)| ledger.rounds.planted().plant(Bug::StaleReads));
    };
    is_found_out(90..95, &[Fault::LeaderCutOff, Fault::OneDirection], stale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_acknowledge_before_a_majority_has_it_are_found_out() {
    let early = |cluster: &Cluster| {
        cluster.alive().for_each(|(_, ledger)| ledger.rounds.planted().plant(Bug::EarlyAnswers));
    };
    is_found_out(100..105, &[Fault::LeaderCutOff, Fault::LeaderDies], early).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_do_not_sync_their_log_are_found_out() {
    let unsynced = |cluster: &Cluster| cluster.disks.iter().for_each(|disk| disk.forget_syncs());
    is_found_out(110..115, &[Fault::LeaderCutOff, Fault::PowerOfAll], unsynced).await;
}
