//! Namespaces: each has mounts, policies, identities and tokens of its own. What lives here:
//! which there are, and which one a path is in. What each has in its books lies in its realm,
//! which a transaction enters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bulkhead_barrier::{Key, Realm, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::space;

/// Most namespaces. Source: ours, a multiple of what large clusters are known to have. Why: every
/// node keeps the list in memory, with four mounts each.
pub(crate) const NAMESPACES_MAX: usize = 10_000;

/// A namespace as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NamespaceRecord {
    pub uuid: String,
    /// What the ids of its tokens, accessors and leases end with.
    pub id: String,
    /// From the root, with a slash at the end: `team/app/`.
    pub path: String,
    /// The bytes of [`realm`](Self::realm).
    pub realm: [u8; 15],
    pub metadata: BTreeMap<String, String>,
    /// Digest of the key that unlocks it; none: it is not locked.
    pub lock: Option<[u8; 32]>,
    /// Deleted: no request reaches it, but some of what it had is still to go.
    pub leaving: bool,
}

impl NamespaceRecord {
    /// A new one.
    pub(crate) fn new(uuid: String, id: String, path: String, realm: Realm) -> Self {
        Self { uuid, id, path, realm: realm.bytes(), ..Self::default() }
    }

    pub(crate) fn realm(&self) -> Realm {
        Realm::of(self.realm)
    }

    /// Path of the namespace it is in.
    pub(crate) fn parent_path(&self) -> &str {
        let inner = self.path.trim_end_matches('/');
        inner.rfind('/').map_or("", |slash| &inner[..=slash])
    }
}

/// A namespace, or the root, which is not stored.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    pub record: NamespaceRecord,
    /// Path of the one whose lock holds here: itself, or one above.
    pub locked_by: Option<String>,
}

impl Namespace {
    /// From the root, with a slash at the end; of the root: nothing.
    pub(crate) fn path(&self) -> &str {
        &self.record.path
    }

    pub(crate) fn is_root(&self) -> bool {
        self.record.path.is_empty()
    }

    pub(crate) fn realm(&self) -> Realm {
        self.record.realm()
    }

    /// As answers and audit lines have it.
    pub(crate) fn shown_id(&self) -> &str {
        if self.is_root() { "root" } else { &self.record.id }
    }

    /// Whether this is the other, or somewhere below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.path().starts_with(other.path())
    }

    /// A path within it, from the root.
    pub(crate) fn full(&self, path: &str) -> String {
        [self.path(), path].concat()
    }

    /// A random text, as it is given out where it names something in this namespace.
    pub(crate) fn marked(&self, text: String) -> String {
        if self.is_root() { text } else { format!("{text}.{}", self.record.id) }
    }

    /// The id of a lease as it is given out, from the one it is kept under: its path from the root.
    pub(crate) fn shown_lease(&self, id: &str) -> String {
        self.marked(id.strip_prefix(self.path()).unwrap_or(id).to_owned())
    }
}

/// All namespaces.
#[derive(Default)]
pub(crate) struct Namespaces {
    root: Arc<Namespace>,
    by_path: HashMap<String, Arc<Namespace>>,
    by_id: HashMap<String, Arc<Namespace>>,
}

impl Namespaces {
    /// Reads all of them, as the snapshot of the transaction has them.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &Transaction) -> Result<Self, StoreError> {
        Ok(Self::of(super::each_of(tx, space::NAMESPACES, "a namespace")?))
    }

    fn of(mut records: Vec<NamespaceRecord>) -> Self {
        // Those above come first.
        records.sort_by(|one, other| one.path.cmp(&other.path));
        let mut all = Self::default();
        for record in records {
            let above = all.by_path.get(record.parent_path()).and_then(|above| above.locked_by.clone());
            let locked_by = above.or_else(|| record.lock.map(|_| record.path.clone()));
            let namespace = Arc::new(Namespace { record, locked_by });
            all.by_id.insert(namespace.record.id.clone(), namespace.clone());
            all.by_path.insert(namespace.record.path.clone(), namespace);
        }
        all
    }

    pub(crate) fn root(&self) -> &Arc<Namespace> {
        &self.root
    }

    /// How many there are beside the root.
    pub(crate) fn len(&self) -> usize {
        self.by_path.len()
    }

    /// The one with this path from the root, leaving or not; with a slash at its end.
    pub(crate) fn at(&self, path: &str) -> Option<&Arc<Namespace>> {
        if path.is_empty() { Some(&self.root) } else { self.by_path.get(path) }
    }

    /// The one with this id, leaving or not; of the root: nothing.
    pub(crate) fn with_id(&self, id: &str) -> Option<&Arc<Namespace>> {
        if id.is_empty() { Some(&self.root) } else { self.by_id.get(id) }
    }

    /// Those that one is in, from its parent up to the root.
    pub(crate) fn above(&self, below: &Namespace) -> Vec<&Arc<Namespace>> {
        let mut found = Vec::new();
        let mut path = below.path();
        while !path.is_empty() {
            let inner = path.trim_end_matches('/');
            path = inner.rfind('/').map_or("", |slash| &inner[..=slash]);
            found.extend(self.at(path));
        }
        found
    }

    /// Those below one, by path; directly below it only, or at any depth.
    pub(crate) fn below(&self, above: &Namespace, deep: bool) -> Vec<&Arc<Namespace>> {
        let is_meant = |one: &&Arc<Namespace>| {
            if deep {
                one.is_within(above) && !one.path().eq(above.path())
            } else {
                one.record.parent_path() == above.path()
            }
        };
        let mut found: Vec<_> = self.by_path.values().filter(is_meant).collect();
        found.sort_by(|one, other| one.path().cmp(other.path()));
        found
    }

    /// Which namespace a path is in that was asked for in one, with the rest of the path.
    pub(crate) fn locate<'p>(&self, from: &Arc<Namespace>, path: &'p str) -> (Arc<Namespace>, &'p str) {
        let (mut at, mut rest) = (from, path);
        if self.by_path.is_empty() {
            return (at.clone(), rest);
        }
        let mut full = at.path().to_owned();
        while let Some((segment, below)) = rest.split_once('/') {
            full.push_str(segment);
            full.push('/');
            let Some(found) = self.by_path.get(&full) else { break };
            (at, rest) = (found, below);
        }
        (at.clone(), rest)
    }

    /// The id under which a lease is kept that a caller in a namespace names; none if there can be
    /// no such lease in that namespace.
    pub(crate) fn lease_id(&self, of: &Arc<Namespace>, shown: &str) -> Option<String> {
        let suffix = if of.is_root() { String::new() } else { format!(".{}", of.record.id) };
        let within = shown.strip_suffix(&suffix)?;
        // What is below another namespace is that one's, whatever the caller may do here.
        let (at, _) = self.locate(of, within);
        (at.path() == of.path()).then(|| of.full(within))
    }
}

fn key(record: &NamespaceRecord) -> Key {
    Key::leaf(space::NAMESPACES, &record.uuid).expect("a UUID is a key")
}

/// Writes a namespace and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, record: &NamespaceRecord) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(record).expect("a namespace is plain data");
    tx.put(&key(record), &bytes)?;
    super::restructure(tx)
}

/// Removes a namespace and starts a new epoch. What it had must be gone.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, record: &NamespaceRecord) -> Result<(), StoreError> {
    tx.delete(&key(record))?;
    super::restructure(tx)
}

#[cfg(test)]
mod tests;
