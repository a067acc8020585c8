//! The ledger of one node: the parts put together, and the seam's promises kept.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::change::{Change, Verdict};
use bulkhead_model::metrics::Timer;
use bulkhead_model::seam::cluster::Cluster;
use bulkhead_model::seam::ledger::{Ledger, LedgerError, Standing, View};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ClientWriteError, Fatal, InitializeError, RaftError};
use parking_lot::Mutex;
use tokio::time::timeout;

use self::parts::{Parts, settings};
use self::step_aside::StepAside;
use crate::config::{LedgerConfig, Timings};
use crate::fault::{Health, explain_fatal, storage};
use crate::files::{Files, RealFiles};
use crate::gate::Gate;
use crate::identity::Lock;
use crate::in_hand::InHand;
use crate::log::LogStore;
use crate::machine::Machine;
use crate::machine::state::State;
use crate::peer::service::{Above, Desk};
use crate::peer::tcp::{PeerNetwork, TcpLink};
use crate::peer::wire::About;
use crate::peer::{Link, NoLink, Peers};
use crate::pilot::Pilot;
#[cfg(any(test, feature = "planted-bugs"))]
use crate::planted::Bug;
use crate::raft::{Answer, Member, Payload, Raft, Types};
use crate::reads::{self, Oracle, Rounds};
use crate::removed::Removed;
use crate::retain::{Holds, Keeper};
use crate::roster::Roster;
use crate::snapshot::Snapshots;

mod abreast;
mod cluster;
mod figures;
mod parts;
mod restoring;
mod step_aside;

/// Longest a read waits to know how far it must be, and to be there.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// How long an index is waited for, before the leader is asked for one again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// A Raft node over a durable log. It belongs to the tokio runtime it was opened in.
pub struct RaftLedger {
    raft: Raft,
    writing: Writing,
    state: Arc<State>,
    snapshots: Arc<Snapshots>,
    gate: Arc<Gate>,
    health: Arc<Health>,
    member: (u64, Member),
    timings: Timings,
    lock: Mutex<Option<Arc<Lock>>>,
    others: Others,
    rounds: Rounds,
    pilot: Arc<Pilot>,
}

/// Where changes are written, and how long that takes.
struct Writing {
    log: LogStore,
    _keeper: Keeper,
    _aside: StepAside,
    commits: Timer,
}

/// The way to other nodes, who answers them, and who is not answered.
struct Others {
    link: Arc<dyn Link>,
    above: Above,
    removed: Arc<Removed>,
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
        Self::open_on(config, Arc::new(RealFiles), |_| Ok(Arc::new(NoLink))).await
    }

    /// Opens the ledger of a node that has peers, or may get some. A member of a larger
    /// cluster does not wait for the others: it catches up as it hears from them.
    ///
    /// # Errors
    /// As for [`RaftLedger::open`].
    pub async fn open_with_peers(config: LedgerConfig, network: PeerNetwork) -> Result<Arc<Self>, LedgerError> {
        let silence = config.timings.silence;
        let link = move |number| Ok(Arc::new(TcpLink::new(number, network, silence)?) as Arc<dyn Link>);
        Self::open_on(config, Arc::new(RealFiles), link).await
    }

    /// Opens the ledger with its log on these files, and this link to its peers.
    pub(crate) async fn open_on(
        config: LedgerConfig,
        files: Arc<dyn Files>,
        link: impl FnOnce(u64) -> io::Result<Arc<dyn Link>>,
    ) -> Result<Arc<Self>, LedgerError> {
        let parts = tokio::task::spawn_blocking(move || Parts::open(config, files)).await;
        let parts = parts.map_err(|e| LedgerError::Stopped { cause: format!("opening it panicked: {e}") })??;
        let log = parts.log.clone();
        let assembled = match link(parts.number) {
            Ok(link) => Self::assemble(parts, link).await,
            Err(e) => Err(storage("opening the peers' socket", &e)),
        };
        let ledger = match assembled {
            Ok(ledger) => Arc::new(ledger),
            Err(e) => {
                drop(tokio::task::spawn_blocking(move || log.close()).await);
                return Err(e);
            }
        };
        if let Err(e) = ledger.catch_up().await {
            // Why it did not start is what counts.
            drop(ledger.shutdown().await);
            return Err(e);
        }
        Ok(ledger)
    }

    async fn assemble(parts: Parts, link: Arc<dyn Link>) -> Result<Self, LedgerError> {
        let Parts { config, lock, number, log, machine, state, snapshots, gate, removed, health } = parts;
        let settings = settings(&config)?;
        let holds = Arc::<Holds>::default();
        let raft = Raft::new(
            number,
            Arc::new(settings),
            Peers::new(Arc::clone(&link), Arc::clone(&removed), Arc::clone(&holds)),
            log.clone(),
            machine,
        )
        .await;
        let raft = raft.map_err(|e| explain_fatal(&health, &e))?;
        let about =
            About { name: config.node_id.clone(), api_address: config.api_address, version: config.node_version };
        let roster = Arc::new(Roster::default());
        roster.note(number, about.clone());
        let above = Above::default();
        let said = (Arc::clone(&roster), about.clone());
        let desk = Desk::new(raft.clone(), Arc::clone(&snapshots), said, Arc::clone(&above), Arc::clone(&removed));
        link.serve(Arc::new(desk));
        let oracle = Oracle {
            number,
            raft: raft.clone(),
            link: Arc::clone(&link),
            health: Arc::clone(&health),
            second_within: config.timings.heartbeat,
            seconder: AtomicU64::default(),
            patience: READ_WITHIN.min(config.timings.answer),
        };
        let keeper = Keeper::start(raft.clone(), holds, config.keep_entries);
        let aside = StepAside::start(raft.clone(), Arc::clone(&health));
        let at_work = (raft.clone(), InHand::new(Arc::clone(&state)));
        let pilot = Pilot::start((number, about), at_work, Arc::clone(&link), roster, config.timings.pilot);
        Ok(Self {
            raft,
            writing: Writing { log, _keeper: keeper, _aside: aside, commits: Timer::default() },
            state,
            snapshots,
            gate,
            health,
            member: (number, Member { name: config.node_id, address: config.address, non_voter: false }),
            timings: config.timings,
            lock: Mutex::new(Some(lock)),
            others: Others { link, above, removed },
            rounds: Rounds::new(oracle),
            pilot,
        })
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
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_node(&self.member.0).is_some()
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
        if let Some(stopping) = self.pilot.stop() {
            drop(stopping.await);
        }
        drop(timeout(within, self.others.link.close()).await);
        let ended = timeout(within, self.raft.shutdown()).await;
        let (log, state) = (self.writing.log.clone(), Arc::clone(&self.state));
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

    /// Writes a change, and returns what the state machine judged.
    async fn write(&self, payload: Payload) -> Result<Verdict, LedgerError> {
        match self.write_within(payload, self.timings.answer).await? {
            Answer::Judged(verdict) => Ok(verdict),
            _ => Err(LedgerError::Stopped { cause: "the state machine refused a change that was proposed".to_owned() }),
        }
    }

    /// Writes one entry, and returns what the state machine answered to it.
    async fn write_within(&self, payload: Payload, within: Duration) -> Result<Answer, LedgerError> {
        if let Some(fault) = self.health.fault() {
            return Err(fault);
        }
        let writing = self.raft.client_write(payload);
        #[cfg(any(test, feature = "planted-bugs"))]
        let within = self.rounds.planted().within(within);
        let written = match timeout(within, writing).await {
            Ok(written) => written,
            #[cfg(any(test, feature = "planted-bugs"))]
            Err(_) if self.rounds.planted().has(Bug::EarlyAnswers) => {
                return Ok(Answer::Judged(Verdict::Committed(self.gate.applied_index() + 1)));
            }
            Err(_) => return Err(LedgerError::Timeout),
        };
        match written {
            Ok(response) => Ok(response.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Err(self.not_leader()),
            // The entry may live on at the new leader.
            Err(RaftError::APIError(_)) => Err(LedgerError::Timeout),
            Err(RaftError::Fatal(e)) => Err(self.explain(&e)),
        }
    }

    fn not_leader(&self) -> LedgerError {
        let leader = reads::leader(&self.raft, self.pilot.roster());
        LedgerError::NotLeader { leader: leader.filter(|leader| leader.number != self.member.0) }
    }

    async fn wait_for(&self, index: u64) -> Result<(), LedgerError> {
        let reached = timeout(self.timings.answer, self.gate.reached(index)).await;
        reached.map_err(|_| self.health.fault().unwrap_or(LedgerError::Timeout))
    }

    fn explain(&self, error: &Fatal<Types>) -> LedgerError {
        explain_fatal(&self.health, error)
    }
}

/// A ledger that was not shut down ends its tasks all the same; they hold it open otherwise.
impl Drop for RaftLedger {
    fn drop(&mut self) {
        drop(self.pilot.stop());
        drop(self.others.link.close());
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
        let until = Instant::now() + READ_WITHIN.min(self.timings.answer);
        loop {
            let index = self.rounds.index().await?;
            // Anew after a while: a leader that died may have named what no log has any more.
            if timeout(ASK_AGAIN_AFTER, self.gate.reached(index)).await.is_ok() {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(self.health.fault().unwrap_or(LedgerError::Timeout));
            }
        }
    }

    async fn fresh_within(&self, age: Duration) -> Result<(), LedgerError> {
        match self.rounds.recent(age) {
            Some(index) if !self.gate.is_open() => self.wait_for(index).await,
            _ => self.linearizable().await,
        }
    }

    async fn reached(&self, index: u64, within: Duration) -> Result<(), LedgerError> {
        timeout(within, self.gate.reached(index)).await.map_err(|_| LedgerError::Timeout)
    }

    async fn propose(&self, change: Change) -> Result<Verdict, LedgerError> {
        let payload = Payload(crate::codec::encode(&change)?);
        drop(change);
        let began = Instant::now();
        let verdict = self.write(payload).await?;
        self.writing.commits.record(began.elapsed());
        Ok(verdict)
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

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;
