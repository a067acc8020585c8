//! Password hashes: what a scheme may ask for, and the work itself. Everything is
//! checked against the bounds before any work begins, because both schemes and stored
//! hashes come from guests. Where the work runs and how often is `v1::digest`'s.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bcrypt::HashParts;
use zeroize::Zeroizing;

/// Salt of a new hash, in bytes: what both schemes' own specifications ask for.
pub(crate) const SALT_BYTES: usize = 16;

/// Longest password bcrypt takes, in bytes; what follows would not count.
const BCRYPT_PASSWORD_BYTES_MAX: usize = 72;

/// Cost of bcrypt where the scheme names none: that of Vault and OpenBao.
const BCRYPT_COST: u32 = 10;

/// Costs of bcrypt. Source: ours; the algorithm goes from 4 to 31. Why: each step
/// doubles the time, and 14 takes about a second.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// Memory of argon2id, in KiB. Source: ours; RFC 9106 recommends 64 MiB. Why: times the
/// hashes at once, this is what guests can make the host allocate.
const ARGON2_MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Passes of argon2id. Source: ours; RFC 9106 recommends 3. Why: with the memory, this
/// is the time of one hash, about two seconds.
const ARGON2_PASSES_MAX: u32 = 10;

/// Lanes of argon2id. Source: RFC 9106's own recommendation.
const ARGON2_LANES_MAX: u32 = 4;

/// Bytes of a new argon2id hash.
const ARGON2_OUTPUT_BYTES: usize = 32;

/// Bytes that salt and hash of a stored argon2id hash may have. Source: the PHC string
/// format.
const PHC_SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=48;
const PHC_OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 10..=64;

/// The form of a stored argon2id hash up to its parameters; version 19 is the only one
/// in use.
const PHC_ARGON2ID: &str = "$argon2id$v=19$";

/// How to hash new passwords, within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// With this cost.
    Bcrypt(u32),
    /// With these costs.
    Argon2id(Costs),
}

/// What one argon2id hash costs, within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A stored hash, taken apart and within the bounds.
pub(crate) enum StoredHash {
    Bcrypt(HashParts),
    Argon2id { costs: Costs, salt: Vec<u8>, output: Vec<u8> },
}

/// Why a password was not hashed or not compared; the text is for the guest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("password scheme {0:?} is not available")]
    UnknownScheme(String),
    #[error("bcrypt takes a cost from 4 to 14")]
    BcryptCost,
    #[error("bcrypt: password length exceeds 72 bytes")]
    BcryptLength,
    #[error("argon2id takes \"m=65536,t=3,p=1\": m in KiB from 8 times p to 262144, t from 1 to 10, p from 1 to 4")]
    Argon2Costs,
    #[error("not a password hash that can be compared with")]
    NotAHash,
    #[error("there is not enough memory to hash a password")]
    NoMemory,
    #[error("hashing a password failed")]
    Failed,
}

impl Scheme {
    /// Reads `bcrypt`, `bcrypt:12`, `argon2id` or `argon2id:m=65536,t=3,p=1`.
    ///
    /// # Errors
    /// [`PasswordError`] that says what is wrong or out of bounds.
    pub(crate) fn parse(text: &str) -> Result<Self, PasswordError> {
        let (name, costs) = text.split_once(':').map_or((text, None), |(name, costs)| (name, Some(costs)));
        match (name, costs) {
            ("bcrypt", None) => Ok(Self::Bcrypt(BCRYPT_COST)),
            ("bcrypt", Some(cost)) => bcrypt_cost(number(cost)).map(Self::Bcrypt),
            ("argon2id", None) => Ok(Self::Argon2id(Costs::RECOMMENDED)),
            ("argon2id", Some(costs)) => Costs::parse(costs).map(Self::Argon2id),
            _ => Err(PasswordError::UnknownScheme(name.chars().take(32).collect())),
        }
    }

    /// Whether this password can be hashed at all; cheap, unlike [`Scheme::hash`].
    ///
    /// # Errors
    /// [`PasswordError::BcryptLength`]: bcrypt would leave the rest out, and whoever
    /// knows the beginning could log in.
    pub(crate) fn admits(self, password: &[u8]) -> Result<(), PasswordError> {
        match self {
            Self::Bcrypt(_) if password.len() > BCRYPT_PASSWORD_BYTES_MAX => Err(PasswordError::BcryptLength),
            _ => Ok(()),
        }
    }

    /// The hash in its usual form, `$2b$…` or `$argon2id$…`. Takes long.
    ///
    /// # Errors
    /// Those of [`Scheme::admits`]; [`PasswordError::NoMemory`].
    pub(crate) fn hash(self, password: &[u8], salt: [u8; SALT_BYTES]) -> Result<String, PasswordError> {
        self.admits(password)?;
        match self {
            Self::Bcrypt(cost) => {
                let parts = bcrypt::hash_with_salt(password, cost, salt).map_err(|_| PasswordError::Failed)?;
                Ok(parts.to_string())
            }
            Self::Argon2id(costs) => {
                let output = costs.derive(password, &salt, ARGON2_OUTPUT_BYTES)?;
                let [salt, output] = [&salt[..], &output[..]].map(|bytes| STANDARD_NO_PAD.encode(bytes));
                Ok(format!("{PHC_ARGON2ID}{costs}${salt}${output}"))
            }
        }
    }
}

impl StoredHash {
    /// Takes a hash apart: `$2a$…`, `$2b$…`, `$2y$…` or `$argon2id$v=19$…`.
    ///
    /// # Errors
    /// [`PasswordError::NotAHash`], or which cost is out of bounds.
    pub(crate) fn parse(text: &str) -> Result<Self, PasswordError> {
        if let Some(rest) = text.strip_prefix(PHC_ARGON2ID) {
            return phc(rest);
        }
        if !["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            return Err(PasswordError::NotAHash);
        }
        let parts: HashParts = text.parse().map_err(|_| PasswordError::NotAHash)?;
        bcrypt_cost(Some(parts.get_cost()))?;
        Ok(Self::Bcrypt(parts))
    }

    /// Whether the hash is of this password, compared in constant time. Takes long. A
    /// password too long for bcrypt matches none of its hashes; Vault and OpenBao
    /// compare its first 72 bytes.
    ///
    /// # Errors
    /// [`PasswordError::NoMemory`].
    pub(crate) fn matches(&self, password: &[u8]) -> Result<bool, PasswordError> {
        match self {
            Self::Bcrypt(_) if password.len() > BCRYPT_PASSWORD_BYTES_MAX => Ok(false),
            Self::Bcrypt(parts) => {
                let (cost, salt) = (parts.get_cost(), parts.get_salt_raw());
                let again = bcrypt::hash_with_salt(password, cost, salt).map_err(|_| PasswordError::Failed)?;
                Ok(verify_slices_are_equal(again.to_string().as_bytes(), parts.to_string().as_bytes()).is_ok())
            }
            Self::Argon2id { costs, salt, output } => {
                let again = costs.derive(password, salt, output.len())?;
                Ok(verify_slices_are_equal(&again, output).is_ok())
            }
        }
    }
}

impl Costs {
    const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Reads `m=65536,t=3,p=1`, in this order, as the PHC string format has it.
    fn parse(text: &str) -> Result<Self, PasswordError> {
        let mut parts = text.split(',');
        let mut next = |name: &str| number(parts.next()?.strip_prefix(name)?);
        let costs = (|| Some(Self { memory_kib: next("m=")?, passes: next("t=")?, lanes: next("p=")? }))();
        let costs = costs.filter(|costs| costs.are_bounded() && parts.next().is_none());
        costs.ok_or(PasswordError::Argon2Costs)
    }

    fn are_bounded(&self) -> bool {
        (1..=ARGON2_LANES_MAX).contains(&self.lanes)
            && (1..=ARGON2_PASSES_MAX).contains(&self.passes)
            && (8 * self.lanes..=ARGON2_MEMORY_KIB_MAX).contains(&self.memory_kib)
    }

    /// The work. Its memory is wiped: the first blocks are one cheap hash away from the
    /// password.
    fn derive(&self, password: &[u8], salt: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
        let failed = |_| PasswordError::Failed;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(len)).map_err(failed)?;
        let count = params.block_count();
        let mut blocks: Zeroizing<Vec<Block>> = Zeroizing::default();
        blocks.try_reserve_exact(count).map_err(|_| PasswordError::NoMemory)?;
        blocks.resize(count, Block::new());
        let mut out = Zeroizing::new(vec![0; len]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(password, salt, &mut out, blocks.as_mut_slice()).map_err(failed)?;
        Ok(out)
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={},t={},p={}", self.memory_kib, self.passes, self.lanes)
    }
}

fn bcrypt_cost(cost: Option<u32>) -> Result<u32, PasswordError> {
    cost.filter(|cost| BCRYPT_COSTS.contains(cost)).ok_or(PasswordError::BcryptCost)
}

/// What follows the version: costs, salt, output.
fn phc(text: &str) -> Result<StoredHash, PasswordError> {
    let mut parts = text.split('$');
    let (Some(costs), Some(salt), Some(output), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(PasswordError::NotAHash);
    };
    let costs = Costs::parse(costs)?;
    let bytes = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        let bytes = STANDARD_NO_PAD.decode(text).ok().filter(|bytes| lengths.contains(&bytes.len()));
        bytes.ok_or(PasswordError::NotAHash)
    };
    Ok(StoredHash::Argon2id { costs, salt: bytes(salt, PHC_SALT_BYTES)?, output: bytes(output, PHC_OUTPUT_BYTES)? })
}

/// A decimal number without sign or leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
