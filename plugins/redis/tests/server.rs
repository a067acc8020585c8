//! The driver against a real server.

#![allow(clippy::unwrap_used)] // a test says what failed by where it stopped

use bulkhead_plugin_redis::Redis as Driver;
use bulkhead_sdk::Error;
use bulkhead_sdk::bench::DriverBench;
use bulkhead_sdk::driver::{Credential, UserChange, UserRemoval, UserSpec};
use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Redis, Wire};
use serde_json::{Value, json};

fn config(server: &Redis) -> Value {
    at(server.port())
}

fn at(port: u16) -> Value {
    json!({ "host": "127.0.0.1", "port": port, "username": ADMIN, "password": ADMIN_PASSWORD })
}

fn spec(username: Option<&str>, password: &str, statements: &[&str]) -> UserSpec {
    UserSpec {
        username: username.map(str::to_owned),
        display_name: "token".to_owned(),
        role_name: "reader".to_owned(),
        username_template: None,
        statements: statements.iter().map(|text| (*text).to_owned()).collect(),
        rollback_statements: Vec::new(),
        credential: Credential::Password(password.to_owned()),
        expires_at: Some(4_070_919_845_000),
    }
}

fn removal(username: &str) -> UserRemoval {
    UserRemoval { username: username.to_owned(), statements: Vec::new() }
}

fn change(username: &str, password: Option<&str>) -> UserChange {
    let credential = password.map(|password| Credential::Password(password.to_owned()));
    UserChange { username: username.to_owned(), credential, expires_at: Some(1), statements: Vec::new() }
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidRequest(text)
        | Error::PreconditionFailed(text)
        | Error::Upstream(text)
        | Error::Unavailable(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_user_lives_as_its_lease_does() {
    let mut server = Redis::start();
    let config = config(&server);
    let mut bench = DriverBench::<Driver>::new();
    assert_eq!(bench.verify(&config, true).unwrap(), config);
    let _ = server.command(&["SET", "app:1", "one"]);

    let url = format!("valkey://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/0", server.port());
    let by_url = json!({ "connection_url": url, "username": ADMIN, "password": ADMIN_PASSWORD });
    assert_eq!(bench.verify(&by_url, true).unwrap(), by_url);
    let name = bench.create_user(&by_url, &spec(None, "p0", &[])).unwrap();
    assert!(server.can(&name, "p0", &["GET", "app:1"]));
    bench.delete_user(&by_url, &removal(&name)).unwrap();

    let name = bench.create_user(&config, &spec(None, "p1 \"'\\\r\nü", &[])).unwrap();
    assert!(server.can(&name, "p1 \"'\\\r\nü", &["GET", "app:1"]));
    assert!(!server.can(&name, "p1 \"'\\\r\nü", &["SET", "app:1", "two"]));
    assert!(!server.can(&name, "p1", &["GET", "app:1"]));
    bench.change_user(&config, &change(&name, None)).unwrap();
    bench.change_user(&config, &change(&name, Some("p2-new"))).unwrap();
    assert!(server.can(&name, "p2-new", &["GET", "app:1"]) && !server.can(&name, "p1 \"'\\\r\nü", &["GET", "app:1"]));
    let again = told(bench.create_user(&config, &spec(Some(&name), "p3-other", &[])));
    assert_eq!(again, format!("there is a user {name} already"));
    bench.delete_user(&config, &removal(&name)).unwrap();
    bench.delete_user(&config, &removal(&name)).unwrap();
    assert!(!server.can(&name, "p2-new", &["GET", "app:1"]));
    assert!(!server.command(&["ACL", "LIST"]).contains(&name));
    let missing = told(bench.change_user(&config, &change(&name, Some("p4-none"))));
    assert_eq!(missing, format!("changeUserPassword for user {name} failed: user not found"));
    for hostile in ["a\"b", "a;drop", "\"", "ünïcödé☃", "$5", "*3"] {
        bench.create_user(&config, &spec(Some(hostile), "p", &[r#"["~app:*", "+get"]"#])).unwrap();
        assert!(server.can(hostile, "p", &["GET", "app:1"]), "{hostile}");
        bench.delete_user(&config, &removal(hostile)).unwrap();
        assert_eq!(server.command(&["ACL", "USERS"]).lines().count(), 2, "{hostile}");
    }

    let wrong = told(bench.create_user(&config, &spec(Some("wrong"), "s3cret", &[r#"["+nonsense", ">s3cret-too"]"#])));
    assert!(wrong.contains("+nonsense") && !wrong.contains("s3cret"), "{wrong}");
    assert!(!server.command(&["ACL", "USERS"]).contains("wrong"));
    let mut other = config.clone();
    other["password"] = "wrong-s3cret".into();
    let refused = told(bench.verify(&other, true));
    assert_eq!(refused, "error verifying connection: WRONGPASS invalid username-password pair or user is disabled.");

    let made = bench.connected().len();
    bench.delete_user(&config, &removal("nobody")).unwrap();
    bench.delete_user(&config, &removal("nobody")).unwrap();
    assert!(bench.connected().len() <= made + 1, "sessions are kept");
    server.kill();
    let away = told(bench.verify(&config, true));
    assert!(away.starts_with("error verifying connection: dial 127.0.0.1:"), "{away}");
    server.restart();
    bench.verify(&config, true).unwrap();
    server.restart();
    bench.verify(&config, true).unwrap();
}

/// The call is over, and what it said is not there yet.
fn breaks<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
}

// No account without a lease, however late a command arrives.
#[test]
fn what_arrives_after_somebody_else_was_at_the_account_has_no_effect() {
    let server = Redis::start();
    let (direct, wire) = (config(&server), Wire::to(server.port()));
    let (mut bench, by_wire) = (DriverBench::<Driver>::new(), at(wire.port()));
    wire.hold("SETUSER");
    breaks(bench.create_user(&by_wire, &spec(Some("late"), "p1", &[])));
    bench.delete_user(&direct, &removal("late")).unwrap();
    wire.release();
    assert_eq!(server.command(&["ACL", "USERS"]), format!("default\n{ADMIN}"));
    // Where nobody was, it is as if it were in time: it is removed as anybody is.
    wire.hold("SETUSER");
    breaks(bench.create_user(&by_wire, &spec(Some("late"), "p1", &[])));
    wire.release();
    assert!(server.can("late", "p1", &["GET", "a"]));

    wire.hold("SETUSER");
    breaks(bench.change_user(&by_wire, &change("late", Some("p2"))));
    bench.change_user(&direct, &change("late", Some("p3"))).unwrap();
    wire.release();
    assert!(server.can("late", "p3", &["GET", "a"]) && !server.can("late", "p2", &["GET", "a"]));

    // A name that is made again, by whoever wrote a template of it.
    let named = UserSpec { username_template: Some("late".to_owned()), ..spec(Some("late"), "p4", &[]) };
    bench.delete_user(&direct, &removal("late")).unwrap();
    wire.hold("SETUSER");
    breaks(bench.create_user(&by_wire, &named));
    bench.create_user(&direct, &UserSpec { credential: Credential::Password("p5".to_owned()), ..named }).unwrap();
    wire.release();
    assert!(server.can("late", "p5", &["GET", "a"]));
    wire.hold("DELUSER");
    breaks(bench.delete_user(&by_wire, &removal("late")));
    bench.delete_user(&direct, &removal("late")).unwrap();
    bench.create_user(&direct, &spec(Some("late"), "p6", &[])).unwrap();
    wire.release();
    assert!(server.can("late", "p6", &["GET", "a"]), "an account that was made anew is another's");
    bench.delete_user(&direct, &removal("late")).unwrap();
}

#[test]
fn who_may_not_end_a_session_at_the_account_does_not_pass_it_by() {
    let server = Redis::start();
    let rules = ["+@all", "-client|kill", "~*"];
    let _ = server.command(&[&["ACL", "SETUSER", "other", "on", ">0ther-s3cret"][..], &rules].concat());
    let mut other = config(&server);
    (other["username"], other["password"]) = (json!("other"), json!("0ther-s3cret"));
    let (wire, mut bench) = (Wire::to(server.port()), DriverBench::<Driver>::new());
    let text = told(bench.verify(&other, true));
    assert!(text.contains("must be allowed client|setname, client|list and client|kill"), "{text}");
    wire.hold("SETUSER");
    breaks(bench.create_user(&at(wire.port()), &spec(Some("late"), "p1", &[])));
    breaks(bench.delete_user(&other, &removal("late")));
    breaks(bench.change_user(&other, &change("late", Some("p2"))));
    wire.release();
    assert!(server.can("late", "p1", &["GET", "a"]));
}
