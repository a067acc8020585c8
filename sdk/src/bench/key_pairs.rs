//! Pairs of keys natively: they have the form of keys and cost nothing. What one signs, nobody can
//! verify but by asking for the same signature again.

use super::host::digest;
use crate::bindings::mounted::bulkhead::plugin::keys::{Error, SignOptions};

/// Algorithms, and how each is told in a public key: `AlgorithmIdentifier`, DER.
const ALGORITHMS: [(&str, &[u8]); 7] = [
    ("rsa-2048", RSA),
    ("rsa-3072", RSA),
    ("rsa-4096", RSA),
    ("ecdsa-p256", b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
    ("ecdsa-p384", b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"),
    ("ecdsa-p521", b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23"),
    ("ed25519", b"\x30\x05\x06\x03\x2b\x65\x70"),
];
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

fn identifier(algorithm: &str) -> Option<&'static [u8]> {
    ALGORITHMS.iter().find(|(name, _)| *name == algorithm).map(|(_, identifier)| *identifier)
}

const HEAD: &str = "-----BEGIN PRIVATE KEY-----\n";
const TAIL: &str = "\n-----END PRIVATE KEY-----\n";

/// A key: its algorithm, and what stands for it.
pub(crate) struct Key {
    algorithm: String,
    secret: String,
    exportable: bool,
}

pub(crate) fn generate(algorithm: &str, exportable: bool) -> Result<Key, Error> {
    if identifier(algorithm).is_none() {
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

    /// In the form of a public key, and the same for the same private one.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, Error> {
        let tagged = format!("{} {}", self.algorithm, self.secret);
        let bits = digest::hash("sha2-256", tagged.as_bytes()).map_err(Error::Failed)?;
        let identifier = identifier(&self.algorithm).ok_or(Error::Rejected)?;
        let lengths = [bits.len() + 1, identifier.len() + bits.len() + 3].map(|length| length as u8);
        Ok([&[0x30, lengths[1]], identifier, &[0x03, lengths[0], 0], &bits[..]].concat())
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
