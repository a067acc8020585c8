//! Who guesses gets so many attempts from the cluster, not from each of its nodes.

use serde_json::json;

use super::Cluster;

/// The status of a login of `ann` by way of this node.
fn log_in(cluster: &Cluster, at: usize, password: &str) -> u16 {
    cluster.nodes[at].call("PUT", "auth/userpass/login/ann", Some(&json!({ "password": password }))).status
}

#[test]
fn attempts_are_counted_whichever_node_is_asked_and_a_lock_holds_whoever_leads() {
    let cluster = Cluster::open();
    cluster.nodes[0].put("sys/auth/userpass", &json!({"type": "userpass"}));
    cluster.nodes[0].put("auth/userpass/users/ann", &json!({"password": "right"}));
    let statuses: Vec<u16> = (0..7).map(|n| log_in(&cluster, n % 3, "guess")).collect();
    assert_eq!(statuses, [400, 400, 400, 400, 400, 403, 403]);
    let old = cluster.leader_at();
    assert_eq!(cluster.leader().call("PUT", "sys/step-down", None).status, 204);
    assert_ne!(cluster.leader_at(), old);
    for at in 0..3 {
        assert_eq!(log_in(&cluster, at, "right"), 403);
    }
    let locked = cluster.standbys()[0].get("sys/locked-users").at("data.by_namespace.0.mount_accessors.0");
    let accessor = locked["mount_accessor"].as_str().unwrap();
    assert_eq!(locked["alias_identifiers"], json!(["ann"]));
    let unlock = format!("sys/locked-users/{accessor}/unlock/ann");
    assert_eq!(cluster.standbys()[1].call("PUT", &unlock, Some(&json!({}))).status, 204);
    for at in 0..3 {
        assert_eq!(log_in(&cluster, at, "right"), 200);
    }
}
