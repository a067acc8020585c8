//! Networks in CIDR notation.

use std::fmt;
use std::net::IpAddr;

/// Whether an address is in a network written as `10.0.0.0/8` or as a single address; one of
/// IPv4 in the form of IPv6 is one of IPv4. A text that is neither contains nothing.
#[must_use]
pub fn contains(network: &str, address: IpAddr) -> bool {
    Network::parse(network).is_some_and(|network| network.contains(address))
}

/// Whether a text is a network or an address.
#[must_use]
pub fn is_network(network: &str) -> bool {
    Network::parse(network).is_some()
}

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// As it is written: a single address without a length.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.base, self.bits) {
            (base @ IpAddr::V4(_), 32) | (base @ IpAddr::V6(_), 128) => write!(f, "{base}"),
            (base, bits) => write!(f, "{base}/{bits}"),
        }
    }
}

impl Network {
    /// Reads a network; `None` if it is none. The SDK reads them likewise; its tests compare the two.
    #[must_use]
    pub fn parse(network: &str) -> Option<Self> {
        let width = |base: IpAddr| if base.is_ipv4() { 32 } else { 128 };
        let Some((base, length)) = network.split_once('/') else {
            return network.parse().ok().map(|base| Self { base, bits: width(base) });
        };
        let base: IpAddr = base.parse().ok()?;
        let plain = length.bytes().all(|digit| digit.is_ascii_digit());
        let bits = length.parse().ok().filter(|bits| plain && *bits <= width(base))?;
        Some(Self { base, bits })
    }

    /// Whether it is one of IPv6.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.base.is_ipv6()
    }

    /// Whether an address is in it; one of IPv4 in the form of IPv6 is one of IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let prefix = |address| left(address).checked_shr(u32::from(128 - self.bits)).unwrap_or(0);
        self.base.is_ipv4() == address.is_ipv4() && prefix(self.base) == prefix(address)
    }
}

/// The address's bits from the left, so that lengths count alike for both kinds.
fn left(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_iff_its_first_bits_agree() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("fd00::/8", "fd12::1", true),
            ("nonsense", "1.2.3.4", false),
            ("1.2.3.4/33", "1.2.3.4", false),
            ("1.2.3.4/+32", "1.2.3.4", false),
            ("::/0", "::ffff:10.0.0.1", false),
        ] {
            assert_eq!(contains(network, address.parse().expect("is an address")), expected, "{network} {address}");
        }
    }

    #[test]
    fn a_network_is_an_address_that_may_say_its_length() {
        for (text, expected) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3", true),
            ("fd00::1/128", true),
            ("::", true),
            ("", false),
            ("10.0.0.0/", false),
            ("10.0.0.0/33", false),
            ("::/129", false),
            ("10.0.0.0/+8", false),
            (" 10.0.0.0/8", false),
            ("010.0.0.1", false),
            ("10.0.0.1:80", false),
            ("10.0.0.0/8/8", false),
        ] {
            assert_eq!(is_network(text), expected, "{text:?}");
        }
    }
}
