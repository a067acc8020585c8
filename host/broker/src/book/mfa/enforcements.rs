//! Enforcements: whose logins demand a method. A login finds those that are about it by what it is
//! of, so that it costs a few look-ups whatever their number.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::{Kind, ids, key, read, space, write};
use crate::book::identity::{Id, Names};

/// Enforcements at most. Source: ours. Why: a list tells of each.
pub(crate) const ENFORCEMENTS_MAX: usize = 1_000;
/// Ids, accessors and types in one at most. Source: ours. Why: each is a record in the one change
/// that makes it.
pub(crate) const TARGETS_MAX: usize = 4_096;

/// A stored enforcement. Fields may be added at the end, with a new format byte.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EnforcementRecord {
    pub id: Id,
    pub name: String,
    /// One of these has to be passed.
    pub methods: Vec<Id>,
    pub accessors: Vec<String>,
    pub types: Vec<String>,
    pub groups: Vec<Id>,
    pub entities: Vec<Id>,
}

/// What an enforcement may be about.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// The auth method with this accessor.
    Accessor(&'a str),
    /// Auth methods of this type.
    Type(&'a str),
    Group(&'a Id),
    Entity(&'a Id),
    /// No login's: the method that it demands.
    Method(&'a Id),
}

impl Target<'_> {
    /// Its place among the ways. Texts are behind a digest, as they are no secret, but no key either.
    fn bytes(self, names: &Names) -> [u8; 17] {
        let digest = |what, text| names.alias_digest(what, text)[..16].try_into().expect("half of it");
        let (kind, id): (u8, Id) = match self {
            Self::Accessor(text) => (b'a', digest("mfa accessor", text)),
            Self::Type(text) => (b't', digest("mfa type", text)),
            Self::Group(id) => (b'g', *id),
            Self::Entity(id) => (b'e', *id),
            Self::Method(id) => (b'm', *id),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(&id);
        bytes
    }
}

impl EnforcementRecord {
    fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let texts = self.accessors.iter().map(|text| Target::Accessor(text));
        let texts = texts.chain(self.types.iter().map(|text| Target::Type(text)));
        let ids = self.groups.iter().map(Target::Group).chain(self.entities.iter().map(Target::Entity));
        texts.chain(ids).chain(self.methods.iter().map(Target::Method))
    }

    /// Whether it is about this. A digest does not tell case apart.
    fn is_about(&self, target: Target<'_>) -> bool {
        match target {
            Target::Accessor(text) => self.accessors.iter().any(|one| one == text),
            Target::Type(text) => self.types.iter().any(|one| one == text),
            Target::Group(id) => self.groups.contains(id),
            Target::Entity(id) => self.entities.contains(id),
            Target::Method(id) => self.methods.contains(id),
        }
    }
}

/// A name as a key; a name that is no canonical path names nothing.
fn record_key(name: &str) -> Option<Key> {
    Key::leaf(space::MFA_ENFORCEMENTS, name).ok()
}

fn demanding() -> Key {
    key(Kind::Demanding, &[])
}

/// The enforcement of this name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, name: &str) -> Result<Option<EnforcementRecord>, StoreError> {
    let Some(key) = record_key(name) else { return Ok(None) };
    read(tx.get(&key)?, (space::MFA_ENFORCEMENTS, "an MFA enforcement"))
}

/// Keeps an enforcement in the place of what stood there, with every way to it.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, names: &Names, record: &EnforcementRecord) -> Result<(), StoreError> {
    remove(tx, names, &record.name)?;
    for target in record.targets() {
        tx.put(&key(Kind::Target, &[&target.bytes(names), &record.id]), record.name.as_bytes())?;
    }
    if tx.version(&demanding())?.is_none() {
        tx.put(&demanding(), &[])?;
    }
    write(tx, &Key::leaf(space::MFA_ENFORCEMENTS, &record.name)?, record)
}

/// Removes an enforcement with every way to it, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, names: &Names, name: &str) -> Result<(), StoreError> {
    let (Some(record), Some(own)) = (get(tx, name)?, record_key(name)) else { return Ok(()) };
    for target in record.targets() {
        tx.delete(&key(Kind::Target, &[&target.bytes(names), &record.id]))?;
    }
    tx.delete(&own)
}

/// All names.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    Ok(tx.scan(&Folder::root(space::MFA_ENFORCEMENTS), None, usize::MAX)?.keys)
}

/// Whether anything was ever demanded: most clusters never do, and their logins look no further.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn may_be(tx: &mut Transaction) -> Result<bool, StoreError> {
    Ok(tx.version(&demanding())?.is_some())
}

/// The enforcements that are about one of these, each once, in the order of their names.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn about(
    tx: &mut Transaction,
    names: &Names,
    targets: &[Target<'_>],
) -> Result<Vec<EnforcementRecord>, StoreError> {
    let mut found: Vec<EnforcementRecord> = Vec::new();
    for target in targets {
        let place = target.bytes(names);
        for id in ids(tx, Kind::Target, &place, u32::MAX)? {
            if found.iter().any(|have| have.id == id) {
                continue;
            }
            let Some(name) = tx.get(&key(Kind::Target, &[&place, &id]))? else { continue };
            let name = std::str::from_utf8(name.expose()).map_err(|_| damaged())?;
            // A way that leads nowhere must not let anybody in.
            let record = get(tx, name)?.ok_or_else(damaged)?;
            if record.is_about(*target) {
                found.push(record);
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn damaged() -> StoreError {
    crate::book::damaged(space::MFA, "a way to an MFA enforcement")
}
