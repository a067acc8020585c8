//! `digest`: hashes, MACs, key derivation, randomness, by aws-lc; password hashes by the
//! room's `password`. What a guest hands in is wiped here after use.

use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hkdf, hmac, pbkdf2};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::wit::digest::Host;
use crate::instance::CallData;
use crate::password::{PasswordError, SALT_BYTES, Scheme, StoredHash};

/// Longest output of a key derivation, in bytes. Source: ours; a TLS PRF needs 136.
const DERIVED_BYTES_MAX: usize = 1024;

/// Rounds of PBKDF2 beyond which it leaves the thread that serves requests: about
/// 300 µs of work.
const INLINE_ROUNDS_MAX: u32 = 1_000;

type Answer<T> = wasmtime::Result<Result<T, String>>;

fn unknown(what: &str, algorithm: &str) -> String {
    let shown: String = algorithm.chars().take(32).collect();
    format!("{what} algorithm {shown:?} is not available")
}

impl Host for CallData {
    fn random(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        self.budget.host_call()?;
        let len = len as usize;
        self.budget.random(len)?;
        let mut bytes = vec![0; len];
        self.host.random(&mut bytes);
        Ok(bytes)
    }

    fn uuid(&mut self) -> wasmtime::Result<String> {
        self.budget.host_call()?;
        self.budget.random(16)?;
        let mut bytes = [0; 16];
        self.host.random(&mut bytes);
        Ok(uuid(bytes))
    }

    fn hash(&mut self, algorithm: String, data: Vec<u8>) -> Answer<Vec<u8>> {
        self.budget.host_call()?;
        let data = Zeroizing::new(data);
        let Some(known) = hash_algorithm(&algorithm) else { return Ok(Err(unknown("hash", &algorithm))) };
        Ok(Ok(digest::digest(known, &data).as_ref().to_vec()))
    }

    fn hmac(&mut self, algorithm: String, key: Vec<u8>, data: Vec<u8>) -> Answer<Vec<u8>> {
        self.budget.host_call()?;
        let (key, data) = (Zeroizing::new(key), Zeroizing::new(data));
        let Some(known) = hmac_algorithm(&algorithm) else { return Ok(Err(unknown("hmac", &algorithm))) };
        let key = hmac::Key::new(known, &key);
        Ok(Ok(hmac::sign(&key, &data).as_ref().to_vec()))
    }

    fn hkdf(&mut self, algorithm: String, secret: Vec<u8>, salt: Vec<u8>, info: Vec<u8>, len: u32) -> Answer<Vec<u8>> {
        self.budget.host_call()?;
        let secret = Zeroizing::new(secret);
        let Some(known) = hkdf_algorithm(&algorithm) else { return Ok(Err(unknown("hkdf", &algorithm))) };
        Ok(derive_hkdf(known, &secret, &salt, &info, len as usize))
    }

    async fn pbkdf2(
        &mut self,
        algorithm: String,
        password: Vec<u8>,
        salt: Vec<u8>,
        rounds: u32,
        len: u32,
    ) -> Answer<Vec<u8>> {
        self.budget.host_call()?;
        self.budget.kdf_rounds(rounds)?;
        let password = Zeroizing::new(password);
        let Some(known) = pbkdf2_algorithm(&algorithm) else { return Ok(Err(unknown("pbkdf2", &algorithm))) };
        let Some(rounds) = NonZeroU32::new(rounds) else {
            return Ok(Err("pbkdf2 needs at least one round".to_owned()));
        };
        let len = len as usize;
        if len == 0 || len > DERIVED_BYTES_MAX {
            return Ok(Err(format!("pbkdf2 gives 1 to {DERIVED_BYTES_MAX} bytes")));
        }
        let derive = move || {
            let mut out = vec![0; len];
            pbkdf2::derive(known, rounds, &salt, &password, &mut out);
            out
        };
        if rounds.get() <= INLINE_ROUNDS_MAX {
            return Ok(Ok(derive()));
        }
        Ok(tokio::task::spawn_blocking(derive).await.map_err(|_| "pbkdf2 failed".to_owned()))
    }

    async fn password_hash(&mut self, scheme: String, password: Vec<u8>) -> Answer<String> {
        let password = Zeroizing::new(password);
        self.budget.host_call()?;
        self.budget.password_hash()?;
        self.budget.random(SALT_BYTES)?;
        let mut salt = [0; SALT_BYTES];
        self.host.random(&mut salt);
        let scheme = match Scheme::parse(&scheme).and_then(|scheme| scheme.admits(&password).map(|()| scheme)) {
            Ok(scheme) => scheme,
            Err(refused) => return Ok(Err(refused.to_string())),
        };
        hash_aside(&self.password_places, move || scheme.hash(&password, salt)).await
    }

    async fn password_verify(&mut self, hash: String, password: Vec<u8>) -> Answer<bool> {
        let password = Zeroizing::new(password);
        self.budget.host_call()?;
        self.budget.password_hash()?;
        let stored = match StoredHash::parse(&hash) {
            Ok(stored) => stored,
            Err(refused) => return Ok(Err(refused.to_string())),
        };
        hash_aside(&self.password_places, move || stored.matches(&password)).await
    }

    fn equal(&mut self, a: Vec<u8>, b: Vec<u8>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        let (a, b) = (Zeroizing::new(a), Zeroizing::new(b));
        Ok(constant_time::verify_slices_are_equal(&a, &b).is_ok())
    }
}

/// Hashes a password beside the requests of others.
pub(super) async fn hash_aside<T, W>(places: &Arc<Semaphore>, work: W) -> Answer<T>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, PasswordError> + Send + 'static,
{
    let done = aside(places, work).await?.unwrap_or(Err(PasswordError::Failed));
    Ok(done.map_err(|refused| refused.to_string()))
}

/// Works on a thread that may be kept busy, when there is a place; nothing comes of work that
/// panics. The place goes along: a call that ends meanwhile leaves its work behind, which goes on
/// counting.
pub(super) async fn aside<T, W>(places: &Arc<Semaphore>, work: W) -> wasmtime::Result<Option<T>>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let place = Arc::clone(places).acquire_owned().await.map_err(wasmtime::Error::from)?;
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    Ok(working.await.ok())
}

fn hash_algorithm(name: &str) -> Option<&'static digest::Algorithm> {
    Some(match name {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha2-224" => &digest::SHA224,
        "sha2-256" => &digest::SHA256,
        "sha2-384" => &digest::SHA384,
        "sha2-512" => &digest::SHA512,
        "sha3-256" => &digest::SHA3_256,
        "sha3-384" => &digest::SHA3_384,
        "sha3-512" => &digest::SHA3_512,
        _ => return None,
    })
}

fn hmac_algorithm(name: &str) -> Option<hmac::Algorithm> {
    Some(match name {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha2-224" => hmac::HMAC_SHA224,
        "sha2-256" => hmac::HMAC_SHA256,
        "sha2-384" => hmac::HMAC_SHA384,
        "sha2-512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn hkdf_algorithm(name: &str) -> Option<hkdf::Algorithm> {
    Some(match name {
        "sha1" => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
        "sha2-256" => hkdf::HKDF_SHA256,
        "sha2-384" => hkdf::HKDF_SHA384,
        "sha2-512" => hkdf::HKDF_SHA512,
        _ => return None,
    })
}

fn pbkdf2_algorithm(name: &str) -> Option<pbkdf2::Algorithm> {
    Some(match name {
        "sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "sha2-256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "sha2-384" => pbkdf2::PBKDF2_HMAC_SHA384,
        "sha2-512" => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return None,
    })
}

/// A length that aws-lc asks for as a type.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive_hkdf(
    algorithm: hkdf::Algorithm,
    secret: &[u8],
    salt: &[u8],
    info: &[u8],
    len: usize,
) -> Result<Vec<u8>, String> {
    if len == 0 || len > DERIVED_BYTES_MAX {
        return Err(format!("hkdf gives 1 to {DERIVED_BYTES_MAX} bytes"));
    }
    let mut out = vec![0; len];
    let derived = hkdf::Salt::new(algorithm, salt).extract(secret);
    let infos = [info];
    let filled = derived.expand(&infos, Length(len)).and_then(|okm| okm.fill(&mut out));
    filled.map(|()| out).map_err(|_| "hkdf failed".to_owned())
}

/// The usual form of a random UUID.
fn uuid(mut b: [u8; 16]) -> String {
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let n = u128::from_be_bytes(b);
    let part = |shift: u32, digits: u32| (n >> shift) & ((1 << (digits * 4)) - 1);
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12))
}
