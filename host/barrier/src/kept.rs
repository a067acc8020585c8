//! What becomes of the barrier's own records when all others are replaced by those of a
//! snapshot. Of the same cluster's the keys stay: those of the snapshot are among them. Of
//! another's nothing stays, and the barrier must close.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};
use bulkhead_model::seam::ledger::View;

use crate::barrier::{Barrier, plain};
use crate::count;
use crate::error::StoreError;
use crate::key::Key;
use crate::keyring::Keyring;
use crate::names::plain_key;
use crate::outside::{RECOVERY_KEY, SEALED_JOINING_KEY, SEALED_KEY};
use crate::record;
use crate::seal::{JOINING_KEY, KEYRING, ROOT_KEY, SEAL_CONFIG};

impl Barrier {
    /// Where the barrier's own records are in the ledger.
    #[must_use]
    pub fn own_places() -> Vec<Vec<u8>> {
        let of_seal = [SEAL_CONFIG, ROOT_KEY, JOINING_KEY, SEALED_KEY, SEALED_JOINING_KEY, RECOVERY_KEY];
        of_seal.into_iter().chain([KEYRING, count::ENCRYPTIONS]).map(plain_key).collect()
    }

    /// Where the wrapped keyring is.
    #[must_use]
    pub fn keyring_place() -> Vec<u8> {
        plain_key(KEYRING)
    }

    /// Where a record is.
    ///
    /// # Errors
    /// [`StoreError::BadKey`].
    pub fn place(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        self.keyring().names().ledger_key(key)
    }

    /// Whether a wrapped keyring is one that this barrier's came from: everything under it
    /// opens here as well.
    #[must_use]
    pub fn covers(&self, wrapped: Vec<u8>) -> bool {
        let active = self.keyring();
        Keyring::unwrap(active.root_key(), wrapped).is_some_and(|other| active.covers(&other))
    }

    /// A record as one under another keyring, wrapped as it is kept: its place and its bytes.
    /// `None`, where that keyring is not under this barrier's root key, so that nothing can be
    /// written for it.
    ///
    /// # Errors
    /// [`StoreError::BadKey`].
    #[expect(clippy::type_complexity, reason = "a place and what is there")]
    pub fn carried_over(
        &self,
        wrapped: Vec<u8>,
        (key, value): (&Key, &Hidden<Vec<u8>>),
        entropy: &dyn Entropy,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
        let Some(other) = Keyring::unwrap(self.keyring().root_key(), wrapped) else { return Ok(None) };
        let place = other.names().ledger_key(key)?;
        let bytes = record::seal(other.newest(), &place, value.expose(), random(entropy), &mut Vec::new());
        Ok(Some((place, bytes)))
    }

    /// Whether the ledger's keyring is this barrier's, or came from it.
    ///
    /// # Errors
    /// [`StoreError`] from the ledger.
    pub fn is_of(&self, view: &dyn View) -> Result<bool, StoreError> {
        let active = self.keyring();
        let stored = plain(view, KEYRING)?.and_then(|wrapped| Keyring::unwrap(active.root_key(), wrapped));
        Ok(stored.is_some_and(|stored| stored.covers(&active)))
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_model::fake::entropy::FakeEntropy;
    use bulkhead_model::hidden::Hidden;
    use bulkhead_model::seam::entropy::random;

    use crate::barrier::Barrier;
    use crate::key::{Key, SpaceId};
    use crate::keyring::Keyring;
    use crate::record;

    #[test]
    fn a_keyring_covers_those_it_came_from_and_no_other() {
        let entropy = FakeEntropy::seeded(1);
        let first = Keyring::generate(1, &entropy);
        let wrapped = |keyring: &Keyring| keyring.wrapped(random(&entropy));
        let (second, fork) = (first.rotated(2, &entropy), first.rotated(2, &entropy));
        let (w1, w2, wf) = (wrapped(&first), wrapped(&second), wrapped(&fork));
        let barrier = Barrier::new(second);
        assert!(barrier.covers(w1) && barrier.covers(w2.clone()));
        // Another key under the same number.
        assert!(!barrier.covers(wf));
        assert!(!Barrier::new(first).covers(w2));
        assert!(!barrier.covers(wrapped(&Keyring::generate(1, &entropy))));
    }

    #[test]
    fn a_record_is_carried_over_to_a_keyring_of_the_same_root_and_to_no_other() {
        let entropy = FakeEntropy::seeded(2);
        let first = Keyring::generate(1, &entropy);
        let fork = first.rotated(2, &entropy);
        let wrapped = fork.wrapped(random(&entropy));
        let barrier = Barrier::new(first.rotated(2, &entropy));
        let key = Key::opaque(SpaceId([7; 16]), b"a name").expect("a key");
        let value = Hidden::new(b"a value".to_vec());
        let carried = barrier.carried_over(wrapped, (&key, &value), &entropy).expect("a key");
        let (place, bytes) = carried.expect("the root is the same");
        let opened = record::open(&fork, &place, bytes.clone(), &mut Vec::new()).expect("it opens there");
        assert!(opened == value);
        assert!(record::open(&barrier.keyring(), &place, bytes, &mut Vec::new()).is_err(), "and nowhere else");
        let foreign = Keyring::generate(1, &entropy).wrapped(random(&entropy));
        assert!(barrier.carried_over(foreign, (&key, &value), &entropy).expect("a key").is_none());
    }
}
