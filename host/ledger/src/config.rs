//! What a ledger is opened with.

use std::path::PathBuf;
use std::time::Duration;

use bulkhead_model::seam::entropy::{Entropy, random};

/// How a node finds its ledger.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// Holds the ledger's files; made if it is missing. Source: `storage "raft" { path }`.
    pub directory: PathBuf,
    /// The operator's name for this node. Source: `storage "raft" { node_id }`.
    pub node_id: String,
    /// Where peers reach this node; empty in a cluster of one. Source: `cluster_addr`.
    pub address: String,
    /// Where clients reach this node, as other nodes tell them. Source: `api_addr`.
    pub api_address: String,
    /// What this node runs, as other nodes show it.
    pub node_version: String,
    /// The number Raft knows the node by, used only where the directory is new; an existing
    /// one keeps its own. Why random: a number must never be used twice, and a node whose
    /// directory was wiped is another node.
    pub fresh_number: u64,
    /// How long things may take.
    pub timings: Timings,
    /// Size of the log's files, in bytes; a multiple of 512. One that must hold a larger group
    /// is made larger. Source: ours. Why: only whole files are dropped, and what is left is
    /// read at start.
    pub segment_bytes: u64,
    /// A snapshot is considered every so many log entries. Why: the log is read at start,
    /// which takes 1 ms for a thousand of them.
    pub snapshot_every_entries: u64,
    /// Entries kept in the log behind a snapshot, for peers that lag.
    pub keep_entries: u64,
}

/// Deadlines and paces of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Pace of a leader's heartbeats. Source: ours.
    pub heartbeat: Duration,
    /// After a leader's lease, which is `election_max`, a follower waits for a time between
    /// this and `election_max` before it stands for election. Source: ours. Why so short:
    /// together they are most of what a client sees of a leader's death.
    pub election_min: Duration,
    /// Longest such time, and how long a leader is trusted after it was heard last. Must be
    /// several heartbeats, or a slow moment costs an election.
    pub election_max: Duration,
    /// A connection on which nothing comes back for so long is given up.
    pub silence: Duration,
    /// Pace at which members are looked after: promoted, removed, asked who they are.
    pub pilot: Duration,
    /// Longest a proposal or a linearizable read waits for its outcome.
    pub answer: Duration,
    /// Longest the start waits until everything in the log is applied. Why: replaying
    /// 15,000 large entries takes seconds on a slow disk.
    pub recovery: Duration,
    /// Longest the shutdown waits for what is under way.
    pub shutdown: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(600),
            silence: Duration::from_secs(1),
            pilot: Duration::from_secs(1),
            answer: Duration::from_secs(30),
            recovery: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}

impl LedgerConfig {
    /// A configuration with defaults for all but the place and the name.
    pub fn new(directory: impl Into<PathBuf>, node_id: impl Into<String>, entropy: &dyn Entropy) -> Self {
        Self {
            directory: directory.into(),
            node_id: node_id.into(),
            address: String::new(),
            api_address: String::new(),
            node_version: String::new(),
            fresh_number: u64::from_le_bytes(random(entropy)),
            timings: Timings::default(),
            segment_bytes: 4 * 1024 * 1024,
            snapshot_every_entries: 5_000,
            keep_entries: 2_000,
        }
    }
}
