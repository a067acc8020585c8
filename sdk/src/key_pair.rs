//! Pairs of keys, of which the host has the private one for the time of the call. What is made here
//! may be taken out, where the mount is granted `keys.export`.

use crate::bindings::mounted::bulkhead::plugin::keys::{Error as KeyError, SignOptions};
use crate::host::key_pairs;
use crate::{Error, Result, Secret};

/// Letters in a line of PEM. Source: RFC 7468.
const LINE: usize = 64;

/// A private key and its public one.
pub struct KeyPair(key_pairs::Key);

impl KeyPair {
    /// Makes a pair: `rsa-2048`, `rsa-3072`, `rsa-4096`, `ecdsa-p256`, `ecdsa-p384`, `ed25519`.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] with the grant that is missing, [`Error::InvalidRequest`] for an unknown algorithm.
    pub fn generate(algorithm: &str) -> Result<Self> {
        key_pairs::generate(algorithm, true).map(Self).map_err(refused)
    }

    /// Reads a private key in PEM.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it is none.
    pub fn from_pem(pem: &str) -> Result<Self> {
        key_pairs::import("", "pem", pem.as_bytes(), false).map(Self).map_err(refused)
    }

    /// What it is for, such as `rsa-2048`.
    #[must_use]
    pub fn algorithm(&self) -> String {
        self.0.algorithm()
    }

    /// The public key as `SubjectPublicKeyInfo`, in DER.
    ///
    /// # Errors
    /// The host's.
    pub fn public_key_der(&self) -> Result<Vec<u8>> {
        self.0.public_key().map_err(refused)
    }

    /// The public key in PEM.
    ///
    /// # Errors
    /// The host's.
    pub fn public_key_pem(&self) -> Result<String> {
        Ok(pem("PUBLIC KEY", &self.public_key_der()?))
    }

    /// The private key as PKCS#8, in PEM.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] with the grant that is missing.
    pub fn private_key_pem(&self) -> Result<Secret<String>> {
        let pem = self.0.export("pkcs8-pem").map_err(refused)?;
        String::from_utf8(pem).map(Secret::new).map_err(|_| Error::internal("a key in PEM is not text"))
    }

    /// Signs a message: `rsa-pkcs1v15` or `ecdsa` over a digest such as `sha2-256`, or `ed25519` over `none`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the key does not sign so.
    pub fn sign(&self, scheme: &str, digest: &str, message: &[u8]) -> Result<Vec<u8>> {
        let options = SignOptions {
            scheme: scheme.to_owned(),
            hash: digest.to_owned(),
            prehashed: false,
            salt_length: None,
            encoding: "asn1".to_owned(),
            context: Vec::new(),
        };
        self.0.sign(message, &options).map_err(refused)
    }
}

fn refused(error: KeyError) -> Error {
    match error {
        KeyError::Denied(grant) => Error::PermissionDenied(crate::net::ungranted(&grant)),
        KeyError::Unsupported(text) => Error::InvalidRequest(text),
        KeyError::Rejected | KeyError::NotFound => Error::invalid("the key cannot be read, or not be used for this"),
        KeyError::Failed(text) => Error::Internal(text),
    }
}

/// Bytes in PEM under this label.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = base64(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(LINE) {
        out.extend(line.iter().map(|letter| char::from(*letter)));
        out.push('\n');
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group.iter().enumerate().fold(0_u32, |all, (at, byte)| all | u32::from(*byte) << (16 - 8 * at));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place)) as usize & 63];
            out.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let wanted = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(texts.map(|text| base64(text.as_bytes())), wanted);
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn lines_of_pem_have_64_letters() {
        let text = pem("THING", &[0; 50]);
        let lines: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(lines, [21, 64, 4, 19]);
        assert!(
            text.starts_with("-----BEGIN THING-----\nAAAA") && text.ends_with("=\n-----END THING-----\n"),
            "{text}"
        );
    }
}
