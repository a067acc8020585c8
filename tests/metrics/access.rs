//! Who may read numbers, and in which state a node tells them.

use bulkhead_tests::exposition::parse;
use bulkhead_tests::node::{Node, free_port};
use bulkhead_tests::programs::Program;
use serde_json::json;

use super::{opened, started, unasked, with_open_listener};

#[test]
fn a_listener_tells_them_to_all_only_where_it_says_so() {
    let (node, open) = opened("");
    for path in ["sys/metrics", "sys/metrics?format=prometheus"] {
        assert_eq!(unasked(node.port, "GET", path).0, 403, "{path}");
        assert_eq!(unasked(open, "GET", path).0, 200, "{path}");
    }
    // And nothing else.
    assert_eq!(unasked(open, "GET", "sys/mounts").0, 403);
    assert_eq!(unasked(open, "GET", "sys/metrics/").0, 403);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(unasked(open, method, "sys/metrics"), (405, "{\"errors\":[]}\n".to_owned()), "{method}");
    }
    let text = unasked(open, "GET", "sys/metrics?format=xml");
    assert_eq!(text, (400, "metric response format \"xml\" unknown".to_owned()));
}

#[test]
fn a_development_server_tells_them_to_all_as_vaults_does() {
    let node = Node::dev(Program::Bulkhead);
    assert_eq!(unasked(node.port, "GET", "sys/metrics").0, 200);
}

#[test]
fn a_sealed_node_tells_them_where_no_token_is_asked_for() {
    let open = free_port();
    let mut node = started(|node| with_open_listener(node, open, ""));
    let state = |name: &str| {
        let (status, text) = unasked(open, "GET", "sys/metrics?format=prometheus");
        assert_eq!(status, 200, "{text}");
        parse(&text).unwrap().sum(name, &[])
    };
    let sealed = (503, "{\"errors\":[\"Vault is sealed\"]}\n".to_owned());
    assert_eq!(unasked(node.port, "GET", "sys/metrics"), sealed);
    assert_eq!((state("vault_core_unsealed"), state("vault_core_active")), (Some(0.0), Some(0.0)));
    node.initialise(1, 1);
    assert_eq!(state("vault_core_unsealed"), Some(0.0));
    node.unseal();
    assert_eq!((state("vault_core_unsealed"), state("vault_core_active")), (Some(1.0), Some(1.0)));
    let requests = state("vault_core_handle_request_count").unwrap();
    assert_eq!(node.call("PUT", "sys/seal", None).status, 204);
    assert_eq!(unasked(node.port, "GET", "sys/metrics"), sealed);
    assert_eq!((state("vault_core_unsealed"), state("vault_core_active")), (Some(0.0), Some(0.0)));
    assert_eq!(state("vault_core_in_flight_requests"), None);
    assert!(state("vault_core_handle_request_count").unwrap() > requests, "what was counted stays");
}

#[test]
fn the_text_format_can_be_switched_off() {
    let (node, open) = opened("prometheus_retention_time = \"0s\"");
    let (status, text) = unasked(open, "GET", "sys/metrics?format=prometheus");
    assert_eq!((status, text.as_str()), (400, "prometheus is not enabled"));
    assert_eq!(unasked(open, "GET", "sys/metrics").0, 200);
    assert_eq!(node.get("sys/metrics?format=prometheus").status, 400);
}

#[test]
fn sinks_that_are_not_offered_and_addresses_that_are_none_do_not_start() {
    for (stanza, told) in [
        ("statsite_address = \"localhost:8125\"", "statsite_address in telemetry is not offered"),
        ("circonus_api_token = \"t\"", "circonus_api_token in telemetry is not offered"),
        ("statsd_address = \"localhost\"", "statsd_address is not of the form"),
        ("dogstatsd_tags = \"a:b\"", "dogstatsd_tags must be a list"),
        ("statsd_adress = \"localhost:8125\"", "did you mean statsd_address"),
    ] {
        let start = bulkhead_tests::node::Start::config(Program::Bulkhead);
        let mut node = Node::prepare(start);
        // An address makes the tags count.
        let more = if stanza.starts_with("dogstatsd_tags") { "dogstatsd_addr = \"localhost:8125\"" } else { "" };
        node.write_config(&with_open_listener(&node, free_port(), &format!("{stanza}\n{more}")));
        node.spawn();
        assert!(!node.wait_end().success(), "{stanza}");
        assert!(node.output().contains(told), "{stanza}: {}", node.output());
    }
}

#[test]
fn the_json_form_tells_of_the_last_interval() {
    let (node, _) = opened("");
    let told = node.get("sys/metrics");
    assert_eq!(told.header("Content-Type"), Some("application/json"));
    for (name, label) in [("vault.core.unsealed", "cluster"), ("vault.core.active", "cluster")] {
        let gauges = told.at("Gauges");
        let found = gauges.as_array().unwrap().iter().find(|gauge| gauge["Name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}: {gauges}"));
        assert_eq!(found["Value"], json!(1));
        assert!(found["Labels"][label].is_string(), "{found}");
    }
    node.until("an interval with requests is over", |node| {
        let samples = node.get("sys/metrics").at("Samples");
        let is_it = |sample: &&serde_json::Value| sample["Name"] == "vault.core.handle_request";
        samples.as_array().and_then(|all| all.iter().find(is_it).cloned()).is_some_and(|sample| {
            let number = |name: &str| sample[name].as_f64().unwrap();
            number("Count") > 0.0 && number("Min") <= number("Mean") && number("Mean") <= number("Max")
        })
    });
}
