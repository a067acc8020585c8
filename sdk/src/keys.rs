//! Public keys of others, of which the host does the arithmetic.

use crate::bindings::mounted::bulkhead::plugin::keys as wit;
use crate::{Error, Result, host};

/// A public key of somebody else.
#[derive(Debug)]
pub struct PublicKey(host::keys::Key);

impl PublicKey {
    /// A key in PEM, as `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: it is none.
    pub fn from_spki_pem(pem: &[u8]) -> Result<Self> {
        host::keys::import("", "spki-pem", pem, false).map(Self).map_err(refused)
    }

    /// Encrypts for whoever has the private key: RSA with this padding (`oaep-sha1`,
    /// `oaep-sha2-256`).
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: the key is no RSA key, or too short for the text.
    pub fn encrypt(&self, plaintext: &[u8], padding: &str) -> Result<Vec<u8>> {
        let options = wit::CipherOptions { nonce: None, aad: Vec::new(), padding: Some(padding.to_owned()) };
        self.0.encrypt(plaintext, &options).map_err(refused)
    }
}

fn refused(error: wit::Error) -> Error {
    match error {
        wit::Error::Denied(text) => Error::PermissionDenied(text),
        wit::Error::Unsupported(text) | wit::Error::Failed(text) => Error::InvalidRequest(text),
        wit::Error::NotFound | wit::Error::Rejected => Error::invalid("the key does not fit what it is used for"),
    }
}
