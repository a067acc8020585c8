//! Nouns with state: what the node remembers, each in a space of its own under the
//! barrier. Books never call steps, nor each other's storage.

pub(crate) mod audits;
pub(crate) mod batch;
pub(crate) mod config;
pub(crate) mod identity;
pub(crate) mod jobs;
pub(crate) mod kept;
pub(crate) mod lane;
pub(crate) mod lease_quotas;
pub(crate) mod leases;
pub(crate) mod lockouts;
pub(crate) mod mfa;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod oidc;
pub(crate) mod passwords;
pub(crate) mod plans;
pub(crate) mod policies;
pub(crate) mod quotas;
pub(crate) mod registry;
pub(crate) mod removals;
pub(crate) mod settings;
pub(crate) mod tokens;

use bulkhead_barrier::{Folder, Key, Realm, SpaceId, StoreError, Transaction};
use serde::de::DeserializeOwned;

/// The spaces of the host's own books.
pub(crate) mod space {
    use super::SpaceId;

    /// Singletons: the epoch, cluster facts.
    pub(crate) const HOST: SpaceId = SpaceId::host(1);
    /// Mount entries by id.
    pub(crate) const MOUNTS: SpaceId = SpaceId::host(2);
    /// Policy texts by name, of each namespace.
    pub(crate) const POLICIES: SpaceId = SpaceId::of_each(3);
    /// Token records by salted hash.
    pub(crate) const TOKENS: SpaceId = SpaceId::host(4);
    /// Token hashes by hash of the accessor.
    pub(crate) const ACCESSORS: SpaceId = SpaceId::host(5);
    /// Parent hash and child hash, without a value.
    pub(crate) const CHILDREN: SpaceId = SpaceId::host(6);
    /// Lease records by lease id.
    pub(crate) const LEASES: SpaceId = SpaceId::host(7);
    /// Token hash and lease hash, with the lease id.
    pub(crate) const TOKEN_LEASES: SpaceId = SpaceId::host(8);
    /// What falls due: time, kind and id, in order of time.
    pub(crate) const DUE: SpaceId = SpaceId::host(9);
    /// Audit devices by path.
    pub(crate) const AUDITS: SpaceId = SpaceId::host(10);
    /// Scheduled jobs.
    pub(crate) const JOBS: SpaceId = SpaceId::host(11);
    /// Cubbyholes: token hash, then name.
    pub(crate) const CUBBYHOLE: SpaceId = SpaceId::host(12);
    /// Token roles by name, of each namespace.
    pub(crate) const TOKEN_ROLES: SpaceId = SpaceId::of_each(13);
    /// Intents by id.
    pub(crate) const INTENTS: SpaceId = SpaceId::host(14);
    /// Texts of password policies by name, of each namespace.
    pub(crate) const PASSWORD_POLICIES: SpaceId = SpaceId::of_each(40);
    /// Rate limits by name.
    pub(crate) const QUOTAS: SpaceId = SpaceId::host(41);
    /// Quotas of leases by name.
    pub(crate) const LEASE_QUOTAS: SpaceId = SpaceId::host(55);
    /// Why leases could not be revoked, by digest of the lease id.
    pub(crate) const LEASE_REFUSALS: SpaceId = SpaceId::host(56);
    /// Snapshots to be taken regularly, by name.
    pub(crate) const SNAPSHOT_PLANS: SpaceId = SpaceId::host(42);
    /// What became of them.
    pub(crate) const SNAPSHOT_OUTCOMES: SpaceId = SpaceId::host(43);
    /// What is known of registered plugins.
    pub(crate) const REGISTERED: SpaceId = SpaceId::host(44);
    /// Their components, in pieces.
    pub(crate) const COMPONENTS: SpaceId = SpaceId::host(45);
    /// Locks of aliases, by keyed digest.
    pub(crate) const LOCKED_ALIASES: SpaceId = SpaceId::host(50);
    /// Logins that wait for their second factor, of all namespaces.
    pub(crate) const MFA_WAITING: SpaceId = SpaceId::host(53);
    /// Namespaces by UUID.
    pub(crate) const NAMESPACES: SpaceId = SpaceId::host(54);
    /// Entities, groups, and every way to them, of each namespace; as are those that follow.
    pub(crate) const IDENTITY: SpaceId = SpaceId::of_each(15);
    /// Keys of identity tokens by name, with their public halves.
    pub(crate) const OIDC_KEYS: SpaceId = SpaceId::of_each(46);
    /// Private halves of those keys by id.
    pub(crate) const OIDC_PRIVATE: SpaceId = SpaceId::of_each(47);
    /// Roles of identity tokens by name.
    pub(crate) const OIDC_ROLES: SpaceId = SpaceId::of_each(48);
    /// Name of a key and name of a role that uses it, without a value.
    pub(crate) const OIDC_USES: SpaceId = SpaceId::of_each(49);
    /// Enforcements of MFA by name.
    pub(crate) const MFA_ENFORCEMENTS: SpaceId = SpaceId::of_each(51);
    /// MFA methods, secrets, and every way to them and to enforcements.
    pub(crate) const MFA: SpaceId = SpaceId::of_each(52);

    /// The books that every namespace has for itself, all of which go with it.
    pub(crate) const OF_EACH: [SpaceId; 10] = [
        POLICIES,
        TOKEN_ROLES,
        PASSWORD_POLICIES,
        IDENTITY,
        OIDC_KEYS,
        OIDC_PRIVATE,
        OIDC_ROLES,
        OIDC_USES,
        MFA_ENFORCEMENTS,
        MFA,
    ];
}

/// What a record of the ledger is of, by its key, which says no more than that: one of the
/// host's books, or a mount or namespace.
#[must_use]
pub fn space_name(ledger_key: &[u8]) -> String {
    let Some(id) = ledger_key.first_chunk().map(|id| SpaceId(*id)) else { return "unknown".to_owned() };
    let name = NAMES.iter().find(|(space, _)| Realm::ROOT.place(*space) == id).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("mount or namespace {}", hex::encode(id.0)))
}

/// The books, each with a space of its own.
const NAMES: &[(SpaceId, &str)] = &[
    (SpaceId::BARRIER, "keys"),
    (space::HOST, "cluster"),
    (space::MOUNTS, "mounts"),
    (space::NAMESPACES, "namespaces"),
    (space::POLICIES, "policies"),
    (space::TOKENS, "tokens"),
    (space::ACCESSORS, "token accessors"),
    (space::CHILDREN, "token children"),
    (space::LEASES, "leases"),
    (space::LEASE_REFUSALS, "refusals to revoke leases"),
    (space::TOKEN_LEASES, "leases of tokens"),
    (space::DUE, "what falls due"),
    (space::AUDITS, "audit devices"),
    (space::JOBS, "jobs"),
    (space::CUBBYHOLE, "cubbyholes"),
    (space::TOKEN_ROLES, "token roles"),
    (space::INTENTS, "intents"),
    (space::IDENTITY, "identity"),
    (space::PASSWORD_POLICIES, "password policies"),
    (space::QUOTAS, "quotas"),
    (space::LEASE_QUOTAS, "quotas of leases"),
    (space::LOCKED_ALIASES, "locked aliases"),
    (space::SNAPSHOT_PLANS, "plans for snapshots"),
    (space::SNAPSHOT_OUTCOMES, "outcomes of snapshots"),
    (space::REGISTERED, "registered plugins"),
    (space::COMPONENTS, "components of plugins"),
    (space::OIDC_KEYS, "keys of identity tokens"),
    (space::OIDC_PRIVATE, "private keys of identity tokens"),
    (space::OIDC_ROLES, "roles of identity tokens"),
    (space::OIDC_USES, "uses of keys of identity tokens"),
    (space::MFA_ENFORCEMENTS, "enforcements of MFA"),
    (space::MFA, "MFA methods and secrets"),
    (space::MFA_WAITING, "logins that wait for MFA"),
];

/// A key whose bytes say nothing: hashes, and indexes over such.
pub(crate) fn opaque(space: SpaceId, bytes: &[u8]) -> Key {
    Key::opaque(space, bytes).expect("the books' opaque keys are short and not empty")
}

/// A record of a book that does not decode.
pub(crate) fn damaged(space: SpaceId, what: &'static str) -> StoreError {
    StoreError::Damaged { space, what }
}

/// Records read in one transaction where all of a book are. Source: ours, far below what one
/// transaction may read.
const RECORDS_A_READING: usize = 20_000;

/// All records of a book that are JSON, as the snapshot of a transaction has them: what that wrote
/// itself is not among them, and nothing of it is bound to what is read.
///
/// # Errors
/// [`StoreError`] from the barrier.
fn each_of<T: DeserializeOwned>(tx: &Transaction, space: SpaceId, what: &'static str) -> Result<Vec<T>, StoreError> {
    let names = tx.afresh().list_untracked(&Folder::root(space), None, usize::MAX)?.keys;
    let mut records = Vec::with_capacity(names.len());
    for names in names.chunks(RECORDS_A_READING) {
        let mut reading = tx.afresh();
        for name in names {
            let key = Key::leaf(space, name).expect("a listed name is a key");
            let Some(bytes) = reading.get_untracked(&key)? else { continue };
            records.push(serde_json::from_slice(bytes.expose()).map_err(|_| damaged(space, what))?);
        }
    }
    Ok(records)
}

/// The record whose version changes with every change to mounts, policies, quotas or settings. One look at it tells a request whether what the node has parsed still holds.
pub(crate) fn epoch_key() -> Key {
    opaque(space::HOST, b"epoch")
}

/// The record whose version changes with every change to namespaces, mounts or plugins: the part
/// of an epoch that takes long to parse and seldom changes.
pub(crate) fn structure_key() -> Key {
    opaque(space::HOST, b"structure")
}

/// Starts a new epoch whose namespaces, mounts or plugins are others.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn restructure(tx: &mut Transaction) -> Result<(), StoreError> {
    tx.put(&structure_key(), &[])?;
    tx.put(&epoch_key(), &[])
}

/// What the cluster is called: written once, so that another version is of another state.
pub(crate) fn cluster_key() -> Key {
    opaque(space::HOST, b"cluster")
}

/// Where what a token keeps in its cubbyhole is. All of it goes with the token.
#[derive(Clone)]
pub(crate) struct Cubby(String);

impl Cubby {
    /// Of the namespace that the token is of.
    pub(crate) fn of(token: &tokens::TokenHash) -> Self {
        Self(format!("{}/", hex::encode(token)))
    }

    /// Of another namespace, by its id: what a token keeps there is not seen here.
    pub(crate) fn elsewhere(token: &tokens::TokenHash, namespace: &str) -> Self {
        Self(format!("{}/{ELSEWHERE}{namespace}/", hex::encode(token)))
    }

    /// Whether a name that is listed is that of another namespace's part.
    pub(crate) fn is_elsewhere(name: &str) -> bool {
        name.starts_with(ELSEWHERE)
    }

    pub(crate) fn key(&self, name: &str) -> Option<Key> {
        Key::leaf(space::CUBBYHOLE, &[&self.0, name].concat()).ok()
    }

    pub(crate) fn folder(&self, name: &str) -> Option<Folder> {
        Folder::new(space::CUBBYHOLE, &[&self.0, name].concat()).ok()
    }
}

/// What begins the name of another namespace's part of a cubbyhole. No name of a caller has it:
/// a path has no backslash.
const ELSEWHERE: &str = "\\";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{NAMES, Realm, SpaceId, space, space_name};

    #[test]
    fn each_book_has_a_space_of_its_own() {
        let spaces: BTreeSet<_> = NAMES.iter().map(|(space, _)| space.0).collect();
        assert_eq!(spaces.len(), NAMES.len());
        assert!(NAMES.iter().all(|(space, name)| space_name(&Realm::ROOT.place(*space).0) == *name));
    }

    #[test]
    fn every_book_of_each_namespace_goes_with_it() {
        let placed = |space: &SpaceId| Realm::of([7; 15]).place(*space) != *space;
        let of_each: BTreeSet<_> = NAMES.iter().map(|(space, _)| *space).filter(placed).collect();
        assert_eq!(of_each, space::OF_EACH.into_iter().collect());
    }
}
