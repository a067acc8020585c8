//! Keys that sign identity tokens, under their names. Each has one half that signs, one that
//! will sign next, so that verifiers know it before it does, and public halves that were in use:
//! what they signed is believed until they retire. Private halves are records of their own,
//! which only signing reads, and are gone once they do not sign any more.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use serde::{Deserialize, Serialize};

use super::{read, space, write};
use crate::book::identity::Id;
use crate::book::opaque;
use crate::signing::{Algorithm, Pair};

/// The key that is always there.
pub(crate) const DEFAULT: &str = "default";
/// How often a key rotates, and how long it verifies after that, where nobody says so: a day.
/// Source: Vault.
pub(crate) const PERIOD_SECS: u64 = 24 * 60 * 60;
/// Public halves of a key at most. Source: ours. Why: rotating by itself leaves a dozen at most;
/// somebody's script must not fill the list that every verifier reads.
pub(crate) const PUBLIC_MAX: usize = 128;

/// A stored key. Fields may be added at the end, with a new format byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub algorithm: Algorithm,
    pub rotation_secs: u64,
    pub verification_secs: u64,
    /// Whose tokens it signs; `*`: everybody's.
    pub allowed_client_ids: Vec<String>,
    /// When it rotates by itself; `None`: it has no halves yet.
    pub next_rotation_ms: Option<u64>,
    pub public: Vec<PublicKey>,
    /// The half that signs.
    pub signing: Option<Id>,
    /// The half that signs after the next rotation.
    pub next: Option<Id>,
}

/// A public half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PublicKey {
    pub id: Id,
    pub algorithm: Algorithm,
    pub bytes: Vec<u8>,
    /// What it signed is believed until then; `None`: it is in use.
    pub retires_ms: Option<u64>,
}

impl Default for KeyRecord {
    /// The default key as it is in Vault, which has no halves before a role uses it.
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Rs256,
            rotation_secs: PERIOD_SECS,
            verification_secs: PERIOD_SECS,
            allowed_client_ids: vec!["*".to_owned()],
            next_rotation_ms: None,
            public: Vec::new(),
            signing: None,
            next: None,
        }
    }
}

/// A new half, and the id it gets.
pub(crate) type NewHalf = (Id, Pair);

impl KeyRecord {
    /// Whether it signs tokens that are for this client.
    pub(crate) fn allows(&self, client_id: &str) -> bool {
        self.allowed_client_ids.iter().any(|allowed| allowed == "*" || allowed == client_id)
    }

    /// Public halves whose signatures are believed now.
    pub(crate) fn believed(&self, now_ms: u64) -> impl Iterator<Item = &PublicKey> {
        self.public.iter().filter(move |key| key.retires_ms.is_none_or(|at_ms| at_ms > now_ms))
    }

    /// New halves that it lacks before it can rotate: one to sign next, and at the first time one
    /// to sign now.
    pub(crate) fn lacks(&self) -> usize {
        1 + usize::from(self.next.is_none())
    }

    /// The half that was to sign next signs; the one that signed retires after so many seconds.
    /// The halves are as many as it [`lacks`](Self::lacks).
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn rotate(
        &mut self,
        tx: &mut Transaction,
        halves: Vec<NewHalf>,
        (now_ms, verification_secs): (u64, u64),
    ) -> Result<(), StoreError> {
        self.public.retain(|key| key.retires_ms.is_none_or(|at_ms| at_ms > now_ms));
        self.retire(tx, (now_ms, verification_secs))?;
        for half in halves {
            self.signing = self.next;
            self.next = Some(self.add(tx, half)?);
        }
        self.next_rotation_ms = Some(now_ms.saturating_add(self.rotation_secs.saturating_mul(1000)));
        Ok(())
    }

    /// What signed signs no more; what was to sign next under another algorithm never will.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn drop_halves(&mut self, tx: &mut Transaction, now_ms: u64) -> Result<(), StoreError> {
        self.retire(tx, (now_ms, self.verification_secs))?;
        if let Some(id) = self.next.take() {
            tx.delete(&private_key(&id))?;
            self.public.retain(|key| key.id != id);
        }
        Ok(())
    }

    fn retire(&mut self, tx: &mut Transaction, (now_ms, verification_secs): (u64, u64)) -> Result<(), StoreError> {
        let Some(id) = self.signing.take() else { return Ok(()) };
        tx.delete(&private_key(&id))?;
        let retires_ms = now_ms.saturating_add(verification_secs.saturating_mul(1000));
        self.public.iter_mut().filter(|key| key.id == id).for_each(|key| key.retires_ms = Some(retires_ms));
        Ok(())
    }

    fn add(&mut self, tx: &mut Transaction, (id, pair): NewHalf) -> Result<Id, StoreError> {
        tx.put(&private_key(&id), pair.private.expose())?;
        self.public.push(PublicKey { id, algorithm: self.algorithm, bytes: pair.public, retires_ms: None });
        Ok(id)
    }
}

/// A name as a key; a name that is no canonical path names nothing.
fn key(name: &str) -> Option<Key> {
    Key::leaf(space::OIDC_KEYS, name).ok()
}

fn private_key(id: &Id) -> Key {
    opaque(space::OIDC_PRIVATE, id)
}

/// The key of this name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, name: &str) -> Result<Option<KeyRecord>, StoreError> {
    let Some(key) = key(name) else { return Ok(None) };
    let record = read(tx.get(&key)?, (space::OIDC_KEYS, "a key of identity tokens"))?;
    Ok(record.or_else(|| (name == DEFAULT).then(KeyRecord::default)))
}

/// Keeps a key.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, name: &str, record: &KeyRecord) -> Result<(), StoreError> {
    write(tx, &Key::leaf(space::OIDC_KEYS, name)?, record)
}

/// Removes a key with all its halves, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, name: &str) -> Result<(), StoreError> {
    let (Some(record), Some(key)) = (get(tx, name)?, key(name)) else { return Ok(()) };
    for id in record.signing.iter().chain(&record.next) {
        tx.delete(&private_key(id))?;
    }
    tx.delete(&key)
}

/// All names; the default key is among them.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    let mut names = tx.scan(&Folder::root(space::OIDC_KEYS), None, usize::MAX)?.keys;
    if let Err(at) = names.binary_search_by(|name| name.as_str().cmp(DEFAULT)) {
        names.insert(at, DEFAULT.to_owned());
    }
    Ok(names)
}

/// A private half, as the pair had it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn private(tx: &mut Transaction, id: &Id) -> Result<Option<Hidden<Vec<u8>>>, StoreError> {
    tx.get(&private_key(id))
}
