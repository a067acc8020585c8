//! Addresses, taken apart.

use super::*;

fn origin(url: &str) -> Option<(String, String)> {
    Origin::split(url).map(|(origin, path)| (origin.to_string(), path))
}

#[test]
fn an_address_is_where_it_leads_and_a_path() {
    for (url, leads, path) in [
        ("https://vault.example", "https://vault.example:443", "/"),
        ("HTTP://Vault.Example:8200/v1/a%2Fb?x=1#part", "http://vault.example:8200", "/v1/a%2Fb?x=1"),
        ("http://127.0.0.1?x", "http://127.0.0.1:80", "/?x"),
        ("https://[::1]:8200/", "https://[::1]:8200", "/"),
        ("https://[fe80::1]", "https://[fe80::1]:443", "/"),
    ] {
        assert_eq!(origin(url), Some((leads.to_owned(), path.to_owned())), "{url}");
    }
}

#[test]
fn what_could_lead_elsewhere_is_no_address() {
    for url in [
        "vault.example",
        "ftp://vault.example",
        "https://",
        "https://:8200",
        "https://good.example@evil.example/",
        "https://good.example\\@evil.example/",
        "https://vault.example:",
        "https://vault.example:0",
        "https://vault.example:+80",
        "https://vault.example:65536",
        "https://vault.example/a b",
        "https://vault.example/\r\nHost: evil.example",
        "https://vault.example /",
        "https://[::1",
        "https://[vault.example]",
        "https://::1/",
    ] {
        assert_eq!(origin(url), None, "{url}");
    }
}

#[test]
fn the_host_header_names_a_port_that_is_not_the_usual_one() {
    let authority = |url| Origin::split(url).map(|(origin, _)| origin.authority());
    assert_eq!(authority("https://vault.example:443").as_deref(), Some("vault.example"));
    assert_eq!(authority("http://vault.example:443").as_deref(), Some("vault.example:443"));
}
