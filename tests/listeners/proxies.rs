//! What proxies in front say of whom a connection or a request is: who is believed, and where
//! the address that they tell counts.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bulkhead_tests::http::{Reply, Request, connect};
use bulkhead_tests::node::{Node, free_port};
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

use super::{audited_address, bound_token, open_with};

const TEXT: &[u8] = b"PROXY TCP4 10.1.2.3 127.0.0.1 5555 8200\r\n";
const SELF: &[u8] = b"PROXY UNKNOWN\r\n";
const MALFORMED: &[u8] = b"PROXY TCP4 10.1.2.3\r\n";

/// Longest a connection that is not let in stays. Why so long: the machine may be busy.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// The same as [`TEXT`] in version 2, with something else behind the addresses.
fn binary() -> Vec<u8> {
    let addresses = [10, 1, 2, 3, 127, 0, 0, 1, 0x15, 0xb3, 0x20, 0x08];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10"[..], &addresses, b"\x04\x00\x01x"].concat()
}

/// A `listener "tcp"` on a port of its own.
fn listener(keys: &str) -> (u16, String) {
    let port = free_port();
    (port, format!("listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n tls_disable = true\n {keys}\n}}\n"))
}

fn lookup(token: &str) -> Request {
    Request::new("GET", "/v1/auth/token/lookup-self").token(token)
}

/// The answer to a request behind these bytes; `None` where the connection ends without one.
fn behind(port: u16, header: &[u8], request: &Request) -> Option<Reply> {
    let mut stream = connect(port).ok()?;
    stream.write_all(header).ok()?;
    request.send_over(&mut stream).ok()
}

/// The address that is told of such a request in the audit log; a text where it is not answered.
fn told(node: &Node, port: u16, header: &[u8]) -> Value {
    match behind(port, header, &lookup(&node.token)) {
        Some(reply) if reply.status == 200 => audited_address(node, "auth/token/lookup-self"),
        Some(reply) => json!(reply.status),
        None => json!("closed"),
    }
}

/// What each behavior makes of each header, of a peer that is named and of one that is not.
fn behaviors(program: Program) -> Vec<(&'static str, Vec<Value>)> {
    let mut listeners = vec![("use_always", listener("proxy_protocol_behavior = \"use_always\""))];
    for (name, behavior, network) in [
        ("allow, named", "allow_authorized", "127.0.0.0/8"),
        ("allow, not named", "allow_authorized", "192.0.2.0/24"),
        ("deny, named", "deny_unauthorized", "127.0.0.0/8"),
    ] {
        let keys = format!("proxy_protocol_behavior = {behavior:?}\n proxy_protocol_authorized_addrs = [{network:?}]");
        listeners.push((name, listener(&keys)));
    }
    let text: String = listeners.iter().map(|(_, (_, text))| text.as_str()).collect();
    let node = open_with(program, &text);
    let binary = binary();
    let headers = [TEXT, &binary, SELF, b"", MALFORMED];
    listeners
        .iter()
        .map(|(name, (port, _))| (*name, headers.map(|header| told(&node, *port, header)).to_vec()))
        .collect()
}

#[test]
fn the_header_tells_whose_a_connection_is_if_the_proxy_is_believed_as_with_the_peer() {
    let ours = behaviors(Program::Bulkhead);
    let (client, proxy, closed) = (json!("10.1.2.3"), json!("127.0.0.1"), json!("closed"));
    let believed = vec![client.clone(), client, proxy.clone(), proxy.clone(), closed.clone()];
    let not_believed = vec![proxy.clone(), proxy.clone(), proxy.clone(), proxy, closed];
    let expected = vec![
        ("use_always", believed.clone()),
        ("allow, named", believed.clone()),
        ("allow, not named", not_believed),
        ("deny, named", believed),
    ];
    assert_eq!(ours, expected);
    if programs::bao().is_some() {
        assert_eq!(behaviors(Program::Bao), expected);
    }
}

// a connection that is refused ends itself and not the listener.
#[test]
fn an_unauthorized_peer_is_closed_and_the_listener_goes_on() {
    let keys =
        "proxy_protocol_behavior = \"deny_unauthorized\"\n proxy_protocol_authorized_addrs = \"192.0.2.1, 192.0.2.2\"";
    let (port, text) = listener(keys);
    let node = open_with(Program::Bulkhead, &text);
    for header in [TEXT, &binary(), b"", b"GET"] {
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(told(&node, port, header), json!("closed"), "{header:?}");
            assert!(began.elapsed() < CLOSED_WITHIN, "{header:?}: nobody accepts there any more");
        }
    }
    assert_eq!(lookup(&node.token).send(node.port).unwrap().status, 200);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "nobody accepts there any more");
}

#[test]
fn networks_and_rates_count_the_address_that_a_believed_proxy_tells() {
    let (port, text) =
        listener("proxy_protocol_behavior = \"allow_authorized\"\n proxy_protocol_authorized_addrs = \"127.0.0.1\"");
    let (forwards, more) = listener("x_forwarded_for_authorized_addrs = [\"127.0.0.1/32\"]");
    let node = open_with(Program::Bulkhead, &format!("{text}{more}"));
    let inside = bound_token(&node, &["10.1.0.0/16"]);
    let proxied = bound_token(&node, &["127.0.0.0/8"]);
    let status = |header: &[u8], token: &str| behind(port, header, &lookup(token)).map(|reply| reply.status);
    let other = b"PROXY TCP4 10.2.2.3 127.0.0.1 5555 8200\r\n";
    assert_eq!(
        (status(TEXT, &inside), status(&binary(), &inside), status(other, &inside)),
        (Some(200), Some(200), Some(403))
    );
    assert_eq!((status(TEXT, &proxied), status(b"", &proxied)), (Some(403), Some(200)));
    let asked =
        |address: &str, token: &str| lookup(token).header("X-Forwarded-For", address).send(forwards).unwrap().status;
    assert_eq!((asked("10.1.2.3", &inside), asked("10.2.2.3", &inside), asked("10.1.2.3", &proxied)), (200, 403, 403));
    let spoofed = lookup(&inside).header("X-Forwarded-For", "10.1.2.3").send(node.port).unwrap();
    assert_eq!(spoofed.status, 403, "a listener that believes nobody believed it");

    node.put("sys/quotas/rate-limit/one", &json!({"rate": 1, "interval": "1h", "path": "auth/token/lookup-self"}));
    let own = node.token.clone();
    assert_eq!((status(TEXT, &own), status(TEXT, &own)), (Some(200), Some(429)));
    assert_eq!(asked("10.1.2.3", &own), 429, "the same client by another way");
    assert_eq!((status(other, &own), status(b"", &own)), (Some(200), Some(200)), "other clients");
}

/// What becomes of each list of addresses, with these rules.
fn forwarded(node: &Node, port: u16) -> Vec<Value> {
    let lists: [&[&str]; 6] =
        [&[], &["1.2.3.4"], &["1.2.3.4, 5.6.7.8"], &["1.2.3.4", "5.6.7.8"], &["6.6.6.6, 1.2.3.4, 5.6.7.8"], &["::1"]];
    let ask = |list: &[&str]| {
        let request = list.iter().fold(lookup(&node.token), |request, one| request.header("X-Forwarded-For", one));
        let reply = request.send(port).unwrap();
        if reply.status == 200 { audited_address(node, "auth/token/lookup-self") } else { reply.at("errors.0") }
    };
    lists.map(ask).to_vec()
}

fn rules(program: Program) -> Vec<Vec<Value>> {
    let listeners = [
        "x_forwarded_for_authorized_addrs = [\"127.0.0.1/32\"]",
        "x_forwarded_for_authorized_addrs = [\"127.0.0.1/32\"]\n x_forwarded_for_hop_skips = 1",
        "x_forwarded_for_authorized_addrs = [\"127.0.0.1/32\"]\n x_forwarded_for_reject_not_present = true",
        "x_forwarded_for_authorized_addrs = [\"192.0.2.0/24\"]",
        "x_forwarded_for_authorized_addrs = [\"192.0.2.0/24\"]\n x_forwarded_for_reject_not_authorized = true",
    ]
    .map(listener);
    let node = open_with(program, &listeners.iter().map(|(_, text)| text.as_str()).collect::<String>());
    listeners.iter().map(|(port, _)| forwarded(&node, *port)).collect()
}

#[test]
fn forwarded_addresses_count_and_are_refused_as_with_the_peer() {
    let ours = rules(Program::Bulkhead);
    let proxy = json!("127.0.0.1");
    assert_eq!(
        ours[0],
        [&proxy, &json!("1.2.3.4"), &json!("5.6.7.8"), &json!("5.6.7.8"), &json!("5.6.7.8"), &json!("::1")]
            .map(Value::clone)
    );
    assert_eq!((&ours[1][0], &ours[1][2], &ours[1][4]), (&proxy, &json!("1.2.3.4"), &json!("1.2.3.4")));
    assert!(ours[1][1].as_str().unwrap().contains("hops to skip (1)"));
    assert_eq!(ours[3], vec![proxy; 6]);
    if programs::bao().is_some() {
        assert_eq!(rules(Program::Bao), ours);
    }
}

#[test]
fn a_forwarded_address_that_is_none_is_refused() {
    let (port, text) = listener("x_forwarded_for_authorized_addrs = [\"127.0.0.1/32\"]");
    let node = open_with(Program::Bulkhead, &text);
    for address in ["nonsense", "", "1.2.3.4, ", "1.2.3", "1.2.3.4/8", "unknown"] {
        let reply = lookup(&node.token).header("X-Forwarded-For", address).send(port).unwrap();
        assert_eq!(reply.status, 400, "{address:?}");
        assert!(reply.at("errors.0").as_str().unwrap().contains("x-forwarded-for"), "{}", reply.text());
    }
}
