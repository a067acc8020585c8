//! A cluster that a key outside unseals: nodes join, and come back, without anybody's shares;
//! and one that changes its seal node by node.

use std::fs;
use std::path::Path;

use super::*;

fn stanza(key: &Path, more: &str) -> String {
    named_stanza("one", key, more)
}

fn named_stanza(name: &str, key: &Path, more: &str) -> String {
    let key = key.display();
    format!("seal \"static\" {{\n  current_key_id = \"{name}\"\n  current_key = \"file://{key}\"\n{more}}}\n")
}

fn key() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), [7; 32]).unwrap();
    file
}

impl Cluster {
    fn write_sealed(&self, at: usize, key: &Path) {
        self.write_config_with(at, &stanza(key, ""));
    }

    fn write_config_with(&self, at: usize, seal: &str) {
        self.nodes[at].write_config(&format!("{}{seal}", self.config(at, &[0])));
    }

    /// Three nodes that this key unseals, with these recovery keys.
    fn sealed(key: &Path, recovery: &Value) -> (Self, Vec<Value>) {
        let mut cluster = Self::prepared(3);
        for at in 0..3 {
            cluster.write_sealed(at, key);
            cluster.nodes[at].spawn();
        }
        cluster.nodes.iter_mut().for_each(Node::until_up);
        let reply = cluster.nodes[0].call("PUT", "sys/init", Some(recovery));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let token = reply.at("root_token").as_str().unwrap().to_owned();
        for node in &mut cluster.nodes {
            node.token.clone_from(&token);
        }
        cluster.until_open();
        cluster.put_fast_autopilot();
        cluster.until_voters(3);
        (cluster, reply.at("recovery_keys").as_array().cloned().unwrap_or_default())
    }

    /// Ends a node and starts it with another seal stanza.
    fn restart_with(&mut self, at: usize, seal: &str) {
        self.nodes[at].kill();
        self.write_config_with(at, seal);
        self.nodes[at].spawn();
        self.nodes[at].until_up();
    }

    /// Has this node lead.
    fn until_leads(&self, at: usize) {
        self.nodes[at].until("it leads", |node| {
            if node.get("sys/health").status == 200 {
                return true;
            }
            let _ = self.leader().call("PUT", "sys/step-down", None);
            thread::sleep(Duration::from_millis(500));
            false
        });
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
    let (mut cluster, _) = Cluster::sealed(key.path(), &json!({}));
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

#[test]
fn what_was_proved_for_a_migration_ends_with_the_keys_it_was_proved_with() {
    let key = key();
    let init = json!({"recovery_shares": 1, "recovery_threshold": 1});
    let (mut cluster, old) = Cluster::sealed(key.path(), &init);
    let leader = cluster.leader_at();
    let standby = (leader + 1) % 3;
    cluster.restart_with(standby, &stanza(key.path(), "  disabled = \"true\"\n"));
    let node = &cluster.nodes[standby];
    let reply = node.call("PUT", "sys/unseal", Some(&json!({"key": old[0], "migrate": true})));
    assert_eq!(reply.status, 200, "{}", reply.text());
    node.until("it is unsealed", |node| matches!(node.get("sys/health").status, 200 | 429));
    // Meanwhile the recovery key becomes another.
    let leading = cluster.leader();
    let split = json!({"secret_shares": 1, "secret_threshold": 1});
    let nonce = leading.put("sys/rotate/recovery/init", &split).at("data.nonce");
    let new = leading.put("sys/rotate/recovery/update", &json!({"nonce": nonce, "key": old[0]})).at("data.keys.0");
    cluster.until_leads(standby);
    let node = &cluster.nodes[standby];
    node.until("it says that it was asked in vain", |node| node.output().contains("ask for it again"));
    assert_eq!(node.get("sys/seal-status").at("migration"), json!(true));
    // The seal is what it was, and with the new key it changes.
    cluster.restart_with(standby, &stanza(key.path(), "  disabled = \"true\"\n"));
    let node = &cluster.nodes[standby];
    for (key, status) in [(&old[0], 400), (&new, 200)] {
        assert_eq!(node.call("PUT", "sys/unseal", Some(&json!({"key": key, "migrate": true}))).status, status);
    }
    cluster.until_leads(standby);
    cluster.nodes[standby]
        .until("the seal is another", |node| node.get("sys/seal-status").at("migration") == json!(false));
    cluster.restart_with(standby, "");
    let node = &cluster.nodes[standby];
    node.until("it has caught up", |node| node.get("sys/seal-status").at("migration") == json!(false));
    assert_eq!(node.call("PUT", "sys/unseal", Some(&json!({"key": new}))).at("sealed"), json!(false));
}

#[test]
fn a_node_with_an_older_config_does_not_put_the_older_key_back() {
    let (one, two) = (key(), key());
    fs::write(two.path(), [9; 32]).unwrap();
    let (mut cluster, _) = Cluster::sealed(one.path(), &json!({}));
    let previous = format!("  previous_key_id = \"one\"\n  previous_key = \"file://{}\"\n", one.path().display());
    let newer = named_stanza("two", two.path(), &previous);
    let leader = cluster.leader_at();
    let (first, last) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.restart_with(first, &newer);
    cluster.until_open();
    cluster.until_leads(first);
    cluster.nodes[first].until("the key is followed", |node| node.output().contains("by the newest key of the seal"));
    cluster.until_leads(last);
    cluster.nodes[last].until("it says that its config is older", |node| node.output().contains("bring it up to date"));
    let only_newer = named_stanza("two", two.path(), "");
    for at in 0..3 {
        cluster.restart_with(at, &only_newer);
    }
    cluster.until_open();
}
