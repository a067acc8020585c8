//! Draws passwords. Every character of the alphabet is equally likely at every place,
//! and so is every password that fulfils the policy, as far as drawing again can do it.

use zeroize::Zeroize;

use super::PasswordPolicy;
use crate::hidden::Hidden;
use crate::seam::entropy::Entropy;

/// Candidates drawn at most before a password is put together by hand. Source: ours. Why:
/// the default policy is met by one candidate in four; a policy that demands twenty times
/// the letter `a` is met by practically none, and a caller must not wait for that one.
const CANDIDATES_MAX: usize = 256;

impl PasswordPolicy {
    /// A new password.
    #[must_use]
    pub fn generate(&self, entropy: &dyn Entropy) -> Hidden<String> {
        let mut draws = Draws::from(entropy);
        let mut candidate = Hidden::new(vec!['\0'; self.length]);
        let drawn = (0..CANDIDATES_MAX).any(|_| {
            candidate.expose_mut().iter_mut().for_each(|place| *place = draws.one_of(&self.alphabet));
            self.holds(candidate.expose())
        });
        if !drawn {
            self.compose(candidate.expose_mut(), &mut draws);
        }
        // A caller is given nothing that breaks the policy, whatever is wrong above.
        assert!(self.holds(candidate.expose()), "a password breaks its own policy");
        // Room for all, so that no half of it is left behind by a move.
        let mut password = String::with_capacity(self.length * 4);
        password.extend(candidate.expose());
        Hidden::new(password)
    }

    fn holds(&self, candidate: &[char]) -> bool {
        self.rules.iter().all(|rule| rule.holds(candidate))
    }

    /// What each rule demands, the rest from the whole alphabet, in random order.
    fn compose(&self, places: &mut [char], draws: &mut Draws<'_>) {
        let demanded = self.rules.iter().flat_map(|rule| std::iter::repeat_n(&rule.charset, rule.min_chars));
        let charsets = demanded.chain(std::iter::repeat(&self.alphabet));
        for (place, charset) in places.iter_mut().zip(charsets) {
            *place = draws.one_of(charset);
        }
        for last in (1..places.len()).rev() {
            places.swap(last, draws.below(last + 1));
        }
    }
}

/// Random bytes by the block, wiped behind.
struct Draws<'e> {
    entropy: &'e dyn Entropy,
    bytes: [u8; 256],
    used: usize,
}

impl<'e> Draws<'e> {
    fn from(entropy: &'e dyn Entropy) -> Self {
        Self { entropy, bytes: [0; 256], used: 256 }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.bytes.len() {
            self.entropy.fill(&mut self.bytes);
            self.used = 0;
        }
        let byte = self.bytes[self.used];
        self.used += 1;
        byte
    }

    /// A number below `bound`, all equally likely: what lies beyond the last whole
    /// multiple is drawn again.
    fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing to choose from");
        let width = if bound <= 256 { 1 } else { 4 };
        let values = 1_u64 << (8 * width);
        let bound = bound as u64;
        let fair = values - values % bound;
        loop {
            let drawn = (0..width).fold(0, |sum, _| sum << 8 | u64::from(self.byte()));
            if drawn < fair {
                return usize::try_from(drawn % bound).expect("below a number of this size");
            }
        }
    }

    fn one_of(&mut self, charset: &[char]) -> char {
        charset[self.below(charset.len())]
    }
}

impl Drop for Draws<'_> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
