//! The seal: who can open the barrier. Initialisation, what the root key is wrapped by, and
//! the barrier's own records in the ledger. How shares come in is in `unseal`.
//!
//! Records under names that are public knowledge: the seal configuration (JSON, in
//! plaintext, since it is read while sealed), the root key wrapped by the unseal key, and the
//! keyring and the joining key wrapped by the root key. With Shamir's seal the unseal key is
//! what is split, and nobody keeps it; with any other it is kept too, wrapped by a key
//! outside the cluster (`outside`). The configuration is bound to the wrapped root key as
//! associated data: one altered on disk does not unseal.

use bulkhead_model::change::{Change, ReadCheck, Write};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};
use bulkhead_model::seam::ledger::View;
use bulkhead_model::seam::seal::SealKind;
use serde::{Deserialize, Serialize};

use crate::barrier::{Barrier, plain};
use crate::error::StoreError;
use crate::joining;
use crate::key::SpaceId;
use crate::keybytes::KeyBytes;
use crate::keyring::Keyring;
use crate::names::plain_key;
use crate::outside::{self, Outside, RECOVERY_KEY, Recovery, SEALED_JOINING_KEY, SEALED_KEY};
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

/// What opens the barrier, and the shares that people hold: with Shamir's seal they are of
/// the unseal key; with any other of the recovery key, which proves who is asking and opens
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealConfig {
    kind: SealKind,
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
            _ => Ok(Self { kind: SealKind::Shamir, shares, threshold }),
        }
    }

    /// A seal that a key outside opens, with recovery shares; none of them is possible too.
    ///
    /// # Errors
    /// [`SealConfigError`].
    pub fn outside(kind: SealKind, shares: u64, threshold: u64) -> Result<Self, SealConfigError> {
        match (shares, threshold) {
            (0, 0) => Ok(Self { kind, shares: 0, threshold: 0 }),
            _ => Ok(Self { kind, ..Self::new(shares, threshold)? }),
        }
    }

    /// The same shares under another seal.
    #[must_use]
    pub fn under(self, kind: SealKind) -> Self {
        Self { kind, ..self }
    }

    /// What opens the barrier.
    #[must_use]
    pub fn kind(self) -> SealKind {
        self.kind
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
            seal: self.kind.name().to_owned(),
            secret_shares: self.shares.into(),
            secret_threshold: self.threshold.into(),
        };
        serde_json::to_vec(&record).expect("a struct of numbers and texts is JSON")
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let record: ConfigRecord = serde_json::from_slice(bytes).ok()?;
        let (shares, threshold) = (record.secret_shares, record.secret_threshold);
        let config = match SealKind::parse(&record.seal)? {
            SealKind::Shamir => Self::new(shares, threshold),
            kind => Self::outside(kind, shares, threshold),
        };
        config.ok().filter(|_| record.format == 1)
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

/// How the root key is to be wrapped.
pub enum Sealing<'a> {
    /// By a fresh unseal key, split into shares.
    Fresh(SealConfig),
    /// By a key whose shares are out already.
    Known(SealConfig, &'a Hidden<Vec<u8>>),
    /// By a key that a key outside has wrapped.
    Outside(Outside, Recovery<'a>),
}

/// What initialisation gives.
pub struct Initialised {
    /// To hand out, each to another person: of the unseal key, or of the recovery key where
    /// a key outside unseals. They are kept nowhere.
    pub shares: Vec<Hidden<Vec<u8>>>,
    /// To commit before anything else is done; conflicts where a cluster is initialised
    /// already.
    pub change: Change,
    /// Open, once the change is committed.
    pub barrier: Barrier,
}

/// Makes all keys of a new cluster.
#[must_use]
pub fn init(sealing: Sealing<'_>, now_ms: u64, entropy: &dyn Entropy) -> Initialised {
    let keyring = Keyring::generate(now_ms, entropy);
    let parts = resealed(sealing, keyring.root_key(), entropy);
    let mut change = Change::default();
    let own = (KEYRING, Fate::Put(keyring.wrapped(random(entropy))));
    for (name, fate) in parts.records.into_iter().chain([own]) {
        change.reads.push(ReadCheck { key: plain_key(name), version: None });
        if let Fate::Put(value) = fate {
            change.writes.push(Write { key: plain_key(name), value: Some(value) });
        }
    }
    Initialised { shares: parts.shares, change, barrier: Barrier::new(keyring) }
}

/// A fresh key with its shares, which nothing is sealed by yet: for shares that are to be proven
/// to have arrived before the old ones become worthless.
#[must_use]
pub fn fresh_key(config: SealConfig, entropy: &dyn Entropy) -> (Hidden<Vec<u8>>, Vec<Hidden<Vec<u8>>>) {
    let key = Hidden::new(random::<32>(entropy).to_vec());
    let shares = split(&key, config, entropy);
    (key, shares)
}

/// What tells the present wrapping of the root key from any other, older or newer; `None` where
/// nothing was initialised. Whoever proved something against one has proved nothing for the next.
///
/// # Errors
/// [`StoreError`]: the ledger failed.
pub fn read_seal_mark(view: &dyn View) -> Result<Option<Vec<u8>>, StoreError> {
    plain(view, ROOT_KEY)
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
    /// Puts another wrapping of the root key into the transaction (Vault's rekey, and the
    /// migration from one seal to another), and gives the shares that are new. What opened
    /// the barrier before is worthless once it is committed. Nothing else is re-encrypted:
    /// the root key stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reseal(
        &self,
        tx: &mut Transaction,
        sealing: Sealing<'_>,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Hidden<Vec<u8>>>, StoreError> {
        let parts = resealed(sealing, &self.root_key(), entropy);
        for (name, fate) in parts.records {
            // Read first, so that of two at once only one commits.
            let there = tx.get_plain(name)?.is_some();
            match fate {
                Fate::Put(value) => tx.put_plain(name, Some(value))?,
                Fate::Remove if there => tx.put_plain(name, None)?,
                Fate::Remove | Fate::Keep => {}
            }
        }
        Ok(parts.shares)
    }
}

/// What the wrapped root key is bound to: a label and the configuration's bytes.
pub(crate) fn associated(config: &[u8]) -> Vec<u8> {
    [LABEL, config].concat()
}

/// What becomes of a record.
enum Fate {
    Put(Vec<u8>),
    Remove,
    Keep,
}

struct Resealed {
    shares: Vec<Hidden<Vec<u8>>>,
    records: Vec<(&'static str, Fate)>,
}

/// The root key under an unseal key, and what goes with it.
fn resealed(sealing: Sealing<'_>, root_key: &KeyBytes<32>, entropy: &dyn Entropy) -> Resealed {
    let (config, unseal_key, shares, kept) = match sealing {
        Sealing::Fresh(config) => {
            let config = config.under(SealKind::Shamir);
            let unseal_key = Hidden::new(random::<32>(entropy).to_vec());
            let shares = split(&unseal_key, config, entropy);
            (config, unseal_key, shares, [Fate::Remove, Fate::Remove, Fate::Remove])
        }
        Sealing::Known(config, unseal_key) => (
            config.under(SealKind::Shamir),
            unseal_key.duplicate(),
            Vec::new(),
            [Fate::Remove, Fate::Remove, Fate::Remove],
        ),
        Sealing::Outside(outside, recovery) => {
            let (shares, recovery_key) = match recovery {
                Recovery::Unchanged => (Vec::new(), Fate::Keep),
                Recovery::Known(key) => (Vec::new(), Fate::Put(outside::recovery_record(root_key, key, entropy))),
                Recovery::Fresh if outside.config.shares == 0 => (Vec::new(), Fate::Remove),
                Recovery::Fresh => {
                    let key = Hidden::new(random::<32>(entropy).to_vec());
                    let record = outside::recovery_record(root_key, &key, entropy);
                    (split(&key, outside.config, entropy), Fate::Put(record))
                }
            };
            let [sealed, joining] = outside.records().map(Fate::Put);
            (outside.config, outside.key, shares, [sealed, joining, recovery_key])
        }
    };
    let json = config.to_json();
    let key: &[u8; 32] = unseal_key.expose().as_slice().try_into().expect("an unseal key has 32 bytes");
    let wrapped = record::wrap(key, &associated(&json), root_key.expose(), random(entropy));
    let joining = joining::wrapped(root_key, key, random(entropy));
    let own = [(SEAL_CONFIG, json), (ROOT_KEY, wrapped), (JOINING_KEY, joining)];
    let own = own.map(|(name, value)| (name, Fate::Put(value)));
    let kept = [SEALED_KEY, SEALED_JOINING_KEY, RECOVERY_KEY].into_iter().zip(kept);
    Resealed { shares, records: own.into_iter().chain(kept).collect() }
}

/// The shares of a key; of one share, the key itself.
fn split(key: &Hidden<Vec<u8>>, config: SealConfig, entropy: &dyn Entropy) -> Vec<Hidden<Vec<u8>>> {
    match config.shares {
        0 => Vec::new(),
        1 => vec![key.duplicate()],
        shares => shamir::split(key.expose(), shares, config.threshold, entropy)
            .expect("a seal configuration is a possible split"),
    }
}

#[cfg(test)]
mod tests;
