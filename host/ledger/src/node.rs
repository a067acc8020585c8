//! The ledger of one node: the parts put together, and the seam's promises kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::change::{Change, Verdict};
use bulkhead_model::seam::ledger::{Ledger, LedgerError, Standing, View};
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ClientWriteError, Fatal, InitializeError, LinearizableReadError, RaftError};
use openraft::{ReadPolicy, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::config::{LedgerConfig, Timings};
use crate::fault::{Health, as_io, storage};
use crate::files::{Files, RealFiles, make_dir};
use crate::gate::Gate;
use crate::identity::{Lock, lock, number};
use crate::log::LogStore;
use crate::log::writer::Setup;
use crate::machine::Machine;
use crate::machine::state::State;
use crate::peer::Peers;
use crate::raft::{Answer, Member, Payload, Raft, Types};
use crate::snapshot::Snapshots;

/// A Raft node over a durable log. It belongs to the tokio runtime it was opened in.
pub struct RaftLedger {
    raft: Raft,
    log: LogStore,
    state: Arc<State>,
    gate: Arc<Gate>,
    health: Arc<Health>,
    member: (u64, Member),
    timings: Timings,
    lock: Mutex<Option<Arc<Lock>>>,
}

impl RaftLedger {
    /// Opens the ledger in a directory: takes it for this process, reads the log back,
    /// rebuilds what is missing of the state. A member of a cluster of one leads, with
    /// everything in its log applied, when this returns.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if the log is not what was written; such a node must not
    /// start. [`LedgerError::Storage`] if another process has the directory, or the disk
    /// fails. [`LedgerError::Timeout`] if the log could not be applied in time.
    pub async fn open(config: LedgerConfig) -> Result<Arc<Self>, LedgerError> {
        Self::open_on(config, Arc::new(RealFiles)).await
    }

    /// Opens the ledger with its log on these files.
    pub(crate) async fn open_on(config: LedgerConfig, files: Arc<dyn Files>) -> Result<Arc<Self>, LedgerError> {
        let parts = tokio::task::spawn_blocking(move || Parts::open(config, files)).await;
        let parts = parts.map_err(|e| LedgerError::Stopped { cause: format!("opening it panicked: {e}") })??;
        let Parts { config, lock, number, log, machine, state, gate, health } = parts;
        let settings = settings(&config)?;
        let raft = Raft::new(number, Arc::new(settings), Peers, log.clone(), machine).await;
        let raft = raft.map_err(|e| explain_fatal(&health, &e))?;
        let ledger = Arc::new(Self {
            raft,
            log,
            state,
            gate,
            health,
            member: (number, Member { name: config.node_id, address: config.address }),
            timings: config.timings,
            lock: Mutex::new(Some(lock)),
        });
        if let Err(e) = ledger.catch_up().await {
            ledger.shutdown().await?;
            return Err(e);
        }
        Ok(ledger)
    }

    /// Makes this node a cluster of one, if it is not a member of a cluster yet. Returns
    /// once it leads.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::Timeout`] or [`LedgerError::Stopped`].
    pub async fn bootstrap(&self) -> Result<(), LedgerError> {
        let (number, member) = self.member.clone();
        match self.raft.initialize(BTreeMap::from([(number, member)])).await {
            Ok(()) => self.recovered().await,
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => self.catch_up().await,
            Err(RaftError::APIError(InitializeError::NotInMembers(e))) => {
                Err(LedgerError::Stopped { cause: e.to_string() })
            }
            Err(RaftError::Fatal(e)) => Err(self.explain(&e)),
        }
    }

    /// Whether this node is a member of a cluster: [`RaftLedger::bootstrap`] was called
    /// once, on it or on the node that took it in.
    pub fn is_member(&self) -> bool {
        self.raft.voter_ids().any(|id| id == self.member.0)
    }

    /// A digest over every applied entry and its verdict, with the index it stands at.
    /// Nodes that applied the same entries hold equal digests.
    ///
    /// # Errors
    /// [`LedgerError::Stopped`].
    pub async fn digest(&self) -> Result<(u64, [u8; 32]), LedgerError> {
        let read = self.raft.with_state_machine(|machine: &mut Machine| {
            let found = machine.digest();
            Box::pin(async move { found })
        });
        read.await.map_err(|e| self.explain(&e))
    }

    /// Ends the node: no more proposals, the state brought to the disk, the log told that
    /// it ended cleanly, the directory let go. Doing it twice is fine.
    ///
    /// # Errors
    /// [`LedgerError::Timeout`] if a part did not end in time, and what closing met.
    pub async fn shutdown(&self) -> Result<(), LedgerError> {
        let within = self.timings.shutdown;
        let ended = timeout(within, self.raft.shutdown()).await;
        let (log, state) = (self.log.clone(), Arc::clone(&self.state));
        let closing = tokio::task::spawn_blocking(move || {
            log.close();
            state.close()
        });
        let closed = timeout(within, closing).await.map_err(|_| LedgerError::Timeout)?;
        self.lock.lock().take();
        ended.map_err(|_| LedgerError::Timeout)?.map_err(|e| LedgerError::Stopped { cause: e.to_string() })?;
        closed.map_err(|e| LedgerError::Stopped { cause: e.to_string() })?
    }

    /// Waits until everything found in the log is applied. Only a node that needs nobody
    /// else can wait for that; others catch up as they hear from their leader.
    async fn catch_up(&self) -> Result<(), LedgerError> {
        let me = self.member.0;
        // Asked of the core itself: its published metrics lag behind at start.
        let asked = self.raft.with_raft_state(move |raft| {
            let sole = raft.membership_state.effective().membership().voter_ids().eq([me]);
            (sole, raft.server_state == ServerState::Leader)
        });
        let (sole, leads) = asked.await.map_err(|e| self.explain(&e))?;
        if !sole {
            return Ok(());
        }
        if !leads {
            // The only voter has no reason to wait for a leader to fall silent.
            self.raft.trigger().elect(false).await.map_err(|e| self.explain(&e))?;
        }
        self.recovered().await
    }

    /// Waits until this node leads and has applied its whole log.
    async fn recovered(&self) -> Result<(), LedgerError> {
        let leading = self.raft.wait(Some(self.timings.recovery));
        let recovered = async {
            leading.metrics(|metrics| metrics.state == ServerState::Leader, "the only voter leads").await?;
            self.raft.wait_for_recovery(Some(self.timings.recovery)).await
        };
        recovered.await.map(drop).map_err(|_| self.health.fault().unwrap_or(LedgerError::Timeout))
    }

    async fn ask_quorum(&self) -> Result<(), LedgerError> {
        let linearizer = self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await.map_err(|e| match e {
            RaftError::APIError(LinearizableReadError::ForwardToLeader(_)) => LedgerError::NotLeader,
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => LedgerError::Timeout,
            RaftError::Fatal(e) => self.explain(&e),
        })?;
        linearizer.await_ready(&self.raft).await.map(drop).map_err(|e| self.explain(&e))
    }

    fn explain(&self, error: &Fatal<Types>) -> LedgerError {
        explain_fatal(&self.health, error)
    }
}

#[async_trait]
impl Ledger for RaftLedger {
    fn view(&self) -> Result<Arc<dyn View>, LedgerError> {
        Ok(self.state.view()?)
    }

    async fn linearizable(&self) -> Result<(), LedgerError> {
        if self.gate.is_open() {
            return Ok(());
        }
        timeout(self.timings.answer, self.ask_quorum()).await.map_err(|_| LedgerError::Timeout)?
    }

    async fn propose(&self, change: Change) -> Result<Verdict, LedgerError> {
        if let Some(fault) = self.health.fault() {
            return Err(fault);
        }
        let payload = Payload(crate::codec::encode(&change)?);
        drop(change);
        let writing = self.raft.client_write(payload);
        let written = timeout(self.timings.answer, writing).await.map_err(|_| LedgerError::Timeout)?;
        match written {
            Ok(response) => match response.data {
                Answer::Judged(verdict) => Ok(verdict),
                Answer::Nothing | Answer::Refused => Err(LedgerError::Stopped {
                    cause: "the state machine refused a change that was proposed".to_owned(),
                }),
            },
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Err(LedgerError::NotLeader),
            // The entry may live on at the new leader.
            Err(RaftError::APIError(_)) => Err(LedgerError::Timeout),
            Err(RaftError::Fatal(e)) => Err(self.explain(&e)),
        }
    }

    async fn bootstrap(&self) -> Result<(), LedgerError> {
        Self::bootstrap(self).await
    }

    fn standing(&self) -> Standing {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        Standing {
            leader: metrics.state == ServerState::Leader && metrics.running_state.is_ok(),
            term: metrics.current_term,
            committed_index: metrics.local_committed.map_or(0, |id| id.index),
            applied_index: self.gate.applied_index(),
        }
    }
}

/// What openraft is started with.
struct Parts {
    config: LedgerConfig,
    lock: Arc<Lock>,
    number: u64,
    log: LogStore,
    machine: Machine,
    state: Arc<State>,
    gate: Arc<Gate>,
    health: Arc<Health>,
}

impl Parts {
    fn open(config: LedgerConfig, files: Arc<dyn Files>) -> Result<Self, LedgerError> {
        let directory = config.directory.as_path();
        make_dir(directory).map_err(|e| storage("making the data directory", &e))?;
        let lock = Arc::new(lock(directory)?);
        let number = number(directory, config.fresh_number)?;
        let (gate, health) = (Arc::new(Gate::default()), Arc::new(Health::default()));
        // The log first: if it is damaged, nothing else is touched.
        let opened = make_dir(&directory.join("log"));
        opened.map_err(|e| storage("making the log's directory", &e))?;
        let (state_cell, before_drop) = sync_before_drop();
        let setup = Setup {
            files,
            directory: directory.join("log"),
            node: number,
            segment_bytes: config.segment_bytes,
            make_ahead: true,
            before_drop,
            lock: Some(Arc::clone(&lock)),
        };
        let log = LogStore::open(setup, Arc::clone(&health), Arc::clone(&gate))?;
        let (state, meta) = State::open(directory.join("state"))?;
        *state_cell.lock() = Some(Arc::clone(&state));
        if meta.applied.is_some() && log.is_empty() {
            // The state alone may lack what was acknowledged last.
            let what = format!(
                "the log in {} is gone, but there is a state that was made from it; this node must not start: restore \
                 it from a snapshot, or remove it from the cluster and join it as a new node",
                directory.join("log").display()
            );
            return Err(LedgerError::Damaged { what });
        }
        let snapshots = Arc::new(Snapshots::open(directory.join("snapshots"))?);
        sync_parent(directory)?;
        let machine =
            Machine::new((Arc::clone(&state), meta), snapshots, Arc::clone(&gate), Arc::clone(&health), number);
        Ok(Self { config, lock, number, log, machine, state, gate, health })
    }
}

type StateCell = Arc<Mutex<Option<Arc<State>>>>;
type BeforeDrop = Box<dyn Fn(u64) -> std::io::Result<()> + Send>;

/// What the log calls before it drops segments. The log is opened before the state, so
/// the state is put in later; no segment is dropped before that.
fn sync_before_drop() -> (StateCell, BeforeDrop) {
    let cell = StateCell::default();
    let seen = Arc::clone(&cell);
    let before_drop = move |index| {
        let state = seen.lock().clone();
        let state = state.ok_or_else(|| std::io::Error::other("the state is not open yet"))?;
        state.sync_upto(index).map_err(|e| as_io(&e))
    };
    (cell, Box::new(before_drop))
}

/// Makes the names of new directories durable.
fn sync_parent(directory: &Path) -> Result<(), LedgerError> {
    let syncing = |e: std::io::Error| storage("syncing the data directory", &e);
    RealFiles.sync_dir(directory).map_err(syncing)?;
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => RealFiles.sync_dir(parent).map_err(syncing),
        None => Ok(()),
    }
}

fn settings(config: &LedgerConfig) -> Result<openraft::Config, LedgerError> {
    let millis = |duration: Duration| duration.as_millis() as u64;
    let settings = openraft::Config {
        cluster_name: "bulkhead".to_owned(),
        heartbeat_interval: millis(config.timings.heartbeat),
        election_timeout_min: millis(config.timings.election_min),
        election_timeout_max: millis(config.timings.election_max),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every_entries),
        max_in_snapshot_log_to_keep: config.keep_entries,
        install_snapshot_timeout: 60_000,
        enable_pre_vote: Some(true),
        ..Default::default()
    };
    settings.validate().map_err(|e| LedgerError::Stopped { cause: format!("the ledger's timings: {e}") })
}

fn explain_fatal(health: &Health, error: &Fatal<Types>) -> LedgerError {
    health.fault().unwrap_or_else(|| LedgerError::Stopped { cause: error.to_string() })
}

#[cfg(test)]
mod tests;
