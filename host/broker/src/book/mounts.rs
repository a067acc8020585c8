//! What is mounted where.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::framework::RouteTable;
use bulkhead_model::grants::Grants;
use bulkhead_model::limits::TTL_DEFAULT_SECS;
use bulkhead_model::lockout::{LockoutRule, LockoutRules, LockoutTuning, Tally};
use bulkhead_model::plugin::{Descriptor, MountFacts, Operation, PluginKind};
use bulkhead_model::seam::plugin::Plugin;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::namespaces::{Namespace, Namespaces};
use super::registry::{Registered, Registry};
use super::space;
use crate::brought::{self, Outfit};
use crate::components::{Compiled, Components};
use crate::figures::{Figures, MountFigures};

/// Which of the two mount tables an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Table {
    /// `sys/mounts`.
    Secret,
    /// `sys/auth`; the path below begins with `auth/`.
    Auth,
}

impl Table {
    pub(crate) const BOTH: [Self; 2] = [Self::Secret, Self::Auth];

    /// What is mounted there.
    pub(crate) fn kind(self) -> PluginKind {
        match self {
            Self::Secret => PluginKind::Secrets,
            Self::Auth => PluginKind::Auth,
        }
    }
}

/// What an operator may tune.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tuning {
    pub default_ttl_secs: u64,
    pub max_ttl_secs: u64,
    pub force_no_cache: bool,
    pub listing_visibility: String,
    pub passthrough_request_headers: Vec<String>,
    pub allowed_response_headers: Vec<String>,
    pub audit_non_hmac_request_keys: Vec<String>,
    pub audit_non_hmac_response_keys: Vec<String>,
    pub token_type: String,
    pub lockout: Option<LockoutTuning>,
    /// What its plugin was granted; none: what a plugin of the server's own has from the start.
    pub grants: Option<Vec<String>>,
}

/// A mount as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MountEntry {
    pub uuid: String,
    /// Id of the namespace it is in; of the root: nothing.
    #[serde(default)]
    pub namespace: String,
    /// The storage space, 16 bytes, hexadecimal.
    pub space: String,
    pub table: Table,
    /// Below its table, with a slash at the end: `secret/`, `userpass/`.
    pub path: String,
    /// `kv`, `token`, `system`, …
    pub kind: String,
    pub description: String,
    pub accessor: String,
    pub options: BTreeMap<String, String>,
    pub tuning: Tuning,
    #[serde(flatten)]
    pub flags: Flags,
    /// Of a registered plugin; empty: the one that this server brings.
    pub plugin_version: String,
    pub data_version: u32,
    /// Disabled: no request reaches it, but some of its leases are still to be revoked.
    #[serde(default)]
    pub leaving: bool,
    /// It leaves, has no leases any more and has given its path back: what is left is to be undone outside.
    #[serde(default)]
    pub placeless: bool,
    /// Paths in its namespace that it was moved from, as long as leases may be left there.
    #[serde(default)]
    pub former_paths: Vec<String>,
}

/// What a mount is asked to be when it is made, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flags {
    pub local: bool,
    pub seal_wrap: bool,
    pub external_entropy_access: bool,
}

impl MountEntry {
    /// The path as requests in its namespace have it: `auth/userpass/` for an auth method.
    pub(crate) fn request_path(&self) -> String {
        match self.table {
            Table::Secret => self.path.clone(),
            Table::Auth => format!("auth/{}", self.path),
        }
    }

    /// The plugin of the server's own that serves it: `generic` was Vault's first name for kv, and a mount
    /// that was made by it is shown as one.
    pub(crate) fn brought(&self) -> &str {
        if self.kind == "generic" { "kv" } else { &self.kind }
    }

    pub(crate) fn space(&self) -> SpaceId {
        let mut id = [0; 16];
        hex::decode_to_slice(&self.space, &mut id).expect("the space was written as 32 hexadecimal digits");
        SpaceId(id)
    }
}

/// Who answers below a mount.
#[derive(Clone)]
pub(crate) enum Engine {
    /// `sys/`.
    System,
    /// `auth/token/`.
    Token,
    /// `cubbyhole/`.
    Cubbyhole,
    /// `identity/`.
    Identity,
    /// A component.
    Plugin(Arc<dyn Plugin>, Arc<RouteTable>),
    /// A component that this node has not compiled yet, by the digest of its bytes.
    Loading(String),
    /// Nobody: why, and what to do about it.
    Missing(String),
}

/// A mount with what answers below it.
pub(crate) struct Mount {
    pub entry: MountEntry,
    pub namespace: Arc<Namespace>,
    /// Its path from the root.
    pub full_path: String,
    pub space: SpaceId,
    pub engine: Engine,
    pub facts: MountFacts,
    pub grants: Arc<Grants>,
    /// When wrong logins lock an alias; none: never.
    pub lockout: Option<LockoutRule>,
    /// Where what happens below it is counted.
    pub figures: Arc<MountFigures>,
}

impl Mount {
    /// Its path as requests in its namespace have it.
    pub(crate) fn request_path(&self) -> &str {
        &self.facts.path
    }

    /// What the ids of its leases begin with: its path, and those it was moved from. None of
    /// them is below another. Leases of other mounts may be there as well.
    pub(crate) fn lease_paths(&self) -> Vec<String> {
        let mut all: Vec<_> = self.entry.former_paths.iter().map(|path| self.namespace.full(path)).collect();
        all.push(self.full_path.clone());
        let is_outermost = |path: &&String| !all.iter().any(|other| other != *path && path.starts_with(other.as_str()));
        all.iter().filter(is_outermost).cloned().collect()
    }

    /// Default and longest lifetime below this mount, in seconds.
    pub(crate) fn ttls(&self) -> (u64, u64) {
        (self.facts.default_ttl, self.facts.max_ttl)
    }
}

/// Every mount, by its path from the root.
#[derive(Default)]
pub(crate) struct MountTable {
    by_path: HashMap<String, Arc<Mount>>,
    by_accessor: HashMap<String, Arc<Mount>>,
    /// Those that only their leases are still there for.
    leaving: Vec<Arc<Mount>>,
}

impl MountTable {
    /// The mount that a path is below, with the rest of the path. Mounts do not nest,
    /// so the first that fits is the only one.
    pub(crate) fn route<'p>(&self, path: &'p str) -> Option<(&Arc<Mount>, &'p str)> {
        path.match_indices('/')
            .map(|(at, _)| path.split_at(at + 1))
            .find_map(|(mount, rest)| self.by_path.get(mount).map(|m| (m, rest)))
    }

    /// The mount at exactly this full path.
    pub(crate) fn at(&self, full_path: &str) -> Option<&Arc<Mount>> {
        self.by_path.get(full_path)
    }

    /// All mounts, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.by_path.values()
    }

    /// All mounts and those that leave, in no order.
    pub(crate) fn with_leaving(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.by_path.values().chain(&self.leaving)
    }

    /// The same without those that have given their paths back.
    fn with_places(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.with_leaving().filter(|mount| !mount.entry.placeless)
    }

    /// Mounts of one namespace and table, in order of their paths.
    pub(crate) fn of(&self, namespace: &Namespace, table: Table) -> Vec<&Arc<Mount>> {
        let is_meant = |m: &&Arc<Mount>| m.entry.table == table && m.entry.namespace == namespace.record.id;
        let mut mounts: Vec<_> = self.by_path.values().filter(is_meant).collect();
        mounts.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        mounts
    }

    /// The mount that one at this path would collide with, above or below it. Ids of leases begin with
    /// the path, so one that leaves keeps its path until they are gone.
    pub(crate) fn collision(&self, full_path: &str) -> Option<&str> {
        let mut paths = self.with_places().map(|mount| mount.full_path.as_str());
        paths.find(|have| have.starts_with(full_path) || full_path.starts_with(*have))
    }

    /// The mount that a namespace at this path would collide with. Where one was, leases of it may
    /// be left, which are not the namespace's.
    pub(crate) fn collision_of_namespace(&self, full_path: &str) -> Option<String> {
        let collides = |have: &String| have.starts_with(full_path) || full_path.starts_with(have.as_str());
        let now = self.collision(full_path).map(str::to_owned);
        now.or_else(|| self.with_places().flat_map(|mount| mount.lease_paths()).find(collides))
    }

    /// The mount with this accessor, unless it leaves.
    pub(crate) fn with_accessor(&self, accessor: &str) -> Option<&Arc<Mount>> {
        self.by_accessor.get(accessor)
    }

    /// The mount with this space, leaving or not.
    pub(crate) fn with_space(&self, space: SpaceId) -> Option<&Arc<Mount>> {
        self.with_leaving().find(|m| m.space.0 == space.0)
    }

    /// Full paths of the mounts that have this version of a plugin, also of those that leave.
    pub(crate) fn having(&self, table: Table, name: &str, version: &str) -> Vec<&str> {
        let has = |entry: &MountEntry| entry.table == table && entry.kind == name && entry.plugin_version == version;
        let mounts = self.with_leaving().filter(|mount| has(&mount.entry));
        let mut paths: Vec<_> = mounts.map(|mount| mount.full_path.as_str()).collect();
        paths.sort_unstable();
        paths
    }

    /// The mount that leaves this full path, and has it still.
    pub(crate) fn leaving(&self, full_path: &str) -> Option<&Arc<Mount>> {
        self.leaving.iter().find(|mount| mount.full_path == full_path && !mount.entry.placeless)
    }
}

/// Plugins this node has, by kind and name.
pub(crate) type Plugins = HashMap<(PluginKind, String), (Arc<dyn Plugin>, Arc<RouteTable>)>;

/// What a node brings to its mounts.
#[derive(Clone)]
pub(crate) struct Catalog {
    pub plugins: Plugins,
    /// What goes with some of them.
    pub outfits: &'static [Outfit],
    /// Those that were registered, as far as they are compiled.
    pub components: Arc<Components>,
    pub ttls: SystemTtls,
    /// When wrong logins lock.
    pub lockout_rules: Arc<LockoutRules>,
    /// What was counted of them.
    pub lockouts: Arc<Mutex<Tally>>,
    /// Logins that wait for a second factor.
    pub waiting_logins: Arc<Mutex<Tally>>,
    pub figures: Arc<Figures>,
}

/// Lifetimes where a mount has none of its own, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct SystemTtls {
    default_secs: u64,
    max_secs: u64,
}

impl SystemTtls {
    /// From the server's config, where zero means Vault's own.
    pub(crate) fn new(default_secs: u64, max_secs: u64) -> Self {
        let or_vaults = |secs: u64| if secs == 0 { TTL_DEFAULT_SECS } else { secs };
        Self { default_secs: or_vaults(default_secs), max_secs: or_vaults(max_secs) }
    }

    /// The longest lifetime where a mount says none.
    pub(crate) fn max_secs(self) -> u64 {
        self.max_secs
    }

    /// Default and longest lifetime below a mount. The default may be the longer one: whoever is granted less by that
    /// is told so.
    fn of(self, tuning: &Tuning) -> (u64, u64) {
        let or = |secs: u64, system: u64| if secs == 0 { system } else { secs };
        (or(tuning.default_ttl_secs, self.default_secs), or(tuning.max_ttl_secs, self.max_secs))
    }
}

/// Reads the mount table, as the snapshot of the transaction has it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn load(
    tx: &Transaction,
    catalog: &Catalog,
    (namespaces, registry): (&Namespaces, &Registry),
) -> Result<MountTable, StoreError> {
    let mut table = MountTable::default();
    for entry in super::each_of::<MountEntry>(tx, space::MOUNTS, "a mount entry")? {
        let namespace = namespaces.with_id(&entry.namespace);
        let namespace = namespace.ok_or(super::damaged(space::MOUNTS, "the namespace of a mount entry"))?.clone();
        let mount = Arc::new(bind(entry, namespace, catalog, registry));
        if mount.entry.leaving {
            table.leaving.push(mount);
        } else {
            table.by_accessor.insert(mount.entry.accessor.clone(), mount.clone());
            table.by_path.insert(mount.full_path.clone(), mount);
        }
    }
    Ok(table)
}

/// A mount of this entry, with what answers below it.
pub(crate) fn bind(entry: MountEntry, namespace: Arc<Namespace>, catalog: &Catalog, registry: &Registry) -> Mount {
    let engine = match (entry.table, entry.kind.as_str()) {
        (Table::Secret, "system") => Engine::System,
        (Table::Secret, "cubbyhole") => Engine::Cubbyhole,
        (Table::Secret, "identity") => Engine::Identity,
        (Table::Auth, "token") => Engine::Token,
        _ if entry.plugin_version.is_empty() => brought(&entry, catalog),
        _ => registered(&entry, catalog, registry),
    };
    let (default_ttl, max_ttl) = catalog.ttls.of(&entry.tuning);
    let facts = MountFacts {
        id: entry.uuid.clone(),
        accessor: entry.accessor.clone(),
        path: entry.request_path(),
        namespace: namespace.path().to_owned(),
        plugin_version: entry.plugin_version.clone(),
        options: entry.options.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        default_ttl,
        max_ttl,
        data_version: entry.data_version,
    };
    let full_path = namespace.full(&facts.path);
    // What the host brings itself is counted once for all namespaces.
    let is_hosts = matches!(engine, Engine::System | Engine::Cubbyhole | Engine::Identity | Engine::Token);
    let figures = catalog.figures.mounts.of(if is_hosts { &facts.path } else { &full_path }, &entry.kind);
    let lockout =
        can_lock(&engine).then(|| catalog.lockout_rules.of(&entry.kind, entry.tuning.lockout.as_ref())).flatten();
    let grants = Arc::new(grants(&entry, catalog.outfits));
    Mount { full_path, namespace, space: entry.space(), engine, facts, grants, lockout, figures, entry }
}

/// What the plugin of a mount may do beyond its own records. What cannot be read grants nothing.
fn grants(entry: &MountEntry, outfits: &[Outfit]) -> Grants {
    let texts = match &entry.tuning.grants {
        Some(texts) => texts.iter().map(String::as_str).collect(),
        None => from_the_start(entry, outfits),
    };
    Grants::parse(&texts).unwrap_or_else(|why| {
        tracing::error!(mount = %entry.accessor, why, "the grants of a mount cannot be read: it has none");
        Grants::default()
    })
}

/// What a plugin that the server brings needs to do what it is there for, as far as whoever enables it in
/// Vault expects it.
fn from_the_start(entry: &MountEntry, outfits: &[Outfit]) -> Vec<&'static str> {
    let found = brought::outfit(outfits, entry.table.kind(), entry.brought());
    let Some(outfit) = found.filter(|_| entry.plugin_version.is_empty()) else { return Vec::new() };
    let in_root = outfit.grants_in_root.iter().filter(|_| entry.namespace.is_empty());
    outfit.grants.iter().chain(in_root).copied().collect()
}

/// Whether logins name their alias before they are looked at.
pub(crate) fn can_lock(engine: &Engine) -> bool {
    let Engine::Plugin(plugin, _) = engine else { return false };
    let mut operations = plugin.descriptor().routes.iter().flat_map(|route| &route.operations);
    operations.any(|doc| doc.operation == Operation::AliasLookahead)
}

/// A plugin that this server brings.
fn brought(entry: &MountEntry, catalog: &Catalog) -> Engine {
    let name = entry.brought();
    match catalog.plugins.get(&(entry.table.kind(), name.to_owned())) {
        Some((plugin, routes)) => fitting(entry, plugin, routes),
        None => Engine::Missing(format!(
            "the plugin {name:?} of this mount is not on this server: install it, or disable the mount"
        )),
    }
}

/// A plugin that was registered.
fn registered(entry: &MountEntry, catalog: &Catalog, registry: &Registry) -> Engine {
    let (name, version) = (&entry.kind, &entry.plugin_version);
    let Some(Registered { sha256, .. }) = registry.find(entry.table, name, version) else {
        return Engine::Missing(format!(
            "version {version} of the plugin {name:?} of this mount is not registered: register it, tune the mount's \
             plugin_version to one that is, or disable the mount"
        ));
    };
    match catalog.components.get(sha256) {
        Some(Compiled::Ready(plugin, routes)) => fitting(entry, &plugin, &routes),
        Some(Compiled::Failed(why, _)) => Engine::Missing(format!(
            "version {version} of the plugin {name:?} of this mount does not compile on this server: {why}"
        )),
        None => Engine::Loading(sha256.clone()),
    }
}

fn fitting(entry: &MountEntry, plugin: &Arc<dyn Plugin>, routes: &Arc<RouteTable>) -> Engine {
    match misfit(entry, plugin.descriptor()) {
        None => Engine::Plugin(plugin.clone(), routes.clone()),
        Some(why) => Engine::Missing(why),
    }
}

/// Why a plugin cannot serve a mount: its data is in a layout that the plugin cannot read.
fn misfit(entry: &MountEntry, plugin: &Descriptor) -> Option<String> {
    let (oldest, newest, has) = (plugin.oldest_readable_data, plugin.data_version, entry.data_version);
    (!(oldest..=newest).contains(&has)).then(|| {
        let (name, version) = (&entry.kind, &plugin.version);
        format!(
            "the plugin {name:?} on this server is version {version}, which reads data of layouts {oldest} to \
             {newest}; this mount's data has layout {has}: run a version of the plugin that reads it"
        )
    })
}

fn key_of(entry: &MountEntry) -> Key {
    Key::leaf(space::MOUNTS, &entry.uuid).expect("a UUID is a key")
}

/// Whether an entry is in the book still, and does not leave; the transaction is bound to that.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn is_there(tx: &mut Transaction, entry: &MountEntry) -> Result<bool, StoreError> {
    let Some(bytes) = tx.get(&key_of(entry))? else { return Ok(false) };
    let entry: MountEntry =
        serde_json::from_slice(bytes.expose()).map_err(|_| super::damaged(space::MOUNTS, "a mount entry"))?;
    Ok(!entry.leaving)
}

/// Writes an entry and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, entry: &MountEntry) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(entry).expect("a mount entry is plain data");
    tx.put(&key_of(entry), &bytes)?;
    super::restructure(tx)
}

/// Removes an entry and starts a new epoch. What it stored is dropped afterwards.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, entry: &MountEntry) -> Result<(), StoreError> {
    tx.delete(&key_of(entry))?;
    super::restructure(tx)
}
