//! Networks in CIDR notation.

use std::net::IpAddr;

/// Whether an address is in a network written as `10.0.0.0/8` or as a single address.
/// A text that is neither contains nothing.
#[must_use]
pub fn contains(network: &str, address: IpAddr) -> bool {
    let (base, bits) = match network.split_once('/') {
        Some((base, bits)) => (base, bits.parse::<u32>().ok()),
        None => (network, Some(u32::MAX)),
    };
    let (Ok(base), Some(bits)) = (base.parse::<IpAddr>(), bits) else { return false };
    match (base, address.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(u32::from(a)), u128::from(u32::from(b)), 32, bits),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(u128::from(a), u128::from(b), 128, bits),
        _ => false,
    }
}

/// Whether a text is a network or an address.
#[must_use]
pub fn is_network(network: &str) -> bool {
    let (base, bits) = network.split_once('/').unwrap_or((network, "0"));
    match base.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => bits.parse::<u32>().is_ok_and(|b| b <= 32),
        Ok(IpAddr::V6(_)) => bits.parse::<u32>().is_ok_and(|b| b <= 128),
        Err(_) => false,
    }
}

fn same(a: u128, b: u128, width: u32, bits: u32) -> bool {
    let shift = width - bits.min(width);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
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
        ] {
            assert_eq!(contains(network, address.parse().expect("is an address")), expected, "{network} {address}");
        }
    }
}
