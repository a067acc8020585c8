//! The serial number of a client's certificate, which TLS has checked already.

/// Longest serial number told, in bytes. Source: RFC 5280, section 4.1.2.2.
const BYTES_MAX: usize = 20;

/// The number in decimal digits; none where the certificate does not begin as one must.
pub(super) fn number(certificate: &[u8]) -> Option<String> {
    let (_, body, _) = element(certificate)?;
    let (_, mut signed, _) = element(body)?;
    let (tag, _, rest) = element(signed)?;
    // The version comes first, if the certificate is not of the first one.
    if tag == 0xa0 {
        signed = rest;
    }
    match element(signed)? {
        (0x02, number, _) => decimal(number),
        _ => None,
    }
}

/// Tag, content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let count = usize::from(first & 0x7f);
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ if count > 4 => return None,
        _ => {
            let (bytes, rest) = rest.split_at_checked(count)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn decimal(number: &[u8]) -> Option<String> {
    let digits_of = number.strip_prefix(&[0]).unwrap_or(number);
    if number.first()? & 0x80 != 0 || digits_of.len() > BYTES_MAX {
        return None;
    }
    let mut digits = vec![0_u8];
    for byte in digits_of {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).expect("a digit");
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).expect("a digit"));
            carry /= 10;
        }
    }
    Some(digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect())
}

#[cfg(test)]
mod tests;
