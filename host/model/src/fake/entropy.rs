//! Bytes that look random and come out the same in every run. For tests only.

use parking_lot::Mutex;

use crate::seam::entropy::Entropy;

/// SplitMix64 from a seed.
pub struct FakeEntropy(Mutex<u64>);

impl FakeEntropy {
    /// A source that this seed determines.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for FakeEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock();
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
