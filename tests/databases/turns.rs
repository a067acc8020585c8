//! Several requests about one lease, and its end, beside each other: a lease that is there has its user, and
//! what the database was told last is what the lease says.

use bulkhead_tests::http::Request;

use super::*;

/// Longer than it takes to send some requests, in seconds of PostgreSQL's.
const SLOW: &str = "SELECT pg_sleep(0.8)";

/// A server, its database, and a role whose renewals take their time.
fn with_slow_renewals() -> (Node, Postgres) {
    let (node, postgres) = (with_engine(), Postgres::start());
    node.put("database/config/db", &connection(&postgres));
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
    let renew = format!("ALTER ROLE \"{{{{name}}}}\" VALID UNTIL '{{{{expiration}}}}'; {SLOW}");
    let role = json!({
        "db_name": "db", "creation_statements": create, "renew_statements": renew, "default_ttl": "1h", "max_ttl": "2h",
    });
    node.put("database/roles/app", &role);
    (node, postgres)
}

fn renew(node: &Node, lease: &str, secs: u64) -> Reply {
    node.call("PUT", "sys/leases/renew", Some(&json!({ "lease_id": lease, "increment": secs })))
}

fn users(postgres: &Postgres) -> String {
    postgres.sql("postgres", "select count(*) from pg_roles where rolname like 'v-%'")
}

fn is_there(node: &Node, lease: &str) -> bool {
    node.call("PUT", "sys/leases/lookup", Some(&json!({ "lease_id": lease }))).status == 200
}

#[test]
fn renewals_at_once_are_done_one_after_the_other() {
    let (node, postgres) = with_slow_renewals();
    let (lease, name, _) = user(&node, "app");
    thread::scope(|scope| {
        for secs in [3_000, 60, 2_000] {
            let (node, lease) = (&node, &lease);
            scope.spawn(move || assert_eq!(renew(node, lease, secs).status, 200));
        }
    });
    let told = node.call("PUT", "sys/leases/lookup", Some(&json!({ "lease_id": lease })));
    let left = told.at("data.ttl").as_i64().expect("it has a time");
    let until = format!("select extract(epoch from valuntil - now())::int from pg_user where usename = '{name}'");
    let until: i64 = postgres.sql("postgres", &until).parse().expect("it has an end");
    assert!((until - left).abs() < 30, "the lease has {left} s, its user {until} s");
}

#[test]
fn a_revocation_beside_a_renewal_ends_both_lease_and_user() {
    let (node, postgres) = with_slow_renewals();
    let (lease, ..) = user(&node, "app");
    thread::scope(|scope| {
        scope.spawn(|| renew(&node, &lease, 600));
        thread::sleep(Duration::from_millis(300));
        // As clients that say nothing of waiting expect it, and several of them.
        let ended: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| node.call("PUT", "sys/leases/revoke", Some(&json!({ "lease_id": lease })))))
            .collect();
        for ended in ended {
            let ended = ended.join().expect("it is answered");
            assert_eq!(ended.status, 204, "{}", ended.text());
        }
    });
    assert_eq!((is_there(&node, &lease), users(&postgres).as_str()), (false, "0"));
}

#[test]
fn a_renewal_beside_the_end_of_a_lease_keeps_both_or_none() {
    let (node, postgres) = with_slow_renewals();
    node.put("database/roles/app", &json!({ "default_ttl": "2s" }));
    let leases: Vec<_> = (0..6).map(|_| user(&node, "app").0).collect();
    thread::scope(|scope| {
        for (place, lease) in leases.iter().enumerate() {
            let node = &node;
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(1_200 + 150 * place as u64));
                renew(node, lease, 600)
            });
        }
    });
    // What has ended meanwhile is removed within a look.
    thread::sleep(Duration::from_secs(4));
    let left = leases.iter().filter(|lease| is_there(&node, lease)).count();
    assert_eq!(users(&postgres), left.to_string());
}

#[test]
fn what_the_last_use_of_a_token_would_be_told_is_taken_back() {
    let (node, postgres) = with_slow_renewals();
    node.put("sys/policies/acl/creds", &json!({ "policy": "path \"database/creds/*\" { capabilities = [\"read\"] }" }));
    let made = node.call("POST", "auth/token/create", Some(&json!({ "policies": ["creds"], "num_uses": 2 })));
    let token = text(&made, "auth.client_token");
    let read = || {
        let sent = Request::new("GET", "/v1/database/creds/app").token(&token).send(node.port);
        sent.expect("it is answered")
    };
    assert_eq!(read().status, 200);
    let last = read();
    let told = "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.";
    assert_eq!((last.status, last.at("errors")), (400, json!([told])));
    let begun = Instant::now();
    while users(&postgres) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(20), "they are there still");
        thread::sleep(Duration::from_millis(100));
    }
}
