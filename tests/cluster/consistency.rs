//! How new a state a client is answered from, by Vault's headers and ours.

use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::Node;
use rustix::process::Signal;
use serde_json::json;

use super::{Cluster, secret};

/// A node that was stopped for so long is not written to any more: what is sent to it later
/// does not wait in its sockets.
const FORGOTTEN: Duration = Duration::from_secs(6);

/// Reads `kv/data/a` with these headers.
fn read(node: &Node, headers: &[(&str, &str)]) -> Reply {
    let request = Request::new("GET", "/v1/kv/data/a").token(&node.token);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send(node.port).unwrap_or_else(|error| panic!("{headers:?}: {error}\n{}", node.output()))
}

/// What a write's answer says of how far the node is.
fn index_of(reply: &Reply) -> String {
    reply.header("x-vault-index").unwrap_or_else(|| panic!("no index: {}", reply.text())).to_owned()
}

fn number_in(index: &str) -> u64 {
    let text = String::from_utf8(STANDARD.decode(index).unwrap()).unwrap();
    let parts: Vec<&str> = text.split(':').collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (5, "v1", "0"), "{text}");
    parts[2].parse().unwrap()
}

#[test]
fn what_writes_is_answered_with_an_index_that_every_node_takes() {
    let cluster = Cluster::open();
    let (leader, standbys) = (cluster.leader(), cluster.standbys());
    let by_leader = index_of(&leader.put("kv/data/a", &secret("one")));
    let by_standby = index_of(&standbys[0].put("kv/data/a", &secret("two")));
    assert!(number_in(&by_leader) < number_in(&by_standby));
    for node in &cluster.nodes {
        assert_eq!(node.get("kv/data/a").header("x-vault-index"), None, "a read has written nothing");
        for wanted in [&["fail"][..], &["forward-active-node"], &["await-state"], &["await-state", "fail"], &[]] {
            let mut headers = vec![("X-Vault-Index", &*by_leader), ("X-Vault-Index", &*by_standby)];
            headers.extend(wanted.iter().map(|value| ("X-Vault-Inconsistent", *value)));
            let reply = read(node, &headers);
            assert_eq!(reply.at("data.data.value"), json!("two"), "{wanted:?}: {}", reply.text());
        }
    }
    let made = standbys[1].put("auth/token/create", &json!({"policies": ["default"]}));
    assert!(number_in(&index_of(&made)) > number_in(&by_standby));
}

#[test]
fn a_standby_hands_on_what_asks_for_the_active_node() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    leader.put("kv/data/a", &secret("one"));
    let id = |reply: &Reply| reply.at("request_id").as_str().map(str::to_owned).unwrap_or_default();
    let lines = |node: &Node, id: &str| {
        let text = std::fs::read_to_string(node.path("audit.log")).unwrap();
        text.lines().filter(|line| line.contains(id)).count()
    };
    let handed_on = read(standby, &[("X-Vault-Forward", "active-node")]);
    assert_eq!(handed_on.at("data.data.value"), json!("one"));
    assert_eq!((lines(leader, &id(&handed_on)), lines(standby, &id(&handed_on))), (2, 0));
    let served = read(standby, &[]);
    assert_eq!((lines(leader, &id(&served)), lines(standby, &id(&served))), (0, 2));
    // What is about the node itself is not handed on.
    let health = Request::new("GET", "/v1/sys/health").header("X-Vault-Forward", "active-node");
    assert_eq!(health.send(standby.port).unwrap().status, 429);
}

#[test]
fn headers_that_are_none_are_refused_on_every_node() {
    let cluster = Cluster::open();
    let nodes = [cluster.leader(), cluster.standbys()[0]];
    let good = index_of(&nodes[0].put("kv/data/a", &secret("one")));
    let text = String::from_utf8(STANDARD.decode(&good).unwrap()).unwrap();
    let forged = STANDARD.encode(text.replacen(&format!(":{}:", number_in(&good)), ":99999:", 1));
    let long = "A".repeat(4000);
    let undecodable = "failed to decode \"X-Vault-Index\"";
    for (name, value, expected) in [
        ("X-Vault-Index", "garbage!", undecodable),
        ("X-Vault-Index", &*long, undecodable),
        ("X-Vault-Index", &*forged, undecodable),
        ("X-Vault-Inconsistent", "sometimes", "unknown value for \"X-Vault-Inconsistent\" header"),
        ("X-Vault-Inconsistent", &*long, "unknown value for \"X-Vault-Inconsistent\" header"),
        ("X-Vault-Forward", "standby", "unknown value for \"X-Vault-Forward\" header"),
        ("X-Bulkhead-Max-Staleness", "-1s", "cannot provide negative value"),
        ("X-Bulkhead-Max-Staleness", "1 fortnight", "error parsing X-Bulkhead-Max-Staleness header: "),
        ("X-Bulkhead-Max-Staleness", &*long, "it is longer than 64 bytes"),
    ] {
        for node in nodes {
            let reply = read(node, &[(name, value)]);
            let errors = reply.at("errors");
            let told = errors[0].as_str().unwrap_or_default();
            assert_eq!(reply.status, 400, "{name}: {value:.40}: {}", reply.text());
            assert!(told.contains(expected), "{name}: {value:.40}: {told}");
        }
    }
    // Of another cluster there is nothing to wait for.
    let foreign = STANDARD.encode("v1:f1bbe757-4cf6-fdd8-7a50-647cf97ae5fc:99999:0:00");
    assert_eq!(read(nodes[1], &[("X-Vault-Index", &foreign)]).status, 200);
}

/// Nodes where a request may take four seconds, and clients may ask for a state this old.
fn open(stale_reads_max: &str) -> Cluster {
    Cluster::open_with(|config| {
        let hurried = config.replace("listener \"tcp\" {", "listener \"tcp\" {\n  max_request_duration = \"4s\"");
        format!("{hurried}{stale_reads_max}\n")
    })
}

/// A standby that has missed a write, and is alone now; with the index of that write.
fn left_behind() -> (Cluster, usize, String) {
    let mut cluster = open("stale_reads_max = \"60s\"");
    let leader = cluster.leader_at();
    let behind = (leader + 1) % 3;
    cluster.nodes[leader].put("kv/data/a", &secret("one"));
    assert_eq!(cluster.nodes[behind].get("kv/data/a").status, 200);
    cluster.nodes[behind].signal(Signal::STOP);
    thread::sleep(FORGOTTEN);
    let index = index_of(&cluster.nodes[leader].put("kv/data/a", &secret("two")));
    for at in (0..3).filter(|at| *at != behind) {
        cluster.nodes[at].kill();
    }
    cluster.nodes[behind].signal(Signal::CONT);
    (cluster, behind, index)
}

#[test]
fn a_standby_that_lags_behind_and_is_alone_says_so_unless_an_old_state_will_do() {
    let (cluster, behind, index) = left_behind();
    let node = &cluster.nodes[behind];
    let old = ("X-Bulkhead-Max-Staleness", "60s");
    let reply = read(node, &[old]);
    assert_eq!(reply.at("data.data.value"), json!("one"), "{}", reply.text());
    let newer = ("X-Vault-Index", index.as_str());
    for wanted in ["fail", "await-state"] {
        let reply = read(node, &[old, newer, ("X-Vault-Inconsistent", wanted)]);
        assert_eq!((reply.status, reply.at("errors.0")), (412, json!("required index state not present")), "{wanted}");
    }
    let reply = read(node, &[old, newer, ("X-Vault-Inconsistent", "forward-active-node")]);
    assert!(reply.status >= 500, "{}", reply.text());
    // It has heard of no leader for longer than that.
    let reply = read(node, &[("X-Bulkhead-Max-Staleness", "2s")]);
    assert!(reply.status >= 500, "{}", reply.text());
}

#[test]
fn nobody_gets_an_old_state_that_the_operator_does_not_let_them_have() {
    let mut cluster = open("");
    cluster.nodes[0].put("kv/data/a", &secret("one"));
    let survivor = (cluster.leader_at() + 1) % 3;
    assert_eq!(cluster.nodes[survivor].get("kv/data/a").status, 200);
    for at in (0..3).filter(|at| *at != survivor) {
        cluster.nodes[at].kill();
    }
    let reply = read(&cluster.nodes[survivor], &[("X-Bulkhead-Max-Staleness", "60s")]);
    assert!(reply.status >= 500, "{}", reply.text());
}
