//! Unsealing: shares come in one by one, and a secret that opens the root key opens the
//! barrier. Who may bring shares, and how often, is decided above.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, uuid};
use bulkhead_model::seam::ledger::{LedgerError, View};

use crate::barrier::{Barrier, plain};
use crate::error::StoreError;
use crate::keybytes::{KeyBytes, known_key};
use crate::keyring::Keyring;
use crate::record;
use crate::seal::{KEYRING, ROOT_KEY, SEAL_CONFIG, SealConfig, associated};
use crate::shamir;

/// Why the barrier stays sealed.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// Nothing to unseal.
    #[error("not initialized")]
    NotInitialised,
    /// The share cannot be one of this seal.
    #[error("unseal key is {bytes} bytes long, it must be {expected}")]
    ShareLength {
        /// What came.
        bytes: usize,
        /// What a share of this seal is.
        expected: usize,
    },
    /// The shares do not give the key that wrapped the root key. Vault's format has no
    /// checksum per share, so which one is wrong cannot be told; nor can a damaged
    /// record be told from a wrong share.
    #[error("unseal keys do not open the barrier: one of them is wrong, damaged or from another split")]
    WrongShares,
    /// The shares do not give the recovery key, or there is none.
    #[error("recovery key does not match submitted values")]
    WrongRecovery,
    /// The root key opened, but what it wraps does not.
    #[error("stored keys are damaged: {what}")]
    Damaged {
        /// Which record.
        what: &'static str,
    },
    /// The ledger failed.
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
}

/// Shares of one attempt. They are wiped when it ends or is dropped.
pub struct UnsealProgress {
    config: SealConfig,
    nonce: String,
    shares: Vec<Hidden<Vec<u8>>>,
}

/// What became of a share.
pub enum Submitted {
    /// More are needed.
    Collecting,
    /// Enough: the secret they give, to be tried on [`Barrier::unseal`]. The attempt is
    /// over; the next share begins another.
    Complete(Hidden<Vec<u8>>),
}

impl UnsealProgress {
    /// No shares yet.
    #[must_use]
    pub fn new(config: SealConfig) -> Self {
        Self { config, nonce: String::new(), shares: Vec::new() }
    }

    /// Identifies the attempt, so that share holders see they are part of the same one.
    /// Empty before the first share.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// How many different shares came so far.
    #[must_use]
    pub fn collected(&self) -> usize {
        self.shares.len()
    }

    /// Forgets all shares.
    pub fn reset(&mut self) {
        self.shares.clear();
        self.nonce.clear();
    }

    /// Takes a share. One that came before is ignored, as Vault does.
    ///
    /// # Errors
    /// [`UnsealError::ShareLength`]; [`UnsealError::WrongShares`] ends the attempt.
    pub fn submit(&mut self, share: Hidden<Vec<u8>>, entropy: &dyn Entropy) -> Result<Submitted, UnsealError> {
        let (bytes, expected) = (share.expose().len(), self.config.share_bytes());
        if bytes != expected {
            return Err(UnsealError::ShareLength { bytes, expected });
        }
        if self.shares.contains(&share) {
            return Ok(Submitted::Collecting);
        }
        if self.shares.is_empty() {
            self.nonce = uuid(entropy);
        }
        self.shares.push(share);
        if self.shares.len() < usize::from(self.config.threshold()) {
            return Ok(Submitted::Collecting);
        }
        self.nonce.clear();
        combined(std::mem::take(&mut self.shares)).map(Submitted::Complete)
    }
}

/// The secret of these shares; the only share of a split by one is the secret.
fn combined(mut shares: Vec<Hidden<Vec<u8>>>) -> Result<Hidden<Vec<u8>>, UnsealError> {
    if shares.len() == 1
        && let Some(share) = shares.pop()
    {
        return Ok(share);
    }
    shamir::combine(&shares).map_err(|_| UnsealError::WrongShares)
}

impl Barrier {
    /// Opens the barrier with the unseal key.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn unseal(view: &dyn View, secret: &Hidden<Vec<u8>>) -> Result<Self, UnsealError> {
        let root_key = open_root_key(view, secret)?;
        let wrapped = plain_record(view, KEYRING)?.ok_or(UnsealError::Damaged { what: "there is no keyring" })?;
        let damaged = UnsealError::Damaged { what: "the keyring fails authentication" };
        let keyring = Keyring::unwrap(&root_key, wrapped).ok_or(damaged)?;
        let barrier = Self::new(keyring);
        barrier.resume_count(view)?;
        Ok(barrier)
    }

    /// Whether this is the unseal key: what rekeying and generating a root token ask.
    ///
    /// # Errors
    /// [`UnsealError`]: it is not, or that could not be found out.
    pub fn verify_unseal_key(view: &dyn View, secret: &Hidden<Vec<u8>>) -> Result<(), UnsealError> {
        open_root_key(view, secret).map(|_| ())
    }
}

fn open_root_key(view: &dyn View, secret: &Hidden<Vec<u8>>) -> Result<KeyBytes<32>, UnsealError> {
    let config = plain_record(view, SEAL_CONFIG)?.ok_or(UnsealError::NotInitialised)?;
    let wrapped = plain_record(view, ROOT_KEY)?.ok_or(UnsealError::Damaged { what: "there is no root key" })?;
    let unseal_key: &[u8; 32] = secret.expose().as_slice().try_into().map_err(|_| UnsealError::WrongShares)?;
    let plain = record::unwrap(unseal_key, &associated(&config), wrapped).ok_or(UnsealError::WrongShares)?;
    let wrong_length = |_| UnsealError::Damaged { what: "the root key has a wrong length" };
    Ok(known_key(plain.expose().as_slice().try_into().map_err(wrong_length)?))
}

fn plain_record(view: &dyn View, name: &str) -> Result<Option<Vec<u8>>, UnsealError> {
    plain(view, name).map_err(UnsealError::from)
}

impl From<StoreError> for UnsealError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ledger(error) => Self::Ledger(error),
            _ => Self::Damaged { what: "a record of the keyring's use" },
        }
    }
}

#[cfg(test)]
mod tests;
