//! Many clients at once, where a count must come out exactly. What lives here: races
//! for the same token or secret. What must not: load without a count.

use std::thread;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

pub(crate) const CLIENTS: usize = 16;

/// Runs the same on all clients at once, and collects what each says.
pub(crate) fn together<T: Send>(job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let job = &job;
                    move || job(client)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn a_token_for_fifty_uses_is_good_for_fifty_uses_however_many_ask_at_once() {
    let node = Node::dev(Program::Bulkhead);
    let token = node.call("POST", "auth/token/create", Some(&json!({"policies": ["default"], "num_uses": 50})));
    let token = token.at("auth.client_token").as_str().unwrap().to_owned();
    let port = node.port;
    let look = || Request::new("GET", "/v1/auth/token/lookup-self").token(&token).send(port).unwrap().status;
    let granted: usize = together(|_| (0..10).filter(|_| look() == 200).count()).into_iter().sum();
    assert_eq!(granted, 50);
}

#[test]
fn of_many_writers_with_the_same_check_and_set_one_wins() {
    let node = Node::dev(Program::Bulkhead);
    let port = node.port;
    for version in 0..10 {
        let won = together(|client| {
            let body = json!({"data": {"by": client}, "options": {"cas": version}});
            let request = Request::new("POST", "/v1/secret/data/contested").token("root").json(&body);
            request.send(port).unwrap().status
        });
        assert_eq!(won.iter().filter(|status| **status == 200).count(), 1, "version {version}: {won:?}");
        assert!(won.iter().all(|status| matches!(status, 200 | 400)), "version {version}: {won:?}");
    }
    assert_eq!(node.get("secret/metadata/contested").at("data.current_version"), json!(10));
}

#[test]
fn writers_without_check_and_set_all_make_a_version() {
    let node = Node::dev(Program::Bulkhead);
    let port = node.port;
    let versions = together(|client| {
        let request = |i: usize| {
            Request::new("POST", "/v1/secret/data/shared").token("root").json(&json!({"data": {"by": client, "i": i}}))
        };
        (0..10).map(|i| request(i).send(port).unwrap().at("data.version")).collect::<Vec<Value>>()
    });
    let mut versions: Vec<u64> = versions.into_iter().flatten().map(|version| version.as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=10 * CLIENTS as u64).collect::<Vec<_>>(), "each write is a version of its own");
}

#[test]
fn a_secret_id_for_five_logins_logs_in_five_times_however_many_try_at_once() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/auth/approle", &json!({"type": "approle"}));
    node.put("auth/approle/role/raced", &json!({"role_id": "raced", "secret_id_num_uses": 5}));
    node.put("auth/approle/role/raced/custom-secret-id", &json!({"secret_id": "five"}));
    let port = node.port;
    let log_in = || {
        let request = Request::new("POST", "/v1/auth/approle/login");
        request.json(&json!({"role_id": "raced", "secret_id": "five"})).send(port).unwrap().status
    };
    let said: Vec<u16> = together(|_| [log_in(), log_in()]).into_iter().flatten().collect();
    assert_eq!(said.iter().filter(|status| **status == 200).count(), 5, "{said:?}");
}

#[test]
fn a_mount_that_many_make_at_once_is_made_once() {
    let node = Node::dev(Program::Bulkhead);
    let port = node.port;
    let made = together(|_| {
        let request = Request::new("POST", "/v1/sys/mounts/raced").token("root").json(&json!({"type": "kv"}));
        request.send(port).unwrap().status
    });
    assert_eq!(made.iter().filter(|status| **status == 204).count(), 1, "{made:?}");
}

#[test]
fn a_token_revoked_while_it_is_used_is_of_no_use_afterwards() {
    let node = Node::dev(Program::Bulkhead);
    let port = node.port;
    let made = node.call("POST", "auth/token/create", Some(&json!({"policies": ["root"]})));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    together(|client| {
        if client == 0 {
            node.put("auth/token/revoke", &json!({"token": token}));
            let after = Request::new("GET", "/v1/auth/token/lookup-self").token(&token).send(port).unwrap();
            assert_eq!(after.status, 403, "{}", after.text());
        } else {
            let child = Request::new("POST", "/v1/auth/token/create").token(&token).json(&json!({}));
            for _ in 0..5 {
                child.send(port).unwrap();
            }
        }
    });
    // No child may outlive it, also none that was being made while it was revoked.
    let accessors = || node.call("LIST", "auth/token/accessors", None).at("data.keys").as_array().map_or(0, Vec::len);
    node.until("only the root token is left", |_| accessors() <= 1);
}
