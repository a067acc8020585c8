//! Initialisation: keys, the default mounts and the root token, all in one change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Barrier, Outside, Recovery, SealConfig, Sealing, SpaceId, Transaction};
use bulkhead_model::change::Verdict;
use bulkhead_model::failure::Failure;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::policy::PolicyName;
use bulkhead_model::seam::entropy::{base62, random, uuid};
use bulkhead_model::seam::ledger::LedgerError;
use bulkhead_model::seam::seal::SealError;

use super::{ConfiguredAudit, Node, Parts};
use crate::book::audits::{self, AuditEntry, Device};
use crate::book::mounts::{self, Flags, MountEntry, Table, Tuning};
use crate::book::namespaces::NamespaceRecord;
use crate::book::policies::{self, PolicyRecord};
use crate::book::tokens::{self, Salt, TokenRecord};
use crate::book::{cluster_key, space};
use crate::fault::Fault;
use crate::open::{Open, OpenParts};
use crate::step::record;
use crate::visit::Visit;

/// How to initialise.
#[derive(Default)]
pub struct InitOptions {
    /// Shares to split the key into: the unseal key, or where a key outside unseals the
    /// recovery key.
    pub shares: u64,
    /// How many of them are needed.
    pub threshold: u64,
    /// The root token to make, for dev mode; without one a random one is made.
    pub root_token: Option<Hidden<String>>,
}

/// What initialisation hands out, once.
pub struct InitAnswer {
    /// The shares.
    pub shares: Vec<Hidden<Vec<u8>>>,
    /// The first root token.
    pub root_token: Hidden<String>,
}

/// Why initialisation failed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// It was done before.
    #[error("Vault is already initialized")]
    Already,
    /// Shares and threshold do not go together.
    #[error("invalid {shares} configuration: {why}")]
    Config {
        /// `seal` or `recovery`.
        shares: &'static str,
        /// Why.
        why: String,
    },
    /// The key outside did not serve.
    #[error("the seal did not wrap the unseal key: {0}")]
    Seal(#[from] SealError),
    /// Storage failed; its text for the caller.
    #[error("{0}")]
    Storage(String),
}

impl From<Fault> for InitError {
    fn from(fault: Fault) -> Self {
        Self::Storage(fault.into_failure().errors.join("; "))
    }
}

impl Node {
    /// Makes keys, default mounts and a root token. The node stays sealed.
    ///
    /// # Errors
    /// [`InitError`].
    pub async fn initialise(&self, options: InitOptions) -> Result<InitAnswer, InitError> {
        let _turn = self.turning.lock().await;
        let parts = &self.parts;
        // First of all: a node that joins others must not become a cluster of its own.
        if self.is_initialised()? {
            return Err(InitError::Already);
        }
        parts.ledger.bootstrap().await.map_err(Fault::from)?;
        if self.is_initialised()? {
            return Err(InitError::Already);
        }
        let sealing = sealing(parts, &options).await?;
        let now_ms = parts.clock.now_ms();
        let made = bulkhead_barrier::init(sealing, now_ms, &*parts.entropy);
        let view = parts.ledger.view().map_err(Fault::from)?;
        let mut tx = made.barrier.begin(view);
        let chosen = options.root_token.is_some();
        let root_token = match options.root_token {
            Some(token) => token,
            None => Hidden::new(format!("s.{}", base62(&*parts.entropy, 24))),
        };
        furnish(&mut tx, &made.barrier, parts, (&root_token, chosen), now_ms)?;
        let mut change = made.change;
        let furnished = tx.into_change(&*parts.entropy).map_err(Fault::from)?;
        change.reads.extend(furnished.reads);
        change.ranges.extend(furnished.ranges);
        change.writes.extend(furnished.writes);
        match parts.ledger.propose(change).await.map_err(Fault::from)? {
            Verdict::Committed(_) => Ok(InitAnswer { shares: made.shares, root_token }),
            Verdict::Conflict => Err(InitError::Already),
        }
    }
}

/// How the new cluster's root key is wrapped.
async fn sealing(parts: &Parts, options: &InitOptions) -> Result<Sealing<'static>, InitError> {
    let (shares, threshold) = (options.shares, options.threshold);
    let Some(key) = &parts.seals.key else {
        let config = SealConfig::new(shares, threshold);
        return config.map(Sealing::Fresh).map_err(|e| InitError::Config { shares: "seal", why: e.to_string() });
    };
    let config = SealConfig::outside(key.kind(), shares, threshold)
        .map_err(|e| InitError::Config { shares: "recovery", why: e.to_string() })?;
    Ok(Sealing::Outside(Outside::make(config, &**key, &*parts.entropy).await?, Recovery::Fresh))
}

/// What a cluster is called.
#[derive(serde::Serialize, serde::Deserialize)]
struct ClusterRecord {
    id: String,
    name: String,
}

/// Writes what every new cluster has.
fn furnish(
    tx: &mut Transaction,
    barrier: &Barrier,
    parts: &Parts,
    (root_token, chosen): (&Hidden<String>, bool),
    now_ms: u64,
) -> Result<(), Fault> {
    let entropy = &*parts.entropy;
    let cluster = ClusterRecord { id: uuid(entropy), name: cluster_name(parts) };
    let cluster = serde_json::to_vec(&cluster).expect("the record is plain data");
    tx.put(&cluster_key(), &cluster)?;
    furnish_each(tx, parts, "", now_ms)?;
    let salt = Salt::of(barrier);
    let record = TokenRecord {
        accessor: base62(entropy, 24),
        policies: vec!["root".into()],
        // A token of the operator's own choice counts as made by a request, as in Vault.
        path: if chosen { "auth/token/create" } else { tokens::FIRST_PATH }.into(),
        display_name: if chosen { "token" } else { "root" }.into(),
        created_ms: now_ms,
        ..TokenRecord::default()
    };
    tokens::create(tx, &salt, &salt.hash(root_token.expose()), &record)?;
    Ok(())
}

/// Writes what a new namespace has.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn furnish_namespace(visit: &mut Visit, record: &NamespaceRecord) -> Result<(), Fault> {
    let (open, now_ms) = (visit.open.clone(), visit.now_ms);
    visit.tx.within(record.realm(), |tx| furnish_each(tx, &open.parts, &record.id, now_ms))
}

/// Writes what every namespace has: mounts of the host's own, and policies.
fn furnish_each(tx: &mut Transaction, parts: &Parts, namespace: &str, now_ms: u64) -> Result<(), Fault> {
    for (table, path, kind, description) in [
        (Table::Secret, "sys/", "system", "system endpoints used for control, policy and debugging"),
        (Table::Secret, "identity/", "identity", "identity store"),
        (Table::Secret, "cubbyhole/", "cubbyhole", "per-token private secret storage"),
        (Table::Auth, "token/", "token", "token based credentials"),
    ] {
        let mut entry = default_mount(parts, table, path, kind, description);
        if !namespace.is_empty() {
            // There are many: that two are called alike must be out of the question.
            entry.accessor.push_str(&hex::encode(random::<4>(&*parts.entropy)));
        }
        mounts::save(tx, &MountEntry { namespace: namespace.to_owned(), ..entry })?;
    }
    for (name, text) in [("default", policies::DEFAULT_POLICY), ("response-wrapping", policies::WRAPPING_POLICY)] {
        let name = PolicyName::parse(name).expect("the name is plain");
        let record = PolicyRecord { text: text.to_owned(), version: 1, modified_ms: now_ms, ..PolicyRecord::default() };
        policies::write(tx, &name, &record)?;
    }
    Ok(())
}

fn cluster_name(parts: &Parts) -> String {
    if parts.facts.cluster_name.is_empty() {
        let id: [u8; 4] = random(&*parts.entropy);
        format!("vault-cluster-{}", hex::encode(id))
    } else {
        parts.facts.cluster_name.clone()
    }
}

fn default_mount(parts: &Parts, table: Table, path: &str, kind: &str, description: &str) -> MountEntry {
    let prefix = if table == Table::Auth { "auth_" } else { "" };
    let tag: [u8; 4] = random(&*parts.entropy);
    let headers = match kind {
        "system" => vec!["Accept".to_owned()],
        "identity" => vec!["Authorization".to_owned()],
        _ => Vec::new(),
    };
    MountEntry {
        uuid: uuid(&*parts.entropy),
        namespace: String::new(),
        space: hex::encode(SpaceId::random(&*parts.entropy).0),
        table,
        path: path.to_owned(),
        kind: kind.to_owned(),
        description: description.to_owned(),
        accessor: format!("{prefix}{kind}_{}", hex::encode(tag)),
        options: BTreeMap::new(),
        tuning: Tuning { passthrough_request_headers: headers, ..Tuning::default() },
        flags: Flags { local: kind == "cubbyhole", seal_wrap: kind == "system", ..Flags::default() },
        plugin_version: String::new(),
        data_version: 0,
        leaving: false,
        placeless: false,
        former_paths: Vec::new(),
    }
}

/// Longest a node with peers waits for its cluster before it opens. Source: ours.
const CLUSTER_WITHIN: Duration = Duration::from_secs(5);
/// Pause before it looks again. Source: ours.
const AGAIN: Duration = Duration::from_millis(25);

/// Waits until the node has what was acknowledged before. One whose cluster has no leader opens
/// all the same: it serves nothing before there is one, and follows it then.
async fn caught_up(parts: &Parts) -> Result<(), Fault> {
    if parts.peers.is_none() {
        return Ok(parts.ledger.linearizable().await?);
    }
    let caught_up = async {
        loop {
            match parts.ledger.linearizable().await {
                // It is handing over, as a sealed leader does: another leads in a moment.
                Err(LedgerError::NotLeader { .. }) => tokio::time::sleep(AGAIN).await,
                ended => return ended,
            }
        }
    };
    match tokio::time::timeout(CLUSTER_WITHIN, caught_up).await {
        Ok(Ok(())) => {}
        Err(_) | Ok(Err(LedgerError::Timeout)) => {
            tracing::warn!("the node opens while its cluster has no leader: it can serve nothing yet");
        }
        Ok(Err(error)) => return Err(error.into()),
    }
    Ok(())
}

/// Builds the open state: cluster facts and audit devices are read once.
pub(super) async fn open(node: &Arc<Node>, barrier: Arc<Barrier>) -> Result<Open, Fault> {
    let parts = node.parts.clone();
    caught_up(&parts).await?;
    let mut tx = barrier.begin(parts.ledger.view()?);
    let stored = tx.get(&cluster_key())?;
    let moment = tx.version(&cluster_key())?.unwrap_or_default();
    let cluster: ClusterRecord = stored
        .and_then(|bytes| serde_json::from_slice(bytes.expose()).ok())
        .ok_or(crate::book::damaged(space::HOST, "the cluster's name"))?;
    let devices = audit_devices(&mut tx, &parts, &barrier).await?;
    // A standby goes by its own config, and leaves the book to the leader.
    if tx.has_writes() && (parts.peers.is_none() || parts.ledger.standing().leader) {
        match parts.ledger.propose(tx.into_change(&*parts.entropy)?).await {
            Ok(Verdict::Committed(_)) => {}
            Ok(Verdict::Conflict) => return Err(Fault::Conflict),
            // It led a moment ago.
            Err(LedgerError::NotLeader { .. }) if parts.peers.is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let catalog = node.catalog.clone();
    let ClusterRecord { id: cluster_id, name: cluster_name } = cluster;
    let open = Open::new(OpenParts { parts, barrier, catalog, cluster_id, cluster_name, devices, moment });
    // Quotas hold from the first request on.
    open.refresh()?;
    Ok(open)
}

/// Brings the book of audit devices in line with the config file. The paths that are new.
pub(crate) fn adopt_configured(tx: &mut Transaction, parts: &Parts) -> Result<Vec<String>, Fault> {
    for entry in audits::all(tx)? {
        let wanted = |c: &ConfiguredAudit| c.path == entry.path.trim_end_matches('/');
        if entry.from_config && !parts.audits.iter().any(wanted) {
            audits::remove(tx, &entry.path)?;
        }
    }
    let mut new = Vec::new();
    for configured in &parts.audits {
        let path = format!("{}/", configured.path);
        let salt = match audits::read(tx, &path)? {
            Some(known) => known.salt.clone(),
            None => {
                new.push(path.clone());
                hex::encode(random::<32>(&*parts.entropy))
            }
        };
        audits::save(
            tx,
            &AuditEntry {
                path,
                kind: configured.kind.clone(),
                description: configured.description.clone(),
                options: configured.options.clone(),
                local: false,
                from_config: true,
                salt,
            },
        )?;
    }
    Ok(new)
}

/// Brings the book in line with the config file, and opens every device. One that does not open,
/// or does not take the first line of its life, is left to the others. Where no device opens the
/// node stays sealed: it would have to refuse every request.
async fn audit_devices(tx: &mut Transaction, parts: &Parts, barrier: &Barrier) -> Result<Vec<Arc<Device>>, Fault> {
    let new = adopt_configured(tx, parts)?;
    let (mut devices, mut faults) = (Vec::new(), Vec::new());
    for entry in audits::all(tx)? {
        let path = entry.path.clone();
        match working(entry.clone(), new.contains(&path), parts, barrier).await {
            Ok(device) => devices.push(device),
            Err((device, text)) => {
                tracing::error!(device = %path, error = %text, "audit device cannot be used");
                devices.push(device.unwrap_or_else(|| Device::absent(entry, barrier, text.clone())));
                faults.push(format!("audit device {path:?} {text}"));
            }
        }
    }
    if !faults.is_empty() && faults.len() == devices.len() {
        return Err(Failure::invalid(faults.join("; ")).into());
    }
    audits::note_gaps(&devices);
    Ok(devices)
}

/// A device, opened; one that is new has taken a line. One that did not take it may take others later.
async fn working(
    entry: AuditEntry,
    is_new: bool,
    parts: &Parts,
    barrier: &Barrier,
) -> Result<Arc<Device>, (Option<Arc<Device>>, String)> {
    let opened = parts.audit_device(entry, barrier).await;
    let device = opened.map_err(|text| (None, format!("could not be opened: {text}")))?;
    if is_new && !device.style.skips_test {
        let tested = record::test_line(&device, parts).await;
        tested.map_err(|text| (Some(device.clone()), format!("did not take a test line: {text}")))?;
    }
    Ok(device)
}
