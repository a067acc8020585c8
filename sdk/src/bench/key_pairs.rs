//! Pairs of keys natively: they have the form of keys and cost nothing. What one signs, nobody can
//! verify but by asking for the same signature again.

use super::host::digest;
use crate::bindings::mounted::bulkhead::plugin::keys::{Error, SignOptions};

const ALGORITHMS: [&str; 6] = ["rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ed25519"];
const HEAD: &str = "-----BEGIN PRIVATE KEY-----\n";
const TAIL: &str = "\n-----END PRIVATE KEY-----\n";

/// A key: its algorithm, and what stands for it.
pub(crate) struct Key {
    algorithm: String,
    secret: String,
    exportable: bool,
}

pub(crate) fn generate(algorithm: &str, exportable: bool) -> Result<Key, Error> {
    if !ALGORITHMS.contains(&algorithm) {
        return Err(Error::Unsupported(format!("keys of {algorithm:?} are not made in this version")));
    }
    Ok(Key { algorithm: algorithm.to_owned(), secret: hex(&digest::random(16)), exportable })
}

/// Reads what [`Key::export`] has written.
pub(crate) fn import(_algorithm: &str, _format: &str, bytes: &[u8], exportable: bool) -> Result<Key, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Rejected)?;
    let body = text.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(TAIL)).ok_or(Error::Rejected)?;
    let (algorithm, secret) = body.split_once('+').ok_or(Error::Rejected)?;
    Ok(Key { algorithm: algorithm.replace('/', "-"), secret: secret.to_owned(), exportable })
}

impl Key {
    pub(crate) fn algorithm(&self) -> String {
        self.algorithm.clone()
    }

    /// No key, but the same for the same private one.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, Error> {
        let tagged = format!("{} {}", self.algorithm, self.secret);
        digest::hash("sha2-256", tagged.as_bytes()).map_err(Error::Failed)
    }

    pub(crate) fn export(&self, _format: &str) -> Result<Vec<u8>, Error> {
        if !self.exportable {
            return Err(Error::Denied("the key was not made to be taken out".to_owned()));
        }
        Ok([HEAD, &self.algorithm.replace('-', "/"), "+", &self.secret, TAIL].concat().into_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8], options: &SignOptions) -> Result<Vec<u8>, Error> {
        let mut signed = self.public_key()?;
        signed.extend_from_slice(options.scheme.as_bytes());
        signed.extend_from_slice(options.hash.as_bytes());
        signed.extend_from_slice(message);
        digest::hash("sha2-256", &signed).map_err(Error::Failed)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
