//! The keys of an unsealed node: one per term for values, one for names, one that others
//! are derived from, and the root key that wraps them all in the ledger. Knows nothing
//! of who holds the shares of the key above the root key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::LessSafeKey;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::Entropy;

use crate::keybytes::{KeyBytes, known_key, random_key};
use crate::names::Names;
use crate::record::{self, NONCE};

/// Encryptions under one term before it is due for rotation. Source: Vault's and
/// OpenBao's default, nine tenths of 2^32. Why: with random 96-bit nonces, NIST SP
/// 800-38D allows 2^32 messages under a key.
pub const ENCRYPTIONS_MAX: u64 = 3_865_470_566;

/// How many encryptions are reserved in the ledger at a time. Why: a count kept only in
/// memory would start anew with every restart and every new leader. Each start may waste
/// one block, so it takes four thousand starts to bring a rotation forward by half.
const RESERVED_BLOCK: u64 = 1 << 20;

/// What the keyring's wrapping is bound to.
const LABEL: &[u8] = b"bulkhead.keyring.v1";
/// The only format of a serialised keyring.
const FORMAT: u8 = 1;
/// Number, install time and key of a term, in bytes.
const TERM_BYTES: usize = 4 + 8 + 32;
/// Format, names key, derivation key and number of terms, in bytes.
const FIXED_BYTES: usize = 1 + 64 + 32 + 4;

/// A term's count as the ledger has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Encryptions that were known of when it was put there.
    pub known: u64,
    /// Up to here there may have been more since.
    pub reserved: u64,
}

/// A key for values, with its context ready.
pub(crate) struct Term {
    number: u32,
    install_time_ms: u64,
    key: KeyBytes<32>,
    context: LessSafeKey,
    /// Encryptions that there may have been so far: never less than there were. What is
    /// decided is decided by it.
    used: AtomicU64,
    /// Encryptions that are known of, which are no more than there were: what is told.
    known: AtomicU64,
    /// Up to here they are on record in the ledger.
    reserved: AtomicU64,
}

/// All keys. Immutable: a rotation makes a new one that shares the old terms.
pub(crate) struct Keyring {
    root_key: KeyBytes<32>,
    derivation_key: KeyBytes<32>,
    names: Arc<Names>,
    /// Ascending, never empty.
    terms: Vec<Arc<Term>>,
}

impl Term {
    pub(crate) fn new(number: u32, install_time_ms: u64, key: KeyBytes<32>) -> Self {
        let context = record::context(key.expose());
        let [used, known, reserved] = [0; 3].map(AtomicU64::new);
        Self { number, install_time_ms, key, context, used, known, reserved }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn install_time_ms(&self) -> u64 {
        self.install_time_ms
    }

    pub(crate) fn context(&self) -> &LessSafeKey {
        &self.context
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn known(&self) -> u64 {
        self.known.load(Ordering::Relaxed)
    }

    /// Counts encryptions about to be done. Whoever gets `true` is to reserve a block.
    #[must_use]
    pub(crate) fn count(&self, encryptions: u64) -> bool {
        self.known.fetch_add(encryptions, Ordering::Relaxed);
        let used = self.used.fetch_add(encryptions, Ordering::Relaxed) + encryptions;
        let reserved = self.reserved.load(Ordering::Relaxed);
        let ahead = used.saturating_add(RESERVED_BLOCK);
        used > reserved && self.reserved.compare_exchange(reserved, ahead, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes over a count found in the ledger, and gives the one to put there instead.
    pub(crate) fn reserve(&self, on_record: Recorded) -> Recorded {
        self.resume(on_record);
        let reserved = self.used().saturating_add(RESERVED_BLOCK);
        self.reserved.fetch_max(reserved, Ordering::Relaxed);
        Recorded { known: self.known(), reserved }
    }

    /// Starts from the count on record: what of it was not used is lost, which errs on
    /// the safe side.
    pub(crate) fn resume(&self, on_record: Recorded) {
        self.used.fetch_max(on_record.reserved, Ordering::Relaxed);
        self.known.fetch_max(on_record.known, Ordering::Relaxed);
    }
}

impl Keyring {
    /// A first keyring, with term 1.
    pub(crate) fn generate(now_ms: u64, entropy: &dyn Entropy) -> Self {
        Self {
            root_key: random_key(entropy),
            derivation_key: random_key(entropy),
            names: Arc::new(Names::new(random_key(entropy))),
            terms: vec![Arc::new(Term::new(1, now_ms, random_key(entropy)))],
        }
    }

    /// The same keyring with one more term.
    pub(crate) fn rotated(&self, now_ms: u64, entropy: &dyn Entropy) -> Self {
        let number = self.newest().number + 1;
        let newest = Arc::new(Term::new(number, now_ms, random_key(entropy)));
        let terms = self.terms.iter().cloned().chain([newest]).collect();
        self.with_terms(terms)
    }

    /// This newer keyring, but with the other's terms (and their counts), names and
    /// remembered folders where both have them.
    pub(crate) fn sharing(&self, older: &Self) -> Self {
        let shared = |term: &Arc<Term>| Arc::clone(older.find(term.number).unwrap_or(term));
        let mut keyring = self.with_terms(self.terms.iter().map(shared).collect());
        keyring.names = Arc::clone(&older.names);
        keyring
    }

    fn with_terms(&self, terms: Vec<Arc<Term>>) -> Self {
        Self {
            root_key: Arc::clone(&self.root_key),
            derivation_key: Arc::clone(&self.derivation_key),
            names: Arc::clone(&self.names),
            terms,
        }
    }

    pub(crate) fn root_key(&self) -> &KeyBytes<32> {
        &self.root_key
    }

    pub(crate) fn derivation_key(&self) -> &KeyBytes<32> {
        &self.derivation_key
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The term new records are written under.
    pub(crate) fn newest(&self) -> &Arc<Term> {
        self.terms.last().expect("a keyring has at least one term")
    }

    pub(crate) fn term(&self, number: u32) -> Option<&Term> {
        self.find(number).map(AsRef::as_ref)
    }

    fn find(&self, number: u32) -> Option<&Arc<Term>> {
        let newest = self.newest();
        if newest.number == number {
            return Some(newest);
        }
        self.terms.binary_search_by_key(&number, |term| term.number).ok().map(|at| &self.terms[at])
    }

    /// Whether this keyring has every key of the other.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let has = |term: &Arc<Term>| self.find(term.number).is_some_and(|own| same(&own.key, &term.key));
        same(&self.derivation_key, &other.derivation_key)
            && same(self.names.key(), other.names.key())
            && other.terms.iter().all(has)
    }

    /// The keyring as it is kept in the ledger: encrypted with the root key.
    pub(crate) fn wrapped(&self, nonce: [u8; NONCE]) -> Vec<u8> {
        record::wrap(self.root_key.expose(), LABEL, self.serialise().expose(), nonce)
    }

    /// Opens a keyring; `None` if it is not of this root key or was altered.
    pub(crate) fn unwrap(root_key: &KeyBytes<32>, wrapped: Vec<u8>) -> Option<Self> {
        let plain = record::unwrap(root_key.expose(), LABEL, wrapped)?;
        Self::parse(Arc::clone(root_key), plain.expose())
    }

    /// Sized beforehand: a buffer that grows leaves copies of keys behind.
    fn serialise(&self) -> Hidden<Vec<u8>> {
        let bytes_max = FIXED_BYTES + self.terms.len() * TERM_BYTES;
        let mut hidden = Hidden::new(Vec::with_capacity(bytes_max));
        let bytes = hidden.expose_mut();
        bytes.push(FORMAT);
        bytes.extend_from_slice(self.names.key().expose());
        bytes.extend_from_slice(self.derivation_key.expose());
        let count = u32::try_from(self.terms.len()).expect("term numbers are 32 bits wide");
        bytes.extend_from_slice(&count.to_be_bytes());
        for term in &self.terms {
            bytes.extend_from_slice(&term.number.to_be_bytes());
            bytes.extend_from_slice(&term.install_time_ms.to_be_bytes());
            bytes.extend_from_slice(term.key.expose());
        }
        assert_eq!(bytes.len(), bytes_max, "the keyring outgrew its buffer and left key bytes behind");
        hidden
    }

    fn parse(root_key: KeyBytes<32>, bytes: &[u8]) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        let (names_key, bytes) = bytes.split_first_chunk::<64>()?;
        let (derivation_key, bytes) = bytes.split_first_chunk::<32>()?;
        let (count, bytes) = bytes.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        let right_size = bytes.len().checked_div(TERM_BYTES) == Some(count) && bytes.len().is_multiple_of(TERM_BYTES);
        if *format != FORMAT || count == 0 || !right_size {
            return None;
        }
        let terms = bytes.chunks_exact(TERM_BYTES).map(parse_term).collect::<Option<Vec<_>>>()?;
        if !terms.is_sorted_by(|a, b| a.number < b.number) {
            return None;
        }
        Some(Self {
            root_key,
            derivation_key: known_key(derivation_key),
            names: Arc::new(Names::new(known_key(names_key))),
            terms,
        })
    }
}

fn parse_term(bytes: &[u8]) -> Option<Arc<Term>> {
    let (number, bytes) = bytes.split_first_chunk::<4>()?;
    let (install_time_ms, bytes) = bytes.split_first_chunk::<8>()?;
    let key = known_key(<&[u8; 32]>::try_from(bytes).ok()?);
    Some(Arc::new(Term::new(u32::from_be_bytes(*number), u64::from_be_bytes(*install_time_ms), key)))
}

/// In constant time.
fn same<const N: usize>(one: &KeyBytes<N>, other: &KeyBytes<N>) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.expose(), other.expose()).is_ok()
}

#[cfg(test)]
mod tests;
