//! What is not in time: statements that arrive after their call was given up, and sessions from before a reset.

use std::thread;
use std::time::{Duration, Instant};

use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, MariaDb, Postgres, Redis, Wire};
use bulkhead_tests::node::Node;
use serde_json::{Value, json};

use super::{connection, intents, user, with_engine};

/// A role of this name at a connection of this name, both by that config.
pub(super) fn role(node: &Node, name: &str, config: &Value, statements: &str) {
    node.put(&format!("database/config/{name}"), config);
    let role = json!({ "db_name": name, "creation_statements": statements, "default_ttl": "1h" });
    node.put(&format!("database/roles/{name}"), &role);
}

pub(super) fn mariadb(port: u16) -> Value {
    json!({
        "plugin_name": "mysql-database-plugin", "allowed_roles": "*", "username": ADMIN, "password": ADMIN_PASSWORD,
        "connection_url": format!("{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{port})/"),
    })
}

fn redis(port: u16) -> Value {
    json!({
        "plugin_name": "redis-database-plugin", "allowed_roles": "*", "username": ADMIN, "password": ADMIN_PASSWORD,
        "host": "127.0.0.1", "port": port,
    })
}

#[test]
fn nobody_is_made_by_what_arrives_after_it_was_undone() {
    let (node, first, second) = (with_engine(), MariaDb::start(), Redis::start());
    let wires = [Wire::to(first.port()), Wire::to(second.port())];
    let create = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
    role(&node, "mariadb", &mariadb(wires[0].port()), create);
    role(&node, "redis", &redis(wires[1].port()), "");
    let there = || {
        let users = first.sql("SELECT user FROM mysql.user") + "\n" + &second.command(&["ACL", "USERS"]);
        users.lines().filter(|name| name.to_lowercase().starts_with('v')).count()
    };
    for (wire, text, name) in [(&wires[0], "CREATE USER", "mariadb"), (&wires[1], "SETUSER", "redis")] {
        wire.hold(text);
        let refused = node.get(&format!("database/creds/{name}"));
        assert_eq!(refused.status, 503, "{}", refused.text());
    }
    assert_eq!((there(), intents(&node).len()), (0, 2));
    let begun = Instant::now();
    while !intents(&node).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(240), "it is not undone");
        thread::sleep(Duration::from_millis(500));
    }
    wires.iter().for_each(Wire::release);
    assert_eq!(there(), 0, "a user without a lease");
    // And whoever comes by that way afterwards is let through.
    for name in ["mariadb", "redis"] {
        user(&node, name);
    }
    assert_eq!(there(), 2);
}

#[test]
fn a_reset_ends_the_sessions_from_before() {
    let (node, mut postgres) = (with_engine(), Postgres::start());
    let _ = postgres.sql("postgres", "CREATE ROLE root SUPERUSER LOGIN PASSWORD 'first'");
    let mut config = connection(&postgres);
    (config["username"], config["password"]) = (json!("root"), json!("first"));
    role(&node, "db", &config, "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'");
    let session = "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE usename = 'root'";
    user(&node, "db");
    let before = postgres.sql("postgres", session);
    assert!(!before.is_empty(), "no session waits");
    assert_eq!(node.call("POST", "database/reset/db", Some(&json!({}))).status, 204);
    user(&node, "db");
    let after = postgres.sql("postgres", session);
    assert!(after.split(',').any(|pid| !before.split(',').any(|known| known == pid)), "{before} {after}");
    // Who may not log in any more does not go on in a session from before.
    let _ = postgres.sql("postgres", "ALTER ROLE root PASSWORD 'other'");
    user(&node, "db");
    let refused = node.call("POST", "database/reset/db", Some(&json!({})));
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(refused.text().contains("password authentication failed"), "{}", refused.text());
    assert!(node.get("database/creds/db").status > 500);
    assert!(!node.get("database/config/db").text().contains("reset_at"));
    node.put("database/config/db", &json!({ "password": "other" }));
    user(&node, "db");
    postgres.kill();
    let refused = node.call("POST", "database/reset/db", Some(&json!({})));
    assert_eq!(refused.status, 503, "{}", refused.text());
}
