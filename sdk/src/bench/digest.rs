//! The bench's digests. Hashes, MACs and derived keys are the real ones, except that
//! there is no SHA-3. Hashed passwords only look real: they have the form of the scheme,
//! but cost nothing, so that tests are quick.

use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// Longest output of a key derivation, as on the host.
const DERIVED_BYTES_MAX: usize = 1024;

/// Stands where the salt begins, so that no real hash is taken for one of the bench's.
const MARK: &str = "BENCH";

/// The host's text for what is no hash.
const NOT_A_HASH: &str = "not a password hash that can be compared with";

type Digest = fn(&[u8]) -> Vec<u8>;

/// A hash by its name, with the length of its blocks, in bytes.
pub(super) struct Algorithm {
    digest: Digest,
    block_bytes: usize,
}

impl Algorithm {
    /// The host's names.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let (digest, block_bytes): (Digest, usize) = match name {
            "sha1" => (|data| Sha1::digest(data).to_vec(), 64),
            "sha2-224" => (|data| Sha224::digest(data).to_vec(), 64),
            "sha2-256" => (|data| Sha256::digest(data).to_vec(), 64),
            "sha2-384" => (|data| Sha384::digest(data).to_vec(), 128),
            "sha2-512" => (|data| Sha512::digest(data).to_vec(), 128),
            "sha3-256" | "sha3-384" | "sha3-512" => return Err(format!("the bench has no {name}")),
            _ => return Err(format!("hash algorithm {name:?} is not available")),
        };
        Ok(Self { digest, block_bytes })
    }

    pub(super) fn hash(&self, data: &[u8]) -> Vec<u8> {
        (self.digest)(data)
    }

    /// RFC 2104.
    pub(super) fn hmac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let mut padded = if key.len() > self.block_bytes { self.hash(key) } else { key.to_vec() };
        padded.resize(self.block_bytes, 0);
        let keyed = |pad: u8, data: &[u8]| {
            let key = padded.iter().map(|byte| byte ^ pad);
            self.hash(&key.chain(data.iter().copied()).collect::<Vec<u8>>())
        };
        keyed(0x5c, &keyed(0x36, data))
    }

    /// RFC 5869.
    pub(super) fn hkdf(&self, secret: &[u8], salt: &[u8], info: &[u8], len: usize) -> Result<Vec<u8>, String> {
        check_length("hkdf", len)?;
        let key = self.hmac(salt, secret);
        let (mut out, mut block) = (Vec::new(), Vec::new());
        for counter in 1..=u8::MAX {
            if out.len() >= len {
                break;
            }
            block = self.hmac(&key, &[&block[..], info, &[counter]].concat());
            out.extend_from_slice(&block);
        }
        out.truncate(len);
        Ok(out)
    }

    /// RFC 8018.
    pub(super) fn pbkdf2(&self, password: &[u8], salt: &[u8], rounds: u32, len: usize) -> Result<Vec<u8>, String> {
        if rounds == 0 {
            return Err("pbkdf2 needs at least one round".to_owned());
        }
        check_length("pbkdf2", len)?;
        let mut out = Vec::new();
        for counter in 1_u32.. {
            if out.len() >= len {
                break;
            }
            let mut last = self.hmac(password, &[salt, &counter.to_be_bytes()].concat());
            let mut block = last.clone();
            for _ in 1..rounds {
                last = self.hmac(password, &last);
                block.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
            }
            out.extend_from_slice(&block);
        }
        out.truncate(len);
        Ok(out)
    }
}

fn check_length(what: &str, len: usize) -> Result<(), String> {
    if (1..=DERIVED_BYTES_MAX).contains(&len) {
        return Ok(());
    }
    Err(format!("{what} gives 1 to {DERIVED_BYTES_MAX} bytes"))
}

/// A hash in the form of the scheme.
pub(super) fn password_hash(scheme: &str, password: &[u8], salt: &[u8]) -> Result<String, String> {
    let salt = &hex(salt)[..17];
    let (name, costs) = scheme.split_once(':').unwrap_or((scheme, ""));
    match name {
        "bcrypt" if password.len() > 72 => Err("bcrypt: password length exceeds 72 bytes".to_owned()),
        "bcrypt" => {
            let cost = if costs.is_empty() { Some(10) } else { costs.parse::<u32>().ok() };
            let cost = cost.filter(|cost| (4..=14).contains(cost)).ok_or("bcrypt takes a cost from 4 to 14")?;
            Ok(format!("$2b${cost:02}${MARK}{salt}{}", &sum(salt, password)[..31]))
        }
        "argon2id" => {
            let costs = if costs.is_empty() { "m=65536,t=3,p=1" } else { costs };
            if !are_bounded(costs) {
                return Err("argon2id takes \"m=65536,t=3,p=1\", within the host's bounds".to_owned());
            }
            Ok(format!("$argon2id$v=19${costs}${MARK}{salt}${}", &sum(salt, password)[..43]))
        }
        _ => Err(format!("password scheme {name:?} is not available")),
    }
}

/// The host's bounds.
fn are_bounded(costs: &str) -> bool {
    let costs: Vec<_> = costs.split(',').filter_map(|cost| cost.split_once('=')).collect();
    let [("m", m), ("t", t), ("p", p)] = costs[..] else { return false };
    let [m, t, p] = [m, t, p].map(|cost| cost.parse::<u32>().unwrap_or(0));
    (1..=4).contains(&p) && (1..=10).contains(&t) && (8 * p..=262_144).contains(&m)
}

/// Whether a hash is of this password. The bench computes no real hashes: those of others
/// it takes for what they look like, and they match nothing.
pub(super) fn password_verify(hash: &str, password: &[u8]) -> Result<bool, String> {
    let found = hash.rsplit_once(MARK).map(|(form, rest)| (form.starts_with("$2b$"), rest));
    let Some((is_bcrypt, (salt, rest))) = found.and_then(|(form, rest)| Some((form, rest.split_at_checked(17)?)))
    else {
        return if is_of_others(hash) { Ok(false) } else { Err(NOT_A_HASH.to_owned()) };
    };
    let output = rest.trim_start_matches('$');
    let matches = sum(salt, password).starts_with(output) && !output.is_empty();
    Ok(matches && !(is_bcrypt && password.len() > 72))
}

fn is_of_others(hash: &str) -> bool {
    let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version)) && hash.len() == 60;
    is_bcrypt || hash.starts_with("$argon2id$v=19$m=")
}

/// Scheme and costs of a hash, which its work depends on.
pub(super) fn costs(hash: &str) -> &str {
    let costs = hash.split('$').nth(if hash.starts_with("$argon2id$") { 3 } else { 2 });
    costs.unwrap_or_default()
}

fn sum(salt: &str, password: &[u8]) -> String {
    hex(&Sha256::digest([salt.as_bytes(), password].concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
