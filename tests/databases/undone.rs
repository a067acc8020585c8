//! What there is to undo, and what not: where nothing was begun, what it costs others, and who gives it up.

use std::thread;
use std::time::{Duration, Instant};

use bulkhead_test_servers::Postgres;
use bulkhead_tests::node::{Node, free_port};
use serde_json::{Value, json};

use super::{connection, cut_off, intents, text, user, with_engine};

const CREATE: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";

/// A role of a connection of the same name.
fn role(node: &Node, name: &str, config: &Value, statements: &str) {
    node.put(&format!("database/config/{name}"), config);
    node.put(&format!("database/roles/{name}"), &json!({ "db_name": name, "creation_statements": statements }));
}

/// Asks for a user of a role, so often, and each time gets this answer.
fn refused(node: &Node, role: &str, times: usize, status: u16) {
    for _ in 0..times {
        let reply = node.get(&format!("database/creds/{role}"));
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[test]
fn where_nothing_was_begun_there_is_nothing_to_undo() {
    let (node, postgres) = (with_engine(), Postgres::start());
    let mut away = connection(&postgres);
    away["verify_connection"] = json!(false);
    let mut stranger = away.clone();
    stranger["password"] = json!("a wrong one");
    let there = postgres.port().to_string();
    let url = away["connection_url"].as_str().expect("it has one").replace(&there, &free_port().to_string());
    away["connection_url"] = json!(url);
    role(&node, "away", &away, CREATE);
    role(&node, "stranger", &stranger, CREATE);
    role(&node, "db", &connection(&postgres), CREATE);
    refused(&node, "away", 5, 503);
    refused(&node, "stranger", 5, 502);
    let rotated = |name: &str| node.call("POST", &format!("database/rotate-root/{name}"), Some(&json!({}))).status;
    assert_eq!((rotated("away"), rotated("stranger")), (503, 502));
    assert_eq!(intents(&node), []);
    user(&node, "db");
}

#[test]
fn one_connection_whose_calls_are_to_be_undone_keeps_no_other_from_making_users() {
    let (node, postgres) = (with_engine(), Postgres::start());
    // What fails is undone at once, however often.
    role(
        &node,
        "failing",
        &connection(&postgres),
        &format!("{CREATE}; COMMIT; GRANT nothing_there TO \"{{{{name}}}}\""),
    );
    refused(&node, "failing", 5, 502);
    let left = postgres.sql("postgres", "select count(*) from pg_roles where rolname like 'v-%'");
    assert_eq!((left.as_str(), intents(&node).len()), ("0", 0));
    // Not so whom the connection's own account cannot remove any more.
    let _ = postgres.sql(
        "postgres",
        "CREATE ROLE lesser LOGIN CREATEROLE PASSWORD 'lesser'; CREATE FUNCTION elevate(name text) RETURNS void \
         LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE format('ALTER ROLE %I SUPERUSER', name); END $$",
    );
    let mut lesser = connection(&postgres);
    (lesser["username"], lesser["password"]) = (json!("lesser"), json!("lesser"));
    let elevated = "SELECT elevate('{{name}}'); COMMIT; GRANT nothing_there TO \"{{name}}\"";
    role(&node, "bad", &lesser, &format!("{CREATE}; {elevated}"));
    role(&node, "good", &connection(&postgres), CREATE);
    refused(&node, "bad", 500, 502);
    let full = node.get("database/creds/bad");
    assert_eq!(full.status, 503, "{}", full.text());
    assert!(full.text().contains("waits to be undone first"), "{}", full.text());
    user(&node, "good");
}

#[test]
fn a_mount_gives_its_path_back_while_it_has_something_to_undo_and_that_can_be_given_up() {
    let (node, mut postgres) = (with_engine(), Postgres::start());
    role(&node, "db", &connection(&postgres), &format!("{CREATE}; SELECT pg_sleep(20)"));
    let begun = Instant::now();
    cut_off(&node, &mut postgres, "db");
    assert_eq!(node.call("DELETE", "sys/mounts/database", None).status, 204);
    assert_eq!(intents(&node).len(), 1);
    node.put("sys/mounts/database", &json!({ "type": "kv" }));
    node.put("database/one", &json!({ "a": 1 }));
    let first = |member: &str| {
        let told = node.get("sys/plugins/intents");
        told.at("data.intents")[0][member].as_str().unwrap_or_default().to_owned()
    };
    let id = first("id");
    let forget = || node.call("DELETE", &format!("sys/plugins/intents/{id}"), None);
    let early = forget();
    assert_eq!(early.status, 400, "its call may be at work: {}", early.text());
    // Then it is tried, in vain.
    while first("last_error").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(240), "it is not tried");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(forget().status, 204);
    assert_eq!(intents(&node), []);
    assert_eq!(forget().status, 400, "there is none any more");
    assert_eq!(node.get("database/one").at("data.a"), json!(1), "the next mount lost something to it");
}

#[test]
fn a_change_whose_commit_came_to_nothing_is_made_again_within_seconds() {
    let (node, postgres) = (with_engine(), Postgres::start());
    let config = connection(&postgres);
    node.put("database/config/db", &config);
    let _ = postgres.sql("postgres", "CREATE ROLE keeper LOGIN PASSWORD 'first'");
    let slowly = "SELECT pg_sleep(2); ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'";
    let keeper = json!({
        "db_name": "db", "username": "keeper", "rotation_period": "24h", "rotation_statements": slowly,
    });
    node.put("database/static-roles/keeper", &keeper);
    let crossed = thread::scope(|scope| {
        let asking = scope.spawn(|| node.call("POST", "database/rotate-role/keeper", Some(&json!({}))));
        thread::sleep(Duration::from_millis(700));
        node.put("database/config/db", &config);
        asking.join().expect("it is answered")
    });
    assert_eq!(crossed.status, 503, "the write did not cross it: {}", crossed.text());
    let begun = Instant::now();
    loop {
        let told = node.get("database/static-creds/keeper");
        if postgres.can("postgres", "keeper", &text(&told, "data.password"), "SELECT 1") && intents(&node).is_empty() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "nobody knows the password for longer than seconds");
        thread::sleep(Duration::from_millis(250));
    }
}
