//! SIGHUP on a server without TLS: audit files are opened again, so that they can be
//! moved away; the log takes the level that the config has now; and the server goes on.

use std::fs;

use bulkhead_tests::http::raw;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn after_sighup_audit_entries_go_to_a_new_file() {
    let node = Node::raft_open(Program::Bulkhead);
    fs::rename(node.path("audit.log"), node.path("audit.old")).unwrap();
    node.get("sys/mounts");
    assert!(!node.path("audit.log").exists(), "it must go on with the file it has open");
    node.signal(Signal::HUP);
    node.until("entries are written to a new file", |node| {
        node.get("sys/mounts");
        fs::metadata(node.path("audit.log")).is_ok_and(|file| file.len() > 0)
    });
    node.get("sys/mounts");
    let lines = fs::read_to_string(node.path("audit.log")).unwrap();
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry["type"] == "request" || entry["type"] == "response", "{line}");
    }
    assert_eq!(node.get("sys/health").status, 200);
}

#[test]
fn after_sighup_the_log_has_the_level_of_the_changed_config() {
    let node = Node::raft(Program::Bulkhead);
    // What is no HTTP is told at the debug level.
    let provoke = |node: &Node| {
        let _ = raw(node.port, b"no request at all\r\n\r\n");
    };
    provoke(&node);
    let config = fs::read_to_string(node.path("config.hcl")).unwrap();
    node.write_config(&format!("{config}log_level = \"debug\"\n"));
    provoke(&node);
    assert!(!node.output().contains("[DEBUG]"), "nobody asked it to reload: {}", node.output());
    node.signal(Signal::HUP);
    node.until("it logs at the new level", |node| {
        provoke(node);
        node.output().contains("[DEBUG]")
    });
    assert!(node.output().contains("reloading certificates, log level and audit files"), "{}", node.output());
    node.write_config(&format!("{config}log_level = \"loud\"\n"));
    node.signal(Signal::HUP);
    node.until("it says that the config is wrong", |node| node.output().contains("log_level is not one of"));
    assert_eq!(node.get("sys/init").status, 200);
}

#[test]
fn every_request_is_in_the_audit_file_with_its_response() {
    let node = Node::raft_open(Program::Bulkhead);
    let reply = node.get("sys/mounts");
    let id = reply.at("request_id");
    let log = fs::read_to_string(node.path("audit.log")).unwrap();
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = entries
        .iter()
        .filter(|entry| entry["request"]["id"] == id)
        .filter_map(|entry| entry["type"].as_str())
        .collect();
    assert_eq!(kinds, ["request", "response"]);
    let token = entries.iter().rev().find_map(|entry| entry["auth"]["client_token"].as_str()).unwrap();
    assert!(token.starts_with("hmac-sha256:"), "{token}");
    assert!(!log.contains(&node.token));
}
