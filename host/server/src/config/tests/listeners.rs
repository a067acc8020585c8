//! What may stand in a `listener`, and what is said of what may not.

use bulkhead_api::{Behind, Forwarded, Proxies, SocketFile};
use bulkhead_model::cidr::Network;

use super::*;

#[test]
fn a_bad_listener_is_refused_with_its_place_and_what_to_do() {
    for (listener, message) in [
        (
            "",
            "no listener: add listener \"tcp\" { address = \"127.0.0.1:8200\" tls_cert_file = \"…\" tls_key_file = \"…\" }",
        ),
        (
            "listener \"udp\" {}",
            "main.hcl:2: listener \"udp\" is not offered: use listener \"tcp\" { address = \"127.0.0.1:8200\" }, or \"unix\"",
        ),
        (
            "listener \"tcp\" {}",
            "main.hcl:2: listener \"tcp\" needs tls_cert_file; for plain HTTP say tls_disable = true",
        ),
        (
            "listener \"tcp\" {\n tls_disabel = 1 }",
            "main.hcl:3: unknown key tls_disabel in listener \"tcp\"; did you mean tls_disable?",
        ),
        ("listener \"tcp\" {\n tls_disable = \"maybe\" }", "main.hcl:3: tls_disable is neither true nor false"),
        (
            "listener \"tcp\" {\n tls_min_version = \"tls10\" }",
            "main.hcl:3: tls_min_version is too old: use \"tls12\" or \"tls13\"",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n max_request_size = -1 }",
            "main.hcl:3: max_request_size cannot be without a bound here: give one, of 33554432 at most",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n type = \"unix\" }",
            "main.hcl:3: type contradicts listener \"tcp\": leave it out",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n role = \"metrics_only\" }",
            "main.hcl:3: role is not offered: every listener serves the API, as with \"default\"",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n max_request_size = 99999999 }",
            "main.hcl:3: max_request_size must be between 1 and 33554432",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n max_connections_per_address = 0 }",
            "main.hcl:3: max_connections_per_address must be between 1 and 8192",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n max_request_duration = \"soon\" }",
            "main.hcl:3: max_request_duration is not a duration such as 90s, 1h30m or 5d",
        ),
        (
            "listener \"tcp\" { tls_cert_file = \"a\" tls_key_file = \"b\"\n tls_require_and_verify_client_cert = true }",
            "main.hcl:3: tls_require_and_verify_client_cert needs tls_client_ca_file",
        ),
    ] {
        assert_eq!(refused(&format!("{IN_MEMORY}{listener}")), message, "for {listener:?}");
    }
}

#[test]
fn an_address_without_a_port_that_there_can_be_is_refused() {
    for (listener, message) in [
        (
            "listener \"tcp\" { tls_disable = 1\n address = \"127.0.0.1\" }",
            "main.hcl:3: address needs a port, as in \"127.0.0.1:8200\"",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n address = \"::1\" }",
            "main.hcl:3: address needs a port, as in \"[::1]:8200\"",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n address = \"127.0.0.1:99999\" }",
            "main.hcl:3: address \"127.0.0.1:99999\" is not a host with a port from 0 to 65535, as in \"127.0.0.1:8200\" or \"[::1]:8200\"",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n address = \"fe80::x:80\" }",
            "main.hcl:3: address \"fe80::x:80\" is not a host with a port from 0 to 65535, as in \"127.0.0.1:8200\" or \"[::1]:8200\"",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n cluster_address = \"10.0.0.1:http\" }",
            "main.hcl:3: cluster_address \"10.0.0.1:http\" is not a host with a port from 0 to 65535, as in \"127.0.0.1:8200\" or \"[::1]:8200\"",
        ),
    ] {
        assert_eq!(refused(&format!("{IN_MEMORY}{listener}")), message, "for {listener:?}");
    }
}

#[test]
fn a_key_at_the_wrong_place_is_told_where_it_belongs() {
    for (text, message) in [
        (
            "disable_unauthed_rekey_endpoints = true",
            "main.hcl:1: unknown key disable_unauthed_rekey_endpoints; it belongs in listener",
        ),
        (
            "storage \"raft\" {\n cluster_addr = \"https://a:1\"\n}",
            "main.hcl:2: unknown key cluster_addr in storage \"raft\"; it belongs outside of any block",
        ),
        ("path = \"/var/lib\"", "main.hcl:1: unknown key path; it belongs in storage \"raft\" or in audit"),
        ("entropy_mode = 1", "main.hcl:1: unknown key entropy_mode"),
    ] {
        assert_eq!(refused(text), message, "for {text:?}");
    }
}

#[test]
fn what_a_listener_says_of_proxies_is_checked() {
    for (listener, message) in [
        (
            "listener \"tcp\" { tls_disable = 1\n x_forwarded_for_authorized_addrs = [\"10.0.0.0/33\"] }",
            "main.hcl:3: x_forwarded_for_authorized_addrs has \"10.0.0.0/33\", which is neither an address nor a network such as 10.0.0.0/8",
        ),
        (
            "listener \"tcp\" { tls_disable = 1 x_forwarded_for_authorized_addrs = \"::1\"\n x_forwarded_for_hop_skips = 65 }",
            "main.hcl:3: x_forwarded_for_hop_skips must be between 0 and 64",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n proxy_protocol_behavior = \"always\" }",
            "main.hcl:3: proxy_protocol_behavior is not one of use_always, allow_authorized, deny_unauthorized",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n proxy_protocol_behavior = \"allow_authorized\" proxy_protocol_authorized_addrs = [] }",
            "main.hcl:3: proxy_protocol_behavior needs proxy_protocol_authorized_addrs: the proxies' networks",
        ),
        (
            "listener \"tcp\" { tls_disable = 1\n proxy_protocol_authorized_addrs = \"10.0.0.1\" }",
            "main.hcl:3: proxy_protocol_authorized_addrs needs proxy_protocol_behavior: \"deny_unauthorized\", for example",
        ),
        (
            "listener \"unix\" { address = \"/b\"\n proxy_protocol_behavior = \"use_always\" }",
            "main.hcl:3: proxy_protocol_behavior in listener \"unix\" is not offered: who connects to a Unix socket has no address to be known by",
        ),
    ] {
        assert_eq!(refused(&format!("{IN_MEMORY}{listener}")), message, "for {listener:?}");
    }
}

#[test]
fn a_unix_socket_has_a_file_and_whose_it_is() {
    let unix = |more: &str| format!("{IN_MEMORY}listener \"unix\" {{\n {more} }}");
    let config = load(&unix(
        "address = \"/run/b.sock\" socket_mode = \"0660\" socket_user = \"root\" socket_group = 7 type = \"unix\"",
    ));
    let (listener, api_addr) = (&config.listeners[0], config.api_addr());
    let file = SocketFile { path: "/run/b.sock".into(), mode: Some(0o660), user: Some(0), group: Some(7) };
    assert_eq!(
        (&listener.kind, listener.address.as_str(), api_addr.as_str()),
        (&ListenerKind::Unix(file), "/run/b.sock", "")
    );
    let both = load(&format!("{}\n{LISTENER}", unix("address = \"/b\" tls_disable = true")));
    assert_eq!(both.api_addr(), "http://127.0.0.1:8200");
    assert_eq!(
        both.notes.iter().map(|note| note.key.as_str()).collect::<Vec<_>>(),
        ["tls_disable in listener \"unix\""]
    );
    for (wrong, message) in [
        ("", "main.hcl:2: listener \"unix\" needs a file, as in address = \"/run/bulkhead/bulkhead.sock\""),
        (
            "address = \"@b\"",
            "main.hcl:3: address is no file: whoever is on the machine could connect to such a socket",
        ),
        ("address = \"/b\" socket_mode = \"rw\"", "main.hcl:3: socket_mode is no mode of a file, as in \"0660\""),
        ("address = \"/b\" socket_mode = \"1777\"", "main.hcl:3: socket_mode is no mode of a file, as in \"0660\""),
        (
            "address = \"/b\" socket_user = \"no:body\"",
            "main.hcl:3: socket_user is not in /etc/passwd: give its number",
        ),
        (
            "address = \"/b\" tls_require_and_verify_client_cert = true",
            "main.hcl:3: tls_require_and_verify_client_cert in listener \"unix\" is not offered: no TLS is spoken over a Unix socket: socket_mode says who may connect",
        ),
    ] {
        assert_eq!(refused(&unix(wrong)), message, "for {wrong:?}");
    }
}

#[test]
fn client_authorities_that_verify_nothing_are_noted() {
    let listener = "listener \"tcp\" { tls_cert_file = \"a\" tls_key_file = \"b\" tls_client_ca_file = \"c\"";
    for (more, reason) in [
        ("", "client certificates are asked for and not verified, without tls_require_and_verify_client_cert"),
        ("tls_disable_client_certs = true", "client certificates are not asked for"),
    ] {
        let notes = noted(&format!("{listener} {more} }}"));
        assert_eq!(notes, [format!("tls_client_ca_file in listener \"tcp\": {reason}")]);
    }
    let notes = noted(&format!("{listener} tls_require_and_verify_client_cert = true }}"));
    assert_eq!(notes, [""; 0]);
}

#[test]
fn an_address_without_a_host_is_every_address() {
    for (address, is_on_all, api_addr) in [
        (":8200", true, "http://0.0.0.0:8200"),
        ("0.0.0.0:8200", true, "http://0.0.0.0:8200"),
        ("[::]:8200", true, "http://[::]:8200"),
        ("10.0.0.1:8200", false, "http://10.0.0.1:8200"),
        ("localhost:8200", false, "http://localhost:8200"),
    ] {
        let mut config = load(&format!("{IN_MEMORY}listener \"tcp\" {{ address = {address:?} tls_disable = true }}"));
        assert_eq!((config.is_api_addr_vague(), config.api_addr().as_str()), (is_on_all, api_addr), "{address}");
        config.addresses.api = "http://node:8200".to_owned();
        assert!(!config.is_api_addr_vague(), "{address}");
    }
    assert_eq!(ListenerConfig::plain(":1234").port_of_all(), Some(1234));
    assert_eq!(ListenerConfig::plain("127.0.0.1:1234").port_of_all(), None);
}

fn behind(keys: &str) -> Behind {
    let config = load(&format!("{IN_MEMORY}listener \"tcp\" {{ tls_disable = 1\n {keys} }}"));
    let ListenerKind::Tcp { behind, .. } = config.listeners[0].kind.clone() else { panic!("it is over TCP") };
    behind
}

#[test]
fn whom_a_listener_believes_is_said_in_networks_as_a_list_or_a_text() {
    let networks = |texts: &[&str]| texts.iter().map(|text| Network::parse(text).expect("one")).collect::<Vec<_>>();
    assert_eq!(behind(""), Behind::default());
    let denied = "proxy_protocol_behavior = \"deny_unauthorized\" proxy_protocol_authorized_addrs = ";
    let expected = Some(Proxies::DenyUnauthorized(networks(&["10.0.0.0/8", "fd00::1"])));
    assert_eq!(behind(&format!("{denied} [\"10.0.0.0/8\", \"fd00::1\"]")).proxies, expected);
    assert_eq!(behind(&format!("{denied} \"10.0.0.0/8, fd00::1\"")).proxies, expected);
    assert_eq!(behind("proxy_protocol_behavior = \"use_always\"").proxies, Some(Proxies::UseAlways));
    let forwarded = behind(
        "x_forwarded_for_authorized_addrs = \"10.0.0.1\" x_forwarded_for_hop_skips = \"1\" x_forwarded_for_reject_not_present = true",
    );
    let expected = Forwarded {
        authorized: networks(&["10.0.0.1"]),
        hop_skips: 1,
        reject_not_present: true,
        ..Forwarded::default()
    };
    assert_eq!(forwarded.forwarded, Some(expected));
}

#[test]
fn keys_about_proxies_that_change_nothing_are_noted() {
    let notes = noted(
        "listener \"tcp\" { tls_disable = 1 x_forwarded_for_hop_skips = 1 proxy_protocol_behavior = \"use_always\" proxy_protocol_authorized_addrs = \"::1\" }",
    );
    assert_eq!(
        notes,
        [
            "proxy_protocol_authorized_addrs in listener \"tcp\": whoever connects may speak for others, as proxy_protocol_behavior has it",
            "x_forwarded_for_hop_skips in listener \"tcp\": the header is read only with x_forwarded_for_authorized_addrs",
        ]
    );
}

#[test]
fn two_listeners_of_one_address_are_refused_with_the_lines_of_both() {
    let both = |one: &str, other: &str| {
        let listener = |address: &str| format!("listener \"tcp\" {{\n tls_disable = 1\n address = \"{address}\"\n}}\n");
        format!("{IN_MEMORY}{}{}", listener(one), listener(other))
    };
    assert_eq!(
        refused(&both("127.0.0.1:8200", "127.0.0.1:8200")),
        "main.hcl:8: address \"127.0.0.1:8200\" cannot be listened on beside \"127.0.0.1:8200\", which is listened on by \
         main.hcl:2"
    );
    let is_taken = |text: &str| {
        let (_dir, path) = file(text);
        Config::load(&[path], &Environment::default()).is_ok()
    };
    for (one, other, is_refused) in [
        ("0.0.0.0:8200", "127.0.0.1:8200", true),
        ("127.0.0.1:8200", "0.0.0.0:8200", true),
        (":8200", "127.0.0.1:8200", true),
        (":8200", "[::1]:8200", true),
        ("[::]:8200", "[::1]:8200", true),
        ("127.0.0.1:8200", "127.0.0.2:8200", false),
        ("127.0.0.1:8200", "127.0.0.1:8201", false),
        ("127.0.0.1:8200", "[::1]:8200", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
        ("localhost:8200", "localhost:8200", true),
    ] {
        assert_eq!(!is_taken(&both(one, other)), is_refused, "{one} and {other}");
    }
    let socket = "listener \"unix\" { address = \"/run/b.sock\" }\n";
    assert!(!is_taken(&format!("{IN_MEMORY}{socket}{socket}")));
}
