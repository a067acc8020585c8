//! Second factors at logins: methods, where they are demanded, secrets, and logins that wait for
//! them. What lives here: records and the ways to them. What must not: who may change them, how
//! they are shown, and what a passcode is.

pub(crate) mod enforcements;
pub(crate) mod methods;
pub(crate) mod secrets;
pub(crate) mod waiting;

use bulkhead_barrier::{Key, StoreError, Transaction};

use super::identity::Id;
use super::kept::{read, write};
use super::space;

/// What a key leads to: its first byte.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    /// Method id → method.
    Method = b'm',
    /// Method id, entity id → secret.
    Secret = b's',
    /// Entity id, method id, without a value.
    OfEntity = b'x',
    /// What an enforcement is about, its id → its name.
    Target = b't',
    /// One record that is there once anything was ever demanded.
    Demanding = b'd',
}

fn key(kind: Kind, parts: &[&[u8]]) -> Key {
    super::opaque(space::MFA, &[&[kind as u8], &parts.concat()[..]].concat())
}

/// The ends of keys that follow this prefix, up to so many; each is an id.
fn ids(tx: &mut Transaction, kind: Kind, prefix: &[u8], limit: u32) -> Result<Vec<Id>, StoreError> {
    let [from, end] = [&[0; 16][..], &[0xff; 17]].map(|rest| [&[kind as u8], prefix, rest].concat());
    let keys = tx.opaque_range(space::MFA, &from, &end, limit)?;
    Ok(keys.iter().filter_map(|key| key.get(1 + prefix.len()..)?.try_into().ok()).collect())
}
