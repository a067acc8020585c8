//! Randomness, hashes, keys out of keys, passwords: computed by the host, which is
//! quicker than a guest and takes the same time whatever the bytes are.
//!
//! Algorithms are names: `sha1`, `sha2-224`, `sha2-256`, `sha2-384`, `sha2-512`, and for
//! [`Cx::hash`] also `sha3-256`, `sha3-384` and `sha3-512`. One that the host does not
//! know is an [`Error::InvalidRequest`] with its name, so that a caller's choice may be
//! passed on unchecked.

use super::Cx;
use crate::{Error, Result, Secret, host};

impl Cx {
    /// Random bytes.
    #[must_use]
    pub fn random(&self, bytes: u32) -> Vec<u8> {
        host::digest::random(bytes)
    }

    /// Random bytes, in lower-case hexadecimal.
    #[must_use]
    pub fn random_hex(&self, bytes: u32) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = host::digest::random(bytes);
        bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
    }

    /// A random UUID in its usual form.
    #[must_use]
    pub fn uuid(&self) -> String {
        host::digest::uuid()
    }

    /// Whether two texts are equal, in time that does not tell where they differ.
    #[must_use]
    pub fn equal(&self, a: &[u8], b: &[u8]) -> bool {
        host::digest::equal(a, b)
    }

    /// The hash of some bytes. Not for passwords: see [`Cx::password_hash`].
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an unknown algorithm.
    pub fn hash(&self, algorithm: &str, data: &[u8]) -> Result<Vec<u8>> {
        host::digest::hash(algorithm, data).map_err(Error::InvalidRequest)
    }

    /// A message's authentication code. Compare it by [`Cx::equal`].
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an unknown algorithm.
    pub fn hmac(&self, algorithm: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        host::digest::hmac(algorithm, key, data).map_err(Error::InvalidRequest)
    }

    /// A key of up to 1,024 bytes out of a secret that is as good as random.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an unknown algorithm or a wrong length.
    pub fn hkdf(&self, algorithm: &str, secret: &[u8], salt: &[u8], info: &[u8], bytes: u32) -> Result<Vec<u8>> {
        host::digest::hkdf(algorithm, secret, salt, info, bytes).map_err(Error::InvalidRequest)
    }

    /// A key of up to 1,024 bytes out of a password.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an unknown algorithm or a wrong length.
    pub fn pbkdf2(&self, algorithm: &str, password: &[u8], salt: &[u8], rounds: u32, bytes: u32) -> Result<Vec<u8>> {
        host::digest::pbkdf2(algorithm, password, salt, rounds, bytes).map_err(Error::InvalidRequest)
    }

    /// What to store in place of a password. The scheme is `bcrypt`, `bcrypt:12` (cost 4
    /// to 14, else 10; a password of at most 72 bytes), `argon2id` or
    /// `argon2id:m=65536,t=3,p=1`. Takes from 50 ms to seconds, beside the call's own
    /// processor time.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is wrong with the scheme, or that the password is
    /// too long for it.
    pub fn password_hash(&self, scheme: &str, password: &[u8]) -> Result<String> {
        host::digest::password_hash(scheme, password).map_err(Error::InvalidRequest)
    }

    /// Whether a hash (`$2a$`, `$2b$`, `$2y$` or `$argon2id$`) is of this password. Where
    /// there is no hash, because there is no such user, compare with that of some other
    /// password: an answer that comes sooner would tell.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it is no such hash, or one that costs more than the
    /// host spends on a guest's word.
    pub fn password_verify(&self, hash: &str, password: &[u8]) -> Result<bool> {
        host::digest::password_verify(hash, password).map_err(Error::InvalidRequest)
    }

    /// A password by the policy of this name; none: the built-in one, 20 characters.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if there is no such policy.
    pub fn generate_password(&self, policy: Option<&str>) -> Result<Secret<String>> {
        host::system::generate_password(policy).map(Secret::new).map_err(Error::InvalidRequest)
    }
}
