//! The seal: who can open the barrier. Initialisation, the split of the unseal key, and
//! the barrier's own records in the ledger. How shares come in is in `unseal`.
//!
//! Four records, under names that are public knowledge: the seal configuration (JSON,
//! in plaintext, since it is read while sealed), the root key wrapped by the unseal key,
//! and the keyring and the joining key wrapped by the root key. The unseal key is what is split; nobody
//! keeps it. The configuration is bound to the wrapped root key as associated data: one
//! altered on disk does not unseal.

use bulkhead_model::change::{Change, ReadCheck, Write};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};
use bulkhead_model::seam::ledger::View;
use serde::{Deserialize, Serialize};

use crate::barrier::{Barrier, plain};
use crate::error::StoreError;
use crate::joining;
use crate::key::SpaceId;
use crate::keybytes::{KeyBytes, random_key};
use crate::keyring::Keyring;
use crate::names::plain_key;
use crate::record;
use crate::shamir;
use crate::transaction::Transaction;

/// Where the seal configuration is.
pub(crate) const SEAL_CONFIG: &str = "core/seal-config";
/// Where the root key is, wrapped by the unseal key.
pub(crate) const ROOT_KEY: &str = "core/root-key";
/// Where the keyring is, wrapped by the root key.
pub(crate) const KEYRING: &str = "core/keyring";

/// Where the joining key is, wrapped by the root key.
pub(crate) const JOINING_KEY: &str = "core/joining-key";

/// What the root key's wrapping is bound to, before the configuration.
const LABEL: &[u8] = b"bulkhead.root-key.v1";

/// Into how many shares the unseal key is split, and how many open the barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealConfig {
    shares: u8,
    threshold: u8,
}

/// Why a split is not possible. The texts are Vault's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SealConfigError {
    #[error("shares must be at least one")]
    NoShares,
    #[error("threshold must be at least one")]
    NoThreshold,
    #[error("threshold must be greater than one for multiple shares")]
    OneOfMany,
    #[error("shares must be less than 256")]
    ManyShares,
    #[error("threshold must be less than 256")]
    HighThreshold,
    #[error("threshold cannot be larger than shares")]
    OutOfReach,
}

impl SealConfig {
    /// A split into this many shares, of which `threshold` are needed. One share is a
    /// split too: the share is then the unseal key itself, as in Vault.
    ///
    /// # Errors
    /// [`SealConfigError`].
    pub fn new(shares: u64, threshold: u64) -> Result<Self, SealConfigError> {
        let shares = u8::try_from(shares).map_err(|_| SealConfigError::ManyShares)?;
        let threshold = u8::try_from(threshold).map_err(|_| SealConfigError::HighThreshold)?;
        match (shares, threshold) {
            (0, _) => Err(SealConfigError::NoShares),
            (_, 0) => Err(SealConfigError::NoThreshold),
            (2.., 1) => Err(SealConfigError::OneOfMany),
            _ if threshold > shares => Err(SealConfigError::OutOfReach),
            _ => Ok(Self { shares, threshold }),
        }
    }

    /// How many shares there are.
    #[must_use]
    pub fn shares(self) -> u8 {
        self.shares
    }

    /// How many of them are needed.
    #[must_use]
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// Length of a share, in bytes: the only one, being the key itself, has no x.
    #[must_use]
    pub fn share_bytes(self) -> usize {
        if self.shares == 1 { 32 } else { 33 }
    }

    fn to_json(self) -> Vec<u8> {
        let record = ConfigRecord {
            format: 1,
            seal: "shamir".to_owned(),
            secret_shares: self.shares.into(),
            secret_threshold: self.threshold.into(),
        };
        serde_json::to_vec(&record).expect("a struct of numbers and texts is JSON")
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let record: ConfigRecord = serde_json::from_slice(bytes).ok()?;
        let known = record.format == 1 && record.seal == "shamir";
        Self::new(record.secret_shares, record.secret_threshold).ok().filter(|_| known)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigRecord {
    format: u32,
    #[serde(rename = "type")]
    seal: String,
    secret_shares: u64,
    secret_threshold: u64,
}

/// What initialisation gives.
pub struct Initialised {
    /// To hand out, each to another person. They are kept nowhere.
    pub shares: Vec<Hidden<Vec<u8>>>,
    /// To commit before anything else is done; conflicts where a cluster is initialised
    /// already.
    pub change: Change,
    /// Open, once the change is committed.
    pub barrier: Barrier,
}

/// Makes all keys of a new cluster.
#[must_use]
pub fn init(config: SealConfig, now_ms: u64, entropy: &dyn Entropy) -> Initialised {
    let keyring = Keyring::generate(now_ms, entropy);
    let parts = resealed(config, keyring.root_key(), entropy);
    let mut change = Change::default();
    for (name, value) in parts.records.into_iter().chain([(KEYRING, keyring.wrapped(random(entropy)))]) {
        change.reads.push(ReadCheck { key: plain_key(name), version: None });
        change.writes.push(Write { key: plain_key(name), value: Some(value) });
    }
    Initialised { shares: parts.shares, change, barrier: Barrier::new(keyring) }
}

/// The seal configuration, or `None` where nothing was initialised.
///
/// # Errors
/// [`StoreError`]: the ledger failed, or the record is not one.
pub fn read_seal_config(view: &dyn View) -> Result<Option<SealConfig>, StoreError> {
    let Some(bytes) = plain(view, SEAL_CONFIG)? else { return Ok(None) };
    let what = "the seal configuration is not readable";
    SealConfig::from_json(&bytes).map(Some).ok_or(StoreError::Damaged { space: SpaceId::BARRIER, what })
}

impl Barrier {
    /// Puts a new unseal key, split in a new way, into the transaction (Vault's rekey).
    /// The old shares are worthless once it is committed. Nothing else is re-encrypted:
    /// the root key stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resplit(
        &self,
        tx: &mut Transaction,
        config: SealConfig,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Hidden<Vec<u8>>>, StoreError> {
        let parts = resealed(config, &self.root_key(), entropy);
        for (name, value) in parts.records {
            // Read first, so that of two at once only one commits.
            tx.get_plain(name)?;
            tx.put_plain(name, value)?;
        }
        Ok(parts.shares)
    }
}

/// What the wrapped root key is bound to: a label and the configuration's bytes.
pub(crate) fn associated(config: &[u8]) -> Vec<u8> {
    [LABEL, config].concat()
}

struct Resealed {
    shares: Vec<Hidden<Vec<u8>>>,
    records: Vec<(&'static str, Vec<u8>)>,
}

/// A fresh unseal key around the root key, in shares.
fn resealed(config: SealConfig, root_key: &KeyBytes<32>, entropy: &dyn Entropy) -> Resealed {
    let unseal_key: KeyBytes<32> = random_key(entropy);
    let json = config.to_json();
    let wrapped = record::wrap(unseal_key.expose(), &associated(&json), root_key.expose(), random(entropy));
    let shares = if config.shares == 1 {
        vec![Hidden::new(unseal_key.expose().to_vec())]
    } else {
        shamir::split(unseal_key.expose(), config.shares, config.threshold, entropy)
            .expect("a seal configuration is a possible split")
    };
    let joining = joining::wrapped(root_key, unseal_key.expose(), random(entropy));
    Resealed { shares, records: vec![(SEAL_CONFIG, json), (ROOT_KEY, wrapped), (JOINING_KEY, joining)] }
}

#[cfg(test)]
mod tests;
