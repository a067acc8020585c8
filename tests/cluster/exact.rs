//! What has to be exact across nodes: what was taken back is of no use anywhere from the moment
//! that it was acknowledged, and what may be had so many times is had that many times by all
//! clients of all nodes together.

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::Node;
use serde_json::{Value, json};

use super::{Cluster, secret};
use crate::races::{CLIENTS, together};

/// How often what is acknowledged by one node is asked of the others: any of them may be the last
/// to hear of it.
const ROUNDS: usize = 6;

fn ask(node: &Node, method: &str, path: &str, token: &str, body: &Value) -> Reply {
    let request = Request::new(method, &format!("/v1/{path}"));
    let request = if token.is_empty() { request } else { request.token(token) };
    let request = if body.is_null() { request } else { request.json(body) };
    request.send(node.port).unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", node.output()))
}

fn text(reply: &Reply, path: &str) -> String {
    reply.at(path).as_str().map(str::to_owned).unwrap_or_else(|| panic!("no {path}: {}", reply.text()))
}

/// How all nodes answer this, one after the other, beginning with those that were not written to.
fn everywhere(cluster: &Cluster, writer: usize, path: &str, token: &str) -> [u16; 3] {
    [1, 2, 3].map(|step| ask(&cluster.nodes[(writer + step) % 3], "GET", path, token, &Value::Null).status)
}

/// The statuses that all clients got from all nodes, each client from each node in its turn.
fn from_all(cluster: &Cluster, each: usize, job: impl Fn(&Node) -> u16 + Sync) -> Vec<u16> {
    let said = together(|client| (0..each).map(|n| job(&cluster.nodes[(client + n) % 3])).collect::<Vec<u16>>());
    said.into_iter().flatten().collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}

// who was taken out of a group at one node has nothing of it any more at any other.
#[test]
fn what_one_node_takes_back_is_of_no_use_on_any_other_from_then_on() {
    let cluster = Cluster::open();
    let policy =
        |capabilities: Value| json!({"policy": json!({"path": {"kv/*": {"capabilities": capabilities}}}).to_string()});
    let nodes = &cluster.nodes;
    nodes[0].put("kv/data/a", &secret("one"));
    nodes[0].put("sys/auth/userpass", &json!({"type": "userpass"}));
    for round in 0..ROUNDS {
        let (writer, other) = (round % 3, (round + 1) % 3);
        nodes[writer].put("sys/policies/acl/p", &policy(json!(["read"])));
        let made = nodes[writer].put("auth/token/create", &json!({"policies": ["p"]}));
        let token = text(&made, "auth.client_token");
        let child = ask(&nodes[other], "POST", "auth/token/create", &token, &json!({}));
        assert_eq!(child.status, 403, "it may not yet: {}", child.text());
        assert_eq!(everywhere(&cluster, writer, "kv/data/a", &token), [200; 3]);
        // Each node keeps the parsed policy, the token and the user for the next request.
        nodes[other].put("sys/policies/acl/p", &policy(json!(["deny"])));
        assert_eq!(everywhere(&cluster, other, "kv/data/a", &token), [403; 3], "policy, round {round}");
        nodes[writer].put("sys/policies/acl/p", &policy(json!(["read"])));
        assert_eq!(everywhere(&cluster, writer, "kv/data/a", &token), [200; 3], "policy back, round {round}");
        nodes[other].put("auth/token/revoke", &json!({"token": token}));
        assert_eq!(everywhere(&cluster, other, "kv/data/a", &token), [403; 3], "token, round {round}");
        leaves_its_group(&cluster, (writer, other), round);

        let user = format!("auth/userpass/users/ann{round}");
        nodes[writer].put(&user, &json!({"password": "right", "token_policies": "p"}));
        let login = format!("auth/userpass/login/ann{round}");
        let log_in = |at: usize| ask(&nodes[at], "POST", &login, "", &json!({"password": "right"}));
        let tokens = [0, 1, 2].map(|at| text(&log_in(at), "auth.client_token"));
        // All that this user was given goes at once, whoever gave it.
        let gone = nodes[other].call("PUT", &format!("sys/leases/revoke-prefix/{login}"), Some(&json!({})));
        assert_eq!(gone.status, 204, "{}", gone.text());
        for token in &tokens {
            assert_eq!(everywhere(&cluster, other, "kv/data/a", token), [403; 3], "prefix, round {round}");
        }
        assert_eq!(nodes[writer].call("DELETE", &user, None).status, 204);
        assert_eq!([1, 2, 3].map(|step| log_in((writer + step) % 3).status), [400; 3], "user, round {round}");
    }
}

/// Who is taken out of a group at one node has nothing of it any more at any other.
fn leaves_its_group(cluster: &Cluster, (writer, other): (usize, usize), round: usize) {
    let nodes = &cluster.nodes;
    let user = format!("auth/userpass/users/bob{round}");
    nodes[writer].put(&user, &json!({"password": "right"}));
    let login = ask(&nodes[other], "POST", &user.replace("users", "login"), "", &json!({"password": "right"}));
    let (token, entity) = (text(&login, "auth.client_token"), text(&login, "auth.entity_id"));
    let group = format!("identity/group/name/g{round}");
    nodes[writer].put(&group, &json!({"policies": ["p"], "member_entity_ids": [entity]}));
    assert_eq!(everywhere(cluster, writer, "kv/data/a", &token), [200; 3], "in the group, round {round}");
    nodes[other].put(&group, &json!({"policies": ["p"], "member_entity_ids": []}));
    assert_eq!(everywhere(cluster, other, "kv/data/a", &token), [403; 3], "out of the group, round {round}");
}

#[test]
fn children_of_a_token_end_with_it_on_every_node_whichever_made_them() {
    let cluster = Cluster::open();
    let nodes = &cluster.nodes;
    for round in 0..ROUNDS {
        let made = nodes[round % 3].put("auth/token/create", &json!({"policies": ["root"], "ttl": "1h"}));
        let parent = text(&made, "auth.client_token");
        let child = |at: usize, of: &str| {
            text(
                &ask(&nodes[at], "POST", "auth/token/create", of, &json!({"policies": ["default"]})),
                "auth.client_token",
            )
        };
        let children = [0, 1, 2].map(|at| child(at, &parent));
        let reviser = (round + 1) % 3;
        nodes[reviser].put("auth/token/revoke", &json!({"token": parent}));
        for token in [parent].iter().chain(&children) {
            assert_eq!(everywhere(&cluster, reviser, "auth/token/lookup-self", token), [403; 3], "round {round}");
        }
    }
}

/// What may be had so many times is had that many times; asked anew, of something new, if a
/// request found no leader, which a slow machine brings about: then it may count or not.
fn is_had(times: usize, scenario: impl Fn(usize) -> Vec<u16>) {
    for round in 0..ROUNDS {
        let said = scenario(round);
        let had = count(&said, 200);
        assert!(had <= times, "{had} instead of {times}: {said:?}");
        if said.iter().all(|status| *status < 500) {
            assert_eq!(had, times, "{said:?}");
            return;
        }
    }
    panic!("no node leads for as long as it takes");
}

#[test]
fn uses_of_a_token_are_counted_over_all_nodes() {
    let cluster = Cluster::open();
    is_had(50, |_| {
        let made = cluster.leader().put("auth/token/create", &json!({"policies": ["default"], "num_uses": 50}));
        let token = text(&made, "auth.client_token");
        from_all(&cluster, 6, |node| ask(node, "GET", "auth/token/lookup-self", &token, &Value::Null).status)
    });
}

#[test]
fn uses_of_a_secret_id_are_counted_over_all_nodes() {
    let cluster = Cluster::open();
    cluster.leader().put("sys/auth/approle", &json!({"type": "approle"}));
    is_had(7, |round| {
        let role = format!("auth/approle/role/r{round}");
        cluster.leader().put(&role, &json!({"role_id": format!("r{round}"), "secret_id_num_uses": 7}));
        cluster.leader().put(&format!("{role}/custom-secret-id"), &json!({"secret_id": "seven"}));
        let login = json!({"role_id": format!("r{round}"), "secret_id": "seven"});
        from_all(&cluster, 2, |node| ask(node, "POST", "auth/approle/login", "", &login).status)
    });
}

// what is wrapped is taken once, by however many and from whichever nodes.
#[test]
fn what_is_wrapped_is_taken_once_whichever_nodes_are_asked() {
    let cluster = Cluster::open();
    let nodes = &cluster.nodes;
    nodes[0].put("kv/data/a", &secret("one"));
    for _ in 0..ROUNDS {
        is_had(1, |round| {
            let wrapped = Request::new("GET", "/v1/kv/data/a").token(&nodes[0].token).header("X-Vault-Wrap-TTL", "60s");
            let token = text(&wrapped.send(nodes[round % 3].port).unwrap(), "wrap_info.token");
            from_all(&cluster, 1, |node| {
                let taken = ask(node, "POST", "sys/wrapping/unwrap", &token, &json!({}));
                assert!(taken.status != 200 || taken.at("data.data.value") == json!("one"), "{}", taken.text());
                taken.status
            })
        });
    }
}

#[test]
fn who_guesses_on_all_nodes_at_once_gets_no_more_attempts_than_one_after_the_other() {
    let cluster = Cluster::open();
    let nodes = &cluster.nodes;
    nodes[0].put("sys/auth/userpass", &json!({"type": "userpass"}));
    nodes[1].put("auth/userpass/users/ann", &json!({"password": "right"}));
    let log_in = |node: &Node, password: &str| {
        ask(node, "POST", "auth/userpass/login/ann", "", &json!({"password": password})).status
    };
    let said = from_all(&cluster, 1, |node| log_in(node, "guess"));
    assert_eq!((count(&said, 400), count(&said, 403)), (5, CLIENTS - 5), "{said:?}");
    assert_eq!([0, 1, 2].map(|at| log_in(&nodes[at], "right")), [403; 3]);
}

/// What a quota of leases says that there are, as each node tells it.
fn counted(cluster: &Cluster, quota: &str) -> [Value; 3] {
    [0, 1, 2].map(|at| {
        let told = ask(&cluster.nodes[at], "GET", quota, &cluster.nodes[at].token, &Value::Null);
        assert_eq!(told.status, 200, "{}", told.text());
        told.at("data.counter")
    })
}

#[test]
fn leases_of_a_quota_are_counted_over_all_nodes_and_by_the_next_leader() {
    let cluster = Cluster::open();
    cluster.leader().put("sys/auth/userpass", &json!({"type": "userpass"}));
    let login = |node: &Node, round: usize| {
        ask(node, "POST", &format!("auth/userpass/login/u{round}"), "", &json!({"password": "right"}))
    };
    let last = std::cell::Cell::new(0);
    is_had(9, |round| {
        last.set(round);
        cluster.leader().put(&format!("auth/userpass/users/u{round}"), &json!({"password": "right"}));
        let path = format!("auth/userpass/login/u{round}");
        cluster.leader().put(&format!("sys/quotas/lease-count/q{round}"), &json!({"max_leases": 9, "path": path}));
        from_all(&cluster, 3, |node| login(node, round).status)
    });
    let (round, quota) = (last.get(), format!("sys/quotas/lease-count/q{}", last.get()));
    assert_eq!(counted(&cluster, &quota), [9, 9, 9].map(Value::from));
    assert_eq!(cluster.leader().call("PUT", "sys/step-down", None).status, 204);
    assert_eq!(counted(&cluster, &quota), [9, 9, 9].map(Value::from), "after another node came to lead");
    assert_eq!([0, 1, 2].map(|at| login(&cluster.nodes[at], round).status), [429; 3]);
    let path = format!("sys/leases/revoke-prefix/auth/userpass/login/u{round}");
    assert_eq!(cluster.nodes[0].call("PUT", &path, None).status, 204);
    cluster.nodes[1].until("the tokens have ended", |_| counted(&cluster, &quota)[0] == json!(0));
    let again = from_all(&cluster, 3, |node| login(node, round).status);
    assert_eq!(count(&again, 200), 9, "{again:?}");
}
