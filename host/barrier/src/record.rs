//! One value, encrypted: `format (1) || term (4) || nonce (12) || ciphertext || tag (16)`,
//! AES-256-GCM. Associated data is a label, the term and the whole ledger key, so that a
//! ciphertext moved to another key, space or term does not open. Also the wrapping of
//! keys by keys, which has no term. Knows nothing of where bytes are kept.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bulkhead_model::hidden::Hidden;

use crate::error::StoreError;
use crate::key::SpaceId;
use crate::keyring::{Keyring, Term};

/// Length of a nonce, in bytes.
pub(crate) const NONCE: usize = 12;
/// Length of a tag, in bytes.
const TAG: usize = 16;
/// Format, term and nonce, in bytes.
const HEADER: usize = 1 + 4 + NONCE;
/// What a record adds to its value, in bytes.
pub(crate) const OVERHEAD: usize = HEADER + TAG;
/// The one format there is, of records and of wrapped keys.
const FORMAT: u8 = 1;
/// Keeps a record's ciphertext from being taken for anything else.
const LABEL: &[u8] = b"bulkhead.record.v1";

/// An AEAD context over this key. The context wipes itself when dropped.
pub(crate) fn context(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the right length"))
}

/// Encrypts a value for its place in the ledger. The nonce must be fresh and random.
/// `scratch` is any buffer; it keeps its allocation between calls.
pub(crate) fn seal(term: &Term, ledger_key: &[u8], value: &[u8], nonce: [u8; NONCE], scratch: &mut Vec<u8>) -> Vec<u8> {
    let number = term.number().to_be_bytes();
    associate(scratch, number, ledger_key);
    let mut out = Vec::with_capacity(value.len() + OVERHEAD);
    out.push(FORMAT);
    out.extend_from_slice(&number);
    append_sealed(&mut out, term.context(), nonce, scratch, value);
    out
}

/// Decrypts what was found at a place in the ledger.
///
/// # Errors
/// [`StoreError::Damaged`] or [`StoreError::UnknownTerm`].
pub(crate) fn open(
    keyring: &Keyring,
    ledger_key: &[u8],
    mut bytes: Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<Hidden<Vec<u8>>, StoreError> {
    let space = || SpaceId(ledger_key[..16].try_into().expect("every ledger key starts with a space"));
    let damaged = |what| StoreError::Damaged { space: space(), what };
    let Some((&[format, a, b, c, d], _)) = bytes.split_first_chunk::<5>() else {
        return Err(damaged("a record is cut short"));
    };
    if format != FORMAT {
        return Err(damaged("a record's format is unknown"));
    }
    let number = [a, b, c, d];
    let term_number = u32::from_be_bytes(number);
    let Some(term) = keyring.term(term_number) else {
        return Err(StoreError::UnknownTerm { space: space(), term: term_number });
    };
    associate(scratch, number, ledger_key);
    open_in_place(term.context(), 5, scratch, &mut bytes).ok_or_else(|| damaged("a record fails authentication"))?;
    Ok(Hidden::new(bytes))
}

/// Wraps a key, or a keyring, under another key.
pub(crate) fn wrap(key: &[u8; 32], associated: &[u8], plaintext: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD);
    out.push(FORMAT);
    append_sealed(&mut out, &context(key), nonce, associated, plaintext);
    out
}

/// Opens what [`wrap`] made; `None` if the key is another or anything was altered.
pub(crate) fn unwrap(key: &[u8; 32], associated: &[u8], mut wrapped: Vec<u8>) -> Option<Hidden<Vec<u8>>> {
    if wrapped.first() != Some(&FORMAT) {
        return None;
    }
    open_in_place(&context(key), 1, associated, &mut wrapped)?;
    Some(Hidden::new(wrapped))
}

fn associate(scratch: &mut Vec<u8>, term: [u8; 4], ledger_key: &[u8]) {
    scratch.clear();
    scratch.extend_from_slice(LABEL);
    scratch.extend_from_slice(&term);
    scratch.extend_from_slice(ledger_key);
}

/// Appends nonce, ciphertext and tag. `out` has room for them, so that no plaintext is
/// left behind by a reallocation.
fn append_sealed(out: &mut Vec<u8>, context: &LessSafeKey, nonce: [u8; NONCE], associated: &[u8], plaintext: &[u8]) {
    out.extend_from_slice(&nonce);
    let at = out.len();
    out.extend_from_slice(plaintext);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = context
        .seal_in_place_separate_tag(nonce, Aad::from(associated), &mut out[at..])
        .expect("values are far below the cipher's limit");
    out.extend_from_slice(tag.as_ref());
}

/// Leaves the plaintext of what starts at `nonce_at` as the only content of `bytes`.
fn open_in_place(context: &LessSafeKey, nonce_at: usize, associated: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let sealed_at = nonce_at + NONCE;
    let nonce = Nonce::try_assume_unique_for_key(bytes.get(nonce_at..sealed_at)?).ok()?;
    if bytes.len() < sealed_at + TAG {
        return None;
    }
    let plaintext_bytes = context.open_within(nonce, Aad::from(associated), bytes, sealed_at..).ok()?.len();
    bytes.truncate(plaintext_bytes);
    Some(())
}

#[cfg(test)]
mod tests;
