//! One-time passwords by time (RFC 6238), and how an app learns their secret: its URL, and a picture
//! of that. What lives here: the arithmetic. What must not: whose secret it is, how often one may
//! guess, and what was used already.

pub(crate) mod qr;

use aws_lc_rs::hmac;
use bulkhead_model::hidden::Hidden;
use serde::{Deserialize, Serialize};

/// What a code is made with besides the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheme {
    pub algorithm: Algorithm,
    pub digits: Digits,
    /// For how long one code holds, in seconds; never 0.
    pub period_secs: u32,
    /// Codes before and behind the present one that are taken as well.
    pub skew: u8,
}

/// The hash behind the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

/// Length of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Digits {
    Six,
    Eight,
}

impl Algorithm {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|one| one.name() == name)
    }

    /// What Vault, and the apps, call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

impl Digits {
    /// So many, if a code may have so many.
    pub(crate) fn of(count: i64) -> Option<Self> {
        match count {
            6 => Some(Self::Six),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// How many.
    pub(crate) fn count(self) -> u8 {
        match self {
            Self::Six => 6,
            Self::Eight => 8,
        }
    }
}

impl Scheme {
    /// Which period a time is in.
    pub(crate) fn step_at(self, now_ms: u64) -> u64 {
        now_ms / 1000 / u64::from(self.period_secs.max(1))
    }

    /// The periods around this time whose code this is; mostly none, or one. All that may be are
    /// compared, each in constant time, so that how long it takes says nothing.
    pub(crate) fn steps_of(self, secret: &[u8], passcode: &str, now_ms: u64) -> Vec<u64> {
        let passcode = Hidden::new(passcode.as_bytes().to_vec());
        let (now, skew) = (self.step_at(now_ms), u64::from(self.skew));
        let steps = now.saturating_sub(skew)..=now.saturating_add(skew);
        steps.filter(|step| Hidden::new(self.code(secret, *step).expose().as_bytes().to_vec()) == passcode).collect()
    }

    /// The code of a period: RFC 4226, section 5.3.
    pub(crate) fn code(self, secret: &[u8], step: u64) -> Hidden<String> {
        let tag = hmac::sign(&hmac::Key::new(self.algorithm.hmac(), secret), &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag[tag.len() - 1] & 0x0f);
        let word = tag[at..at + 4].iter().fold(0, |word, byte| (word << 8) | u32::from(*byte)) & 0x7fff_ffff;
        let count = usize::from(self.digits.count());
        let number = word % 10_u32.pow(u32::from(self.digits.count()));
        Hidden::new(format!("{number:0count$}"))
    }

    /// What an app is told: the `otpauth` URL of a secret.
    pub(crate) fn url(self, secret: &[u8], issuer: &str, account: &str) -> Hidden<String> {
        let (issuer, account, secret) = (escaped(issuer), escaped(account), base32(secret));
        let (algorithm, digits, period) = (self.algorithm.name(), self.digits.count(), self.period_secs);
        // Room for all of it: a string that grows leaves copies behind.
        let mut url = String::with_capacity(128 + 2 * issuer.len() + account.len() + secret.expose().len());
        url.push_str(&format!("otpauth://totp/{issuer}:{account}?algorithm={algorithm}&digits={digits}"));
        url.push_str(&format!("&issuer={issuer}&period={period}&secret="));
        url.push_str(secret.expose());
        Hidden::new(url)
    }
}

/// Text within a URL. A colon stays, as apps show the label as it is.
fn escaped(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// RFC 4648, section 6, without padding, as apps want secrets.
fn base32(bytes: &[u8]) -> Hidden<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        for at in 0..(chunk.len() * 8).div_ceil(5) {
            let index = (bits >> (35 - 5 * at)) & 31;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    Hidden::new(text)
}

#[cfg(test)]
mod tests;
