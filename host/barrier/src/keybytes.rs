//! Key bytes in memory: written once, into a place of their own, and wiped when the last
//! holder lets go. Shared rather than copied, because a value that moves leaves a copy of
//! itself on the stack that nobody wipes.

use std::sync::Arc;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::Entropy;
use zeroize::Zeroize;

/// A key that stays where it is.
pub(crate) type KeyBytes<const N: usize> = Arc<Hidden<[u8; N]>>;

/// A fresh key.
pub(crate) fn random_key<const N: usize>(entropy: &dyn Entropy) -> KeyBytes<N>
where
    [u8; N]: Zeroize,
{
    filled(|bytes| entropy.fill(bytes))
}

/// A key that is here in plaintext already.
pub(crate) fn known_key<const N: usize>(bytes: &[u8; N]) -> KeyBytes<N>
where
    [u8; N]: Zeroize,
{
    filled(|key| key.copy_from_slice(bytes))
}

fn filled<const N: usize>(fill: impl FnOnce(&mut [u8; N])) -> KeyBytes<N>
where
    [u8; N]: Zeroize,
{
    let mut key = Arc::new(Hidden::new([0; N]));
    fill(Arc::get_mut(&mut key).expect("nobody else holds it yet").expose_mut());
    key
}
