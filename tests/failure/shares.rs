//! Unsealing with shares that are wrong in every way, and a server that stays whole.

use bulkhead_tests::http::Reply;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use serde_json::json;

fn give(node: &Node, share: &str) -> Reply {
    node.call("PUT", "sys/unseal", Some(&json!({"key": share})))
}

fn sealed_node() -> Node {
    let mut node = Node::raft(Program::Bulkhead);
    node.initialise(3, 2);
    node
}

fn is_sealed(node: &Node) -> bool {
    node.get("sys/seal-status").at("sealed") == json!(true)
}

#[test]
fn shares_of_another_server_do_not_unseal_and_say_so() {
    let (node, other) = (sealed_node(), sealed_node());
    assert_eq!(give(&node, &other.shares[0]).status, 200, "a share alone cannot be judged");
    let reply = give(&node, &other.shares[1]);
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("invalid key"), "{}", reply.text());
    assert!(is_sealed(&node));
    node.unseal();
}

#[test]
fn a_flipped_bit_anywhere_in_a_share_never_unseals() {
    let node = sealed_node();
    let good = hex::decode(&node.shares[1]).unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        give(&node, &node.shares[0]);
        let reply = give(&node, &hex::encode(bad));
        // In the last byte, the share's x, it may become the other share's: then it counts once.
        assert!(is_sealed(&node), "byte {byte}");
        assert!(reply.status == 400 || byte == good.len() - 1, "byte {byte}: {} {}", reply.status, reply.text());
        node.call("PUT", "sys/unseal", Some(&json!({"reset": true})));
    }
    node.unseal();
}

#[test]
fn one_share_given_again_and_again_is_one_share() {
    let node = sealed_node();
    for _ in 0..4 {
        let reply = give(&node, &node.shares[0]);
        assert_eq!((reply.status, reply.at("progress")), (200, json!(1)), "{}", reply.text());
    }
    assert!(is_sealed(&node));
    assert_eq!(give(&node, &node.shares[2]).at("sealed"), json!(false));
}

#[test]
fn a_share_of_another_length_is_refused_or_fails_but_never_unseals() {
    let node = sealed_node();
    for share in [
        String::new(),
        "ab".to_owned(),
        node.shares[0][2..].to_owned(),
        format!("{}00", node.shares[0]),
        "00".repeat(1000),
    ] {
        give(&node, &node.shares[1]);
        let reply = give(&node, &share);
        assert!(reply.status == 400 || is_sealed(&node), "{share}: {}", reply.text());
        assert!(is_sealed(&node), "{share}");
        node.call("PUT", "sys/unseal", Some(&json!({"reset": true})));
    }
    node.unseal();
}

#[test]
fn a_server_killed_halfway_through_unsealing_starts_over() {
    let mut node = sealed_node();
    give(&node, &node.shares[0]);
    node.restart();
    assert_eq!(node.get("sys/seal-status").at("progress"), json!(0));
    node.unseal();
}
