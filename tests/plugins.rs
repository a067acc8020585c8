//! The example guests in a running server: an engine that gives leases and a method
//! that logs in. What lives here: what a user of a plugin sees. What must not: what a
//! hostile guest can do (that is the sandbox's own test).

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{self, Program};
use bulkhead_tests::transcript::{self, Client};
use serde_json::{Value, json};

/// How the engine is set up, below its mount.
const ROLE: &str = "roles/r";

/// What gives a lease.
const LEASED: &str = "codes/r";

/// How the method is set up, and how one logs in.
const USER: &str = "users/joe";
const LOGIN: &str = "login/joe";

/// A development server that knows the example guests.
fn with_examples() -> Node {
    let folder = format!("-dev-plugin-dir={}", programs::guests().display());
    assert!(programs::guests().join("hello-engine.wasm").is_file(), "no guests: `cargo xtask plugins` builds them");
    Node::dev_with(Start::dev(Program::Bulkhead).with(&[&folder]))
}

/// The same with the engine mounted, and a role whose leases last so long.
fn with_engine(ttl: &str) -> Node {
    let node = with_examples();
    node.put("sys/mounts/hello-engine", &json!({"type": "hello-engine"}));
    node.put(&format!("hello-engine/{ROLE}"), &json!({"prefix": "hello", "ttl": ttl}));
    node
}

/// A fresh lease: its id, and the answer.
fn leased(node: &Node) -> (String, Reply) {
    let reply = node.get(&format!("hello-engine/{LEASED}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.at("lease_id").as_str().unwrap().to_owned();
    assert!(id.starts_with(&format!("hello-engine/{LEASED}/")), "{id}");
    (id, reply)
}

fn lookup(node: &Node, id: &str) -> Reply {
    node.call("PUT", "sys/leases/lookup", Some(&json!({"lease_id": id})))
}

#[test]
fn the_engine_is_enabled_and_disabled_at_the_command_line() {
    let node = with_examples();
    let address = format!("http://127.0.0.1:{}", node.port);
    for program in [Some(Program::Bulkhead), programs::bao().map(|_| Program::Bao)].into_iter().flatten() {
        let home = node.dir().to_path_buf();
        let client = Client { program: program.path(), home, address: address.clone(), same_errors: false };
        for line in [
            "login -no-print root",
            "secrets enable hello-engine",
            "auth enable hello-auth",
            "secrets list",
            "auth list",
            "secrets disable hello-engine",
            "auth disable hello-auth",
        ] {
            let ran = client.run(&transcript::words(line), "");
            assert_eq!(ran.exit, 0, "{} {line}: {}{}", program.name(), ran.output, ran.errors);
        }
    }
}

#[test]
fn a_lease_of_the_engine_is_made_looked_up_renewed_and_revoked() {
    let node = with_engine("1h");
    let (id, made) = leased(&node);
    assert_eq!((made.at("lease_duration"), made.at("renewable")), (json!(3600), json!(true)), "{}", made.text());
    let known = lookup(&node, &id);
    assert_eq!((known.status, known.at("data.id")), (200, json!(id)), "{}", known.text());
    let keys = node.call("LIST", &format!("sys/leases/lookup/hello-engine/{LEASED}"), None).at("data.keys");
    assert_eq!(keys.as_array().map(Vec::len), Some(1), "{keys}");
    let renewed = node.put("sys/leases/renew", &json!({"lease_id": id, "increment": 1800}));
    assert_eq!((renewed.at("lease_id"), renewed.at("lease_duration")), (json!(id), json!(1800)), "{}", renewed.text());
    node.put("sys/leases/revoke", &json!({"lease_id": id}));
    node.until("the lease is gone", |node| lookup(node, &id).status == 400);
}

#[test]
fn a_lease_of_the_engine_runs_out() {
    let node = with_engine("1s");
    let (id, _) = leased(&node);
    node.until("the lease is gone", |node| lookup(node, &id).status == 400);
}

#[test]
fn disabling_the_engine_revokes_its_leases() {
    let node = with_engine("1h");
    let (id, _) = leased(&node);
    assert_eq!(node.call("DELETE", "sys/mounts/hello-engine", None).status, 204);
    node.until("the lease is gone", |node| lookup(node, &id).status == 400);
}

#[test]
fn the_leases_of_a_token_go_with_it() {
    let node = with_engine("1h");
    node.put("sys/policies/acl/hello", &json!({"policy": "path \"hello-engine/*\" { capabilities = [\"read\"] }"}));
    let token = node.call("POST", "auth/token/create", Some(&json!({"policies": ["hello"]}))).at("auth.client_token");
    let token = token.as_str().unwrap();
    let made = Request::new("GET", &format!("/v1/hello-engine/{LEASED}")).token(token).send(node.port).unwrap();
    let id = made.at("lease_id").as_str().unwrap().to_owned();
    assert_eq!(lookup(&node, &id).status, 200);
    node.put("auth/token/revoke", &json!({"token": token}));
    node.until("the lease is gone", |node| lookup(node, &id).status == 400);
}

#[test]
fn a_login_gives_a_token_with_the_policies_of_the_method() {
    let node = with_examples();
    node.put("sys/policies/acl/hello", &json!({"policy": "path \"cubbyhole/*\" { capabilities = [\"read\"] }"}));
    node.put("sys/auth/hello-auth", &json!({"type": "hello-auth"}));
    node.put(&format!("auth/hello-auth/{USER}"), &json!({"phrase": "right", "policies": ["hello"]}));
    let log_in = |phrase: &str| {
        let request = Request::new("POST", &format!("/v1/auth/hello-auth/{LOGIN}"));
        request.json(&json!({"phrase": phrase})).send(node.port).unwrap()
    };
    let made = log_in("right");
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(made.at("auth.policies"), json!(["default", "hello"]), "{}", made.text());
    let token = made.at("auth.client_token");
    let token = token.as_str().unwrap();
    let itself = Request::new("GET", "/v1/auth/token/lookup-self").token(token).send(node.port).unwrap();
    assert_eq!(itself.at("data.path"), json!(format!("auth/hello-auth/{LOGIN}")), "{}", itself.text());
    assert_eq!(itself.at("data.orphan"), json!(true));
    let renewed =
        Request::new("POST", "/v1/auth/token/renew-self").token(token).json(&json!({})).send(node.port).unwrap();
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let refused = log_in("wrong");
    assert!(matches!(refused.status, 400 | 403), "{} {}", refused.status, refused.text());
    assert_eq!(refused.at("auth"), Value::Null);
}

#[test]
fn a_plugin_describes_its_paths_in_help_and_openapi() {
    let node = with_engine("1h");
    let help = node.get(&format!("hello-engine/{ROLE}?help=1"));
    assert_eq!(help.status, 200, "{}", help.text());
    assert!(help.at("help").as_str().is_some_and(|text| text.contains("ttl")), "{}", help.text());
    let paths = node.get("sys/internal/specs/openapi").at("paths");
    assert!(
        paths.as_object().is_some_and(|paths| paths.keys().any(|path| path.starts_with("/hello-engine/"))),
        "{paths}"
    );
}

#[test]
fn a_login_under_a_name_that_is_too_long_is_refused_and_not_trapped() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/auth/approle", &json!({ "type": "approle" }));
    for role_id in ["x".repeat(20_000), "é".repeat(9_000)] {
        let refused = node.call("POST", "auth/approle/login", Some(&json!({ "role_id": role_id, "secret_id": "y" })));
        assert_eq!((refused.status, refused.at("errors")), (400, json!(["invalid role or secret ID"])));
    }
    assert!(!node.output().contains("trapped"), "{}", node.output());
}
