//! The record of how often the newest term has encrypted: kept in the ledger in blocks,
//! reserved ahead of use, so that restarts and new leaders do not start from nothing.
//! What follows from the count is decided elsewhere.

use bulkhead_model::change::Write;
use bulkhead_model::seam::ledger::View;

use crate::error::StoreError;
use crate::keyring::{Keyring, Recorded};
use crate::names::plain_key;
use crate::record::{self, NONCE};

/// Where the count is. A record as any other, so it cannot be set back by hand.
pub(crate) const ENCRYPTIONS: &str = "core/encryptions";

/// The count in the ledger for the newest term; zero if it is of an older term.
pub(crate) fn on_record(keyring: &Keyring, view: &dyn View) -> Result<Recorded, StoreError> {
    let key = plain_key(ENCRYPTIONS);
    let Some(found) = view.get(&key)? else { return Ok(Recorded::default()) };
    let opened = record::open(keyring, &key, found.bytes, &mut Vec::new())?;
    Ok(parse(opened.expose(), keyring.newest().number()).unwrap_or_default())
}

/// Term, what is known of, what is reserved. Before the second was kept apart, there were the
/// other two alone.
fn parse(bytes: &[u8], newest: u32) -> Option<Recorded> {
    let (term, rest) = bytes.split_first_chunk::<4>()?;
    let (known, reserved) = (rest.first_chunk::<8>()?, rest.last_chunk::<8>()?);
    let recorded = Recorded { known: u64::from_be_bytes(*known), reserved: u64::from_be_bytes(*reserved) };
    (u32::from_be_bytes(*term) == newest).then_some(recorded)
}

/// The write that puts the next block on record. No read is recorded for it: a conflict
/// would cost every writer a repeat, and a block lost in a race between two leaders is
/// one of thousands.
pub(crate) fn reserve(keyring: &Keyring, view: &dyn View, nonce: [u8; NONCE]) -> Result<Write, StoreError> {
    let term = keyring.newest();
    let Recorded { known, reserved } = term.reserve(on_record(keyring, view)?);
    let key = plain_key(ENCRYPTIONS);
    let value = [term.number().to_be_bytes().as_slice(), &known.to_be_bytes(), &reserved.to_be_bytes()].concat();
    let value = record::seal(term, &key, &value, nonce, &mut Vec::new());
    Ok(Write { key, value: Some(value) })
}
