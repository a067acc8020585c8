//! Clients that mean harm, or are broken. After each, the server serves as before.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use bulkhead_tests::http::{self, Request};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use serde_json::json;

/// A server with one secret, which must be readable after all of it.
fn serving() -> Node {
    let node = Node::dev(Program::Bulkhead);
    node.put("secret/data/a", &json!({"data": {"k": "v"}}));
    node
}

fn still_serves(node: &mut Node) {
    assert!(!node.has_ended(), "the server died:\n{}", node.output());
    let reply = node.get("secret/data/a");
    assert_eq!((reply.status, reply.at("data.data.k")), (200, json!("v")), "{}", reply.text());
}

/// Bytes that look random and are the same every time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn garbage_on_the_wire_does_no_harm() {
    let mut node = serving();
    for seed in 0..100 {
        // Whether it is answered is up to the server.
        let _ = http::raw(node.port, &[noise(seed, 300), b"\r\n\r\n".to_vec()].concat());
    }
    for line in [
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /v1/sys/health HTTP/1.1\r\n\r\n",
        "POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        "POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzzzz\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = http::connect(node.port).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let _ = stream.read(&mut [0; 4096]);
    }
    still_serves(&mut node);
}

#[test]
fn a_thousand_bad_requests_do_no_harm() {
    let mut node = serving();
    for i in 0..1000_u64 {
        let request = match i % 8 {
            0 => Request::new("POST", "/v1/secret/data/x").token("root").body(noise(i, 200)),
            1 => Request::new("GET", &format!("/v1/secret/data/{}", "%2e%2e%2f".repeat(20))).token("root"),
            2 => Request::new("GET", &format!("/v1/{}", "a/".repeat(2000))).token("root"),
            3 => Request::new("LIST", "/v1/secret/metadata/%00%ff").token("root"),
            4 => Request::new("POST", "/v1/auth/token/create").token("root").body(b"{\"ttl\": {}}".to_vec()),
            5 => Request::new("PUT", "/v1/sys/policies/acl/x")
                .token("root")
                .json(&json!({"policy": "path \"".repeat(200)})),
            6 => Request::new("GET", "/v1/secret/data/a").token(&"t".repeat(2000)),
            _ => Request::new("WHAT", "/v1/sys/mounts").token("root"),
        };
        let reply = request.send(node.port).unwrap();
        assert!((300..500).contains(&reply.status), "{request:?}: {} {}", reply.status, reply.text());
    }
    still_serves(&mut node);
}

/// CVE-2026-3605: dots were taken out before the path was decoded, so that a policy for one
/// folder deleted what lay beside it.
// R-01: no spelling of a path leads out of what the policy grants, whatever is done there.
#[test]
fn no_spelling_of_a_path_climbs_out_of_its_policy() {
    let node = serving();
    node.put("secret/data/team/own", &json!({"data": {"k": "v"}}));
    node.put("secret/data/a", &json!({"data": {"k": "v2"}}));
    let all = r#"capabilities = ["create", "read", "update", "patch", "delete", "list"]"#;
    node.put("sys/policies/acl/team", &json!({"policy": format!("path \"secret/+/team/*\" {{ {all} }}")}));
    let made = node.call("POST", "auth/token/create", Some(&json!({"policies": ["team"], "no_default_policy": true})));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    let own = Request::new("GET", "/v1/secret/data/team/own").token(&token).send(node.port).unwrap();
    assert_eq!(own.status, 200, "the policy lets its folder be read: {}", own.text());
    let before = node.get("secret/metadata/a").at("data");
    let kinds = ["data", "metadata", "delete", "undelete", "destroy", "subkeys"];
    let climbs = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "..%2f..%2fdata%2fteam%2f..",
        "%252e%252e",
        "..%5c",
        "..%00",
        "%c0%ae%c0%ae",
        "",
        "..;",
    ];
    for (kind, climb) in kinds.iter().flat_map(|kind| climbs.iter().map(move |climb| (kind, climb))) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "LIST"] {
            for target in [format!("secret/{kind}/team/{climb}/a"), format!("secret/{kind}/team/x/{climb}/{climb}/a")] {
                let request = Request::new(method, &format!("/v1/{target}")).token(&token);
                let request = request.header("Content-Type", "application/merge-patch+json");
                let reply = request.json(&json!({"data": {"k": "bad"}, "versions": [1, 2]})).send(node.port).unwrap();
                let text = reply.text();
                assert!(!text.contains("v2"), "{method} {target}: {text}");
                // A segment that only looks like dots is a name like any other.
                let is_name = matches!(*climb, "%252e%252e" | "..%5c" | "..;");
                assert!(is_name || (300..500).contains(&reply.status), "{method} {target}: {} {text}", reply.status);
            }
        }
    }
    assert_eq!(node.get("secret/metadata/a").at("data"), before, "nothing beside the folder has changed");
}

// R-73: what JSON is made of has bounds, which hold before it is parsed.
#[test]
fn bodies_and_headers_beyond_the_limit_are_refused_before_they_are_parsed() {
    let mut node = serving();
    let body = [b"{\"data\": {\"a\": \"".as_slice(), &vec![b'x'; 33 << 20], b"\"}}"].concat();
    let reply = Request::new("POST", "/v1/secret/data/big").token("root").body(body).send(node.port).unwrap();
    assert_eq!(reply.status, 413, "{}", reply.text());
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deep = [b"{\"data\": {\"a\": ".as_slice(), &deep, b"}}"].concat();
    let reply = Request::new("POST", "/v1/secret/data/deep").token("root").body(deep).send(node.port).unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    let reply = Request::new("GET", "/v1/secret/data/a").header("X-Long", &"h".repeat(2 << 20)).send(node.port);
    assert!(reply.is_err() || reply.is_ok_and(|reply| (400..500).contains(&reply.status)));
    still_serves(&mut node);
}

#[test]
fn clients_that_say_nothing_do_not_stop_the_others_and_are_let_go() {
    let mut node = serving();
    let idle: Vec<_> = (0..200).map(|_| http::connect(node.port).unwrap()).collect();
    let mut slow = http::connect(node.port).unwrap();
    slow.write_all(b"POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nContent-Le").unwrap();
    still_serves(&mut node);
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let began = Instant::now();
    let mut rest = Vec::new();
    // Closed or reset, with or without a word: gone is what counts.
    let _ = slow.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(45), "a client may hold a connection for ever with half a request");
    drop(idle);
    still_serves(&mut node);
}

#[test]
fn two_requests_in_one_packet_are_two_requests() {
    let node = serving();
    let one = "GET /v1/sys/seal-status HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /v1/sys/init HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(http::raw(node.port, format!("{one}{last}").as_bytes()).unwrap()).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
}

/// A guest's stack must be deep enough for whatever the limits let in.
#[test]
fn a_document_as_deep_as_a_body_may_be_is_written_patched_and_stripped() {
    let mut node = serving();
    // Two levels are the body's own.
    let nested = |leaf: &str| format!("{{\"data\":{}{leaf}{}}}", "{\"k\":".repeat(98), "}".repeat(98));
    let written = Request::new("POST", "/v1/secret/data/deep").token(&node.token).body(nested("\"a\"").into_bytes());
    assert_eq!(written.send(node.port).unwrap().status, 200);
    let patch = Request::new("PATCH", "/v1/secret/data/deep").token(&node.token);
    let patch = patch.header("Content-Type", "application/merge-patch+json").body(nested("{\"b\":1}").into_bytes());
    let patched = patch.send(node.port).unwrap();
    assert_eq!(patched.status, 200, "{}\n{}", patched.text(), node.output());
    assert!(node.get("secret/data/deep").text().contains("{\"k\":{\"b\":1}}"));
    let patch = Request::new("PATCH", "/v1/secret/data/deep").token(&node.token);
    let patch = patch.header("Content-Type", "application/merge-patch+json").body(nested("{\"b\":{}}").into_bytes());
    let patched = patch.send(node.port).unwrap();
    assert_eq!(patched.status, 400, "one level too many: {}", patched.text());
    assert!(node.get("secret/subkeys/deep").text().contains("{\"b\":null}"));
    still_serves(&mut node);
}

/// What the server's memory was at most, in KiB.
fn memory_kib_max(node: &Node) -> u64 {
    let pid = node.pid().unwrap().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

// R-73: a body of a stranger costs three times its size at most.
#[test]
fn a_large_body_of_nobody_costs_no_more_than_three_times_its_size() {
    let node = Node::raft_open(Program::Bulkhead);
    let before = memory_kib_max(&node);
    // A line break makes the parser copy the text it stands in.
    let text = [b"{\"a\": \"\\n".as_slice(), &vec![b'x'; 31 << 20], b"\"}"].concat();
    let reply = Request::new("POST", "/v1/cubbyhole/x").token("none").body(text).send(node.port).unwrap();
    assert_eq!(reply.status, 403, "{}", reply.text());
    let grown = memory_kib_max(&node) - before;
    assert!(grown < 3 * 32 * 1024, "it took {grown} KiB");
}
