//! The open barrier: holds the keyring, begins transactions, rotates. A sealed node has
//! none; dropping it (and the transactions still under way) wipes every key.

use std::sync::Arc;

use bulkhead_model::seam::entropy::{Entropy, random};
use bulkhead_model::seam::ledger::View;
use parking_lot::RwLock;

use crate::count;
use crate::error::StoreError;
use crate::key::SpaceId;
use crate::keybytes::KeyBytes;
use crate::keyring::{ENCRYPTIONS_MAX, Keyring};
use crate::names::plain_key;
use crate::seal::KEYRING;
use crate::transaction::Transaction;

/// The keys of an unsealed node, and the way to its records.
pub struct Barrier {
    keyring: RwLock<Arc<Keyring>>,
}

/// What `sys/key-status` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The term new records are written under.
    pub term: u32,
    /// When it was installed, in milliseconds since the epoch.
    pub install_time_ms: u64,
    /// Encryptions under it that this node knows of: its own since it was unsealed, and what
    /// was on record then. The record is renewed once a block of them is used up, so a
    /// restart may lose sight of some.
    pub encryptions: u64,
    /// Encryptions under it that there may have been, counted in blocks across restarts:
    /// perhaps more than there were, never less. What is decided is decided by it.
    pub encryptions_bound: u64,
}

/// A keyring with a new term that is in a transaction, but not yet committed. Give it to
/// [`Barrier::install`] once it is; drop it if the commit failed.
pub struct Rotated(Keyring);

impl Barrier {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self { keyring: RwLock::new(Arc::new(keyring)) }
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read())
    }

    /// Begins a transaction on this snapshot.
    #[must_use]
    pub fn begin(&self, view: Arc<dyn View>) -> Transaction {
        Transaction::new(view, self.keyring())
    }

    /// The newest term and its use.
    #[must_use]
    pub fn key_status(&self) -> KeyStatus {
        let keyring = self.keyring();
        let term = keyring.newest();
        KeyStatus {
            term: term.number(),
            install_time_ms: term.install_time_ms(),
            encryptions: term.known(),
            encryptions_bound: term.used(),
        }
    }

    /// Whether so much was encrypted under the newest term that it is time for another.
    #[must_use]
    pub fn needs_rotation(&self) -> bool {
        self.keyring().newest().used() >= ENCRYPTIONS_MAX
    }

    /// Puts a keyring with a new term into the transaction. Nothing changes until the
    /// transaction is committed and the result [installed](Barrier::install); two
    /// rotations at once conflict, so no term is ever lost.
    ///
    /// # Errors
    /// [`StoreError`]: the keyring in the ledger cannot be read.
    pub fn prepare_rotation(
        &self,
        tx: &mut Transaction,
        now_ms: u64,
        entropy: &dyn Entropy,
    ) -> Result<Rotated, StoreError> {
        let active = self.keyring();
        // From the ledger, not from memory: this node may have missed a rotation.
        let stored = tx.get_plain(KEYRING)?.ok_or(damaged("the keyring is gone"))?;
        let stored = Keyring::unwrap(active.root_key(), stored).ok_or(damaged("the keyring does not open"))?;
        let rotated = stored.sharing(&active).rotated(now_ms, entropy);
        tx.put_plain(KEYRING, Some(rotated.wrapped(random(entropy))))?;
        Ok(Rotated(rotated))
    }

    /// Makes a committed rotation the active keyring. Transactions begun earlier go on
    /// with the old one, which stays readable.
    pub fn install(&self, rotated: Rotated) {
        self.adopt(rotated.0);
    }

    /// Reads the keyring anew: what a standby does after the leader has rotated. Says
    /// whether there was a newer one.
    ///
    /// # Errors
    /// [`StoreError`]: the keyring in the ledger cannot be read.
    pub fn refresh(&self, view: &dyn View) -> Result<bool, StoreError> {
        let stored = plain(view, KEYRING)?.ok_or(damaged("the keyring is gone"))?;
        let active = self.keyring();
        let stored = Keyring::unwrap(active.root_key(), stored).ok_or(damaged("the keyring does not open"))?;
        Ok(self.adopt(stored.sharing(&active)))
    }

    /// Only ever forward: of two installations in the wrong order the newer one stays.
    fn adopt(&self, keyring: Keyring) -> bool {
        let mut active = self.keyring.write();
        let newer = keyring.newest().number() > active.newest().number();
        if newer {
            *active = Arc::new(keyring);
        }
        newer
    }

    /// Goes on counting the newest term's encryptions where the ledger says: others may have
    /// encrypted meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]: the count cannot be read.
    pub fn resume_count(&self, view: &dyn View) -> Result<(), StoreError> {
        let keyring = self.keyring();
        let on_record = count::on_record(&keyring, view)?;
        keyring.newest().resume(on_record);
        Ok(())
    }

    pub(crate) fn root_key(&self) -> KeyBytes<32> {
        Arc::clone(self.keyring().root_key())
    }
}

/// One of the barrier's own records, as it is in the ledger.
pub(crate) fn plain(view: &dyn View, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(view.get(&plain_key(name))?.map(|found| found.bytes))
}

fn damaged(what: &'static str) -> StoreError {
    StoreError::Damaged { space: SpaceId::BARRIER, what }
}

#[cfg(test)]
mod tests;
