//! Numbers rise by exactly what was done.

use bulkhead_tests::exposition::Exposition;
use bulkhead_tests::http::Request;
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{self, Program};
use serde_json::json;

use super::{opened, secret, told};

/// By how much a number rose; a number that was not there was zero.
fn rise(before: &Exposition, after: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    after.sum(name, labels).unwrap_or(0.0) - before.sum(name, labels).unwrap_or(0.0)
}

fn with_examples() -> Node {
    let folder = format!("-dev-plugin-dir={}", programs::guests().display());
    Node::dev_with(Start::dev(Program::Bulkhead).with(&[&folder]))
}

#[test]
fn requests_are_counted_by_operation_and_mount() {
    let node = with_examples();
    node.put("secret/data/a", &secret("0"));
    let before = told(&node);
    for value in ["1", "2"] {
        node.put("secret/data/a", &secret(value));
    }
    for _ in 0..3 {
        node.get("secret/data/a");
    }
    assert_eq!(node.call("LIST", "secret/metadata", None).status, 200);
    assert_eq!(node.call("DELETE", "secret/data/a", None).status, 204);
    // Refused ones are requests as well, and so are those to no mount.
    let refused = Request::new("GET", "/v1/secret/data/a").token("s.nonsense").send(node.port).unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(node.get("nowhere/a").status, 404);
    let after = told(&node);
    let count = |operation: &str| {
        let labels = [("operation", operation), ("mount", "secret/")];
        rise(&before, &after, "vault_route_seconds_count", &labels)
    };
    let counted = ["create", "update", "read", "list", "delete", "patch"].map(count);
    assert_eq!(counted.iter().sum::<f64>(), 8.0, "{counted:?}");
    assert_eq!(counted[0] + counted[1], 2.0, "{counted:?}");
    assert_eq!(counted[2..], [4.0, 1.0, 1.0, 0.0]);
    // Nine in all: on this listener the numbers themselves are told before any request is.
    assert_eq!(rise(&before, &after, "vault_core_handle_request_count", &[]), 9.0);
    assert!(rise(&before, &after, "vault_route_seconds_sum", &[("mount", "secret/")]) > 0.0);
    let answers = |status| rise(&before, &after, "bulkhead_http_answers", &[("status", status)]);
    // The first reading of the numbers was answered after they were read.
    assert_eq!((answers("2xx"), answers("4xx"), answers("5xx")), (8.0, 2.0, 0.0));
    assert_eq!(
        rise(&before, &after, "bulkhead_plugin_call_seconds_count", &[("plugin", "kv"), ("type", "secret")]),
        7.0
    );
    assert_eq!(rise(&before, &after, "bulkhead_plugin_call_failures", &[]), 0.0);
}

#[test]
fn tokens_and_logins_are_counted_by_mount_and_lifetime() {
    let node = with_examples();
    node.put("sys/auth/hello-auth", &json!({"type": "hello-auth"}));
    node.put("auth/hello-auth/users/joe", &json!({"phrase": "sesame"}));
    let before = told(&node);
    for ttl in ["1m", "1h", "1h"] {
        node.put("auth/token/create", &json!({"policies": ["default"], "ttl": ttl}));
    }
    node.put("auth/token/create", &json!({"policies": ["default"], "type": "batch", "ttl": "2h"}));
    node.put("auth/hello-auth/login/joe", &json!({"phrase": "sesame"}));
    assert_eq!(node.call("PUT", "auth/hello-auth/login/joe", Some(&json!({"phrase": "wrong"}))).status, 400);
    let wrapped = Request::new("GET", "/v1/sys/mounts").token(&node.token).header("X-Vault-Wrap-TTL", "60");
    assert_eq!(wrapped.send(node.port).unwrap().status, 200);
    let after = told(&node);
    let made = |method: &str, ttl: &str, kind: &str| {
        let labels = [("auth_method", method), ("creation_ttl", ttl), ("token_type", kind)];
        rise(&before, &after, "vault_token_creation", &labels)
    };
    assert_eq!((made("token", "1m", "service"), made("token", "1h", "service")), (1.0, 2.0));
    assert_eq!(made("token", "2h", "batch"), 1.0);
    assert_eq!(made("response_wrapping", "1m", "service"), 1.0);
    let of_login = [("auth_method", "hello-auth"), ("mount_point", "auth/hello-auth/")];
    assert_eq!(rise(&before, &after, "vault_token_creation", &of_login), 1.0);
    assert_eq!(rise(&before, &after, "vault_core_handle_login_request_count", &[]), 2.0);
    assert_eq!(rise(&before, &after, "vault_token_create_count", &[]), 6.0, "all of them");
    assert!(rise(&before, &after, "vault_token_lookup_count", &[]) >= 5.0, "one a request, but for logins");
}

#[test]
fn leases_are_counted_in_the_background() {
    let node = with_examples();
    node.put("sys/mounts/hello-engine", &json!({"type": "hello-engine"}));
    node.put("hello-engine/roles/r", &json!({"prefix": "hello", "ttl": "30m"}));
    for _ in 0..3 {
        assert_eq!(node.get("hello-engine/codes/r").status, 200);
    }
    node.put("auth/token/create", &json!({"policies": ["default"], "ttl": "10h"}));
    let left = |kind: &str, left: &str, count: f64| {
        let labels = [("kind", kind), ("left", left)];
        node.until(&format!("{count} of {kind} {left} are counted"), |node| {
            told(node).sum("bulkhead_expire_leases_by_time_left", &labels) == Some(count)
        });
    };
    left("lease", "1h", 3.0);
    left("token", "1d", 1.0);
    assert_eq!(told(&node).sum("vault_expire_num_leases", &[]), Some(4.0));
    assert_eq!(told(&node).sum("vault_token_count", &[]), Some(1.0));
    assert_eq!(told(&node).sum("bulkhead_expire_leases_by_state", &[("state", "live")]), Some(4.0));
    let before = told(&node);
    node.put("sys/leases/revoke-prefix/hello-engine", &json!({}));
    left("lease", "1h", 0.0);
    assert_eq!(told(&node).sum("vault_expire_num_leases", &[]), Some(1.0));
    assert_eq!(told(&node).sum("vault_expire_num_irrevocable_leases", &[]), Some(0.0));
    // They were revoked by a request, and none was left to end by itself.
    assert_eq!(rise(&before, &told(&node), "vault_expire_lease_expiration_error", &[]), 0.0);
}

#[test]
fn what_no_audit_device_takes_is_counted() {
    let (node, _) = opened("");
    let before = told(&node);
    assert_eq!(node.get("sys/mounts").status, 200);
    let after = told(&node);
    // The two requests: the first one for the numbers was recorded after they were read.
    assert_eq!(rise(&before, &after, "vault_audit_log_request_count", &[]), 2.0);
    assert_eq!(after.sum("vault_audit_log_request_failure", &[]), Some(0.0));
    assert_eq!(rise(&before, &after, "vault_audit_log_response_count", &[]), 2.0);
}

#[test]
fn writes_go_to_the_log_and_mounts_come_and_go() {
    let (node, _) = opened("");
    let before = told(&node);
    for name in ["one", "two"] {
        node.put(&format!("sys/mounts/{name}"), &json!({"type": "kv"}));
    }
    let after = told(&node);
    assert!(rise(&before, &after, "vault_raft_apply", &[]) >= 2.0);
    assert_eq!(
        rise(&before, &after, "vault_raft_apply", &[]),
        rise(&before, &after, "vault_raft_commitTime_count", &[])
    );
    assert!(rise(&before, &after, "vault_raft_fsm_apply_count", &[]) >= 1.0, "what was committed was applied");
    let mounts = [("type", "logical"), ("local", "false")];
    assert_eq!(rise(&before, &after, "vault_core_mount_table_num_entries", &mounts), 2.0);
    assert_eq!(after.sum("vault_raft_peers", &[]), Some(1.0));
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
        assert!(after.sum(name, &[]).is_some_and(|number| number > 0.0), "{name}");
    }
    assert_eq!(node.call("DELETE", "sys/mounts/one", None).status, 204);
    assert_eq!(rise(&after, &told(&node), "vault_core_mount_table_num_entries", &mounts), -1.0);
}
