//! Where the API listens, and what a caller's address is then. What lives here: sockets of
//! both kinds, several at once, what proxies in front say, and what is open to all. What must not: TLS and bounds of
//! connections (`failure`).

mod ceremonies;
mod proxies;
mod unix;

use std::fs;

use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

/// A server on disk, open, with more in its configuration; `{dir}` is its folder.
fn open_with(program: Program, more: &str) -> Node {
    let mut node = Node::prepare(Start::config(program));
    let more = more.replace("{dir}", &node.dir().display().to_string());
    node.write_config(&format!("{}{more}", node.raft_config()));
    node.spawn();
    node.until_up();
    node.initialise(1, 1);
    node.unseal();
    node
}

/// A token that may be used from these networks alone.
fn bound_token(node: &Node, networks: &[&str]) -> String {
    node.put("auth/token/roles/bound", &json!({"token_bound_cidrs": networks}));
    let made = node.put("auth/token/create/bound", &json!({"policies": ["default"]}));
    made.at("auth.client_token").as_str().expect("a token").to_owned()
}

/// The address in the newest audit line about this path, or `Null` where it says none.
fn audited_address(node: &Node, path: &str) -> Value {
    let log = fs::read_to_string(node.path("audit.log")).expect("an audit file");
    let lines = log.lines().rev().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let newest = lines.into_iter().find(|line| line["request"]["path"] == path).expect("a line about it");
    newest["request"]["remote_address"].clone()
}
