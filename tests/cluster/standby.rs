//! Any node takes any request.

use bulkhead_tests::http::Request;
use serde_json::{Value, json};

use super::{Cluster, secret};

#[test]
fn a_write_to_a_standby_is_done_and_shows_on_every_node_at_once() {
    let cluster = Cluster::open();
    for (at, standby) in cluster.standbys().into_iter().enumerate() {
        let name = format!("kv/data/of-{at}");
        let written = standby.put(&name, &secret("told to a standby"));
        assert_eq!(written.at("data.version"), json!(1), "{}", written.text());
        for node in &cluster.nodes {
            assert_eq!(node.get(&name).at("data.data.value"), json!("told to a standby"));
        }
        let gone = standby.call("DELETE", &name, None);
        assert_eq!(gone.status, 204, "{}", gone.text());
        for node in &cluster.nodes {
            assert_eq!(node.get(&name).status, 404);
        }
    }
}

#[test]
fn what_a_standby_answers_is_what_the_leader_would() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    // No token, a wrong one, a wrong body, a path that is not there, a wrong method.
    for (method, path, token, body) in [
        ("PUT", "kv/data/a", "", json!({"data": {}})),
        ("PUT", "kv/data/a", "hvs.wrong", json!({"data": {}})),
        ("PUT", "kv/data/a", leader.token.as_str(), json!({"nonsense": 1})),
        ("PUT", "nowhere/a", leader.token.as_str(), json!({})),
        ("DELETE", "sys/health", leader.token.as_str(), json!(null)),
        ("PUT", "sys/rekey/init", "", json!({})),
    ] {
        let asked = |port: u16| {
            let request = Request::new(method, &format!("/v1/{path}")).token(token);
            let request = if body.is_null() { request } else { request.json(&body) };
            request.send(port).unwrap()
        };
        let (from_leader, from_standby) = (asked(leader.port), asked(standby.port));
        assert_eq!(from_leader.status, from_standby.status, "{method} {path}: {}", from_standby.text());
        assert_eq!(from_leader.at("errors"), from_standby.at("errors"), "{method} {path}");
    }
}

#[test]
fn who_has_key_shares_may_ask_any_node_whose_listener_says_so() {
    let opened = |config: String| {
        config.replacen(
            "tls_disable     = true",
            "tls_disable = true\n  disable_unauthed_generate_root_endpoints = false",
            1,
        )
    };
    let cluster = Cluster::open_with(opened);
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    let asked = |method: &str, path: &str, body: Value| {
        Request::new(method, &format!("/v1/sys/{path}")).json(&body).send(standby.port).unwrap()
    };
    let begun = asked("PUT", "generate-root/attempt", json!({}));
    assert_eq!(begun.status, 200, "{}", begun.text());
    let status = |port: u16| Request::new("GET", "/v1/sys/generate-root/attempt").send(port).unwrap().at("nonce");
    assert_eq!((status(leader.port), status(standby.port)), (begun.at("nonce"), begun.at("nonce")));
    let made = asked("PUT", "generate-root/update", json!({"nonce": begun.at("nonce"), "key": standby.shares[0]}));
    assert_eq!((made.status, made.at("complete")), (200, json!(true)), "{}", made.text());
    assert_eq!(asked("PUT", "rekey/init", json!({})).status, 405, "that was not opened");
}

/// It is decided before a request reads anything, and nobody asks this node for anything else.
#[test]
fn whose_pages_may_ask_is_known_on_every_node() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    let may_ask = |origin: &str| {
        let asked = Request::new("OPTIONS", "/v1/sys/mounts").header("Origin", origin);
        asked.header("Access-Control-Request-Method", "GET").send(standby.port).unwrap().status == 200
    };
    for (allowed, refused) in
        [("https://one.example", "https://two.example"), ("https://two.example", "https://one.example")]
    {
        leader.put("sys/config/cors", &json!({"allowed_origins": [allowed]}));
        standby.until("it has heard of it", |_| may_ask(allowed));
        assert!(!may_ask(refused), "{refused}");
    }
}

#[test]
fn tokens_wrapping_and_logins_work_on_a_standby() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    leader.put("kv/data/a", &secret("one"));
    let made = standby.put("auth/token/create", &json!({"policies": ["root"], "num_uses": 2, "ttl": "1h"}));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    let read = |port: u16| Request::new("GET", "/v1/kv/data/a").token(&token).send(port).unwrap();
    assert_eq!(read(standby.port).status, 200);
    assert_eq!(read(leader.port).status, 200);
    assert_eq!(read(standby.port).status, 403, "its uses are counted wherever they are");
    let wrapped = Request::new("GET", "/v1/kv/data/a").token(&leader.token).header("X-Vault-Wrap-TTL", "60s");
    let wrapped = wrapped.send(standby.port).unwrap();
    let token = wrapped.at("wrap_info.token").as_str().unwrap_or_else(|| panic!("{}", wrapped.text())).to_owned();
    let unwrapped = Request::new("POST", "/v1/sys/wrapping/unwrap").token(&token).json(&json!({}));
    let unwrapped = unwrapped.send(cluster.standbys()[1].port).unwrap();
    assert_eq!(unwrapped.at("data.data.value"), json!("one"), "{}", unwrapped.text());
    standby.put("sys/auth/userpass", &json!({"type": "userpass"}));
    standby.put("auth/userpass/users/ann", &json!({"password": "a long password"}));
    let login = Request::new("POST", "/v1/auth/userpass/login/ann").json(&json!({"password": "a long password"}));
    let login = login.send(standby.port).unwrap();
    assert_eq!(login.status, 200, "{}", login.text());
}

#[test]
fn a_token_may_be_bound_to_the_address_it_is_used_from_whichever_node_is_asked() {
    let cluster = Cluster::open();
    let standby = cluster.standbys()[0];
    standby.put(
        "sys/policies/acl/writer",
        &json!({"policy": "path \"kv/*\" { capabilities = [\"create\", \"update\"] }"}),
    );
    for (cidr, expected) in [("127.0.0.1/32", 200), ("10.1.2.3/32", 403)] {
        standby.put("auth/token/roles/bound", &json!({"allowed_policies": ["writer"], "token_bound_cidrs": [cidr]}));
        let made = standby.put("auth/token/create/bound", &json!({"policies": ["writer"]}));
        let token =
            made.at("auth.client_token").as_str().map(str::to_owned).unwrap_or_else(|| panic!("{}", made.text()));
        let forged = Request::new("PUT", "/v1/kv/data/b")
            .token(&token)
            .header("X-Forwarded-For", "10.1.2.3")
            .header("X-Bulkhead-Forwarded", "10.1.2.3")
            .json(&secret("b"));
        assert_eq!(forged.send(standby.port).unwrap().status, expected, "{cidr}");
    }
}

#[test]
fn standbys_read_what_is_written_under_a_new_key() {
    let cluster = Cluster::open();
    let leader = cluster.leader();
    for round in 0..3 {
        leader.put("sys/rotate", &json!({}));
        let name = format!("kv/data/after-{round}");
        leader.put(&name, &secret("new key"));
        for node in &cluster.nodes {
            let read = node.get(&name);
            assert_eq!(read.at("data.data.value"), json!("new key"), "{} {}", read.status, read.text());
        }
    }
}

#[test]
fn the_leader_records_what_a_standby_hands_to_it() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    let reply = standby.put("kv/data/recorded", &secret("one"));
    let id = reply.at("request_id").as_str().unwrap().to_owned();
    let lines = |node: &bulkhead_tests::node::Node| {
        let text = std::fs::read_to_string(node.path("audit.log")).unwrap();
        text.lines().filter(|line| line.contains(&id)).count()
    };
    assert_eq!((lines(leader), lines(standby)), (2, 0));
    let line = std::fs::read_to_string(leader.path("audit.log")).unwrap();
    let line = line.lines().find(|line| line.contains(&id)).unwrap().to_owned();
    assert!(line.contains("\"remote_address\":\"127.0.0.1\""), "{line}");
}

#[test]
fn a_standby_makes_identity_tokens_that_every_node_believes() {
    let cluster = Cluster::open();
    let (leader, standby) = (cluster.leader(), cluster.standbys()[0]);
    for (path, body) in [
        ("sys/auth/userpass", json!({"type": "userpass"})),
        ("auth/userpass/users/ann", json!({"password": "a long password", "token_policies": "tokens"})),
        ("sys/policies/acl/tokens", json!({"policy": "path \"identity/oidc/token/*\" { capabilities = [\"read\"] }"})),
        ("identity/oidc/key/k", json!({"algorithm": "RS256", "allowed_client_ids": "*"})),
        ("identity/oidc/role/r", json!({"key": "k"})),
    ] {
        let done = standby.put(path, &body);
        assert_eq!(done.status, 204, "{path}: {}", done.text());
    }
    let login = Request::new("POST", "/v1/auth/userpass/login/ann").json(&json!({"password": "a long password"}));
    let login = login.send(standby.port).unwrap();
    let ann = login.at("auth.client_token").as_str().unwrap_or_else(|| panic!("{}", login.text())).to_owned();
    let keys = |port: u16| Request::new("GET", "/v1/identity/oidc/.well-known/keys").send(port).unwrap().at("keys");
    let first_key = keys(leader.port)[0].clone();
    for round in 0..2 {
        for maker in &cluster.nodes {
            let made = Request::new("GET", "/v1/identity/oidc/token/r").token(&ann).send(maker.port).unwrap();
            let token = made.at("data.token").as_str().unwrap_or_else(|| panic!("{}", made.text())).to_owned();
            for node in &cluster.nodes {
                let told = node.put("identity/oidc/introspect", &json!({ "token": token }));
                assert_eq!(told.text(), "{\"active\":true}", "round {round}");
                assert_eq!(keys(node.port).as_array().map(Vec::len), Some(2 + round));
                assert_eq!(keys(node.port)[0], first_key);
            }
        }
        assert_eq!(standby.put("identity/oidc/key/k/rotate", &json!({})).status, 204);
    }
}
