//! A plugin that is registered with one node serves on every node.

use serde_json::{Value, json};

use super::Cluster;
use crate::catalog::{CATALOG, versions};

#[test]
fn a_standby_serves_what_was_registered_by_way_of_another() {
    let cluster = Cluster::open();
    let standbys = cluster.standbys();
    for body in versions() {
        standbys[0].put(CATALOG, &body);
    }
    standbys[1].put("sys/mounts/almanac", &json!({"type": "almanac", "config": {"plugin_version": "v0.1.0"}}));
    let told = |reasons: Value| reasons.to_string().matches("Upgraded").count();
    for (upgrades, version) in ["v0.1.0", "v0.2.0", "v0.1.0"].into_iter().enumerate() {
        cluster.leader().put("sys/mounts/almanac/tune", &json!({"plugin_version": version}));
        for node in &cluster.nodes {
            let reply = node.get("almanac/reasons");
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(told(reply.at("data.reasons")), upgrades, "{}", reply.text());
            assert_eq!(node.get("sys/mounts").at("data")["almanac/"]["running_plugin_version"], version);
        }
    }
}
