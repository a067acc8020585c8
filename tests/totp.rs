//! Passcodes as an authenticator app makes them, out of the URL that it is told. Written from RFC
//! 6238 and RFC 2104, and from nothing of ours.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::digest::Digest;

use crate::shape::Variables;

/// Fills in `${totp:url}` and `${totp:url:-1}`: the code now, or so many periods from now, of the
/// URL in a variable.
pub fn filled(text: &str, variables: &Variables) -> String {
    let mut rest = text;
    let mut filled = String::new();
    while let Some((before, found)) = rest.split_once("${totp:") {
        let (inside, after) = found.split_once('}').expect("a placeholder ends");
        let (name, periods) = inside.split_once(':').unwrap_or((inside, "0"));
        let periods = periods.parse().expect("a number of periods");
        let code = variables.get(name).map_or("<no such URL>".to_owned(), |url| code(url, periods));
        filled.push_str(before);
        filled.push_str(&code);
        rest = after;
    }
    filled + rest
}

/// The code that the app shows so many periods from now.
pub fn code(url: &str, periods: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    code_at(url, now, periods)
}

fn code_at(url: &str, secs: u64, periods: i64) -> String {
    let parameter = |name: &str| {
        let (_, query) = url.split_once('?').unwrap_or_default();
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let (period, digits) = (parameter("period").parse::<u64>(), parameter("digits").parse::<u32>());
    let (Ok(period), Ok(digits)) = (period, digits) else { return format!("<no URL of TOTP: {url}>") };
    let step = (secs / period).saturating_add_signed(periods).to_be_bytes();
    let key = base32(parameter("secret"));
    let tag = match parameter("algorithm") {
        "SHA1" => hmac::<sha1::Sha1>(&key, &step, 64),
        "SHA256" => hmac::<sha2::Sha256>(&key, &step, 64),
        _ => hmac::<sha2::Sha512>(&key, &step, 128),
    };
    let at = usize::from(tag[tag.len() - 1] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:0width$}", word % 10_u32.pow(digits), width = digits as usize)
}

fn hmac<D: Digest>(key: &[u8], text: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut block = if key.len() > block_bytes { D::digest(key).to_vec() } else { key.to_vec() };
    block.resize(block_bytes, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = D::digest([&padded(0x36), text].concat());
    D::digest([&padded(0x5c), &inner[..]].concat()).to_vec()
}

fn base32(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = text.chars().map(|c| format!("{:05b}", ALPHABET.find(c).expect("base32"))).collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes.map(|bits| bits.iter().fold(0, |byte, bit| (byte << 1) | (bit - b'0'))).collect()
}

#[cfg(test)]
mod tests {
    use super::{code_at, filled};
    use crate::shape::Variables;

    #[test]
    fn codes_are_those_of_the_rfc() {
        let url = |algorithm: &str, secret: &str| {
            format!("otpauth://totp/a:b?algorithm={algorithm}&digits=8&issuer=a&period=30&secret={secret}")
        };
        let short = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let of = |algorithm, secret| code_at(&url(algorithm, secret), 1_111_111_109, 0);
        assert_eq!(of("SHA1", short), "07081804");
        assert_eq!(of("SHA256", &format!("{short}GEZDGNBVGY3TQOJQGEZA")), "68084774");
        assert_eq!(code_at(&url("SHA1", short), 1_111_111_109, 1), code_at(&url("SHA1", short), 1_111_111_139, 0));
    }

    #[test]
    fn placeholders_are_filled_in_and_the_rest_stays() {
        let url = "otpauth://totp/a?algorithm=SHA1&digits=6&period=30&secret=GEZDGNBV";
        let variables = Variables::from([("url".to_owned(), url.to_owned())]);
        let text = filled("a ${totp:url} b ${totp:url:-1} ${x}", &variables);
        assert_eq!((text.len(), text.ends_with(" ${x}")), (22, true), "{text}");
    }
}
