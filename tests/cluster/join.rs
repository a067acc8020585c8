//! How nodes become members, and who does not.

use std::fs;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::{Node, Start, free_port};
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

use super::{Cluster, secret};

#[test]
fn nodes_with_the_clusters_shares_join_and_hold_what_it_holds() {
    let cluster = Cluster::open();
    let leader = cluster.leader();
    leader.put("kv/data/a", &secret("one"));
    for node in cluster.standbys() {
        let health = node.get("sys/health");
        assert_eq!((health.status, health.at("standby")), (429, json!(true)), "{}", health.text());
        assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("one"), "{}", node.output());
        assert_eq!(health.at("cluster_id"), leader.get("sys/health").at("cluster_id"));
        node.until("it heard where the leader is", |node| node.get("sys/leader").at("leader_address") != json!(""));
        let told = node.get("sys/leader");
        assert_eq!(told.at("is_self"), json!(false));
        assert_eq!(told.at("leader_address"), json!(format!("http://127.0.0.1:{}", leader.port)));
    }
}

#[test]
fn a_node_asks_for_as_many_shares_as_its_cluster_does() {
    let cluster = Cluster::founded(2, 3, 2);
    let node = &cluster.nodes[1];
    node.until("it knows its cluster", |node| node.get("sys/seal-status").at("initialized") == json!(true));
    let status = node.get("sys/seal-status");
    assert_eq!((status.at("n"), status.at("t"), status.at("sealed")), (json!(3), json!(2), json!(true)));
    assert_eq!(node.call("PUT", "sys/init", Some(&json!({"secret_shares": 1, "secret_threshold": 1}))).status, 400);
    cluster.join(1);
}

#[test]
fn shares_of_another_cluster_let_nobody_in() {
    let cluster = Cluster::founded(2, 1, 1);
    let other = Node::raft_open(Program::Bulkhead);
    let node = &cluster.nodes[1];
    node.until("it knows its cluster", |node| node.get("sys/seal-status").at("initialized") == json!(true));
    let reply = node.call("PUT", "sys/unseal", Some(&json!({"key": other.shares[0]})));
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(members(&cluster.nodes[0]), ["node0"]);
    cluster.join(1);
    assert_eq!(members(&cluster.nodes[0]), ["node0", "node1"]);
}

#[test]
fn a_node_joins_when_it_is_told_to_over_the_api() {
    let mut cluster = Cluster::prepared(2);
    let config = cluster.config(1, &[]);
    cluster.nodes[1].write_config(&config);
    cluster.nodes.iter_mut().for_each(|node| {
        node.spawn();
        node.until_up();
    });
    let join = json!({"leader_api_addr": format!("http://127.0.0.1:{}", cluster.nodes[0].port)});
    let early = cluster.nodes[1].call("POST", "sys/storage/raft/join", Some(&join));
    assert_eq!(early.status, 500, "there is no cluster yet: {}", early.text());
    cluster.nodes[0].initialise(1, 1);
    cluster.nodes[0].unseal();
    let shares = cluster.nodes[0].shares.clone();
    cluster.nodes[1].shares = shares;
    let joined = cluster.nodes[1].call("POST", "sys/storage/raft/join", Some(&join));
    assert_eq!((joined.status, joined.json()), (200, json!({"joined": true})));
    cluster.unseal(1);
}

/// What a node would answer a challenge with.
fn forged(challenge: &Value) -> Value {
    json!({
        "server_id": "mallory", "cluster_addr": "127.0.0.1:1", "number": "00000000000000ff",
        "challenge": challenge, "answer": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "certificate_request": "AAAA",
    })
}

#[test]
fn whoever_lacks_the_shares_gets_nothing_but_a_nonce() {
    let mut cluster = Cluster::founded(1, 3, 2);
    let node = &mut cluster.nodes[0];
    let token = std::mem::take(&mut node.token);
    let asked = node.call("POST", "sys/storage/raft/bootstrap/challenge", Some(&json!({"server_id": "mallory"})));
    assert_eq!(asked.status, 200, "{}", asked.text());
    assert_eq!(asked.at("data.seal_config.secret_threshold"), json!(2));
    let answers = [
        forged(&asked.at("data.challenge")),
        forged(&json!("AAAA")),
        forged(&json!("A".repeat(100_000))),
        json!({"server_id": "mallory"}),
        json!({}),
    ];
    for answer in answers {
        let reply = node.call("POST", "sys/storage/raft/bootstrap/answer", Some(&answer));
        assert_eq!(reply.status, 400, "{answer}: {}", reply.text());
        assert!(!reply.text().contains("certificate\":"), "{}", reply.text());
    }
    node.token = token;
    assert_eq!(members(node), ["node0"]);
}

#[test]
fn the_socket_for_peers_says_nothing_to_strangers() {
    use std::io::{Read as _, Write as _};
    let cluster = Cluster::founded(1, 1, 1);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", cluster.ports[0])).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let _ = stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.windows(4).any(|part| part == b"HTTP"), "{:?}", String::from_utf8_lossy(&said));
    assert_eq!(Request::new("GET", "/v1/sys/health").send(cluster.nodes[0].port).unwrap().status, 200);
}

#[test]
fn a_node_without_an_address_for_peers_stays_alone() {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    let all = node.raft_config();
    let alone: Vec<&str> = all.lines().filter(|line| !line.contains("cluster_addr")).collect();
    node.write_config(&alone.join("\n"));
    node.spawn();
    node.until_up();
    let join = json!({"leader_api_addr": "http://127.0.0.1:1"});
    let refused = node.call("POST", "sys/storage/raft/join", Some(&join));
    assert_eq!(refused.status, 400, "{}", refused.text());
    node.initialise(1, 1);
    node.unseal();
    let asked = node.call("POST", "sys/storage/raft/bootstrap/challenge", Some(&json!({"server_id": "other"})));
    assert_eq!(asked.status, 400, "{}", asked.text());
    assert!(!node.path("data/peer.json").exists());
    assert_eq!(members(&node), ["node1"]);
    assert_eq!(node.call("PUT", "sys/step-down", None).status, 204);
}

#[test]
fn the_key_for_peers_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let cluster = Cluster::founded(2, 1, 1);
    cluster.join(1);
    for node in &cluster.nodes {
        let mode = std::fs::metadata(node.path("data/peer.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

fn members(node: &Node) -> Vec<String> {
    let servers = node.get("sys/storage/raft/configuration").at("data.config.servers");
    let mut names: Vec<String> =
        servers.as_array().unwrap().iter().map(|server| server["node_id"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_node_joins_over_tls_where_it_knows_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut cluster = Cluster::prepared(2);
    let port = free_port();
    let listener = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = {certificate:?}\n  tls_key_file = {key:?}\n}}\n"
    );
    cluster.nodes[0].write_config(&format!("{}{listener}", cluster.config(0, &[])));
    let join = format!(
        "  retry_join {{\n    leader_api_addr = \"https://127.0.0.1:{port}\"\n    leader_ca_cert_file = {certificate:?}\n  }}\n"
    );
    cluster.nodes[1].write_config(&cluster.nodes[1].member_config("node1", cluster.ports[1], &join));
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.nodes.iter_mut().for_each(Node::until_up);
    cluster.nodes[0].initialise(1, 1);
    cluster.nodes[0].unseal();
    let (shares, token) = (cluster.nodes[0].shares.clone(), cluster.nodes[0].token.clone());
    (cluster.nodes[1].shares, cluster.nodes[1].token) = (shares, token);
    cluster.put_fast_autopilot();
    cluster.join(1);
    cluster.until_voters(2);
}
