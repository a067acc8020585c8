//! Public keys in the form that verifiers read: JSON Web Keys (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Algorithm;

/// A public key under its id, its members in the order that Vault tells them; `None` if the bytes
/// are no key of this algorithm.
pub(crate) fn shown(algorithm: Algorithm, id: &str, public: &[u8]) -> Option<Value> {
    let (family, curve, numbers) = match algorithm {
        Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => ("RSA", None, rsa(public)?),
        Algorithm::Es256 => ("EC", Some("P-256"), point(public)?),
        Algorithm::Es384 => ("EC", Some("P-384"), point(public)?),
        Algorithm::Es512 => ("EC", Some("P-521"), point(public)?),
        Algorithm::EdDsa => ("OKP", Some("Ed25519"), vec![("x", public)]),
    };
    let mut members: Vec<(&str, Value)> = vec![("use", "sig".into()), ("kty", family.into()), ("kid", id.into())];
    members.extend(curve.map(|curve| ("crv", curve.into())));
    members.push(("alg", algorithm.name().into()));
    members.extend(numbers.into_iter().map(|(name, bytes)| (name, URL_SAFE_NO_PAD.encode(bytes).into())));
    let members: Map<String, Value> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some(members.into())
}

/// Numbers by the names that they have in a key.
type Numbers<'k> = Vec<(&'static str, &'k [u8])>;

fn rsa(public: &[u8]) -> Option<Numbers<'_>> {
    let (numbers, _) = element(public, SEQUENCE)?;
    let (modulus, rest) = element(numbers, INTEGER)?;
    let (exponent, _) = element(rest, INTEGER)?;
    Some(vec![("n", unsigned(modulus)), ("e", unsigned(exponent))])
}

/// A point in its long form: a byte that says so, and two coordinates of one length.
fn point(public: &[u8]) -> Option<Numbers<'_>> {
    let coordinates = public.strip_prefix(&[4])?;
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Some(vec![("x", x), ("y", y)])
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// The contents of the DER element at the start, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let ([found, length], rest) = der.split_first_chunk::<2>()?;
    if *found != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    // Two bytes of length are enough for any key that is made here.
    let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80)).filter(|(digits, _)| digits.len() <= 2)?;
    rest.split_at_checked(digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)))
}

/// A number without the zero that says it is not negative.
fn unsigned(number: &[u8]) -> &[u8] {
    number.strip_prefix(&[0]).unwrap_or(number)
}
