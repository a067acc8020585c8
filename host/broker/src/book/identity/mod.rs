//! Who is behind the tokens: entities with their names in auth methods, and groups. Each
//! is a record of its own, and every way to one is an index, so that a login costs a few
//! reads whatever the number of entities. What lives here: records and indexes, always
//! changed together. What must not: who may change them, and how they are shown.

pub(crate) mod book;
pub(crate) mod entities;
pub(crate) mod groups;
pub(crate) mod persona;

use bulkhead_barrier::{Barrier, HmacKey, Key, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::path::lowered;
use bulkhead_model::template::Pairs;
use serde::{Deserialize, Serialize};

use super::{kept, space};

/// Names an entity, a group or an alias: the bytes of a UUID.
pub(crate) type Id = [u8; 16];

/// The id that this text is, in the one spelling ids are given out in.
pub(crate) fn parse_id(text: &str) -> Option<Id> {
    let mut id = [0; 16];
    hex::decode_to_slice(text.replace('-', ""), &mut id).ok()?;
    (id_text(&id) == text).then_some(id)
}

/// An id as it is shown.
pub(crate) fn id_text(id: &Id) -> String {
    let hex = hex::encode(id);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Another name of an entity or of an external group: the one it has in an auth method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alias {
    pub id: Id,
    pub mount_accessor: String,
    pub name: String,
    /// What the auth method says of it, as of the last login.
    pub metadata: Pairs,
    /// What an operator says of it.
    pub custom_metadata: Pairs,
    pub created_ms: u64,
    pub updated_ms: u64,
    /// Entities it belonged to before they were merged.
    pub merged_from: Vec<Id>,
}

impl Alias {
    /// Whether it is this name in this auth method; case does not tell names apart.
    pub(crate) fn is_at(&self, mount_accessor: &str, name: &str) -> bool {
        self.mount_accessor == mount_accessor && lowered(&self.name) == lowered(name)
    }
}

/// Turns names into keys. Names are compared without regard to case, so that nobody can
/// pass for somebody else by spelling.
pub(crate) struct Names(HmacKey);

impl Names {
    pub(crate) fn of(barrier: &Barrier) -> Self {
        Self(barrier.hmac_key("identity names"))
    }

    fn key(&self, kind: Kind, name: &str) -> Key {
        key(kind, &self.0.sign(lowered(name).as_bytes()))
    }

    /// The two parts of an alias; an accessor has no byte that could end it early.
    fn alias_key(&self, kind: Kind, mount_accessor: &str, name: &str) -> Key {
        key(kind, &self.alias_digest(mount_accessor, name))
    }

    /// Names an alias, whether anybody has it or not.
    pub(crate) fn alias_digest(&self, mount_accessor: &str, name: &str) -> [u8; 32] {
        self.0.sign(format!("{mount_accessor}\0{}", lowered(name)).as_bytes())
    }
}

/// What a key leads to: its first byte.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    /// Entity id → entity.
    Entity = b'e',
    /// Name → entity id.
    EntityName = b'n',
    /// Mount accessor and name → entity id.
    EntityAlias = b'f',
    /// Alias id → entity id.
    EntityAliasId = b'a',
    /// Id of an entity that was merged away → id of the one it went into.
    Merged = b'x',
    /// Group id → group.
    Group = b'g',
    /// Name → group id.
    GroupName = b'N',
    /// Mount accessor and name → group id.
    GroupAlias = b'F',
    /// Alias id → group id.
    GroupAliasId = b'A',
    /// Group id and entity id, without a value.
    Member = b'm',
    /// One record that changes whenever what a group is changes; not who is in it.
    GroupsVersion = b'v',
}

fn key(kind: Kind, bytes: &[u8]) -> Key {
    super::opaque(space::IDENTITY, &[&[kind as u8], bytes].concat())
}

/// The id that a way leads to.
fn id_at(found: Option<Hidden<Vec<u8>>>) -> Option<Id> {
    found.and_then(|bytes| bytes.expose().as_slice().try_into().ok())
}

/// The keys of ids that follow this prefix and come behind this one.
fn stretch(kind: Kind, prefix: &[u8], after: Option<&Id>) -> [Vec<u8>; 2] {
    let from = match after {
        Some(id) => [&[kind as u8], prefix, id, &[0]].concat(),
        None => [&[kind as u8], prefix, &[0; 16]].concat(),
    };
    [from, [&[kind as u8], prefix, &[0xff; 17]].concat()]
}

/// Ids at the end of keys, behind the kind and a prefix of this length.
fn ids_in(keys: &[Vec<u8>], prefix_len: usize) -> Vec<Id> {
    keys.iter().filter_map(|key| key.get(1 + prefix_len..)?.try_into().ok()).collect()
}

/// All ids that follow this prefix, in their order.
fn ids_after(tx: &mut Transaction, kind: Kind, prefix: &[u8]) -> Result<Vec<Id>, StoreError> {
    let [from, end] = stretch(kind, prefix, None);
    Ok(ids_in(&tx.opaque_range(space::IDENTITY, &from, &end, u32::MAX)?, prefix.len()))
}

/// The next of them behind one; those that come or go meanwhile are no conflict.
fn ids_untracked(tx: &mut Transaction, kind: Kind, prefix: &[u8], after: Option<&Id>) -> Result<Vec<Id>, StoreError> {
    let [from, end] = stretch(kind, prefix, after);
    Ok(ids_in(&tx.opaque_range_untracked(space::IDENTITY, &from, &end, book::IDS_A_LOOK)?, prefix.len()))
}

/// Moves one way to a record from where it was to where it is to be.
fn lead(tx: &mut Transaction, before: Option<Key>, after: Option<Key>, id: &Id) -> Result<(), StoreError> {
    if let Some(key) = before.filter(|key| Some(key) != after.as_ref()) {
        tx.delete(&key)?;
    }
    match after {
        Some(key) => tx.put(&key, id),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
