//! AES-256-SIV (RFC 5297) for what names need: associated data of two blocks, a
//! plaintext of whole blocks. Bit for bit what the crate `aes-siv` gives (the tests hold
//! it against that), but with every key schedule and constant worked out once: that crate
//! spends 1.1 µs on a segment, most of it expanding keys, this a quarter of that, and a
//! request names a dozen segments. The block cipher is the crate `aes`, which wipes its
//! schedules. Knows nothing of names.

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;

/// Block and tag, in bytes.
pub(crate) const BLOCK: usize = 16;

/// The two ciphers, and what does not depend on the input.
pub(crate) struct Siv {
    mac: Aes256Enc,
    counter: Aes256Enc,
    /// CMAC's K1, which goes into the last block of every input of whole blocks.
    last: u128,
    /// S2V's state before the associated data: CMAC of the zero block, doubled.
    start: u128,
}

impl Siv {
    /// The first half of the key is for the tag, the second for the counter mode.
    pub(crate) fn new(key: &[u8; 64]) -> Self {
        let half = |bytes: &[u8]| Aes256Enc::new_from_slice(bytes).expect("half of 64 bytes is a key");
        let (mac, counter) = (half(&key[..32]), half(&key[32..]));
        let last = double(encrypt(&mac, 0));
        let start = double(encrypt(&mac, last));
        Self { mac, counter, last, start }
    }

    /// Encrypts in place and gives the tag.
    pub(crate) fn seal(&self, associated: &[u8; 2 * BLOCK], text: &mut [u8]) -> [u8; BLOCK] {
        let tag = self.tag(associated, text);
        self.apply_counter(tag, text);
        tag.to_be_bytes()
    }

    /// Decrypts in place; `false` if the tag does not fit, and the text is then nothing.
    #[must_use]
    pub(crate) fn open(&self, associated: &[u8; 2 * BLOCK], text: &mut [u8], tag: &[u8; BLOCK]) -> bool {
        self.apply_counter(u128::from_be_bytes(*tag), text);
        let fits: bool = self.tag(associated, text).to_be_bytes().ct_eq(tag).into();
        if !fits {
            text.fill(0);
        }
        fits
    }

    /// S2V over the associated data and the text.
    fn tag(&self, associated: &[u8; 2 * BLOCK], text: &[u8]) -> u128 {
        let whole = !text.is_empty() && text.len().is_multiple_of(BLOCK);
        assert!(whole, "a text of another shape would need the padding of RFC 5297, which is not here");
        let state = self.start ^ self.cmac(blocks(associated), self.last);
        self.cmac(blocks(text), self.last ^ state)
    }

    /// CMAC over whole blocks, with this added to the last one.
    fn cmac(&self, blocks: impl ExactSizeIterator<Item = u128>, into_last: u128) -> u128 {
        let last = blocks.len() - 1;
        blocks.enumerate().fold(0, |chain, (at, block)| {
            let added = if at == last { into_last } else { 0 };
            encrypt(&self.mac, chain ^ block ^ added)
        })
    }

    fn apply_counter(&self, tag: u128, text: &mut [u8]) {
        // Two bits are cleared so that implementations may count in 32-bit words.
        let mut counter = tag & !(1 << 63 | 1 << 31);
        for block in text.chunks_exact_mut(BLOCK) {
            let stream = encrypt(&self.counter, counter).to_be_bytes();
            block.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
            counter = counter.wrapping_add(1);
        }
    }
}

fn blocks(bytes: &[u8]) -> impl ExactSizeIterator<Item = u128> {
    bytes.chunks_exact(BLOCK).map(|block| u128::from_be_bytes(block.try_into().expect("a chunk is a block")))
}

fn encrypt(cipher: &Aes256Enc, block: u128) -> u128 {
    let mut block = block.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

/// Multiplication by x in GF(2^128), without a branch.
fn double(block: u128) -> u128 {
    (block << 1) ^ ((block >> 127) * 0x87)
}

#[cfg(test)]
mod tests;
