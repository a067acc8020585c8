//! Several nodes in one process, over a network that is as bad as a test wants it, and on
//! disks that lose what was not synced when the power goes. Every test says its seed;
//! `BULKHEAD_SEED` replays one, `BULKHEAD_SEEDS` runs that many, and `RUST_LOG` shows what the
//! nodes have to say.

use std::time::{Duration, Instant};

use bulkhead_model::seam::cluster::{AutopilotConfig, Cluster as _, Joining};
use tempfile::TempDir;
use tokio::time::sleep;

use super::*;
use crate::config::Timings;
use crate::files::sim::SimDisk;
use crate::peer::sim::{Net, Weather};

mod failover;
mod members;
mod nemesis;
mod power;
mod reads;
mod removed;
mod restoring;
mod snapshots;
mod sockets;

/// Nodes, the network between them, and their directories.
struct Cluster {
    net: Arc<Net>,
    dir: TempDir,
    /// What the nodes' logs are on. All else is on the real disk, in `dir`.
    disks: Vec<Arc<SimDisk>>,
    ledgers: Vec<Option<Arc<RaftLedger>>>,
}

/// Calls with each seed this run is for, after saying it.
async fn each_seed(few: u64, test: impl AsyncFn(u64)) {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match given("BULKHEAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + given("BULKHEAD_SEEDS").unwrap_or(few),
    };
    for seed in seeds {
        println!("BULKHEAD_SEED={seed}");
        test(seed).await;
    }
}

/// Shows what the nodes have to say, as far as `RUST_LOG` asks for it.
fn show_log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // Another test may have been first.
    drop(tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init());
}

fn number(node: usize) -> u64 {
    100 + node as u64
}

fn name(node: usize) -> String {
    format!("node-{node}")
}

/// Learners are promoted as soon as they have caught up.
fn eager() -> AutopilotConfig {
    AutopilotConfig { server_stabilization_time: Duration::ZERO, ..AutopilotConfig::default() }
}

fn timings() -> Timings {
    Timings {
        answer: Duration::from_secs(2),
        silence: Duration::from_millis(500),
        pilot: Duration::from_millis(50),
        ..Timings::default()
    }
}

impl Cluster {
    /// So many voters, that have heard of each other.
    async fn of(nodes: usize, seed: u64) -> Self {
        let mut cluster = Self::empty(nodes, seed);
        for node in 0..nodes {
            cluster.start(node).await;
        }
        cluster.ledger(0).bootstrap().await.unwrap();
        cluster.ledger(0).set_autopilot(eager());
        for node in 1..nodes {
            cluster.ledger(0).join(cluster.ledger(node).candidate()).await.unwrap();
        }
        cluster.until("all vote", || cluster.ledger(0).peers().iter().filter(|peer| peer.voter).count() == nodes).await;
        cluster
    }

    fn empty(nodes: usize, seed: u64) -> Self {
        show_log();
        let net = Net::new(seed, timings().silence);
        net.weather(Weather { delay_us_max: 2000, ..Weather::default() });
        let disks = (0..nodes).map(|_| Arc::default()).collect();
        Self { net, dir: tempfile::tempdir().unwrap(), disks, ledgers: vec![None; nodes] }
    }

    fn config(&self, node: usize) -> LedgerConfig {
        LedgerConfig {
            address: format!("sim:{node}"),
            api_address: format!("https://{}:8200", name(node)),
            node_version: "1.0".into(),
            fresh_number: number(node),
            timings: timings(),
            segment_bytes: 256 * 1024,
            snapshot_every_entries: 200,
            keep_entries: 50,
            ..LedgerConfig::new(self.dir.path().join(name(node)), name(node), &FakeEntropy::seeded(1))
        }
    }

    async fn start(&mut self, node: usize) {
        let (net, disk) = (Arc::clone(&self.net), Arc::clone(&self.disks[node]));
        let ledger = RaftLedger::open_on(self.config(node), disk, |number| Ok(net.link(number))).await.unwrap();
        ledger.set_autopilot(eager());
        self.ledgers[node] = Some(ledger);
    }

    /// Ends a node without a word to the others.
    async fn kill(&mut self, node: usize) {
        self.net.isolate(number(node), &self.numbers());
        let ledger = self.ledgers[node].take().unwrap();
        ledger.shutdown().await.unwrap();
        self.rejoin_net(node);
    }

    /// Cuts a node's power: of its log there is what was synced, and of the rest what `survives`
    /// says; its state is there or not, likewise. The node does not run afterwards.
    async fn cut_power(&mut self, node: usize, mut survives: impl FnMut() -> bool) {
        self.net.isolate(number(node), &self.numbers());
        self.disks[node].lose_power();
        let ledger = self.ledgers[node].take().unwrap();
        // It cannot end well on a disk that does nothing any more.
        drop(ledger.shutdown().await);
        drop(ledger);
        let forgetful = self.disks[node].is_forgetful();
        let mut survives = || !forgetful && survives();
        self.disks[node].crash(&mut survives);
        if !survives() {
            // The state is written to the disk whenever the node likes, and is made anew without it.
            let state = self.dir.path().join(name(node)).join("state");
            // A thread of the node that was in the middle of writing a file ends that yet.
            while std::fs::remove_dir_all(&state).is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        }
        self.rejoin_net(node);
    }

    /// There is one node more, which does not run yet.
    fn make_room(&mut self) {
        self.ledgers.push(None);
        self.disks.push(Arc::default());
    }

    /// Removes all that a node knew. It must not run.
    fn wipe(&mut self, node: usize) {
        std::fs::remove_dir_all(self.dir.path().join(name(node))).unwrap();
        self.disks[node] = Arc::default();
    }

    fn rejoin_net(&self, node: usize) {
        self.net.heal_node(number(node));
    }

    fn numbers(&self) -> Vec<u64> {
        (0..self.ledgers.len()).map(number).collect()
    }

    fn ledger(&self, node: usize) -> &Arc<RaftLedger> {
        self.ledgers[node].as_ref().unwrap()
    }

    fn alive(&self) -> impl Iterator<Item = (usize, &Arc<RaftLedger>)> {
        self.ledgers.iter().enumerate().filter_map(|(node, ledger)| Some((node, ledger.as_ref()?)))
    }

    /// The node that leads, once one does.
    async fn leader(&self) -> usize {
        self.leader_other_than(usize::MAX).await
    }

    async fn leader_other_than(&self, not: usize) -> usize {
        let began = Instant::now();
        loop {
            let mut leading: Vec<_> = self.alive().filter(|(node, _)| *node != not).collect();
            leading.retain(|(_, ledger)| ledger.standing().leader);
            // A leader that was cut off may not know yet that it is none.
            if let Some((node, _)) = leading.into_iter().max_by_key(|(_, ledger)| ledger.standing().term) {
                return node;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "nobody leads");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(30), "after 30 s it does not hold that {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Writes wherever the leader is, until it is acknowledged.
    async fn put(&self, key: &str, value: &str) {
        let began = Instant::now();
        loop {
            let leader = self.leader().await;
            match self.ledger(leader).propose(put(key, value)).await {
                Ok(_) => return,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Takes a node in wherever the leader is, until that is done.
    async fn join(&self, joining: Joining) {
        let began = Instant::now();
        loop {
            let leader = self.leader().await;
            match self.ledger(leader).join(joining.clone()).await {
                Ok(()) => return,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all nodes stand at one index, and holds them to the same state.
    async fn agree(&self) {
        self.put("agree", "now").await;
        let began = Instant::now();
        loop {
            let mut found = Vec::new();
            for (node, ledger) in self.alive() {
                found.push((ledger.digest().await.unwrap(), ledger.state_digest().await.unwrap(), node));
            }
            let one = &found[0];
            if found.iter().all(|other| other.0.0 == one.0.0 && other.1.0 == one.1.0) {
                for other in &found {
                    assert_eq!((other.0, other.1), (one.0, one.1), "nodes {} and {} differ", other.2, one.2);
                }
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "they do not come to one index: {found:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn shutdown(&mut self) {
        for ledger in self.ledgers.iter_mut().filter_map(Option::take) {
            ledger.shutdown().await.unwrap();
        }
    }
}

async fn read_now(ledger: &RaftLedger, key: &str) -> Result<Option<String>, LedgerError> {
    ledger.linearizable().await?;
    Ok(read(ledger, key))
}
