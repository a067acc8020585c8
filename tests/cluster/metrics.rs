//! What the nodes of a cluster tell of themselves, and the dashboard that is made of it.

use std::collections::BTreeSet;
use std::fs;

use bulkhead_tests::exposition::{Exposition, parse};
use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs;
use regex::Regex;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

use super::{Cluster, secret};

fn told(node: &Node) -> Exposition {
    let reply = node.get("sys/metrics?format=prometheus");
    assert_eq!(reply.status, 200, "{}", reply.text());
    parse(&reply.text()).unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn every_node_tells_of_itself_and_the_leader_of_its_followers() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    standby.put("kv/data/a", &secret("told to a standby"));
    standby.get("kv/data/a");
    let (of_leader, of_standby) = (told(leader), told(standby));
    assert_eq!(of_leader.sum("vault_core_active", &[]), Some(1.0));
    assert_eq!(of_standby.sum("vault_core_active", &[]), Some(0.0));
    assert_eq!(
        (of_leader.sum("vault_raft_peers", &[]), of_standby.sum("vault_raft_peers", &[])),
        (Some(3.0), Some(3.0))
    );
    let followers = |told: &Exposition| {
        let name = "vault_raft_storage_follower_applied_index_delta";
        told.samples.iter().filter(|sample| sample.name == name).count()
    };
    assert_eq!((followers(&of_leader), followers(&of_standby)), (2, 0));
    assert_eq!(of_leader.sum("vault_autopilot_failure_tolerance", &[]), Some(1.0));
    // A request is counted where it was served.
    assert!(of_standby.sum("bulkhead_core_forwarded_requests", &[]) >= Some(1.0));
    let reads = [("operation", "read"), ("mount", "kv/")];
    assert_eq!(of_standby.sum("vault_route_seconds_count", &reads), Some(1.0));
    assert_eq!(of_standby.sum("vault_expire_num_leases", &[]), None, "only the leader counts leases");
    assert_eq!(standby.get("sys/metrics").status, 200);
    let without = Request::new("GET", "/v1/sys/metrics").send(standby.port).unwrap();
    assert_eq!(without.status, 403);
}

#[test]
fn a_leader_that_steps_down_has_lost_its_leadership() {
    let cluster = Cluster::open();
    let former = cluster.leader_at();
    assert_eq!(told(&cluster.nodes[former]).sum("vault_core_leadership_lost_count", &[]), Some(0.0));
    cluster.nodes[former].put("sys/step-down", &json!({}));
    cluster.nodes[former]
        .until("it has noticed", |node| told(node).sum("vault_core_leadership_lost_count", &[]) == Some(1.0));
    assert_eq!(told(&cluster.nodes[former]).sum("vault_core_active", &[]), Some(0.0));
}

/// Every query of the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| queries(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// Names that queries ask for, with the labels they match by.
fn asked(queries: &[String]) -> BTreeSet<(String, Vec<String>)> {
    let name = Regex::new(r"\b((?:vault|bulkhead|process)_[A-Za-z0-9_]+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r"([a-z_]+)(?:=~|!~|!=|=)").unwrap();
    let names = queries.iter().flat_map(|query| name.captures_iter(query));
    names
        .map(|found| {
            let labels = found.get(2).map_or("", |labels| labels.as_str());
            let labels = label.captures_iter(labels).map(|label| label[1].to_owned());
            // Prometheus itself adds these two.
            (found[1].to_owned(), labels.filter(|label| !["job", "instance"].contains(&label.as_str())).collect())
        })
        .collect()
}

/// Labels that queries group by.
fn grouped(queries: &[String]) -> BTreeSet<String> {
    let by = Regex::new(r"\bby \(([^)]*)\)").unwrap();
    let all =
        queries.iter().flat_map(|query| by.captures_iter(query).map(|found| found[1].to_owned()).collect::<Vec<_>>());
    all.flat_map(|labels| labels.split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>()).collect()
}

/// How the example of a config asks for numbers.
fn scraped(node: &Node) -> Exposition {
    let text = fs::read_to_string(programs::here("../examples/grafana/prometheus.yml")).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    let job = &documents[0]["scrape_configs"][0];
    let (path, format) = (job["metrics_path"].as_str().unwrap(), job["params"]["format"][0].as_str().unwrap());
    assert_eq!(job["authorization"]["type"].as_str(), Some("Bearer"));
    let request = Request::new("GET", &format!("{path}?format={format}"));
    let reply = request.header("Authorization", &format!("Bearer {}", node.token)).send(node.port).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    parse(&reply.text()).unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn a_cluster_serves_every_number_that_the_dashboard_asks_for() {
    let text = fs::read_to_string(programs::here("../examples/grafana/bulkhead.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    queries(&dashboard, &mut all);
    assert!(all.len() > 40, "only {} queries", all.len());
    let cluster = Cluster::open();
    let leader = cluster.leader();
    leader.put("kv/data/a", &secret("traffic"));
    leader.get("kv/data/a");
    leader.put("auth/token/create", &json!({"policies": ["default"], "ttl": "1h"}));
    leader.until("leases were counted", |node| told(node).sum("vault_expire_num_leases", &[]).is_some());
    let told = scraped(leader);
    let names = told.names();
    for (name, labels) in asked(&all) {
        assert!(names.contains(name.as_str()), "{name} is not served");
        for label in labels {
            let has = told.samples.iter().any(|sample| sample.name == name && sample.labels.contains_key(&label));
            assert!(has, "{name} has no label {label}");
        }
    }
    for label in grouped(&all).into_iter().filter(|label| label != "instance") {
        assert!(told.samples.iter().any(|sample| sample.labels.contains_key(&label)), "nothing has a label {label}");
    }
}
