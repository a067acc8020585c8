//! The parts of a node, put together: ledger, sandbox, plugins, broker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use bulkhead_api::{Front, HttpFigures};
use bulkhead_broker::{Brought, ConfiguredAudit, Facts, MetricsParts, MountDefaults, Node, Parts, PeerParts};
use bulkhead_ledger::{LedgerConfig, RaftLedger};
use bulkhead_model::answer::Answer;
use bulkhead_model::cors::Crossing;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::lockout::{LockoutRule, LockoutRules};
use bulkhead_model::request::Request;
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::ledger::{Ledger, LedgerError};
use bulkhead_model::seam::metrics::Measured;
use bulkhead_model::seam::plugin::{Compiler, Plugin};
use bulkhead_sandbox::{Sandbox, SandboxLimits, Ways};
use serde_json::{Map, Value, json};

use crate::audit::AuditSinks;
use crate::clock::SystemClock;
use crate::config::{Config, ListenerConfig, ListenerKind, LogLength, Storage};
use crate::connect::dial::NetDialer;
use crate::connect::egress::HttpEgress;
use crate::error::ServerError;
use crate::metrics::Process;
use crate::outfits::OUTFITS;
use crate::room::{self, Room};
use crate::shelf::Shelf;
use crate::{guests, version};

/// Longest a node may take to seal itself when the server ends. Source: ours.
const SEAL_MAX: Duration = Duration::from_secs(10);

/// The broker, as the listeners see it.
pub(crate) struct Broker(pub(crate) Arc<Node>);

impl Front for Broker {
    async fn answer(&self, request: Request, time_max: Duration) -> Answer {
        self.0.handle_within(request, time_max).await.into_answer()
    }

    fn crossing(&self, origin: &str, method: &str, asked: Option<&str>) -> Option<Crossing> {
        self.0.crossing(origin, method, asked)
    }
}

/// A node and what must be ended with it.
pub(crate) struct Assembled {
    pub(crate) node: Arc<Node>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// For the API to count with.
    pub(crate) http: Arc<HttpFigures>,
    ledger: Option<Arc<RaftLedger>>,
    /// Looked after as long as this is held.
    _room: (Arc<Room>, Option<Arc<room::Place>>),
}

impl Assembled {
    /// Opens storage, loads plugins and makes the node, sealed. A folder of plugins is
    /// for dev servers: others take none but those inside the binary.
    ///
    /// # Errors
    /// [`ServerError`].
    pub(crate) async fn from_config(
        config: &Config,
        entropy: Arc<dyn Entropy>,
        dev_plugins: Option<&Path>,
    ) -> Result<Self, ServerError> {
        // Beside the storage, which takes about as long. Nothing outside is touched by it,
        // so a second process on the same directory still ends before it does anything.
        let loading = tokio::task::spawn_blocking(official_plugins);
        let Storing { ledger, durable, node_id, peers } = storing(config, &*entropy).await?;
        let loaded = loading.await.map_err(|e| ServerError::Sandbox(format!("loading plugins panicked: {e}")))?;
        let (sandbox, mut plugins) = loaded?;
        if let Some(dir) = dev_plugins {
            // Behind the official ones, so that an author's newer version takes their place.
            plugins.extend(guests::from_dir(&sandbox, dir)?);
        }
        let compiler = Arc::new(Compile(Arc::clone(&sandbox)));
        let seals = crate::seal::of(&config.seals, &entropy, &sandbox)?;
        let http = Arc::<HttpFigures>::default();
        let room = Arc::<Room>::default();
        let mut sources: Vec<Arc<dyn Measured>> = vec![Arc::new(Process), sandbox, http.clone(), room.clone()];
        sources.extend(durable.clone().map(|ledger| ledger as Arc<dyn Measured>));
        let node = Node::new(Parts {
            ledger,
            clock: Arc::new(SystemClock),
            entropy: Arc::clone(&entropy),
            plugins: Brought { plugins, outfits: OUTFITS },
            compiler,
            audit_sinks: Arc::new(AuditSinks::new(Arc::clone(&room))),
            audits: config.audits.iter().map(configured).collect(),
            seals,
            metrics: MetricsParts { sources, prometheus: config.telemetry.prometheus },
            shelf: config.paths.snapshots.clone().map(|directory| Arc::new(Shelf::new(directory)) as _),
            facts: facts(config, node_id),
            peers,
        });
        node.retry_join();
        node.keep_unsealed();
        let data = match &config.storage {
            Storage::Raft { path, .. } => Some(room.watch("data", path)),
            Storage::InMemory => None,
        };
        room.start();
        Ok(Self { node, entropy, http, ledger: durable, _room: (room, data) })
    }

    /// Seals the node and closes its storage.
    pub(crate) async fn end(self) {
        if tokio::time::timeout(SEAL_MAX, self.node.seal()).await.is_err() {
            tracing::warn!("the node did not seal itself in time");
        }
        if let Some(ledger) = self.ledger
            && let Err(error) = ledger.shutdown().await
        {
            tracing::error!(%error, "storage did not close cleanly");
        }
    }
}

/// Compiles beside the threads that serve requests.
struct Compile(Arc<Sandbox>);

#[async_trait]
impl Compiler for Compile {
    async fn compile(&self, wasm: Vec<u8>) -> Result<Arc<dyn Plugin>, String> {
        let sandbox = Arc::clone(&self.0);
        let compiling = tokio::task::spawn_blocking(move || sandbox.compile(&wasm).map_err(|error| error.to_string()));
        compiling.await.map_err(|_| "the compiler panicked".to_owned())?
    }
}

/// The sandbox and the plugins inside this binary, loaded into it.
type Loaded = (Arc<Sandbox>, Vec<Arc<dyn Plugin>>);

fn official_plugins() -> Result<Loaded, ServerError> {
    let ways = Ways { egress: Arc::new(HttpEgress), dialer: Arc::new(NetDialer) };
    let sandbox = Sandbox::with_ways(SandboxLimits::default(), ways);
    let sandbox = sandbox.map_err(|error| ServerError::Sandbox(error.to_string()))?;
    let plugins = guests::load(&sandbox)?;
    Ok((sandbox, plugins))
}

/// Where records are kept, and with whom.
struct Storing {
    ledger: Arc<dyn Ledger>,
    durable: Option<Arc<RaftLedger>>,
    node_id: String,
    peers: Option<PeerParts>,
}

async fn storing(config: &Config, entropy: &dyn Entropy) -> Result<Storing, ServerError> {
    let (path, node_id, log) = match &config.storage {
        Storage::InMemory => {
            let ledger = Arc::new(FakeLedger::new());
            return Ok(Storing { ledger, durable: None, node_id: String::new(), peers: None });
        }
        Storage::Raft { path, node_id, log } => (path, node_id.clone(), *log),
    };
    make_directory(path)?;
    let failed = |e: LedgerError| ServerError::Storage(format!("{}: {e}", path.display()));
    let Some(cluster) = &config.cluster else {
        let ledger =
            RaftLedger::open(of_length(LedgerConfig::new(path, &node_id, entropy), log)).await.map_err(failed)?;
        return Ok(Storing { ledger: Arc::clone(&ledger) as _, durable: Some(ledger), node_id, peers: None });
    };
    let node_id = if node_id.is_empty() { crate::cluster::node_id(path, entropy)? } else { node_id };
    let (network, peers) = crate::cluster::open(cluster, path)?;
    let with_peers = LedgerConfig {
        address: cluster.address.clone(),
        api_address: config.api_addr(),
        node_version: version::VERSION.to_owned(),
        ..of_length(LedgerConfig::new(path, &node_id, entropy), log)
    };
    let ledger = RaftLedger::open_with_peers(with_peers, network).await.map_err(failed)?;
    Ok(Storing { ledger: Arc::clone(&ledger) as _, durable: Some(ledger), node_id, peers: Some(peers) })
}

fn of_length(config: LedgerConfig, log: LogLength) -> LedgerConfig {
    LedgerConfig {
        snapshot_every_entries: log.snapshot_every.unwrap_or(config.snapshot_every_entries),
        keep_entries: log.trailing.unwrap_or(config.keep_entries),
        ..config
    }
}

fn make_directory(path: &Path) -> Result<(), ServerError> {
    std::fs::create_dir_all(path).map_err(|source| ServerError::File {
        doing: "making the data directory",
        path: path.to_owned(),
        source,
    })
}

fn configured(audit: &crate::config::AuditConfig) -> ConfiguredAudit {
    ConfiguredAudit {
        path: audit.path.clone(),
        kind: audit.kind.clone(),
        description: audit.description.clone(),
        options: audit.options.clone(),
    }
}

fn facts(config: &Config, node_id: String) -> Facts {
    Facts {
        version: version::VERSION.to_owned(),
        build_date: version::BUILT.to_owned(),
        storage_type: config.storage.kind().to_owned(),
        api_addr: config.api_addr(),
        cluster_addr: config.cluster_url(),
        cluster_name: config.addresses.cluster_name.clone(),
        hostname: hostname(),
        node_id,
        ha_enabled: matches!(config.storage, Storage::Raft { .. }),
        unsafe_allow_api_audit_creation: config.audit_rules.unsafe_allow_api_audit_creation,
        allow_audit_log_prefixing: config.audit_rules.allow_audit_log_prefixing,
        mounts: MountDefaults {
            default_lease_ttl_secs: config.mounts.leases.default_ttl_secs,
            max_lease_ttl_secs: config.mounts.leases.max_ttl_secs,
            lockouts: config.mounts.lockouts.clone(),
        },
        config: sanitized(config),
    }
}

/// What this machine is called.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn listener(listener: &ListenerConfig) -> Value {
    match &listener.kind {
        ListenerKind::Tcp { tls, .. } => {
            json!({ "config": { "address": listener.address, "tls_disable": tls.is_none() }, "type": "tcp" })
        }
        ListenerKind::Unix(_) => json!({ "config": { "address": listener.address }, "type": "unix" }),
    }
}

/// What `sys/config/state/sanitized` tells.
fn sanitized(config: &Config) -> Map<String, Value> {
    let listeners: Vec<Value> = config.listeners.iter().map(listener).collect();
    let seals = config.seals.all();
    let mut seals: Vec<Value> =
        seals.map(|(seal, is_disabled)| json!({ "disabled": is_disabled, "type": seal.kind().name() })).collect();
    if seals.is_empty() {
        seals.push(json!({ "disabled": false, "type": "shamir" }));
    }
    let text = |path: &Option<std::path::PathBuf>| path.as_ref().map_or_else(String::new, |p| p.display().to_string());
    let told = json!({
        "allow_audit_log_prefixing": config.audit_rules.allow_audit_log_prefixing,
        "api_addr": config.api_addr(),
        "cluster_addr": config.cluster_addr(),
        "cluster_name": config.addresses.cluster_name,
        "default_lease_ttl": config.mounts.leases.default_ttl_secs,
        "disable_mlock": true,
        "enable_ui": false,
        "introspection_endpoint": false,
        "listeners": listeners,
        "log_format": match config.log.format { crate::log::LogFormat::Standard => "standard", crate::log::LogFormat::Json => "json" },
        "log_level": config.log.level.to_string().to_lowercase(),
        "max_lease_ttl": config.mounts.leases.max_ttl_secs,
        "pid_file": text(&config.paths.pid_file),
        "plugin_directory": text(&config.paths.plugins),
        "raw_storage_endpoint": false,
        "seals": seals,
        "snapshot_directory": text(&config.paths.snapshots),
        "storage": {
            "cluster_addr": config.cluster_addr(),
            "disable_clustering": false,
            "redirect_addr": config.api_addr(),
            "type": config.storage.kind(),
        },
        "unsafe_allow_api_audit_creation": config.audit_rules.unsafe_allow_api_audit_creation,
    });
    match told {
        Value::Object(mut told) => {
            let lockouts = lockouts(&config.mounts.lockouts);
            if !lockouts.is_empty() {
                told.insert("user_lockout_configs".to_owned(), lockouts.into());
            }
            told
        }
        _ => Map::new(),
    }
}

/// What `user_lockout` says, if anything, with times in nanoseconds.
fn lockouts(rules: &LockoutRules) -> Vec<Value> {
    let nanos = |secs: u64| secs.saturating_mul(1_000_000_000);
    let told = |(method, rule): (&str, &LockoutRule)| {
        json!({
            "disable_lockout": rule.is_disabled,
            "lockout_counter_reset": nanos(rule.counter_reset_secs),
            "lockout_duration": nanos(rule.duration_secs),
            "lockout_threshold": rule.threshold,
            "type": method,
        })
    };
    if rules.by_method.is_empty() && rules.all == LockoutRule::default() {
        return Vec::new();
    }
    let methods = rules.by_method.iter().map(|(method, rule)| (method.as_str(), rule));
    std::iter::once(("all", &rules.all)).chain(methods).map(told).collect()
}
