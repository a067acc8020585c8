//! Request ids: random UUIDs, written without the formatting machinery because every
//! request needs one.

use std::sync::Arc;

use bulkhead_model::seam::entropy::Entropy;
use parking_lot::Mutex;

const HEX: &[u8; 16] = b"0123456789abcdef";

const ID_BYTES: usize = 16;

/// Ids drawn at once. Source: measured: the generator takes as long for one as for these.
const DRAWN: usize = 32;

/// Where ids come from. They are drawn ahead, which only a value that is no secret may be.
pub(crate) struct RequestIds {
    entropy: Arc<dyn Entropy>,
    ahead: Mutex<Ahead>,
}

struct Ahead {
    bytes: [u8; DRAWN * ID_BYTES],
    left: usize,
}

impl RequestIds {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, ahead: Mutex::new(Ahead { bytes: [0; DRAWN * ID_BYTES], left: 0 }) }
    }

    /// A new id.
    pub(crate) fn next(&self) -> String {
        let mut ahead = self.ahead.lock();
        if ahead.left == 0 {
            self.entropy.fill(&mut ahead.bytes);
            ahead.left = DRAWN;
        }
        ahead.left -= 1;
        let mut bytes = [0; ID_BYTES];
        bytes.copy_from_slice(&ahead.bytes[ahead.left * ID_BYTES..][..ID_BYTES]);
        drop(ahead);
        text(bytes)
    }
}

/// A random UUID (RFC 9562 section 5.4) of these bytes.
fn text(mut bytes: [u8; ID_BYTES]) -> String {
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
