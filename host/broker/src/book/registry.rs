//! Plugins that operators registered: what is known of each, and the bytes of its component.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::limits::CHANGE_BYTES_MAX;
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

/// A registered version of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registered {
    /// Where it can be mounted.
    pub table: Table,
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
        let table = match self.table {
            Table::Secret => "secret",
            Table::Auth => "auth",
        };
        let id = format!("{table}:{}:{}", self.name, self.version);
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

/// All of them: by table and name, of each name the oldest version first.
#[derive(Default)]
pub(crate) struct Registry(Vec<Registered>);

impl Registry {
    /// Reads what is known of them.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &mut Transaction) -> Result<Self, StoreError> {
        let folder = Folder::new(space::REGISTERED, "").expect("the empty folder is one");
        let mut all = Vec::new();
        for name in tx.list(&folder, None, usize::MAX)?.keys {
            let key = Key::leaf(space::REGISTERED, &name).expect("a listed name is a key");
            let Some(bytes) = tx.get(&key)? else { continue };
            let record = serde_json::from_slice(bytes.expose());
            all.push(record.map_err(|_| damaged(space::REGISTERED, "a registered plugin"))?);
        }
        all.sort_by(|one: &Registered, other| {
            (one.table as u8, &one.name, &one.version).cmp(&(other.table as u8, &other.name, &other.version))
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
    pub(crate) fn of(&self, table: Table, name: &str) -> &[Registered] {
        let before = |one: &Registered| (one.table as u8, one.name.as_str()) < (table as u8, name);
        let from = self.0.partition_point(before);
        let count = self.0[from..].iter().take_while(|one| one.table == table && one.name == name).count();
        &self.0[from..from + count]
    }

    /// One version, written with or without its `v`.
    pub(crate) fn find(&self, table: Table, name: &str, version: &str) -> Option<&Registered> {
        let version = parse_version(version)?;
        self.of(table, name).iter().find(|one| one.version == version)
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

/// The bytes of a component.
///
/// # Errors
/// [`StoreError`] from the barrier; also where a piece is missing.
pub(crate) fn component(tx: &mut Transaction, registered: &Registered) -> Result<Vec<u8>, StoreError> {
    let mut component = Vec::with_capacity(registered.bytes);
    for piece in 0..registered.pieces() {
        let piece = tx.get(&piece_key(&registered.sha256, piece))?;
        let piece = piece.ok_or(damaged(space::COMPONENTS, "the component of a plugin"))?;
        component.extend_from_slice(piece.expose());
    }
    Ok(component)
}
