//! Randomness, as an argument.

/// A cryptographically secure source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the buffer. A source that fails must stop the process: there is no safe
    /// way to go on without randomness.
    fn fill(&self, buffer: &mut [u8]);
}

/// An array of random bytes.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A random (version 4) UUID in its usual form.
pub fn uuid(entropy: &dyn Entropy) -> String {
    let mut b: [u8; 16] = random(entropy);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex = |bytes: &[u8]| bytes.iter().map(|x| format!("{x:02x}")).collect::<String>();
    format!("{}-{}-{}-{}-{}", hex(&b[..4]), hex(&b[4..6]), hex(&b[6..8]), hex(&b[8..10]), hex(&b[10..]))
}

/// A random string over `0-9A-Za-z`, unbiased: bytes beyond the last whole
/// multiple of 62 are thrown away.
pub fn base62(entropy: &dyn Entropy, len: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let bytes: [u8; 64] = random(entropy);
        for byte in bytes.into_iter().filter(|b| *b < 248) {
            if text.len() < len {
                text.push(char::from(ALPHABET[usize::from(byte % 62)]));
            }
        }
    }
    text
}
