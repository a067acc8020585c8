//! The driver against a real server.

#![allow(clippy::unwrap_used)] // a test says what failed by where it stopped

use bulkhead_plugin_redis::Redis as Driver;
use bulkhead_sdk::Error;
use bulkhead_sdk::bench::DriverBench;
use bulkhead_sdk::driver::{Credential, UserChange, UserRemoval, UserSpec};
use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Redis};
use serde_json::{Value, json};

fn config(server: &Redis) -> Value {
    json!({ "host": "127.0.0.1", "port": server.port(), "username": ADMIN, "password": ADMIN_PASSWORD })
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
