//! The nodes that keep the ledger together: who they are, who joins and leaves, who
//! leads. Kept by the ledger room; who may ask for it is decided above.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::seam::ledger::LedgerError;

/// What went wrong with a change to the cluster, and whose fault it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// The ledger could not do it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No node has this name.
    #[error("no node of the cluster is called {id:?}")]
    UnknownPeer {
        /// The name asked for.
        id: String,
    },
    /// Something else is under way; it can be tried again. Nothing was changed.
    #[error("{why}")]
    Busy {
        /// What is under way.
        why: String,
    },
    /// It would harm the cluster, or can't be done now.
    #[error("{why}")]
    Refused {
        /// What stands against it.
        why: String,
    },
}

/// Who leads, and where clients reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// The number Raft knows it by.
    pub number: u64,
    /// Its name.
    pub id: String,
    /// Where its API is reached; empty while this is not known yet.
    pub api_address: String,
    /// Where its peers reach it.
    pub cluster_address: String,
}

/// A node that asks to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The number it drew when its storage was made; never used twice.
    pub number: u64,
    /// The operator's name for it.
    pub id: String,
    /// Where its peers reach it.
    pub address: String,
    /// It shall never vote: it holds a copy, and serves reads.
    pub non_voter: bool,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number Raft knows it by.
    pub number: u64,
    /// The operator's name for it.
    pub id: String,
    /// Where its peers reach it.
    pub address: String,
    /// Where its API is reached; empty while this is not known.
    pub api_address: String,
    /// The version it runs; empty while this is not known.
    pub version: String,
    /// Whether its vote counts.
    pub voter: bool,
    /// Whether it shall never be made a voter by itself.
    pub non_voter: bool,
    /// Whether it leads.
    pub leader: bool,
    /// What the leader knows of it; `None` on nodes that do not lead.
    pub contact: Option<Contact>,
}

/// What the leader knows of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// How long ago it answered last; `None`: not since this leader leads.
    pub last: Option<Duration>,
    /// How long it has been silent: since it answered last, or since this leader leads.
    pub silent: Duration,
    /// Last entry it is known to hold.
    pub matched_index: u64,
    /// Entries it lacks.
    pub behind: u64,
    /// Whether it answers and keeps up, by the autopilot's thresholds.
    pub healthy: bool,
    /// How long it has been so.
    pub healthy_for: Duration,
}

/// When members are promoted, and when they are removed. Vault's names and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutopilotConfig {
    /// Whether members that have long been silent are removed.
    pub cleanup_dead_servers: bool,
    /// How long is long.
    pub dead_server_last_contact_threshold: Duration,
    /// A member silent for longer is not healthy.
    pub last_contact_threshold: Duration,
    /// A member that lacks more entries is not healthy.
    pub max_trailing_logs: u64,
    /// Nobody is removed if fewer voters would be left.
    pub min_quorum: u32,
    /// A member must have been healthy for so long before it is made a voter.
    pub server_stabilization_time: Duration,
}

impl Default for AutopilotConfig {
    fn default() -> Self {
        Self {
            cleanup_dead_servers: false,
            dead_server_last_contact_threshold: Duration::from_secs(24 * 3600),
            last_contact_threshold: Duration::from_secs(10),
            max_trailing_logs: 1000,
            min_quorum: 0,
            server_stabilization_time: Duration::from_secs(10),
        }
    }
}

/// How the cluster is, as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutopilotState {
    /// Whether every member is healthy.
    pub healthy: bool,
    /// Voters that may fail, of those healthy now, before writes end.
    pub failure_tolerance: u32,
    /// The members, by number.
    pub peers: Vec<Peer>,
}

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Last entry in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Records in it.
    pub records: u64,
    /// Its length, in bytes.
    pub bytes: u64,
    /// SHA-256 over it, up to the digest at its own end.
    pub digest: [u8; 32],
}

/// A finished snapshot, to be read once.
pub struct SavedSnapshot {
    /// What it holds.
    pub info: SnapshotInfo,
    /// The archive, as operators keep it.
    pub stream: Box<dyn Read + Send + Sync>,
}

/// Makes what goes beside a snapshot's digests, so that whoever has the key can tell later
/// that it was not altered.
pub type SnapshotSeal<'a> = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync + 'a;

/// A snapshot that was laid on the disk and found whole. Nothing has changed for it.
pub struct ReceivedSnapshot {
    /// What it holds.
    pub info: SnapshotInfo,
    /// Its digests.
    pub sums: Vec<u8>,
    /// What was put beside them when it was saved.
    pub seal: Vec<u8>,
    /// Its records at the keys that were asked for.
    pub shown: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Makes what puts it in the place of the state.
    pub steps: Box<dyn FnOnce(Restoration) -> RestoreSteps + Send>,
}

/// What a restoring is called, and what of it is not the snapshot's.
#[derive(Clone, Default)]
pub struct Restoration {
    /// Tells this attempt from every other: drawn at random.
    pub attempt: [u8; 16],
    /// What there is at these keys when it is put in place stays.
    pub keep: Vec<Vec<u8>>,
    /// This is at these keys afterwards, whatever the snapshot has there.
    pub put: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it is put in place only if the cluster has no other member then.
    pub alone: bool,
}

/// A restoring as steps. Each is to be taken once the one before was.
pub struct RestoreSteps {
    /// Puts the snapshot in place. Blocks while it is read.
    pub steps: Box<dyn Iterator<Item = Result<RestoreStep, LedgerError>> + Send>,
    /// Gives up, instead of what is left of the steps: nothing of it stays.
    pub abandon: RestoreStep,
}

/// One step of restoring a snapshot: opaque to all but the ledger.
pub struct RestoreStep {
    /// What goes through the log.
    pub bytes: Vec<u8>,
    /// Before it nothing changes for anybody; after it, everything has.
    pub is_last: bool,
}

/// Answers what other nodes ask, above the ledger. What is asked and answered is opaque to it.
#[async_trait]
pub trait Responder: Send + Sync {
    /// Answers a question of the member `from`, which proved that it is this node. Bounds
    /// its own time.
    async fn answer(&self, from: u64, question: Vec<u8>) -> Vec<u8>;
}

/// Why a question brought no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub struct AskError {
    /// Whether it may have been acted on all the same.
    pub maybe_acted_on: bool,
    /// What stood against it.
    pub why: String,
}

/// The cluster, as one node sees and changes it. Everything that changes it must be asked
/// of the leader, and answers [`LedgerError::NotLeader`] elsewhere.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// How this node would join: its number, its name and its address.
    fn candidate(&self) -> Joining;

    /// Who leads, as far as this node knows.
    fn leader(&self) -> Option<Leader>;

    /// The members, by number.
    fn peers(&self) -> Vec<Peer>;

    /// Whether this node is a member of a cluster, be it alone in it.
    fn is_member(&self) -> bool;

    /// Has this one answer the questions of other nodes from now on, in the place of
    /// whoever did so before. Only members are answered.
    fn respond_with(&self, responder: Arc<dyn Responder>);

    /// Asks another member, and waits so long for its answer. A question that cannot reach it
    /// at once fails at once.
    ///
    /// # Errors
    /// [`AskError`].
    async fn ask(&self, number: u64, question: Vec<u8>, within: Duration) -> Result<Vec<u8>, AskError>;

    /// Takes a node in as one that does not vote yet; it is promoted once it has caught up.
    /// A silent member of the same name makes way for it. Doing it twice is fine.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if a member of the same name is alive.
    async fn join(&self, node: Joining) -> Result<(), ClusterError>;

    /// Makes a member a voter.
    ///
    /// # Errors
    /// [`ClusterError::UnknownPeer`]; [`ClusterError::Refused`] if it has not caught up.
    async fn promote(&self, id: &str) -> Result<(), ClusterError>;

    /// Makes a member one that never votes, until it is promoted again.
    ///
    /// # Errors
    /// [`ClusterError::UnknownPeer`]; [`ClusterError::Refused`] for the last voter.
    async fn demote(&self, id: &str) -> Result<(), ClusterError>;

    /// Takes a member out.
    ///
    /// # Errors
    /// [`ClusterError::UnknownPeer`]; [`ClusterError::Refused`] for the last voter.
    async fn remove(&self, id: &str) -> Result<(), ClusterError>;

    /// Hands leadership to another voter, the named one or the best there is. Returns once
    /// this node does not lead any more.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if there is nobody to hand it to.
    async fn step_down(&self, to: Option<&str>) -> Result<(), ClusterError>;

    /// The thresholds in force on this node.
    fn autopilot(&self) -> AutopilotConfig;

    /// Replaces the thresholds on this node. Whoever keeps them sets them again on the
    /// node that comes to lead.
    fn set_autopilot(&self, config: AutopilotConfig);

    /// How the cluster is.
    ///
    /// # Errors
    /// [`LedgerError::NotLeader`].
    fn autopilot_state(&self) -> Result<AutopilotState, ClusterError>;

    /// A snapshot of everything that was acknowledged before this call.
    ///
    /// # Errors
    /// [`ClusterError::Ledger`].
    async fn save_snapshot(&self, seal: &SnapshotSeal<'_>) -> Result<SavedSnapshot, ClusterError>;

    /// Lays a snapshot on the disk, no longer than this, and checks all of it. What it has at
    /// these keys is shown.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if the stream is not a whole snapshot, and
    /// [`LedgerError::TooLarge`].
    async fn receive_snapshot(
        &self,
        stream: Box<dyn Read + Send>,
        bytes_max: u64,
        shown: Vec<Vec<u8>>,
    ) -> Result<ReceivedSnapshot, ClusterError>;

    /// Takes one step of putting a snapshot in the place of all records of the cluster. What
    /// is written before the last one is lost. Returns the index it is at.
    ///
    /// # Errors
    /// [`LedgerError::NotLeader`]; [`ClusterError::Busy`], while another snapshot is restored;
    /// [`ClusterError::Refused`] if it is none, steps before it are missing, or it was given up
    /// since. After each of these nothing has changed.
    async fn restore_step(&self, step: RestoreStep) -> Result<u64, ClusterError>;

    /// A digest over this node's records, and the index it stands at. Nodes at the same
    /// index hold the same digest, or one of them is wrong. It reads everything.
    ///
    /// # Errors
    /// [`ClusterError::Ledger`].
    async fn state_digest(&self) -> Result<(u64, [u8; 32]), ClusterError>;
}
