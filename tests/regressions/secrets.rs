//! What is told of secrets where something goes wrong, by words, by time, and by files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::Program;
use bulkhead_tests::totp;
use serde_json::{Value, json};

/// Logins of each kind whose times are compared.
const SAMPLES: usize = 60;

/// Above this, two sets of times are of two kinds. Source: what leakage tests of ciphers go by.
const T_MAX: f64 = 4.5;

fn mean_and_variance(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    (mean, samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

/// Welch's t of two sets of samples.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((mean, variance), (mean_of_other, variance_of_other)) = (mean_and_variance(one), mean_and_variance(other));
    (mean - mean_of_other) / (variance / one.len() as f64 + variance_of_other / other.len() as f64).sqrt()
}

// how long a wrong login takes does not tell whether there is somebody of the name.
#[test]
fn r25_a_wrong_login_takes_as_long_whoever_there_is() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/auth/userpass", &json!({"type": "userpass"}));
    node.put("sys/auth/userpass/tune", &json!({"user_lockout_config": {"lockout_disable": true}}));
    node.put("auth/userpass/users/known", &json!({"password": "right"}));
    let secs = |name: &str| {
        let asked =
            Request::new("POST", &format!("/v1/auth/userpass/login/{name}")).json(&json!({"password": "wrong"}));
        let began = Instant::now();
        assert_eq!(asked.send(node.port).unwrap().status, 400);
        began.elapsed().as_secs_f64()
    };
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    // One after the other, so that whatever else the machine does is in both.
    for n in 0..SAMPLES {
        known.push(secs("known"));
        unknown.push(secs(&format!("nobody{n}")));
    }
    let t = welch(&known, &unknown);
    let (means, ratio) = ((mean_and_variance(&known).0, mean_and_variance(&unknown).0), 1.5);
    assert!(t.abs() < T_MAX || means.0 < ratio * means.1 && means.1 < ratio * means.0, "t = {t}, means {means:?}");
    assert!(welch(&[1.0, 1.1, 0.9, 1.0], &[3.0, 3.1, 2.9, 3.0]).abs() > T_MAX);
}

// nor is there a moment after a start in which the second factor is not demanded.
#[test]
fn r29_after_a_restart_the_second_factor_is_demanded() {
    let mut node = Node::raft_open(Program::Bulkhead);
    node.put("sys/auth/userpass", &json!({"type": "userpass"}));
    node.put("auth/userpass/users/ann", &json!({"password": "right"}));
    let log_in = |node: &Node| {
        let asked = Request::new("POST", "/v1/auth/userpass/login/ann").json(&json!({"password": "right"}));
        asked.send(node.port).unwrap()
    };
    let text = |reply: &Reply, at: &str| reply.at(at).as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned();
    let entity = text(&log_in(&node), "auth.entity_id");
    let settings = json!({"issuer": "Bulkhead", "method_name": "phone", "period": "24h"});
    let method = text(&node.put("identity/mfa/method/totp", &settings), "data.method_id");
    let generate = json!({"method_id": method, "entity_id": entity});
    let url = text(&node.put("identity/mfa/method/totp/admin-generate", &generate), "data.url");
    let demand = json!({"mfa_method_ids": [method], "auth_method_types": ["userpass"]});
    node.put("identity/mfa/login-enforcement/all", &demand);
    node.restart();
    for share in node.shares.clone() {
        let _ = Request::new("PUT", "/v1/sys/unseal").json(&json!({"key": share})).send(node.port).unwrap();
    }
    // From the first answer on that is none of a sealed node's.
    let first = std::iter::repeat_with(|| log_in(&node)).find(|reply| reply.status != 503).unwrap();
    assert_eq!((first.status, first.at("auth.client_token")), (200, json!("")), "{}", first.text());
    let waiting = text(&first, "auth.mfa_requirement.mfa_request_id");
    let body = json!({"mfa_request_id": waiting, "mfa_payload": {&method: [totp::code(&url, 0)]}});
    let granted = Request::new("POST", "/v1/sys/mfa/validate").json(&body).send(node.port).unwrap();
    assert_eq!(granted.status, 200, "{}", granted.text());
}

/// A text that nobody may be shown.
const CANARY: &str = "canary-xq7";

/// The same as the name of a member: the audit log may have it, where names are the API's own.
const NAMED: &str = "named-xq7";

/// The canary in each form in which a field could get it.
fn forms() -> [Value; 6] {
    let longer = format!("{CANARY}{}", "x".repeat(600));
    [json!(CANARY), json!([CANARY]), json!({ "a": CANARY }), json!([[CANARY]]), json!({ NAMED: 1 }), json!(longer)]
}

// what cannot be read as it was sent is told by where it stands and what is wrong, and not repeated.
#[test]
fn r69_no_error_repeats_the_secret_that_is_wrong() {
    let mut node = Node::raft_open(Program::Bulkhead);
    for (kind, path) in
        [("userpass", "sys/auth/userpass"), ("approle", "sys/auth/approle"), ("database", "sys/mounts/database")]
    {
        node.put(path, &json!({"type": kind}));
    }
    node.put("sys/mounts/secret", &json!({"type": "kv", "options": {"version": "2"}}));
    node.put("auth/userpass/users/ann", &json!({"password": "right"}));
    node.put("auth/approle/role/web", &json!({"role_id": "web"}));
    let fields: &[(&str, &str)] = &[
        ("auth/userpass/users/bob", "password"),
        ("auth/userpass/users/bob", "password_hash"),
        ("auth/userpass/users/ann/password", "password"),
        ("auth/userpass/login/ann", "password"),
        ("auth/approle/login", "secret_id"),
        ("auth/approle/role/web/custom-secret-id", "secret_id"),
        ("auth/approle/role/web/secret-id/lookup", "secret_id"),
        ("auth/approle/role/web/secret-id/destroy", "secret_id"),
        ("auth/token/lookup", "token"),
        ("auth/token/renew", "token"),
        ("auth/token/revoke", "token"),
        ("auth/token/create", "id"),
        ("sys/wrapping/unwrap", "token"),
        ("sys/wrapping/lookup", "token"),
        ("sys/wrapping/rewrap", "token"),
        ("sys/unseal", "key"),
        ("sys/rotate/root/update", "key"),
        ("sys/generate-root-token/update", "key"),
        ("sys/decode-token", "otp"),
        ("sys/mfa/validate", "mfa_payload"),
        ("secret/data/a", "data"),
        ("database/config/db", "password"),
        ("database/config/db", "private_key"),
        ("database/config/db", "connection_url"),
    ];
    let mut refused = 0;
    for (path, field) in fields {
        for form in forms() {
            let mut body = json!({"plugin_name": "postgresql-database-plugin", "mfa_request_id": "x", "nonce": "x"});
            body[*field] = form;
            let reply = node.call("PUT", path, Some(&body));
            refused += usize::from(reply.status >= 400);
            let told = reply.text();
            assert!(reply.status < 400 || !told.contains(CANARY) && !told.contains(NAMED), "{path} {body}: {told}");
        }
    }
    assert!(refused > 60, "{refused} were refused: that proves little");
    let whole = json!({"data": {"a": CANARY, "b": [CANARY, {"c": CANARY}]}, "options": {"cas": 0}}).to_string();
    for cut in 1..whole.len() {
        let broken =
            Request::new("POST", "/v1/secret/data/broken").token(&node.token).body(whole.as_bytes()[..cut].to_vec());
        let reply = broken.send(node.port).unwrap();
        assert!(reply.status == 400 && !reply.text().contains("canary"), "{cut}: {} {}", reply.status, reply.text());
    }
    node.terminate();
    let log = fs::read_to_string(node.path("audit.log")).unwrap();
    let seen = log.lines().find(|line| line.contains(CANARY));
    assert!(log.len() > 10_000 && seen.is_none(), "the audit log has it: {seen:?}");
    let output = node.output();
    assert!(!output.contains(CANARY) && !output.contains(NAMED), "the log has it: {output}");
}

/// Every file and folder below this one that others than its owner may do anything with.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, about) = (entry.path(), entry.metadata().unwrap());
        let mode = about.permissions().mode();
        if mode & 0o077 != 0 {
            open.push(format!("{} has {:o}", path.display(), mode & 0o7777));
        }
        if about.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}

// whatever the umask it is started under, what a node writes is for its owner alone.
#[test]
fn r83_files_of_a_node_are_its_owners_alone() {
    let mut start = Start::config(Program::Bulkhead);
    start.prefix = ["sh", "-c", "umask 000; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    let mut node = Node::prepare(start);
    node.write_config(&node.raft_config());
    node.spawn();
    node.until_up();
    node.initialise(1, 1);
    node.unseal();
    node.put("sys/mounts/kv", &json!({"type": "kv"}));
    node.put("kv/a", &json!({"k": "v"}));
    let snapshot = node.get("sys/storage/raft/snapshot");
    assert_eq!(snapshot.status, 200);
    node.terminate();
    let files = open_to_others(&node.path("data"));
    assert!(files.is_empty(), "{}", files.join("\n"));
    let mode = fs::metadata(node.path("audit.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the audit file");
}
