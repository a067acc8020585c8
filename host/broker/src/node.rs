//! A node's life: not initialised, sealed, open.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bulkhead_barrier::{Barrier, SealConfig, UnsealProgress};
use bulkhead_model::cors::Crossing;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::REQUEST_MS_MAX;
use bulkhead_model::lockout::LockoutRules;
use bulkhead_model::metrics::Interval;
use bulkhead_model::request::Request;
use bulkhead_model::seam::audit::AuditSinkMaker;
use bulkhead_model::seam::clock::Clock;
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::ledger::Ledger;
use bulkhead_model::seam::metrics::Measured;
use bulkhead_model::seam::plugin::Compiler;
use bulkhead_model::seam::shelf::SnapshotShelf;
use futures::future::join_all;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::book::audits::{AuditEntry, Device};
use crate::book::mounts::{Catalog, SystemTtls};
use crate::brought::Brought;
use crate::cluster::desk::Desk;
use crate::cluster::joining::Joiner;
use crate::cluster::{PeerParts, tenure};
use crate::components::{self, Components};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::record::Audited;
use crate::step::{backup, census, count, duties, expire, rotate, upkeep};
use crate::sys::metrics;

pub(crate) mod birth;
pub(crate) mod reseal;
pub(crate) mod seals;
mod unseal;

pub use birth::{InitAnswer, InitError, InitOptions};
pub use seals::Seals;
pub use unseal::UnsealFailure;

/// An audit device from the server's own config file.
#[derive(Clone, Debug)]
pub struct ConfiguredAudit {
    /// Name, without slashes at the ends.
    pub path: String,
    /// `file`, `socket`, `syslog` or `http`.
    pub kind: String,
    /// What the operator wrote about it.
    pub description: String,
    /// The device's options.
    pub options: BTreeMap<String, String>,
}

/// Facts about the server that answers tell.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `0.1.0`.
    pub version: String,
    /// RFC 3339 date of the build or commit.
    pub build_date: String,
    /// `raft` or `inmem`.
    pub storage_type: String,
    /// How clients reach this node.
    pub api_addr: String,
    /// How its peers reach it.
    pub cluster_addr: String,
    /// Empty: a name is made at initialisation.
    pub cluster_name: String,
    /// The machine's name.
    pub hostname: String,
    /// The operator's name for this node.
    pub node_id: String,
    /// Whether several nodes could share the storage.
    pub ha_enabled: bool,
    /// Whether audit devices may be made over the API, as OpenBao's key of that name has it.
    pub unsafe_allow_api_audit_creation: bool,
    /// Whether audit devices may put a prefix before their lines, as OpenBao's key of that name has it.
    pub allow_audit_log_prefixing: bool,
    /// What holds for mounts that say nothing of their own.
    pub mounts: MountDefaults,
    /// What `sys/config/state/sanitized` tells: the config without secrets.
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// What holds for mounts that say nothing of their own.
#[derive(Clone, Debug, Default)]
pub struct MountDefaults {
    /// Lease lifetime where neither mount nor caller name one, in seconds; 0: 32 days.
    pub default_lease_ttl_secs: u64,
    /// Longest lease lifetime where the mount names none, in seconds; 0: 32 days.
    pub max_lease_ttl_secs: u64,
    /// When wrong logins lock an alias of an auth method.
    pub lockouts: LockoutRules,
}

/// What a node's metrics are made of, besides what it counts itself.
#[derive(Default)]
pub struct MetricsParts {
    /// Other rooms, each with its own.
    pub sources: Vec<Arc<dyn Measured>>,
    /// Whether they are told in the text format of Prometheus too.
    pub prometheus: bool,
}

/// What a node is made of.
pub struct Parts {
    /// Replicated bytes.
    pub ledger: Arc<dyn Ledger>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Plugins this node has.
    pub plugins: Brought,
    /// Compiles those that operators register.
    pub compiler: Arc<dyn Compiler>,
    /// Opens audit devices.
    pub audit_sinks: Arc<dyn AuditSinkMaker>,
    /// Audit devices of the config file.
    pub audits: Vec<ConfiguredAudit>,
    /// Where snapshots are laid down that the node takes by itself; `None`: it takes none.
    pub shelf: Option<Arc<dyn SnapshotShelf>>,
    /// What it takes to be one of several nodes; `None`: it stays alone.
    pub peers: Option<PeerParts>,
    /// Keys outside that unseal the node.
    pub seals: Seals,
    /// Numbers to tell.
    pub metrics: MetricsParts,
    /// Facts to tell.
    pub facts: Facts,
}

impl Parts {
    /// Opens an audit device.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) async fn audit_device(&self, entry: AuditEntry, barrier: &Barrier) -> Result<Arc<Device>, String> {
        Device::open(entry, &*self.audit_sinks, self.facts.allow_audit_log_prefixing, barrier).await
    }
}

/// One node. Requests go in by [`Node::handle`].
pub struct Node {
    pub(crate) parts: Arc<Parts>,
    pub(crate) catalog: Catalog,
    state: RwLock<Option<Running>>,
    progress: Mutex<Option<UnsealProgress>>,
    /// How far it is on its way into a cluster.
    pub(crate) joiner: Joiner,
    /// Held while the node changes from one state to another.
    turning: tokio::sync::Mutex<()>,
    /// Whether somebody sealed it, or ends it: then it does not unseal itself.
    kept_sealed: watch::Sender<bool>,
}

/// An open node and what works for it in the background.
struct Running {
    open: Arc<Open>,
    background: JoinHandle<()>,
}

/// Seals a node that cannot go on with the keys it has; a key outside may open it again.
/// Another task does it, since sealing ends this one.
async fn seal_when_closing(node: Weak<Node>, open: Arc<Open>) {
    open.fence.closing().await;
    drop(tokio::spawn(async move {
        if let Some(node) = node.upgrade() {
            node.shut().await;
        }
    }));
}

impl Node {
    /// A sealed node.
    ///
    /// # Panics
    /// If an official plugin declares routes that do not parse: they are checked when
    /// a component is compiled.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let (plugins, outfits) = (parts.plugins.by_name(), parts.plugins.outfits);
        let mounts = &parts.facts.mounts;
        let ttls = SystemTtls::new(mounts.default_lease_ttl_secs, mounts.max_lease_ttl_secs);
        let lockout_rules = Arc::new(mounts.lockouts.clone());
        let components = Arc::new(Components::new(parts.compiler.clone()));
        let figures = Arc::default();
        let (lockouts, waiting_logins) = Default::default();
        let catalog = Catalog { plugins, outfits, components, ttls, lockout_rules, lockouts, waiting_logins, figures };
        let node = Arc::new(Self {
            parts: Arc::new(parts),
            catalog,
            state: RwLock::new(None),
            progress: Mutex::new(None),
            joiner: Joiner::default(),
            turning: tokio::sync::Mutex::new(()),
            kept_sealed: watch::Sender::new(false),
        });
        if let (Some(_), Some(cluster)) = (&node.parts.peers, node.parts.ledger.cluster()) {
            cluster.respond_with(Arc::new(Desk::new(&node)));
        }
        node
    }

    /// Answers one request.
    pub async fn handle(self: &Arc<Self>, request: Request) -> Audited {
        self.handle_within(request, Duration::from_millis(REQUEST_MS_MAX)).await
    }

    /// Answers one request, at the latest after this time.
    pub async fn handle_within(self: &Arc<Self>, request: Request, time_max: Duration) -> Audited {
        crate::journey::run(self, request, time_max).await
    }

    /// What the node holds while it is open.
    pub(crate) fn open(&self) -> Option<Arc<Open>> {
        self.state.read().as_ref().map(|running| running.open.clone())
    }

    /// Ends an interval of counting, and tells what happened in it. Whoever calls this does so
    /// every [`INTERVAL_SECS`](bulkhead_model::metrics::INTERVAL_SECS).
    pub fn end_interval(&self) -> Interval {
        metrics::end_interval(self)
    }

    /// Rules for web pages of other sites, if the node has any and is open.
    #[must_use]
    pub fn crossing(&self, origin: &str, method: &str, asked: Option<&str>) -> Option<Crossing> {
        let config = self.open()?.known_config()?;
        config.settings.cors.as_ref().map(|cors| cors.decide(origin, method, asked))
    }

    /// Whether the node is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.state.read().is_none()
    }

    /// How the root key is split, once the node is initialised, or knows which cluster it joins.
    ///
    /// # Errors
    /// [`Fault`] if the ledger cannot be read.
    pub(crate) fn seal_config(&self) -> Result<Option<SealConfig>, Fault> {
        Ok(bulkhead_barrier::read_seal_config(&*self.parts.ledger.view()?)?.or_else(|| self.joiner.config()))
    }

    /// Whether the node's cluster is initialised.
    ///
    /// # Errors
    /// [`InitError::Storage`] if the ledger cannot be read.
    pub fn is_initialised(&self) -> Result<bool, InitError> {
        Ok(self.seal_config()?.is_some())
    }

    /// Lets another node lead, if this one does and there is another. It serves as before, as one
    /// that does not lead.
    pub async fn hand_over(&self) {
        if self.parts.peers.is_some() {
            tenure::hand_over(&*self.parts.ledger).await;
        }
    }

    /// Seals the node, until somebody unseals it: keys are wiped as the last request that uses
    /// them ends.
    pub async fn seal(&self) {
        // First, so that one that unseals itself gives up, however long it would wait.
        self.kept_sealed.send_replace(true);
        let _turn = self.turning.lock().await;
        // Again: somebody's last share may have been on its way.
        self.kept_sealed.send_replace(true);
        self.shut_in_turn().await;
    }

    /// Seals a node that may unseal itself again.
    async fn shut(&self) {
        let _turn = self.turning.lock().await;
        self.shut_in_turn().await;
    }

    /// Called with `turning` held.
    async fn shut_in_turn(&self) {
        // Others go on at once, instead of after an election.
        self.hand_over().await;
        let running = self.state.write().take();
        if let Some(running) = &running {
            running.open.fence.end();
        }
        *self.progress.lock() = None;
        if let Some(running) = running {
            running.background.abort();
            // Whatever the task was doing ends at its next await; the keys with it.
            let _ = running.background.await;
            self.catalog.figures.expiry.forget();
            tracing::info!("the node is sealed");
        }
    }

    /// Stops what works in the background, so that a test decides what is done when.
    #[cfg(test)]
    pub(crate) fn rest(&self) {
        if let Some(running) = &*self.state.read() {
            running.background.abort();
        }
    }

    /// Opens the audit devices' files anew, after an operator moved them away.
    pub async fn reopen_audit(&self) {
        let Some(open) = self.open() else { return };
        crate::sys::audit::open_absent(&open).await;
        let devices = open.devices.read().clone();
        // All at once: one that hangs keeps no other from it.
        join_all(devices.iter().map(|device| device.reopen())).await;
    }

    /// Takes a new barrier into use. Called with `turning` held.
    async fn enter(self: &Arc<Self>, barrier: Barrier) -> Result<(), Fault> {
        let open = birth::open(self, Arc::new(barrier)).await?;
        let open = Arc::new(open);
        let (for_expiry, for_upkeep, for_duties) = (open.clone(), open.clone(), open.clone());
        let (for_tenure, for_census) = (open.clone(), open.clone());
        let (for_closing, for_backup, for_reseal) = (open.clone(), open.clone(), open.clone());
        let (for_components, for_rotate, for_count) = (open.clone(), open.clone(), open.clone());
        let node = Arc::downgrade(self);
        let background = tokio::spawn(async move {
            let (tenure, census) = (tenure::run(for_tenure), census::run(for_census));
            let (closing, backup) = (seal_when_closing(node, for_closing), backup::run(for_backup));
            let (expire, upkeep, duties) = (expire::run(for_expiry), upkeep::run(for_upkeep), duties::run(for_duties));
            let (reseal, components) = (reseal::run(for_reseal), components::run(for_components));
            let (rotate, count) = (rotate::run(for_rotate), count::run(for_count));
            tokio::join!(expire, upkeep, duties, tenure, census, closing, backup, reseal, components, rotate, count);
        });
        *self.state.write() = Some(Running { open, background });
        tracing::info!("the node is unsealed");
        Ok(())
    }

    /// One key share of an unseal attempt.
    ///
    /// # Errors
    /// [`UnsealFailure`]: the share is unusable, or together the shares are wrong.
    pub async fn unseal(self: &Arc<Self>, share: Hidden<Vec<u8>>) -> Result<(), UnsealFailure> {
        let _turn = self.turning.lock().await;
        unseal::add(self, share).await?;
        if !self.is_sealed() {
            self.kept_sealed.send_replace(false);
        }
        Ok(())
    }

    /// Unseals a node whose seal is a key outside, and makes it a member first where it is to
    /// become one. There may be nothing to do.
    ///
    /// # Errors
    /// [`UnsealFailure`]: the key outside did not serve.
    pub async fn unseal_by_key(self: &Arc<Self>) -> Result<(), UnsealFailure> {
        let mut kept_sealed = self.kept_sealed.subscribe();
        let unsealed = async {
            let _turn = self.turning.lock().await;
            unseal::by_key(self).await
        };
        tokio::select! {
            biased;
            _ = kept_sealed.wait_for(|kept| *kept) => Ok(()),
            ended = unsealed => ended,
        }
    }
}
