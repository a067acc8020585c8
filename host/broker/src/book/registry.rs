//! Plugins that operators registered: what is known of each, and the bytes of its component.

use aws_lc_rs::digest::{SHA256, digest};
use bulkhead_barrier::{Key, StoreError, Transaction};
use bulkhead_model::limits::CHANGE_BYTES_MAX;
use bulkhead_model::plugin::PluginKind;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::mounts::Table;
use super::{damaged, space};

/// Largest component that is registered, in bytes. Source: ours. Why: it is one change, with
/// what is known of it.
pub(crate) const COMPONENT_BYTES_MAX: usize = CHANGE_BYTES_MAX - 1024 * 1024;

/// Most registered plugins, each version being one. Source: ours. Why: every node reads the list
/// whenever its configuration changes.
pub(crate) const REGISTERED_MAX: usize = 256;

/// A component is stored in pieces of this many bytes.
const PIECE_BYTES: usize = 512 * 1024;

/// What a plugin is registered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A secrets engine.
    Secret,
    /// An auth method.
    Auth,
    /// A driver of databases, which engines call.
    Database,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Auth, Self::Database, Self::Secret];

    /// What the catalog calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
            Self::Database => "database",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The world that such a plugin implements.
    pub(crate) fn plugin(self) -> PluginKind {
        match self {
            Self::Secret => PluginKind::Secrets,
            Self::Auth => PluginKind::Auth,
            Self::Database => PluginKind::Database,
        }
    }
}

impl From<Table> for Kind {
    fn from(table: Table) -> Self {
        match table {
            Table::Secret => Self::Secret,
            Table::Auth => Self::Auth,
        }
    }
}

impl From<PluginKind> for Kind {
    fn from(plugin: PluginKind) -> Self {
        match plugin {
            PluginKind::Secrets => Self::Secret,
            PluginKind::Auth => Self::Auth,
            PluginKind::Database => Self::Database,
        }
    }
}

/// A registered version of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registered {
    #[serde(rename = "table")]
    pub kind: Kind,
    pub name: String,
    /// As the component says.
    pub version: Version,
    /// Of the component's bytes, in lower-case hexadecimal.
    pub sha256: String,
    pub bytes: usize,
    pub imports: Vec<String>,
    /// The layout of data that it writes.
    pub data_version: u32,
}

impl Registered {
    fn key(&self) -> Key {
        let id = format!("{}:{}:{}", self.kind.name(), self.name, self.version);
        Key::leaf(space::REGISTERED, &id).expect("names and versions of plugins have no slash")
    }

    /// The version as mounts and answers have it.
    pub(crate) fn shown_version(&self) -> String {
        format!("v{}", self.version)
    }

    fn pieces(&self) -> usize {
        self.bytes.div_ceil(PIECE_BYTES)
    }
}

/// All of them: by kind and name, of each name the oldest version first.
#[derive(Default)]
pub(crate) struct Registry(Vec<Registered>);

impl Registry {
    /// Reads what is known of them.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &Transaction) -> Result<Self, StoreError> {
        let mut all = super::each_of(tx, space::REGISTERED, "a registered plugin")?;
        all.sort_by(|one: &Registered, other| {
            (one.kind, &one.name, &one.version).cmp(&(other.kind, &other.name, &other.version))
        });
        Ok(Self(all))
    }

    pub(crate) fn all(&self) -> &[Registered] {
        &self.0
    }

    /// The one whose component has this digest.
    pub(crate) fn with_digest(&self, sha256: &str) -> Option<&Registered> {
        self.0.iter().find(|one| one.sha256 == sha256)
    }

    /// The versions of one name, the oldest first.
    pub(crate) fn of(&self, kind: impl Into<Kind>, name: &str) -> &[Registered] {
        let kind = kind.into();
        let before = |one: &Registered| (one.kind, one.name.as_str()) < (kind, name);
        let from = self.0.partition_point(before);
        let count = self.0[from..].iter().take_while(|one| one.kind == kind && one.name == name).count();
        &self.0[from..from + count]
    }

    /// One version, written with or without its `v`.
    pub(crate) fn find(&self, kind: impl Into<Kind>, name: &str, version: &str) -> Option<&Registered> {
        let version = parse_version(version)?;
        self.of(kind, name).iter().find(|one| one.version == version)
    }
}

/// A version, written with or without its `v`.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

fn piece_key(sha256: &str, piece: usize) -> Key {
    Key::leaf(space::COMPONENTS, &format!("{sha256}:{piece}")).expect("a digest has no slash")
}

/// Registers a component, and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, registered: &Registered, component: &[u8]) -> Result<(), StoreError> {
    for (place, piece) in component.chunks(PIECE_BYTES).enumerate() {
        tx.put(&piece_key(&registered.sha256, place), piece)?;
    }
    let known = serde_json::to_vec(registered).expect("what is known of a plugin is plain data");
    tx.put(&registered.key(), &known)?;
    super::restructure(tx)
}

/// Forgets a component, and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, registered: &Registered) -> Result<(), StoreError> {
    for piece in 0..registered.pieces() {
        tx.delete(&piece_key(&registered.sha256, piece))?;
    }
    tx.delete(&registered.key())?;
    super::restructure(tx)
}

/// The bytes of a component. What runs is what was registered, whatever became of the state since.
///
/// # Errors
/// [`StoreError`] from the barrier; also where a piece is missing, or they have another digest.
pub(crate) fn component(tx: &mut Transaction, registered: &Registered) -> Result<Vec<u8>, StoreError> {
    let mut component = Vec::with_capacity(registered.bytes);
    for piece in 0..registered.pieces() {
        let piece = tx.get(&piece_key(&registered.sha256, piece))?;
        let piece = piece.ok_or(damaged(space::COMPONENTS, "the component of a plugin"))?;
        component.extend_from_slice(piece.expose());
    }
    if hex::encode(digest(&SHA256, &component).as_ref()) != registered.sha256 {
        return Err(damaged(space::COMPONENTS, "the component of a plugin"));
    }
    Ok(component)
}
