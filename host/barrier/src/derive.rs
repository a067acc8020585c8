//! Keys for others' purposes (token hashing, audit salts), derived so that they need no
//! storage of their own and stay the same over rotations. What they are used for is
//! decided elsewhere.

use aws_lc_rs::{hkdf, hmac};
use bulkhead_model::hidden::Hidden;

use crate::barrier::Barrier;

/// Keeps derived keys apart from every other use of the derivation key.
const LABEL: &[u8] = b"bulkhead.subkey.v1";

impl Barrier {
    /// A key of its own for each label, the same for the life of the cluster: HKDF-SHA256
    /// over a secret of the keyring.
    #[must_use]
    pub fn subkey(&self, label: &str) -> Hidden<[u8; 32]> {
        let keyring = self.keyring();
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, keyring.derivation_key().expose());
        let mut key = Hidden::new([0; 32]);
        let info = [LABEL, label.as_bytes()];
        let okm = secret.expand(&info, hkdf::HKDF_SHA256).expect("32 bytes are within what HKDF gives");
        okm.fill(key.expose_mut()).expect("the buffer is as long as asked for");
        key
    }

    /// An HMAC-SHA256 key for this label, its schedule computed once. Keep it no longer
    /// than the barrier: it survives sealing.
    #[must_use]
    pub fn hmac_key(&self, label: &str) -> HmacKey {
        HmacKey(hmac::Key::new(hmac::HMAC_SHA256, self.subkey(label).expose()))
    }
}

/// An HMAC-SHA256 key, ready for use.
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// HMAC-SHA256 of these bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, bytes);
        tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}
