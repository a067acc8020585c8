//! Encryption of what is not kept: something small that is handed to a caller and comes
//! back. Only this cluster can open it, and only for the purpose it was sealed for.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};

use super::{Pending, Transaction};
use crate::count;
use crate::error::StoreError;
use crate::names::plain_key;
use crate::record;

impl Transaction {
    /// Encrypts a value under the newest term. The purpose is part of what is
    /// authenticated, as a record's place is.
    ///
    /// # Errors
    /// [`StoreError`]: the encryption could not be counted.
    pub fn seal_outside(&mut self, purpose: &str, value: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        if self.keyring.newest().count(1) {
            let write = count::reserve(&self.keyring, &*self.view, random(entropy))?;
            let value = write.value.expect("a block of encryptions is put on record");
            self.write(write.key, Pending::Wrapped(value))?;
        }
        Ok(record::seal(self.keyring.newest(), &place(purpose), value, random(entropy), &mut self.scratch))
    }

    /// Opens what [`seal_outside`](Self::seal_outside) made; `None` if anything about it
    /// is not as it was: who sent it is not to learn what.
    pub fn open_outside(&mut self, purpose: &str, sealed: Vec<u8>) -> Option<Hidden<Vec<u8>>> {
        record::open(&self.keyring, &place(purpose), sealed, &mut self.scratch).ok()
    }
}

/// The name under which it would lie, if it were kept. No record has it.
fn place(purpose: &str) -> Vec<u8> {
    plain_key(&format!("outside/{purpose}"))
}
