//! A secret tied to its label, within what is encrypted. Transit's own `associated_data` is not
//! used: a server that does not know it ignores it without a word, and keys of RSA refuse it.
//!
//! ```text
//! 01  length of the label (two bytes, big-endian)  label  secret
//! ```

use bulkhead_sdk::{Error, Result};

/// The first byte.
const FORM: u8 = 1;

/// # Errors
/// The label is over 64 KiB.
pub(crate) fn tie(secret: &[u8], label: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(label.len()).map_err(|_| Error::invalid("the label is over 64 KiB"))?;
    Ok([&[FORM], &length.to_be_bytes()[..], label, secret].concat())
}

/// # Errors
/// It is tied to another label, or was not made by [`tie`].
pub(crate) fn untie<'a>(tied: &'a [u8], label: &[u8]) -> Result<&'a [u8]> {
    let other = || Error::invalid("what was decrypted is not what was asked for: it is tied to something else");
    let [FORM, high, low, rest @ ..] = tied else { return Err(other()) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match rest.split_at_checked(length) {
        Some((its, secret)) if its == label => Ok(secret),
        _ => Err(other()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_under_its_label_alone() {
        let tied = tie(b"secret", b"seal").unwrap();
        assert_eq!(tied, b"\x01\0\x04sealsecret");
        assert_eq!(untie(&tied, b"seal").unwrap(), b"secret");
        for label in [&b""[..], b"sea", b"seals", b"sealsecret", b"recovery"] {
            assert!(untie(&tied, label).is_err());
        }
    }

    #[test]
    fn the_end_of_a_label_is_not_the_beginning_of_a_secret() {
        assert_ne!(tie(b"bc", b"a").unwrap(), tie(b"c", b"ab").unwrap());
        assert!(untie(&tie(b"bc", b"a").unwrap(), b"ab").is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for odd in [&b""[..], b"\x01", b"\x01\0", b"\x01\0\x05seal", b"\x02\0\x04seal", b"\x01\xff\xffseal"] {
            assert!(untie(odd, b"seal").is_err(), "{odd:?}");
        }
        assert!(tie(b"secret", &[0; 65_536]).is_err());
    }
}
