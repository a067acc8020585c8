//! Shamir's secret sharing in the format of Vault and OpenBao: each byte of the secret
//! is the constant term of a polynomial of its own over GF(2^8) with the polynomial
//! 0x11b; a share is the polynomials' values followed by the one byte x they were taken
//! at. Constant time: no table and no branch depends on a secret byte. Ours because the
//! crates at hand use lookup tables or another field polynomial.
//!
//! The format has no checksum: shares that are wrong, damaged or of different splits
//! combine to a wrong secret without a sign. Whoever combines must verify the secret.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::Entropy;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroize;

/// Why shares could not be made or put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// Threshold below 2 or over the number of shares, or nothing to split.
    #[error("secret cannot be split in this way")]
    Split,
    /// Fewer than two shares, shares of different lengths or too short to be one.
    #[error("shares do not fit together")]
    Shape,
    /// Two shares with the same x, or one with x = 0, where the secret itself would be.
    #[error("shares are repeated or impossible")]
    Position,
}

/// Splits a secret into shares, any `threshold` of which give it back.
///
/// # Errors
/// [`ShamirError::Split`].
pub fn split(
    secret: &[u8],
    shares: u8,
    threshold: u8,
    entropy: &dyn Entropy,
) -> Result<Vec<Hidden<Vec<u8>>>, ShamirError> {
    if threshold < 2 || threshold > shares || secret.is_empty() {
        return Err(ShamirError::Split);
    }
    let positions = &shuffled_positions(entropy)[..usize::from(shares)];
    let mut split: Vec<_> = (0..shares).map(|_| Hidden::new(Vec::with_capacity(secret.len() + 1))).collect();
    // Every coefficient is uniform over all 256 values, the highest too: to leave zero
    // out would tell something of the secret.
    let mut coefficients = Hidden::new(vec![0; usize::from(threshold)]);
    for byte in secret {
        let coefficients = coefficients.expose_mut();
        coefficients[0] = *byte;
        entropy.fill(&mut coefficients[1..]);
        for (share, x) in split.iter_mut().zip(positions) {
            share.expose_mut().push(evaluate(coefficients, *x));
        }
    }
    for (share, x) in split.iter_mut().zip(positions) {
        share.expose_mut().push(*x);
    }
    Ok(split)
}

/// Puts shares together. The result is only as right as they are: see the module.
///
/// # Errors
/// [`ShamirError::Shape`] or [`ShamirError::Position`].
pub fn combine(shares: &[Hidden<Vec<u8>>]) -> Result<Hidden<Vec<u8>>, ShamirError> {
    let [first, _, ..] = shares else { return Err(ShamirError::Shape) };
    let share_bytes = first.expose().len();
    if share_bytes < 2 || shares.iter().any(|share| share.expose().len() != share_bytes) {
        return Err(ShamirError::Shape);
    }
    let positions: Vec<u8> = shares.iter().map(|share| share.expose()[share_bytes - 1]).collect();
    let repeated = (1..positions.len()).any(|n| positions[..n].contains(&positions[n]));
    if repeated || positions.contains(&0) {
        return Err(ShamirError::Position);
    }
    let mut weights: Vec<u8> = (0..positions.len()).map(|n| weight_at_zero(&positions, n)).collect();
    let secret = (0..share_bytes - 1).map(|at| {
        let terms = shares.iter().zip(&weights).map(|(share, weight)| multiply(share.expose()[at], *weight));
        terms.fold(0, |sum, term| sum ^ term)
    });
    let mut combined = Hidden::new(Vec::with_capacity(share_bytes - 1));
    combined.expose_mut().extend(secret);
    weights.zeroize();
    Ok(combined)
}

/// 1 to 255 in random order (Fisher and Yates), so that a share's x does not tell its
/// place in the list.
fn shuffled_positions(entropy: &dyn Entropy) -> [u8; 255] {
    let mut positions = [0; 255];
    for (position, x) in positions.iter_mut().zip(1..=255) {
        *position = x;
    }
    for last in (1..=254u8).rev() {
        positions.swap(usize::from(last), usize::from(random_up_to(last, entropy)));
    }
    positions
}

/// A number in `0..=last`, unbiased: bytes over the last whole multiple are thrown away.
fn random_up_to(last: u8, entropy: &dyn Entropy) -> u8 {
    let count = u16::from(last) + 1;
    let whole = 256 - 256 % count;
    loop {
        let mut byte = [0];
        entropy.fill(&mut byte);
        let drawn = u16::from(byte[0]);
        if drawn < whole {
            return u8::try_from(drawn % count).expect("the remainder is at most a byte");
        }
    }
}

/// The polynomial with these coefficients, lowest first, at x (Horner).
fn evaluate(coefficients: &[u8], x: u8) -> u8 {
    coefficients.iter().rev().fold(0, |sum, coefficient| multiply(sum, x) ^ coefficient)
}

/// Lagrange's basis polynomial of the nth position, at zero.
fn weight_at_zero(positions: &[u8], n: usize) -> u8 {
    let others = positions.iter().enumerate().filter(|(other, _)| *other != n);
    others.fold(1, |weight, (_, x)| multiply(weight, multiply(*x, invert(*x ^ positions[n]))))
}

/// The product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, in the same eight steps for
/// every input.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut a) = (0u8, a);
    for bit in 0..8 {
        product ^= u8::conditional_select(&0, &a, Choice::from((b >> bit) & 1));
        let reduction = u8::conditional_select(&0, &0x1b, Choice::from(a >> 7));
        a = (a << 1) ^ reduction;
    }
    product
}

/// The inverse: a^254, since every element but zero has a^255 = 1. Zero gives zero.
fn invert(a: u8) -> u8 {
    // 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128.
    let (mut power, mut product) = (a, 1);
    for _ in 0..7 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

#[cfg(test)]
mod tests;
