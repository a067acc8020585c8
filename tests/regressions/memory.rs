//! What requests of nobody cost in memory.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::http::{self, Request};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use serde_json::json;

/// A line of `/proc/<pid>/status`, in MiB.
fn mib(node: &Node, line: &str) -> u64 {
    let pid = node.pid().unwrap().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.trim_start_matches(':').trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}

/// Clients that each send a large body and never end it.
const SENDERS: usize = 64;

/// What all bodies together may take, in MiB, and what a node may take beside: a buffer that grows is there twice
/// for a moment. Without a bound it would be 2 GiB.
const BODIES_MIB: u64 = 256;
const REST_MIB: u64 = 256;

// bodies that nobody ends take no more memory than all bodies together may, and keep nobody from reading.
#[test]
fn r72_many_large_bodies_that_nobody_ends_have_one_bound() {
    let node = Node::dev(Program::Bulkhead);
    node.put("secret/data/a", &json!({"data": {"k": "v"}}));
    let before = mib(&node, "VmHWM");
    let (port, piece) = (node.port, vec![b'x'; 1 << 20]);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut stream = http::connect(port).unwrap();
                stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
                let head = "POST /v1/secret/data/big HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                // All but the last; who is not read from any more waits, and then gives up.
                let _ = (0..31).try_for_each(|_| stream.write_all(&piece));
                thread::sleep(Duration::from_secs(1));
            });
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            assert_eq!(node.get("secret/data/a").at("data.data.k"), json!("v"));
        }
    });
    let grown = mib(&node, "VmHWM") - before;
    assert!(grown > 32, "{grown} MiB: the bodies did not arrive, so this says nothing");
    assert!(grown < BODIES_MIB + REST_MIB, "{grown} MiB");
}

/// Refused requests in a round. What they may leave behind is far less than a KiB each.
const REFUSED: usize = 3_000;
const LEFT_MIB: u64 = 5;

// a request that is refused leaves nothing behind.
#[test]
fn r74_refused_requests_leave_nothing_behind() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/policies/acl/narrow", &json!({"policy": "path \"secret/data/own/*\" { capabilities = [\"read\"] }"}));
    let made = node.put("auth/token/create", &json!({"policies": ["narrow"]}));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    let round = |from: usize| {
        thread::scope(|scope| {
            for client in 0..4 {
                let (node, token) = (&node, &token);
                scope.spawn(move || {
                    for n in 0..REFUSED / 4 {
                        let path = format!("/v1/secret/data/other/{}", from + client * REFUSED + n);
                        let token = if n % 4 == 0 { "s.nobodys" } else { token };
                        let reply = Request::new("GET", &path).token(token).send(node.port).unwrap();
                        assert_eq!(reply.status, 403);
                    }
                });
            }
        });
        mib(&node, "VmRSS")
    };
    // The first fill what has a bound.
    let [_, first, _, last] = [0, 1, 2, 3].map(|n| round(n << 32));
    assert!(last < first + LEFT_MIB, "from {first} to {last} MiB");
}
