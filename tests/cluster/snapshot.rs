//! Snapshots of three nodes, asked of any of them.

use std::path::PathBuf;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{bao, bulkhead};
use serde_json::json;

use super::{Cluster, secret};
use crate::snapshot::{snapshot, succeeds};

fn status_with(node: &Node, token: &str) -> u16 {
    Request::new("GET", "/v1/auth/token/lookup-self").token(token).send(node.port).unwrap().status
}

#[test]
fn a_snapshot_is_saved_and_restored_by_any_node_and_shows_on_all() {
    let cluster = Cluster::open();
    let leader = cluster.leader_at();
    for (round, program) in bao().into_iter().chain([bulkhead()]).enumerate() {
        for asked in [leader, (leader + 1) % 3] {
            let node = &cluster.nodes[asked];
            let file = node.path("snapshot");
            node.put("kv/data/a", &secret("then"));
            succeeds(&snapshot(&program, node, &["save", file.to_str().unwrap()]));
            node.put("kv/data/a", &secret("later"));
            node.put("kv/data/new", &secret("later"));
            node.put(&format!("sys/mounts/new{round}"), &json!({"type": "kv"}));
            let made = node.put("auth/token/create", &json!({"policies": ["default"]}));
            let token = made.at("auth.client_token").as_str().unwrap().to_owned();
            // Each has parsed and kept what is going to be gone.
            for other in &cluster.nodes {
                assert_eq!(other.get("kv/data/a").at("data.data.value"), json!("later"));
                assert_eq!(status_with(other, &token), 200);
            }
            succeeds(&snapshot(&program, node, &["restore", file.to_str().unwrap()]));
            for other in &cluster.nodes {
                assert_eq!(other.get("kv/data/a").at("data.data.value"), json!("then"), "{}", cluster.output());
                assert_eq!(other.get("kv/data/new").status, 404);
                assert!(other.get("sys/mounts").at("data").get(format!("new{round}/")).is_none());
                assert_eq!(status_with(other, &token), 403);
            }
            std::fs::remove_file(file).unwrap();
        }
    }
    // The cluster goes on as one, also under another leader.
    cluster.leader().put("sys/step-down", &json!({}));
    let leader = cluster.leader();
    leader.put("kv/data/after", &secret("restored"));
    for node in &cluster.nodes {
        assert_eq!(node.get("kv/data/after").at("data.data.value"), json!("restored"));
    }
}

/// A cluster of two, a third waiting, with a snapshot from when there was one; a secret was changed
/// since.
fn saved_while_alone() -> (Cluster, PathBuf) {
    let cluster = Cluster::founded(3, 1, 1);
    cluster.put_fast_autopilot();
    let founder = &cluster.nodes[0];
    founder.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    founder.put("kv/data/a", &secret("alone"));
    let file = founder.path("snapshot");
    succeeds(&snapshot(&bulkhead(), founder, &["save", file.to_str().unwrap()]));
    cluster.join(1);
    cluster.until_voters(2);
    founder.put("kv/data/a", &secret("together"));
    (cluster, file)
}

#[test]
fn a_snapshot_from_before_the_others_joined_does_not_part_them() {
    let (cluster, file) = saved_while_alone();
    succeeds(&snapshot(&bulkhead(), &cluster.nodes[1], &["restore", file.to_str().unwrap()]));
    for node in &cluster.nodes[..2] {
        assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("alone"));
    }
    // Its certificate is of the authority that the first two go by.
    cluster.put_fast_autopilot();
    cluster.join(2);
    cluster.until_voters(3);
    assert_eq!(cluster.nodes[2].get("kv/data/a").at("data.data.value"), json!("alone"));
}

fn is_sealed(node: &Node) -> bool {
    node.get("sys/seal-status").at("sealed") == json!(true)
}

#[test]
fn a_forced_snapshot_from_before_the_others_joined_does_not_part_them() {
    let (cluster, file) = saved_while_alone();
    let founder = &cluster.nodes[0];
    // The authority was founded since, and the key it is under replaced.
    founder.put("sys/rotate", &json!({}));
    succeeds(&snapshot(&bulkhead(), &cluster.nodes[1], &["restore", "-force", file.to_str().unwrap()]));
    // The keys are the cluster's own: nobody is sealed.
    for node in &cluster.nodes[..2] {
        node.until("it has the state of then", |node| {
            node.get("kv/data/a").at("data.data.value") == json!("alone") && !is_sealed(node)
        });
    }
    cluster.put_fast_autopilot();
    cluster.join(2);
    cluster.until_voters(3);
    assert_eq!(cluster.nodes[2].get("kv/data/a").at("data.data.value"), json!("alone"));
}

#[test]
fn a_forced_snapshot_of_other_keys_is_for_the_last_node_and_the_others_join_it_anew() {
    let lost = bulkhead_tests::node::Node::raft_open(bulkhead_tests::programs::Program::Bulkhead);
    lost.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    lost.put("kv/data/a", &secret("of the lost one"));
    let file = lost.path("snapshot");
    succeeds(&snapshot(&bulkhead(), &lost, &["save", file.to_str().unwrap()]));
    let mut cluster = Cluster::open();
    cluster.leader().put("kv/data/own", &secret("of this one"));
    let last = cluster.leader_at();
    let others = [(last + 1) % 3, (last + 2) % 3];
    let program = bao().unwrap_or_else(bulkhead);
    for at in [last, others[0]] {
        let node = &cluster.nodes[at];
        for force in [None, Some("-force")] {
            let args: Vec<&str> = ["restore"].into_iter().chain(force).chain([file.to_str().unwrap()]).collect();
            let refused = snapshot(&program, node, &args);
            assert_eq!(refused.status.code(), Some(2));
            let why = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(force.is_none() || why.contains("remove all nodes but one"), "{why}");
        }
        assert_eq!(node.get("kv/data/own").at("data.data.value"), json!("of this one"));
    }
    for at in others {
        cluster.leader().put("sys/storage/raft/remove-peer", &json!({"server_id": format!("node{at}")}));
        cluster.nodes[at].kill();
    }
    cluster.until_voters(1);
    succeeds(&snapshot(&program, &cluster.nodes[last], &["restore", "-force", file.to_str().unwrap()]));
    cluster.nodes[last].until("it has sealed itself", is_sealed);
    for node in &mut cluster.nodes {
        node.token.clone_from(&lost.token);
        node.shares.clone_from(&lost.shares);
    }
    cluster.unseal(last);
    cluster.nodes[last].put("sys/storage/raft/autopilot/configuration", &json!({"server_stabilization_time": "0s"}));
    for at in others {
        let config = cluster.config(at, &[last]);
        std::fs::remove_dir_all(cluster.nodes[at].path("data")).unwrap();
        cluster.nodes[at].write_config(&config);
        cluster.nodes[at].spawn();
        cluster.nodes[at].until_up();
        cluster.join(at);
    }
    cluster.until_voters(3);
    // All know each other, so that one may fail.
    cluster.nodes[last].kill();
    cluster.leader().put("kv/data/b", &secret("after"));
    for at in others {
        assert_eq!(cluster.nodes[at].get("kv/data/a").at("data.data.value"), json!("of the lost one"));
        assert_eq!(cluster.nodes[at].get("kv/data/b").at("data.data.value"), json!("after"));
    }
}
