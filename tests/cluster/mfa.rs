//! A second factor is shown to the cluster, not to one of its nodes.

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::totp;
use serde_json::json;

use super::Cluster;

fn text(reply: &Reply, path: &str) -> String {
    reply.at(path).as_str().unwrap_or_else(|| panic!("{path} in {}", reply.text())).to_owned()
}

/// A login of `ann` by way of this node; it waits.
fn wait(cluster: &Cluster, at: usize) -> String {
    let asked = Request::new("POST", "/v1/auth/userpass/login/ann").json(&json!({"password": "pw"}));
    let answer = asked.send(cluster.nodes[at].port).unwrap();
    assert_eq!(answer.at("auth.client_token"), json!(""));
    text(&answer, "auth.mfa_requirement.mfa_request_id")
}

/// Goes on with it by way of this node.
fn validate(cluster: &Cluster, at: usize, (request, passcode): (&str, &str)) -> Reply {
    let body = json!({"mfa_request_id": request, "mfa_payload": {"phone": [passcode]}});
    Request::new("POST", "/v1/sys/mfa/validate").json(&body).send(cluster.nodes[at].port).unwrap()
}

/// Ann's app.
fn enrolled(cluster: &Cluster) -> String {
    let node = &cluster.nodes[0];
    node.put("sys/auth/userpass", &json!({"type": "userpass"}));
    node.put("auth/userpass/users/ann", &json!({"password": "pw"}));
    let login = node.call("POST", "auth/userpass/login/ann", Some(&json!({"password": "pw"})));
    let settings = json!({"issuer": "I", "method_name": "phone", "period": "24h"});
    let method = text(&cluster.nodes[1].call("POST", "identity/mfa/method/totp", Some(&settings)), "data.method_id");
    let enforcement = json!({"mfa_method_ids": [method], "auth_method_types": ["userpass"]});
    cluster.nodes[2].put("identity/mfa/login-enforcement/all", &enforcement);
    let generate = json!({"method_id": method, "entity_id": text(&login, "auth.entity_id")});
    text(&node.call("POST", "identity/mfa/method/totp/admin-generate", Some(&generate)), "data.url")
}

#[test]
fn a_login_that_waits_at_one_node_goes_on_at_any_and_a_code_is_good_once_whoever_leads() {
    let cluster = Cluster::open();
    let url = enrolled(&cluster);
    let code = totp::code(&url, 0);
    let waiting: Vec<String> = (0..3).map(|at| wait(&cluster, at)).collect();
    assert_eq!(validate(&cluster, 2, (&waiting[0], "wrong")).status, 403);
    assert_eq!(cluster.leader().call("PUT", "sys/step-down", None).status, 204);
    cluster.leader_at();
    let answer = validate(&cluster, 1, (&waiting[0], &code));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = text(&answer, "auth.client_token");
    for node in &cluster.nodes {
        let own = Request::new("GET", "/v1/auth/token/lookup-self").token(&token).send(node.port).unwrap();
        assert_eq!(own.status, 200);
    }
    for at in 0..3 {
        assert_eq!(validate(&cluster, at, (&waiting[0], &code)).status, 400, "it waits no more");
        assert_eq!(validate(&cluster, at, (&waiting[1], &code)).status, 403, "the code was used");
    }
    // Two of five are left; with the right one they begin anew.
    let header = format!("phone:{}", totp::code(&url, 1));
    let asked = Request::new("POST", "/v1/auth/userpass/login/ann").header("X-Vault-MFA", &header);
    let answer = asked.json(&json!({"password": "pw"})).send(cluster.nodes[0].port).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tried: Vec<bool> = (0..7)
        .map(|n| validate(&cluster, n % 3, (&waiting[2], "000000")).text().contains("not supplied or incorrect"))
        .collect();
    assert_eq!(tried, [true, true, true, true, true, false, false]);
    let right = totp::code(&url, -1);
    assert!(validate(&cluster, 0, (&waiting[2], &right)).text().contains("exceeded the allowed attempts 5"));
}
