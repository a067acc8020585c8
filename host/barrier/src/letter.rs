//! What the nodes of a cluster say to each other above the ledger, encrypted: only those who
//! are unsealed can read or write it, and the ledger that carries it sees ciphertext alone. Each letter has a key of its own, so that nonces cannot repeat.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};

use crate::barrier::Barrier;
use crate::derive::HmacKey;

/// Bytes in front of the ciphertext, which the letter's key is made of.
const SALT: usize = 32;

/// What a letter is for. One cannot be taken for another.
#[derive(Clone, Copy)]
pub enum LetterAbout<'a> {
    /// From this member to that one.
    Question(u64, u64),
    /// The answer to the question of this [`letter_name`].
    Answer(&'a [u8]),
}

impl LetterAbout<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Question(from, to) => [&b"question"[..], &from.to_be_bytes(), &to.to_be_bytes()].concat(),
            Self::Answer(question) => [b"answer", question].concat(),
        }
    }
}

/// What tells a letter from all others.
#[must_use]
pub fn letter_name(letter: &[u8]) -> &[u8] {
    &letter[..letter.len().min(SALT)]
}

/// Writes and reads letters.
pub struct Letters(HmacKey);

impl Letters {
    /// Those of a cluster.
    #[must_use]
    pub fn of(barrier: &Barrier) -> Self {
        Self(barrier.hmac_key("letters between nodes"))
    }

    fn key(&self, salt: &[u8]) -> LessSafeKey {
        let key = Hidden::new(self.0.sign(salt));
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("the key is of the cipher's length"))
    }

    /// Encrypts a text.
    ///
    /// # Panics
    /// If it is longer than any message may be: the cipher takes 64 GiB.
    #[must_use]
    pub fn seal(&self, about: LetterAbout<'_>, mut text: Hidden<Vec<u8>>, entropy: &dyn Entropy) -> Vec<u8> {
        let salt: [u8; SALT] = random(entropy);
        let (nonce, aad) = (Nonce::assume_unique_for_key([0; NONCE_LEN]), Aad::from(about.bytes()));
        let tag = self.key(&salt).seal_in_place_separate_tag(nonce, aad, text.expose_mut());
        let tag = tag.expect("a text is shorter than what the cipher takes");
        [&salt, text.expose().as_slice(), tag.as_ref()].concat()
    }

    /// Decrypts a letter; `None` if nobody who may write one wrote it, or about something else.
    #[must_use]
    pub fn open(&self, about: LetterAbout<'_>, letter: &[u8]) -> Option<Hidden<Vec<u8>>> {
        let (salt, sealed) = letter.split_at_checked(SALT)?;
        let mut text = Hidden::new(sealed.to_vec());
        let (nonce, aad) = (Nonce::assume_unique_for_key([0; NONCE_LEN]), Aad::from(about.bytes()));
        let length = self.key(salt).open_in_place(nonce, aad, text.expose_mut()).ok()?.len();
        text.expose_mut().truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_model::fake::entropy::FakeEntropy;
    use bulkhead_model::hidden::Hidden;

    use super::{LetterAbout, Letters, letter_name};
    use crate::seal::{SealConfig, Sealing, init};

    fn letters(seed: u64) -> (Letters, FakeEntropy) {
        let entropy = FakeEntropy::seeded(seed);
        let config = SealConfig::new(1, 1).expect("a split");
        (Letters::of(&init(Sealing::Fresh(config), 0, &entropy).barrier), entropy)
    }

    #[test]
    fn a_letter_is_read_by_its_cluster_about_its_matter_and_whole_only() {
        let (ours, entropy) = letters(1);
        let about = LetterAbout::Question(1, 2);
        let letter = ours.seal(about, Hidden::new(b"a secret".to_vec()), &entropy);
        assert!(!letter.windows(6).any(|part| part == b"secret"));
        assert!(ours.open(about, &letter).is_some_and(|text| text == Hidden::new(b"a secret".to_vec())));
        assert!(ours.open(LetterAbout::Question(2, 1), &letter).is_none(), "it went the other way");
        assert!(ours.open(LetterAbout::Answer(letter_name(&letter)), &letter).is_none(), "it is no answer");
        assert!(letters(2).0.open(about, &letter).is_none(), "it is of another cluster");
        for at in 0..letter.len() {
            let mut other = letter.clone();
            other[at] ^= 1;
            assert!(ours.open(about, &other).is_none(), "byte {at}");
            assert!(ours.open(about, &letter[..at]).is_none(), "cut at {at}");
        }
    }
}
