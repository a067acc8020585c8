//! A cluster that a key outside unseals: nodes join, and come back, without anybody's shares;
//! and one that changes its seal node by node.

use std::fs;
use std::path::Path;

use super::*;

fn stanza(key: &Path) -> String {
    let key = key.display();
    format!("seal \"static\" {{\n  current_key_id = \"one\"\n  current_key = \"file://{key}\"\n}}\n")
}

fn key() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), [7; 32]).unwrap();
    file
}

impl Cluster {
    fn write_sealed(&self, at: usize, key: &Path) {
        self.nodes[at].write_config(&format!("{}{}", self.config(at, &[0]), stanza(key)));
    }

    /// Waits until every node serves.
    fn until_open(&self) {
        for node in &self.nodes {
            node.until("it is unsealed", |node| matches!(node.get("sys/health").status, 200 | 429));
        }
    }
}

#[test]
fn nodes_join_and_come_back_by_the_key_outside() {
    let key = key();
    let mut cluster = Cluster::prepared(3);
    for at in 0..3 {
        cluster.write_sealed(at, key.path());
        cluster.nodes[at].spawn();
    }
    cluster.nodes.iter_mut().for_each(Node::until_up);
    let reply = cluster.nodes[0].call("PUT", "sys/init", Some(&json!({})));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let token = reply.at("root_token").as_str().unwrap().to_owned();
    for node in &mut cluster.nodes {
        node.token.clone_from(&token);
    }
    cluster.until_open();
    cluster.put_fast_autopilot();
    cluster.until_voters(3);
    cluster.leader().put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    cluster.leader().put("kv/data/a", &secret("kept"));

    // All of them at once, and then the one that leads.
    cluster.nodes.iter_mut().for_each(Node::kill);
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.nodes.iter_mut().for_each(Node::until_up);
    cluster.until_open();
    assert_eq!(cluster.leader().get("kv/data/a").at("data.data.value"), json!("kept"));
    let leader = cluster.leader_at();
    cluster.nodes[leader].kill();
    let next = cluster.leader_at();
    assert_ne!(next, leader);
    cluster.nodes[leader].spawn();
    cluster.nodes[leader].until_up();
    cluster.until_open();
    assert_eq!(cluster.nodes[leader].get("kv/data/a").at("data.data.value"), json!("kept"));
}

#[test]
fn a_node_with_another_key_does_not_get_in() {
    let (key, other) = (key(), key());
    fs::write(other.path(), [8; 32]).unwrap();
    let mut cluster = Cluster::prepared(2);
    cluster.write_sealed(0, key.path());
    cluster.write_sealed(1, other.path());
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.nodes.iter_mut().for_each(Node::until_up);
    let reply = cluster.nodes[0].call("PUT", "sys/init", Some(&json!({})));
    cluster.nodes[0].token = reply.at("root_token").as_str().unwrap().to_owned();
    cluster.nodes[0].until("it leads", |node| node.get("sys/health").status == 200);
    cluster.nodes[1].until("it says why", |node| node.output().contains("does not open what was wrapped"));
    let servers = cluster.nodes[0].get("sys/storage/raft/configuration").at("data.config.servers");
    assert_eq!(servers.as_array().map(Vec::len), Some(1), "{servers}");
    assert_eq!(cluster.nodes[1].get("sys/seal-status").at("sealed"), json!(true));
}

#[test]
fn a_cluster_changes_its_seal_node_by_node() {
    let key = key();
    let mut cluster = Cluster::open();
    cluster.leader().put("kv/data/a", &secret("kept"));
    let leader = cluster.leader_at();
    let order: Vec<usize> = (0..3).filter(|at| *at != leader).chain([leader]).collect();
    for at in order {
        cluster.nodes[at].kill();
        cluster.write_sealed(at, key.path());
        cluster.nodes[at].spawn();
        cluster.nodes[at].until_up();
        let node = &cluster.nodes[at];
        // The last one may find that the others have changed the seal already.
        if node.get("sys/seal-status").at("migration") == json!(true) {
            let reply = node.call("PUT", "sys/unseal", Some(&json!({"key": node.shares[0], "migrate": true})));
            assert_eq!(reply.status, 200, "{}\n{}", reply.text(), node.output());
        }
        node.until("it is unsealed", |node| matches!(node.get("sys/health").status, 200 | 429));
    }
    for node in &cluster.nodes {
        node.until("the seal is another", |node| {
            let status = node.get("sys/seal-status");
            (status.at("type"), status.at("migration")) == (json!("static"), json!(false))
        });
    }
    cluster.nodes.iter_mut().for_each(Node::kill);
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.nodes.iter_mut().for_each(Node::until_up);
    cluster.until_open();
    assert_eq!(cluster.leader().get("kv/data/a").at("data.data.value"), json!("kept"));
}
