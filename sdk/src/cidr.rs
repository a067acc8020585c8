//! Networks that a login or a token is bound to: parsed once, compared as bits. Texts
//! are those that Vault's clients know.

use core::fmt;
use core::net::IpAddr;

use crate::{Caller, Error, Result, names};

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// As written: `10.1.2.3/8` stays so.
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let read = Self::read(text.trim());
        read.ok_or_else(|| {
            let what = format!("error parsing address {text:?}: Unable to convert {text:?}");
            Error::invalid(format!("{what} to an IPv4 or IPv6 address, or a UNIX Socket"))
        })
    }

    /// Reads a network that must say its length, `/32` of a single address too.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it does not.
    pub fn parse_block(text: &str) -> Result<Self> {
        let read = Self::read(text).filter(|_| text.contains('/'));
        read.ok_or_else(|| Error::invalid(format!("invalid CIDR address: {text}")))
    }

    fn read(text: &str) -> Option<Self> {
        let Some((base, length)) = text.split_once('/') else {
            return text.parse().ok().map(Self::address);
        };
        let base: IpAddr = base.parse().ok()?;
        let plain = !length.is_empty() && length.bytes().all(|digit| digit.is_ascii_digit());
        let bits = length.parse().ok().filter(|bits| plain && *bits <= width(base))?;
        Some(Self { base, bits })
    }

    /// The network of this one address.
    #[must_use]
    pub const fn address(base: IpAddr) -> Self {
        Self { base, bits: width(base) }
    }

    /// Whether every address of the other is in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let same_kind = self.base.is_ipv4() == other.base.is_ipv4();
        same_kind && self.bits <= other.bits && self.prefix(self.base) == self.prefix(other.base)
    }

    /// Whether an address is in it; one of IPv4 in the form of IPv6 is one of IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.covers(&Self::address(address.to_canonical()))
    }

    /// The bits of an address that this network is about.
    fn prefix(&self, address: IpAddr) -> u128 {
        bits(address).checked_shr(u32::from(128 - self.bits)).unwrap_or(0)
    }

    /// The text with its length, as [`Network::parse_block`] takes it.
    #[must_use]
    pub fn block(&self) -> String {
        format!("{}/{}", self.base, self.bits)
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address's bits from the left, so that lengths count alike for both kinds.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A single address is shown without a length.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.base) { self.base.fmt(f) } else { f.write_str(&self.block()) }
    }
}

/// Networks and addresses, each as [`Network::parse`] takes it.
///
/// # Errors
/// [`Error::InvalidRequest`] for the first that is none, or if a login could not carry so many.
pub fn parse_all<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Network>> {
    names::carried("networks", texts)?;
    texts.iter().map(|text| Network::parse(text.as_ref())).collect()
}

/// Networks, each as [`Network::parse_block`] takes it.
///
/// # Errors
/// [`Error::InvalidRequest`] for the first that is none, or if a login could not carry so many.
pub fn parse_blocks<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Network>> {
    names::carried("networks", texts)?;
    texts.iter().map(|text| Network::parse_block(text.as_ref())).collect()
}

/// Whether a caller may come from where it comes from. No networks: from everywhere; a
/// caller whose address is not known comes from none.
#[must_use]
pub fn admit(networks: &[Network], caller: &Caller) -> bool {
    let address: Option<IpAddr> = caller.remote_address.parse().ok();
    networks.is_empty() || address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
}

/// Whether the inner networks are all within the outer ones. No outer ones: they bind
/// nothing, so anything is within.
#[must_use]
pub fn within(outer: &[Network], inner: &[Network]) -> bool {
    outer.is_empty() || inner.iter().all(|inner| outer.iter().any(|outer| outer.covers(inner)))
}

#[cfg(test)]
mod tests;
