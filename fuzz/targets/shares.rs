//! Unseal shares: any bytes that people type in are put together or refused; shares
//! that were split give their secret back, in any order.
#![no_main]

use bulkhead_barrier::shamir::{combine, split};
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::hidden::Hidden;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [mode, count, rest @ ..] = input else { return };
    if mode % 2 == 0 { hostile(*count, rest) } else { honest(*mode, *count, rest) }
});

/// Cuts the input into shares as it comes.
fn hostile(count: u8, bytes: &[u8]) {
    let width = bytes.len() / usize::from(count.max(1));
    let pieces = if width == 0 { vec![bytes.to_vec()] } else { bytes.chunks(width).map(<[u8]>::to_vec).collect() };
    let shares: Vec<Hidden<Vec<u8>>> = pieces.into_iter().map(Hidden::new).collect();
    if let Ok(secret) = combine(&shares) {
        assert!(secret.expose().len() + 1 == shares[0].expose().len(), "a secret is one byte shorter than a share");
    }
}

fn honest(mode: u8, count: u8, secret: &[u8]) {
    let secret = &secret[..secret.len().min(64)];
    let threshold = 2 + mode / 2 % 6;
    let entropy = FakeEntropy::seeded(u64::from(count));
    let Ok(shares) = split(secret, threshold.saturating_add(count % 8), threshold, &entropy) else { return };
    let chosen: Vec<Hidden<Vec<u8>>> = shares.iter().rev().take(threshold.into()).map(Hidden::duplicate).collect();
    let combined = combine(&chosen).expect("enough different shares go together");
    assert!(combined.expose().as_slice() == secret, "shares gave another secret back");
}
