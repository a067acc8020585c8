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
        HmacKey::new(self.subkey(label).expose())
    }
}

/// An HMAC-SHA256 key, ready for use.
pub struct HmacKey(hmac::Key);

impl HmacKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Whether this is the HMAC-SHA256 of these bytes, in constant time.
    #[must_use]
    pub fn verify(&self, bytes: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, bytes, tag).is_ok()
    }

    /// HMAC-SHA256 of these bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, bytes);
        tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}
