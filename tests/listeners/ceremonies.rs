//! Listeners at which holders of key shares need no token: what they are answered is what the peer answers, and
//! at every other listener nothing changes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::{Node, Start, free_port};
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

/// A server with three shares, of which two are needed: shut on its own port, and open on the second.
fn with_open_listener(program: Program, opened: &str) -> (Node, u16) {
    let (mut node, port) = (Node::prepare(Start::config(program)), free_port());
    let listener = format!("listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n tls_disable = true\n{opened}}}\n");
    node.write_config(&format!("{}{listener}", node.raft_config()));
    node.spawn();
    node.until_up();
    node.initialise(3, 2);
    node.unseal();
    (node, port)
}

const BOTH: &str = " disable_unauthed_rekey_endpoints = false\n disable_unauthed_generate_root_endpoints = \"false\"\n";

/// Requests without a token, and their answers with what is random left out.
struct Told {
    port: u16,
    steps: Vec<(String, u16, Value)>,
}

impl Told {
    fn ask(&mut self, method: &str, path: &str, body: Value) -> Reply {
        let request = Request::new(method, &format!("/v1/sys/{path}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        let reply = request.send(self.port).unwrap();
        let told = serde_json::from_str(&reply.text()).unwrap_or_default();
        self.steps.push((format!("{method} {path}"), reply.status, masked(told)));
        reply
    }
}

fn masked(mut told: Value) -> Value {
    // Once the new shares are out, it is told here that all of the old ones were brought, and there that none is.
    if told.get("verification_nonce").is_some() && told.get("progress").is_some() {
        told["progress"] = Value::Null;
    }
    for name in ["nonce", "otp", "encoded_token", "encoded_root_token", "verification_nonce"] {
        if let Some(text) = told.get_mut(name).filter(|text| **text != "") {
            *text = "random".into();
        }
    }
    for name in ["keys", "keys_base64"] {
        if let Some(keys) = told.get_mut(name) {
            *keys = keys.as_array().map_or(0, Vec::len).into();
        }
    }
    let error = told["errors"][0].as_str().unwrap_or_default();
    // It tells of a nonce.
    if let Some((front, _)) = error.split_once(" is \"") {
        told["errors"][0] = front.into();
    }
    told
}

fn text(reply: &Reply, at: &str) -> String {
    reply.at(at).as_str().unwrap_or_else(|| panic!("no {at} in {}", reply.text())).to_owned()
}

/// Makes a root token without one.
fn make_root(told: &mut Told, shares: [&str; 2]) -> String {
    told.ask("GET", "generate-root/attempt", Value::Null);
    told.ask("PUT", "generate-root/update", json!({"key": shares[0], "nonce": "none"}));
    told.ask("PUT", "generate-root/attempt", json!({"otp": "short"}));
    let begun = told.ask("PUT", "generate-root/attempt", json!({}));
    told.ask("POST", "generate-root/attempt", json!({}));
    told.ask("GET", "generate-root/attempt", Value::Null);
    let (nonce, otp) = (text(&begun, "nonce"), text(&begun, "otp"));
    told.ask("PUT", "generate-root/update", json!({"nonce": nonce}));
    told.ask("PUT", "generate-root/update", json!({"nonce": nonce, "key": "zz"}));
    told.ask("PUT", "generate-root/update", json!({"nonce": "other", "key": shares[0]}));
    told.ask("PUT", "generate-root/update", json!({"nonce": nonce, "key": shares[0]}));
    told.ask("DELETE", "generate-root/attempt", Value::Null);
    told.ask("DELETE", "generate-root/attempt", Value::Null);
    let begun = told.ask("PUT", "generate-root/attempt", json!({"otp": otp}));
    let nonce = text(&begun, "nonce");
    told.ask("PUT", "generate-root/update", json!({"nonce": nonce, "key": shares[0]}));
    let made = told.ask("PUT", "generate-root/update", json!({"nonce": nonce, "key": shares[1]}));
    told.ask("GET", "generate-root/attempt", Value::Null);
    assert_eq!(made.at("encoded_token"), made.at("encoded_root_token"));
    let covered = STANDARD_NO_PAD.decode(text(&made, "encoded_token")).unwrap();
    covered.iter().zip(otp.bytes()).map(|(a, b)| char::from(a ^ b)).collect()
}

/// Splits the key anew without a token, and has the new shares proved; gives two of them.
fn split_anew(told: &mut Told, shares: [&str; 2]) -> [String; 2] {
    told.ask("GET", "rekey/init", Value::Null);
    told.ask("GET", "rekey/verify", Value::Null);
    told.ask("PUT", "rekey/update", json!({"key": shares[0], "nonce": "none"}));
    told.ask("PUT", "rekey/verify", json!({"key": shares[0], "nonce": "none"}));
    let wanted = json!({"secret_shares": 4, "secret_threshold": 2, "require_verification": true});
    let begun = told.ask("PUT", "rekey/init", wanted.clone());
    told.ask("PUT", "rekey/init", wanted);
    told.ask("GET", "rekey/verify", Value::Null);
    let nonce = text(&begun, "nonce");
    told.ask("PUT", "rekey/update", json!({"nonce": nonce}));
    told.ask("PUT", "rekey/update", json!({"nonce": nonce, "key": "zz"}));
    told.ask("PUT", "rekey/update", json!({"nonce": "other", "key": shares[0]}));
    told.ask("PUT", "rekey/update", json!({"nonce": nonce, "key": shares[0]}));
    let made = told.ask("PUT", "rekey/update", json!({"nonce": nonce, "key": shares[1]}));
    told.ask("GET", "rekey/init", Value::Null);
    told.ask("PUT", "rekey/update", json!({"nonce": nonce, "key": shares[1]}));
    let new = [0, 1].map(|at| text(&made, &format!("keys_base64.{at}")));
    let proving = text(&made, "verification_nonce");
    told.ask("PUT", "rekey/verify", json!({"nonce": "other", "key": new[0]}));
    told.ask("PUT", "rekey/verify", json!({"nonce": proving, "key": new[0]}));
    let proving = text(&told.ask("DELETE", "rekey/verify", Value::Null), "nonce");
    told.ask("PUT", "rekey/verify", json!({"nonce": proving, "key": new[0]}));
    told.ask("PUT", "rekey/verify", json!({"nonce": proving, "key": new[1]}));
    told.ask("GET", "rekey/init", Value::Null);
    told.ask("PUT", "rekey/init", json!({"secret_shares": 1, "secret_threshold": 1}));
    told.ask("DELETE", "rekey/init", Value::Null);
    told.ask("GET", "rekey-recovery-key/init", Value::Null);
    told.ask("PUT", "rekey-recovery-key/init", json!({"secret_shares": 1, "secret_threshold": 1}));
    new
}

fn walk(program: Program) -> Vec<(String, u16, Value)> {
    let (node, port) = with_open_listener(program, BOTH);
    let mut told = Told { port, steps: Vec::new() };
    let root = make_root(&mut told, [&node.shares[0], &node.shares[2]]);
    let made = Request::new("GET", "/v1/auth/token/lookup-self").token(&root).send(node.port).unwrap();
    assert_eq!((made.status, made.at("data.policies")), (200, json!(["root"])), "{}", made.text());
    let new = split_anew(&mut told, [&node.shares[1], &node.shares[2]]);
    // They count: the node opens with them.
    node.call("PUT", "sys/seal", None);
    for share in &new {
        assert_eq!(node.call("PUT", "sys/unseal", Some(&json!({"key": share}))).status, 200);
    }
    node.until("it is open", |node| node.get("sys/health").status == 200);
    assert_eq!(STANDARD.decode(&new[0]).unwrap().len(), 33);
    // A token that is none does no harm, and the other listener lets nobody through.
    let asked = |port: u16, path: &str| {
        let reply = Request::new("GET", &format!("/v1/sys/{path}")).token("s.none").send(port).unwrap();
        (reply.status, reply.at("errors"))
    };
    assert_eq!(asked(port, "generate-root/attempt"), (200, Value::Null));
    assert_eq!(asked(node.port, "generate-root/attempt"), (405, json!(["unsupported operation"])));
    assert_eq!(asked(node.port, "rekey/init"), (405, json!(["unsupported operation"])));
    told.steps
}

#[test]
fn who_has_key_shares_needs_no_token_where_the_listener_says_so_as_with_the_peer() {
    let ours = walk(Program::Bulkhead);
    assert!(ours.iter().all(|(_, status, _)| *status < 500), "{ours:?}");
    if programs::bao().is_some() {
        let theirs = walk(Program::Bao);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn each_of_the_two_is_opened_by_its_own_key() {
    for (opened, root, rekey) in [
        (" disable_unauthed_rekey_endpoints = false\n", 405, 200),
        (" disable_unauthed_generate_root_endpoints = false\n", 200, 405),
        (" disable_unauthed_rekey_endpoints = true\n disable_unauthed_generate_root_endpoints = true\n", 405, 405),
        ("", 405, 405),
    ] {
        let (node, port) = with_open_listener(Program::Bulkhead, opened);
        let status = |path: &str| Request::new("GET", &format!("/v1/sys/{path}")).send(port).unwrap().status;
        assert_eq!((status("generate-root/attempt"), status("rekey/init")), (root, rekey), "{opened}");
        // In a namespace there is none of it, wherever it is asked for.
        node.put("sys/namespaces/team", &json!({}));
        let inside = Request::new("GET", "/v1/sys/rekey/init").header("X-Vault-Namespace", "team");
        assert_eq!(inside.send(port).unwrap().status, 403, "{opened}");
    }
}

/// Everybody who reaches the listener could otherwise ask for the first recovery keys, and have the cluster.
#[test]
fn without_recovery_keys_nobody_can_prove_anything_and_nothing_is_begun() {
    let (mut node, port) = (Node::prepare(Start::config(Program::Bulkhead)), free_port());
    let listener = format!("listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n tls_disable = true\n{BOTH}}}\n");
    let key = "seal \"static\" {\n current_key_id = \"k\"\n current_key = \
               \"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"\n}\n";
    node.write_config(&format!("{}{listener}{key}", node.raft_config()));
    node.spawn();
    node.until_up();
    let made = node.call("PUT", "sys/init", Some(&json!({"recovery_shares": 0, "recovery_threshold": 0})));
    assert_eq!(made.status, 200, "{}", made.text());
    node.until("it is open", |node| node.get("sys/health").status == 200);
    let split = json!({"secret_shares": 1, "secret_threshold": 1});
    for (path, body) in
        [("generate-root/attempt", json!({})), ("rekey/init", split.clone()), ("rekey-recovery-key/init", split)]
    {
        let reply = Request::new("PUT", &format!("/v1/sys/{path}")).json(&body).send(port).unwrap();
        let why = json!(["there are no recovery keys: nobody could prove that this is wanted"]);
        assert_eq!((reply.status, reply.at("errors")), (400, why), "{path}");
    }
}

#[test]
fn a_split_that_was_begun_with_a_token_is_nobodys_without_one() {
    let (node, open) = with_open_listener(Program::Bulkhead, BOTH);
    let begun = node.put("sys/rotate/root/init", &json!({"secret_shares": 5, "secret_threshold": 3}));
    assert_eq!(begun.status, 200, "{}", begun.text());
    let ask = |method: &str, path: &str, body: Value| {
        Request::new(method, &format!("/v1/sys/{path}")).json(&body).send(open).unwrap()
    };
    assert_eq!(ask("GET", "rekey/init", json!({})).at("started"), json!(false));
    let nonce = begun.at("data.nonce");
    let brought = ask("PUT", "rekey/update", json!({"key": node.shares[0], "nonce": nonce}));
    assert_eq!((brought.status, brought.at("errors.0")), (400, json!("no barrier rekey in progress")));
    assert_eq!(ask("DELETE", "rekey/init", json!({})).status, 204);
    assert_eq!(node.get("sys/rotate/root/init").at("data.nonce"), nonce, "it goes on");
    // Nor the other way round; and what ends first ends both.
    let beside = ask("PUT", "rekey/init", json!({"secret_shares": 1, "secret_threshold": 1}));
    assert_eq!(beside.status, 200, "{}", beside.text());
    for share in &node.shares[..2] {
        let brought = node.put("sys/rotate/root/update", &json!({"key": share, "nonce": nonce}));
        assert_eq!(brought.status, 200, "{}", brought.text());
    }
    assert_eq!(ask("GET", "rekey/init", json!({})).at("started"), json!(false));
}
