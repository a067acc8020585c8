use bulkhead_model::cidr as host;
use proptest::prelude::*;

use super::*;

fn network(text: &str) -> Network {
    Network::parse(text).unwrap()
}

#[test]
fn a_network_is_shown_as_it_was_written_and_an_address_without_its_length() {
    for (written, shown) in [
        ("10.1.2.3/8", "10.1.2.3/8"),
        ("127.0.0.1/32", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("fd00::1/8", "fd00::1/8"),
        ("::1/128", "::1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ] {
        assert_eq!(network(written).to_string(), shown);
    }
}

#[test]
fn what_is_no_network_is_refused_with_the_text_that_clients_know() {
    for text in ["nonsense", "", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "010.0.0.1", "10.0.0.1:80"] {
        let Err(Error::InvalidRequest(error)) = Network::parse(text) else { panic!("{text}") };
        assert!(error.starts_with(&format!("error parsing address {text:?}: Unable to convert")), "{error}");
    }
    let Err(Error::InvalidRequest(error)) = Network::parse_block("10.0.0.1") else { panic!() };
    assert_eq!(error, "invalid CIDR address: 10.0.0.1");
}

#[test]
fn a_network_covers_another_iff_all_its_addresses_are_in_it() {
    for (outer, inner, covers) in [
        ("10.0.0.0/8", "10.1.0.0/16", true),
        ("10.0.0.0/8", "10.0.0.0/7", false),
        ("10.0.0.0/8", "11.0.0.0/8", false),
        ("10.9.9.9/8", "10.1.0.0/16", true),
        ("0.0.0.0/0", "10.0.0.0/8", true),
        ("0.0.0.0/0", "::/0", false),
        ("::/0", "10.0.0.0/8", false),
        ("::/0", "fd00::1", true),
        ("fd00::1", "fd00::1", true),
        ("fd00::1", "fd00::2", false),
        ("fd00::1", "fd00::/32", false),
        ("10.0.0.1", "10.0.0.1/32", true),
        ("10.0.0.1", "10.0.0.0/31", false),
    ] {
        assert_eq!(network(outer).covers(&network(inner)), covers, "{outer} {inner}");
    }
}

#[test]
fn an_address_of_ipv4_in_the_form_of_ipv6_is_one_of_ipv4() {
    assert!(network("10.0.0.0/8").contains("::ffff:10.0.0.1".parse().unwrap()));
    assert!(!network("::/0").contains("::ffff:10.0.0.1".parse().unwrap()));
}

#[test]
fn lists_without_networks_bind_nothing() {
    let ten = [network("10.0.0.0/8")];
    assert!(within(&[], &ten) && within(&ten, &[]) && within(&ten, &[network("10.0.0.1")]));
    assert!(!within(&ten, &[network("10.0.0.1"), network("11.0.0.1")]));
}

/// Texts that are networks, or nearly.
fn near_network() -> impl Strategy<Value = String> {
    let base = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|base| base.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|base| base.to_string()),
        any::<std::net::Ipv4Addr>().prop_map(|base| base.to_ipv6_mapped().to_string()),
        "[0-9a-f:.]{0,9}",
    ];
    let length = prop_oneof![
        2 => Just(String::new()),
        6 => (0_u16..=130).prop_map(|bits| format!("/{bits}")),
        1 => "/[-+ 0-9/]{0,4}",
    ];
    (base, length).prop_map(|(base, length)| base + &length)
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(IpAddr::V4),
        any::<std::net::Ipv6Addr>().prop_map(IpAddr::V6),
        any::<std::net::Ipv4Addr>().prop_map(|address| IpAddr::V6(address.to_ipv6_mapped())),
    ]
}

/// The address with this bit turned over, so that it is often just inside or just outside.
fn near(network: &Network, bit: u32) -> IpAddr {
    match network.base {
        IpAddr::V4(base) => IpAddr::V4((base.to_bits() ^ 1 << (bit % 32)).into()),
        IpAddr::V6(base) => IpAddr::V6((base.to_bits() ^ 1 << (bit % 128)).into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What a plugin is told is a network, the host takes for the same one.
    #[test]
    fn the_host_reads_networks_as_the_sdk_does(text in near_network(), other in address(), bit in any::<u32>()) {
        let ours = Network::parse(&text).ok();
        prop_assert_eq!(host::is_network(&text), ours.is_some() && text == text.trim());
        let Some(ours) = ours else {
            prop_assert!(!host::contains(&text, other));
            return Ok(());
        };
        for text in [ours.to_string(), ours.block()] {
            prop_assert!(host::is_network(&text));
            for address in [other, ours.base, near(&ours, bit)] {
                prop_assert_eq!(host::contains(&text, address), ours.contains(address), "{} {}", text, address);
            }
        }
    }
}
