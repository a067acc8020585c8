//! What a node tells of itself in numbers, from outside.

use bulkhead_tests::exposition::{Exposition, parse};
use bulkhead_tests::http::Request;
use bulkhead_tests::node::{Node, free_port};
use serde_json::{Value, json};

mod access;
mod counts;
mod form;
mod pushed;
mod secrets;

/// What a node tells in the text format, asked with its token.
pub(crate) fn told(node: &Node) -> Exposition {
    let reply = node.get("sys/metrics?format=prometheus");
    assert_eq!(reply.status, 200, "{}", reply.text());
    parse(&reply.text()).unwrap_or_else(|broken| panic!("{broken}"))
}

/// The config of a node of its own with a second listener, on this port, whose metrics are for
/// all, and this stanza.
fn with_open_listener(node: &Node, port: u16, telemetry: &str) -> String {
    format!(
        "{}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n  telemetry {{ \
         unauthenticated_metrics_access = true }}\n}}\ntelemetry {{\n  disable_hostname = true\n  {telemetry}\n}}\n",
        node.raft_config()
    )
}

/// A read of a path on another port than the node's own, without a token.
fn unasked(port: u16, method: &str, path: &str) -> (u16, String) {
    let reply = Request::new(method, &format!("/v1/{path}")).send(port).expect("an answer");
    (reply.status, reply.text())
}

fn secret(value: &str) -> Value {
    json!({"data": {"value": value}})
}

/// Starts a server of this config; it is neither initialised nor unsealed.
fn started(config: impl FnOnce(&Node) -> String) -> Node {
    let start = bulkhead_tests::node::Start::config(bulkhead_tests::programs::Program::Bulkhead);
    let mut node = Node::prepare(start);
    node.write_config(&config(&node));
    node.spawn();
    node.until_up();
    node
}

/// The same, open, and the port whose metrics are for all.
fn opened(telemetry: &str) -> (Node, u16) {
    let port = free_port();
    let mut node = started(|node| with_open_listener(node, port, telemetry));
    node.initialise(1, 1);
    node.unseal();
    (node, port)
}
