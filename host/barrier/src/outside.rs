//! What there is besides where a key outside the cluster unseals it (auto-unseal): the unseal
//! key and the joining key as that key wrapped them, and what recovery shares are held
//! against. The wrapping itself is done above, since it may be a request to another machine.

use aws_lc_rs::hkdf;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};
use bulkhead_model::seam::ledger::View;
use bulkhead_model::seam::seal::{SealError, SealKey, SealedSecret};
use serde::{Deserialize, Serialize};

use crate::barrier::{Barrier, plain};
use crate::derive::HmacKey;
use crate::error::StoreError;
use crate::joining;
use crate::key::SpaceId;
use crate::keybytes::KeyBytes;
use crate::record;
use crate::seal::SealConfig;
use crate::unseal::UnsealError;

/// Where the unseal key is, wrapped by the key outside.
pub(crate) const SEALED_KEY: &str = "core/sealed-unseal-key";
/// Where the joining key is, wrapped by the key outside: for a node that has nothing else yet.
pub(crate) const SEALED_JOINING_KEY: &str = "core/sealed-joining-key";
/// Where it is that the recovery key is known by, wrapped by the root key.
pub(crate) const RECOVERY_KEY: &str = "core/recovery-key";

/// What the key outside is told that it wraps.
const UNSEAL_LABEL: &[u8] = b"bulkhead.unseal-key.v1";
/// The same for the joining key, so that one cannot stand for the other.
const JOINING_LABEL: &[u8] = b"bulkhead.joining-key.v1";
/// What the recovery record's wrapping is bound to, and what keeps it apart from other uses.
const RECOVERY_LABEL: &[u8] = b"bulkhead.recovery-key.v1";

/// Longest record taken from another node, in bytes.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// A fresh unseal key that a key outside has wrapped.
pub struct Outside {
    pub(crate) config: SealConfig,
    pub(crate) key: Hidden<Vec<u8>>,
    sealed: SealedSecret,
    sealed_joining: SealedSecret,
}

/// What becomes of the recovery key.
pub enum Recovery<'a> {
    /// It stays.
    Unchanged,
    /// A new one, split as the configuration says; of no shares, none.
    Fresh,
    /// One whose shares are out already.
    Known(&'a Hidden<Vec<u8>>),
}

impl Outside {
    /// Makes an unseal key, and has it wrapped.
    ///
    /// # Errors
    /// [`SealError`] from the key outside.
    pub async fn make(config: SealConfig, by: &dyn SealKey, entropy: &dyn Entropy) -> Result<Self, SealError> {
        let key = Hidden::new(random::<32>(entropy).to_vec());
        let sealed = by.wrap(&key, UNSEAL_LABEL).await?;
        let joining = joining::secret_of(key.expose());
        let joining = Hidden::new(joining.expose().to_vec());
        let sealed_joining = by.wrap(&joining, JOINING_LABEL).await?;
        Ok(Self { config, key, sealed, sealed_joining })
    }

    /// The two records of what was wrapped.
    pub(crate) fn records(&self) -> [Vec<u8>; 2] {
        [&self.sealed, &self.sealed_joining].map(encoded)
    }
}

/// The unseal key as the key outside wrapped it; `None` where shares unseal.
///
/// # Errors
/// [`StoreError`]: it cannot be read.
pub fn read_sealed_key(view: &dyn View) -> Result<Option<SealedSecret>, StoreError> {
    let Some(record) = plain(view, SEALED_KEY)? else { return Ok(None) };
    let what = "the sealed unseal key is not readable";
    decoded(&record).map(Some).ok_or(StoreError::Damaged { space: SpaceId::BARRIER, what })
}

/// Has the unseal key unwrapped: what [`Barrier::unseal`] takes.
///
/// # Errors
/// [`SealError`] from the key outside.
pub async fn unseal_key_of(sealed: &SealedSecret, by: &dyn SealKey) -> Result<Hidden<Vec<u8>>, SealError> {
    by.unwrap(sealed, UNSEAL_LABEL).await
}

/// The joining key as the key outside wrapped it, for another node.
///
/// # Errors
/// [`StoreError`]: it cannot be read.
pub fn read_sealed_joining_key(view: &dyn View) -> Result<Option<Vec<u8>>, StoreError> {
    plain(view, SEALED_JOINING_KEY)
}

/// The joining key of a record that another node sent, unwrapped by the key that this node
/// has too.
///
/// # Errors
/// [`SealError`]; also where the record is none.
pub async fn sealed_joining_key(record: &[u8], by: &dyn SealKey) -> Result<HmacKey, SealError> {
    let refused = || SealError::Refused("the cluster's sealed joining key is not readable".to_owned());
    let sealed =
        Some(record).filter(|record| record.len() <= RECORD_BYTES_MAX).and_then(decoded).ok_or_else(refused)?;
    let key = by.unwrap(&sealed, JOINING_LABEL).await?;
    if key.expose().len() == 32 { Ok(HmacKey::new(key.expose())) } else { Err(refused()) }
}

impl Barrier {
    /// Whether this is the recovery key.
    ///
    /// # Errors
    /// [`UnsealError`]: it is not, there is none, or that could not be found out.
    pub fn verify_recovery_key(&self, view: &dyn View, secret: &Hidden<Vec<u8>>) -> Result<(), UnsealError> {
        let wrapped = plain(view, RECOVERY_KEY)?.ok_or(UnsealError::WrongRecovery)?;
        let damaged = UnsealError::Damaged { what: "what the recovery key is known by does not open" };
        let known = record::unwrap(self.root_key().expose(), RECOVERY_LABEL, wrapped).ok_or(damaged)?;
        let told = verifier(secret.expose());
        // `Hidden` compares in constant time.
        let told = Hidden::new(told.expose().to_vec());
        if known == told { Ok(()) } else { Err(UnsealError::WrongRecovery) }
    }
}

/// What the recovery key is known by, as it is kept: not the key itself, which nobody keeps.
pub(crate) fn recovery_record(root_key: &KeyBytes<32>, key: &Hidden<Vec<u8>>, entropy: &dyn Entropy) -> Vec<u8> {
    record::wrap(root_key.expose(), RECOVERY_LABEL, verifier(key.expose()).expose(), random(entropy))
}

fn verifier(recovery_key: &[u8]) -> Hidden<[u8; 32]> {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(recovery_key);
    let mut known_by = Hidden::new([0; 32]);
    let info = [RECOVERY_LABEL];
    let okm = secret.expand(&info, hkdf::HKDF_SHA256).expect("32 bytes are within what HKDF gives");
    okm.fill(known_by.expose_mut()).expect("the buffer is as long as asked for");
    known_by
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedRecord {
    format: u32,
    key_id: String,
    ciphertext: String,
    extra: Vec<(String, String)>,
}

fn encoded(sealed: &SealedSecret) -> Vec<u8> {
    let record = SealedRecord {
        format: 1,
        key_id: sealed.key_id.clone(),
        ciphertext: hex::encode(&sealed.ciphertext),
        extra: sealed.extra.iter().map(|(name, value)| (name.clone(), hex::encode(value))).collect(),
    };
    serde_json::to_vec(&record).expect("a struct of numbers and texts is JSON")
}

fn decoded(record: &[u8]) -> Option<SealedSecret> {
    let record: SealedRecord = serde_json::from_slice(record).ok()?;
    let extra = record.extra.into_iter().map(|(name, value)| Some((name, hex::decode(value).ok()?)));
    let SealedRecord { format: 1, key_id, ciphertext, .. } = record else { return None };
    Some(SealedSecret { key_id, ciphertext: hex::decode(ciphertext).ok()?, extra: extra.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests;
