//! The parts of the plugin contract that no engine of ours uses yet, served to a guest that
//! uses them. What lives here: what comes of it outside. What must not: what a hostile
//! guest can do.

use std::thread;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

/// A development server with the guest mounted.
fn mounted() -> Node {
    let folder = format!("-dev-plugin-dir={}", programs::guests().display());
    let node = Node::dev_with(Start::dev(Program::Bulkhead).with(&[&folder]));
    node.put("sys/mounts/almanac", &json!({"type": "almanac"}));
    node
}

fn reasons(node: &Node) -> Vec<String> {
    let told = node.get("almanac/reasons").at("data.reasons");
    told.as_array().into_iter().flatten().map(|reason| reason.as_str().unwrap().replace("Reason::", "")).collect()
}

/// Without that the node was unsealed: of that a mount made just then may be told as well.
fn other_reasons(node: &Node) -> Vec<String> {
    reasons(node).into_iter().filter(|reason| reason != "Unsealed").collect()
}

#[test]
fn a_guest_is_told_why_it_starts() {
    let node = mounted();
    assert_eq!(other_reasons(&node), ["Mounted"]);
    node.put("sys/mounts/almanac/tune", &json!({"options": {"colour": "blue"}}));
    assert_eq!(other_reasons(&node), ["Mounted", "Reconfigured"]);
    node.put("sys/mounts/almanac/tune", &json!({"options": {"colour": "blue"}, "max_lease_ttl": "1h"}));
    assert_eq!(other_reasons(&node), ["Mounted", "Reconfigured"], "no option has changed");
    let reloaded = node.put("sys/plugins/reload/backend", &json!({"plugin": "almanac"}));
    assert!(reloaded.at("data.reload_id").is_string(), "{}", reloaded.text());
    assert_eq!(other_reasons(&node), ["Mounted", "Reconfigured", "Reloaded"]);
}

#[test]
fn a_guest_is_told_that_the_node_was_unsealed() {
    let node = mounted();
    let key = || node.output().lines().find_map(|line| line.strip_prefix("Unseal Key: ").map(str::to_owned));
    // It is told after the first answers.
    node.until("the key is told", |_| key().is_some());
    let key = key().expect("it was told");
    node.put("sys/seal", &json!({}));
    node.put("sys/unseal", &json!({"key": key.trim()}));
    // Until the node is open again the guest does not answer.
    node.until("the guest is told", |node| {
        let told = reasons(node);
        told.first().is_some_and(|first| first == "Mounted") && told.last().is_some_and(|last| last == "Unsealed")
    });
}

#[test]
fn a_regular_job_runs_again_and_again_by_itself() {
    let node = mounted();
    let ticks = |node: &Node| node.get("almanac/ticks").at("data.ticks").as_u64();
    node.until("the job has run twice", |node| ticks(node) >= Some(2));
    assert_eq!(node.call("DELETE", "sys/mounts/almanac", None).status, 204);
}

#[test]
fn headers_of_a_guest_are_sent_where_the_operator_allows_them() {
    let node = mounted();
    let answer = |node: &Node| node.get("almanac/headers");
    assert_eq!((answer(&node).header("replay-nonce"), answer(&node).header("x-other")), (None, None));
    node.put("sys/mounts/almanac/tune", &json!({"allowed_response_headers": ["Replay-Nonce"]}));
    assert_eq!((answer(&node).header("replay-nonce"), answer(&node).header("x-other")), (Some("n1"), None));
}

#[test]
fn what_a_guest_wants_wrapped_is_wrapped_for_the_shorter_of_two_times() {
    let node = mounted();
    let answer = node.get("almanac/wrapped");
    assert_eq!((answer.at("wrap_info.ttl"), answer.at("data")), (json!(120), Value::Null), "{}", answer.text());
    let asked = Request::new("GET", "/v1/almanac/wrapped").token("root").header("X-Vault-Wrap-TTL", "30s");
    assert_eq!(asked.send(node.port).unwrap().at("wrap_info.ttl"), json!(30));
    let opened = node.put("sys/wrapping/unwrap", &json!({"token": answer.at("wrap_info.token")}));
    assert_eq!(opened.at("data"), json!({"a": 1}), "{}", opened.text());
}

// what is wrapped tells where it came from, and opens once.
#[test]
fn a_wrapping_token_from_a_guest_opens_once() {
    let node = mounted();
    let token = node.get("almanac/token").at("data.token");
    let known = node.put("sys/wrapping/lookup", &json!({"token": token}));
    assert_eq!((known.at("data.creation_path"), known.at("data.creation_ttl")), (json!("almanac/"), json!(60)));
    let opened = node.put("sys/wrapping/unwrap", &json!({"token": token}));
    assert_eq!(opened.at("data"), json!({"b": 2}), "{}", opened.text());
    assert_eq!(node.call("PUT", "sys/wrapping/unwrap", Some(&json!({"token": token}))).status, 400);
}

#[test]
fn calls_under_a_lock_see_what_the_one_before_has_committed() {
    let node = mounted();
    let port = node.port;
    let add = || {
        let request = Request::new("POST", "/v1/almanac/sum").token("root").json(&json!({"amount": 1}));
        let reply = request.send(port).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(|| (0..10).for_each(|_| add())))));
    let last = Request::new("POST", "/v1/almanac/sum").token("root").json(&json!({"amount": 0})).send(port).unwrap();
    assert_eq!(last.at("data.sum"), json!(160), "{}", last.text());
}

#[test]
fn an_attempt_that_fails_leaves_the_guest_an_upstream_error() {
    let node = mounted();
    let attempt = |fails| node.call("POST", "almanac/attempt", Some(&json!({"name": "n", "fails": fails})));
    assert_eq!(attempt(false).status, 204);
    let failed = attempt(true);
    assert_eq!((failed.status, failed.at("errors.0")), (502, json!("it failed")), "{}", failed.text());
}
