//! The joining key: how a node that has the cluster's shares, and nothing else of it yet, and
//! a node of the cluster prove to each other that they do belong together. It is derived
//! from the unseal key, so that it changes with every new split, and opens nothing. Who
//! proves what with it is decided above.

use aws_lc_rs::hkdf;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::ledger::View;

use crate::barrier::{Barrier, plain};
use crate::derive::HmacKey;
use crate::error::StoreError;
use crate::key::SpaceId;
use crate::keybytes::KeyBytes;
use crate::record::{self, NONCE};
use crate::seal::JOINING_KEY;

/// Keeps it apart from every other use of the unseal key.
const DERIVED: &[u8] = b"bulkhead.joining-key.v1";
/// What its wrapping is bound to.
const WRAPPED: &[u8] = b"bulkhead.wrapped-joining-key.v1";

/// The joining key of those who have put together the unseal key.
#[must_use]
pub fn joining_key_of(unseal_key: &Hidden<Vec<u8>>) -> HmacKey {
    HmacKey::new(secret_of(unseal_key.expose()).expose())
}

impl Barrier {
    /// The joining key that goes with the present split; `None` where the split is older
    /// than joining keys are.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be read.
    pub fn joining_key(&self, view: &dyn View) -> Result<Option<HmacKey>, StoreError> {
        let Some(wrapped) = plain(view, JOINING_KEY)? else { return Ok(None) };
        let what = "the joining key does not open";
        let key = record::unwrap(self.root_key().expose(), WRAPPED, wrapped);
        let key = key.ok_or(StoreError::Damaged { space: SpaceId::BARRIER, what })?;
        Ok(Some(HmacKey::new(key.expose())))
    }
}

/// The joining key as it is kept.
pub(crate) fn wrapped(root_key: &KeyBytes<32>, unseal_key: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
    record::wrap(root_key.expose(), WRAPPED, secret_of(unseal_key).expose(), nonce)
}

/// The key's bytes, of the unseal key's.
pub(crate) fn secret_of(unseal_key: &[u8]) -> Hidden<[u8; 32]> {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(unseal_key);
    let mut key = Hidden::new([0; 32]);
    let info = [DERIVED];
    let okm = secret.expand(&info, hkdf::HKDF_SHA256).expect("32 bytes are within what HKDF gives");
    okm.fill(key.expose_mut()).expect("the buffer is as long as asked for");
    key
}
