//! The key that a server sends to those who come without TLS, and a password encrypted for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mysql_common::crypto::der::parse_pub_key_pkcs8;
use mysql_common::crypto::rsa::{GetRandom, Pkcs1OaepPadding, PublicKey};

use crate::fault::Fault;

/// Shortest and longest key that is used, in bits.
const BITS_MIN: u64 = 2048;
const BITS_MAX: u64 = 8192;

/// Longest exponent, in bits.
const EXPONENT_BITS_MAX: u64 = 32;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// Encrypts a password for a server's key, hidden by the server's nonce as the server expects.
///
/// # Errors
/// It is no key of RSA that is fit for that.
pub(crate) fn encrypted(password: &[u8], nonce: &[u8], pem: &[u8]) -> Result<Vec<u8>, Fault> {
    let unfit = || Fault::protocol("the server sends a key that cannot be used");
    let der = decoded(pem).filter(|der| is_rsa_key(der)).ok_or_else(unfit)?;
    let (modulus, exponent) = parse_pub_key_pkcs8(&der).map_err(|_| unfit())?;
    let is_fit = (BITS_MIN..=BITS_MAX).contains(&modulus.bits()) && (2..=EXPONENT_BITS_MAX).contains(&exponent.bits());
    let key = PublicKey::new(modulus, exponent);
    // What is encrypted, two hashes and two bytes must find room.
    if !is_fit || nonce.is_empty() || password.len() + 1 + 2 * 20 + 2 > key.num_octets() {
        return Err(unfit());
    }
    let hidden: Vec<u8> = password.iter().chain(&[0]).zip(nonce.iter().cycle()).map(|(a, b)| a ^ b).collect();
    key.encrypt_block(&hidden, Pkcs1OaepPadding::new(GetRandom)).map_err(|_| unfit())
}

fn decoded(pem: &[u8]) -> Option<Vec<u8>> {
    let text = core::str::from_utf8(pem).ok()?;
    let (_, after) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (inner, _) = after.split_once("-----END PUBLIC KEY-----")?;
    STANDARD.decode(inner.split_ascii_whitespace().collect::<String>()).ok()
}

/// Whether all parts of it are there: the parser takes for granted that they are.
fn is_rsa_key(der: &[u8]) -> bool {
    let parts = || {
        let (key, _) = part(der, SEQUENCE)?;
        let (_, rest) = part(key, SEQUENCE)?;
        let (bits, _) = part(rest, BIT_STRING)?;
        let (numbers, _) = part(bits.strip_prefix(&[0])?, SEQUENCE)?;
        let (_, rest) = part(numbers, INTEGER)?;
        part(rest, INTEGER)
    };
    parts().is_some_and(|(exponent, _)| !exponent.is_empty())
}

/// The inside of the part of this kind that some bytes begin with, and what follows it.
fn part(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // More than two bytes are no length of a key that is used.
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length * 256 + usize::from(*digit)), rest)
        }
        _ => return None,
    };
    if *first == kind { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::KEY;

    #[test]
    fn a_password_is_encrypted_anew_each_time() {
        let one = encrypted(b"s3cret", b"nonce", KEY.as_bytes()).unwrap();
        let other = encrypted(b"s3cret", b"nonce", KEY.as_bytes()).unwrap();
        assert_eq!((one.len(), other.len()), (256, 256));
        assert_ne!(one, other);
        assert!(encrypted(&[b'x'; 213], b"nonce", KEY.as_bytes()).is_ok());
        assert!(encrypted(&[b'x'; 214], b"nonce", KEY.as_bytes()).is_err());
        assert!(encrypted(b"s3cret", b"", KEY.as_bytes()).is_err());
    }

    #[test]
    fn a_key_that_is_cut_or_changed_anywhere_is_refused_or_used_but_never_a_fault_of_ours() {
        let der = decoded(KEY.as_bytes()).unwrap();
        let pem = |der: &[u8]| {
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(der)).into_bytes()
        };
        for cut in 0..der.len() {
            assert!(encrypted(b"s3cret", b"nonce", &pem(&der[..cut])).is_err(), "{cut}");
        }
        for place in (0..40).chain(der.len() - 12..der.len()) {
            for value in [0, 1, 0x7f, 0x80, 0x82, 0xff] {
                let mut changed = der.clone();
                changed[place] = value;
                let _ = encrypted(b"s3cret", b"nonce", &pem(&changed));
            }
        }
        for odd in [&b""[..], b"key", b"-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", b"\xff"] {
            assert!(encrypted(b"s3cret", b"nonce", odd).is_err());
        }
    }
}
