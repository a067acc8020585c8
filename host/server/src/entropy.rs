//! The system's randomness, by way of the crypto library's generator. The only place
//! that draws it for the node.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bulkhead_model::seam::entropy::Entropy;

/// Cryptographically secure random bytes.
#[derive(Clone, Debug, Default)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// The system's generator.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if self.0.fill(buffer).is_err() {
            // A key or token made without randomness could be guessed: better no node.
            eprintln!("the system's random number generator failed; stopping");
            std::process::abort();
        }
    }
}
