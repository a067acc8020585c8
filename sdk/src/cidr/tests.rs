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
