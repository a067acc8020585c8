//! Request ids: random UUIDs, written without the formatting machinery because every
//! request needs one.

use bulkhead_model::seam::entropy::{Entropy, random};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A new id.
pub(crate) fn request_id(entropy: &dyn Entropy) -> String {
    let mut bytes: [u8; 16] = random(entropy);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}
