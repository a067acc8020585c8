use super::*;

fn to(env: &[(&str, &str)], address: &str) -> Option<String> {
    let proxies = Proxies::read(&Environment::of(env)).expect("the proxies are right");
    proxies.to(&Address::parse(address).expect("an address")).map(|proxy| format!("{proxy:?}"))
}

#[test]
fn the_setting_is_for_every_server_and_its_newer_name_goes_first() {
    let both = [("VAULT_HTTP_PROXY", "http://old:1"), ("BAO_PROXY_ADDR", "http://new:2"), ("NO_PROXY", "*")];
    for address in ["http://127.0.0.1:8200", "https://vault.example"] {
        assert_eq!(to(&both, address).as_deref(), Some("new:2"), "{address}");
        assert_eq!(to(&both[..1], address).as_deref(), Some("old:1"), "{address}");
    }
    assert_eq!(to(&both, "unix:///run/b.sock"), None);
}

#[test]
fn the_systems_proxy_is_by_scheme_and_not_for_this_machine() {
    let env = [("http_proxy", "plain:1"), ("HTTPS_PROXY", "http://tls:2")];
    for (address, proxy) in [
        ("http://vault.example", Some("plain:1")),
        ("https://vault.example", Some("tls:2")),
        ("http://127.0.0.1:8200", None),
        ("https://localhost:8200", None),
        ("https://[::1]:8200", None),
    ] {
        assert_eq!(to(&env, address).as_deref(), proxy, "{address}");
    }
    assert_eq!(to(&env[..1], "https://vault.example"), None);
}

#[test]
fn what_no_proxy_names_is_asked_directly() {
    for (except, address, direct) in [
        ("vault.example", "http://vault.example", true),
        ("vault.example", "http://a.vault.example", true),
        ("vault.example", "http://othervault.example", false),
        (".example", "http://vault.example", true),
        ("*.example", "http://vault.example", true),
        (".vault.example", "http://vault.example", false),
        ("vault.example:8200", "http://vault.example:8200", true),
        ("vault.example:8200", "http://vault.example", false),
        ("VAULT.example , x", "http://Vault.Example", true),
        ("10.0.0.0/8", "http://10.1.2.3", true),
        ("10.0.0.0/8", "http://11.1.2.3", false),
        ("10.1.2.3:80", "http://10.1.2.3", true),
        ("2001:db8::1", "http://[2001:db8::1]", true),
        ("*", "http://vault.example", true),
    ] {
        let env = [("HTTP_PROXY", "http://p:1"), ("NO_PROXY", except)];
        assert_eq!(to(&env, address).is_none(), direct, "{except} and {address}");
    }
}

#[test]
fn who_goes_through_a_proxy_is_told_to_it_alone() {
    let proxy = Proxy::parse("PROXY_ADDR", "http://ann:a%40b@p:1/").expect("a proxy");
    assert_eq!(proxy.credentials(), Some("Basic YW5uOmFAYg=="));
    assert_eq!(format!("{proxy:?}"), "p:1");
    for wrong in ["p:1", "socks5://ann:secret@p:1", "https://p", "http://ann:secret@p:x", "http://"] {
        let error = Proxy::parse("PROXY_ADDR", wrong).expect_err("it cannot be used").to_string();
        assert!(error.contains("PROXY_ADDR") && !error.contains("secret"), "{wrong}: {error}");
    }
}
