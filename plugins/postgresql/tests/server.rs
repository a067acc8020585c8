//! The driver against real servers.

#![allow(clippy::unwrap_used)] // a test says what failed by where it stopped

use std::thread;
use std::time::{Duration, Instant};

use bulkhead_plugin_postgresql::Postgresql;
use bulkhead_sdk::Error;
use bulkhead_sdk::bench::DriverBench;
use bulkhead_sdk::driver::{Credential, UserChange, UserRemoval, UserSpec};
use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Postgres, Wire};
use serde_json::{Value, json};

type Bench = DriverBench<Postgresql>;

const CREATE: &str = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
     GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\"";

/// 2099-01-02T03:04:05Z
const LATER_MS: u64 = 4_070_919_845_000;

fn config(server: &Postgres, database: &str) -> Value {
    at(server.port(), database)
}

fn at(port: u16, database: &str) -> Value {
    let url = format!("postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/{database}");
    json!({ "connection_url": url, "username": ADMIN, "password": ADMIN_PASSWORD })
}

fn with(config: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut config = config.clone();
    config[name] = value.into();
    config
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
        expires_at: Some(LATER_MS),
    }
}

fn removal(username: &str, statements: &[&str]) -> UserRemoval {
    let statements = statements.iter().map(|text| (*text).to_owned()).collect();
    UserRemoval { username: username.to_owned(), statements }
}

fn change(username: &str, password: Option<&str>, expires_at: Option<u64>) -> UserChange {
    let credential = password.map(|password| Credential::Password(password.to_owned()));
    UserChange { username: username.to_owned(), credential, expires_at, statements: Vec::new() }
}

fn roles(server: &Postgres) -> String {
    server.sql("postgres", "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1")
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidRequest(text) | Error::Upstream(text) | Error::Unavailable(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_user_lives_as_its_lease_does() {
    let mut server = Postgres::start();
    let _ = server.sql("postgres", "CREATE TABLE t (a int); CREATE TABLE public.\"T 2\" (a int)");
    let config = config(&server, "postgres");
    let mut bench = Bench::new();
    a_life(&server, &mut bench, &config);
    statements_are_all_or_nothing(&server, &mut bench, &config);
    roles_of_others(&server, &mut bench, &config);
    statements_of_any_form(&server, &mut bench, &config);
    passwords_are_not_told(&mut bench, &config);
    hostile_names(&server, &mut bench);
    grants_of_every_kind(&server, &mut bench, &config);
    other_ways_to_connect(&server, &mut bench);
    sessions_are_kept_and_replaced(&mut server, &config);
}

fn a_life(server: &Postgres, bench: &mut Bench, config: &Value) {
    assert_eq!(bench.verify(config, true).unwrap(), *config, "a config is stored as it was given");
    let proposed = bench.propose_username(config, &spec(None, "", &[])).unwrap();
    assert!(proposed.starts_with("v-token-reader-") && proposed.ends_with("-1767225600"), "{proposed}");
    let name = bench.create_user(config, &spec(Some(&proposed), "p1-it's", &[CREATE])).unwrap();
    assert_eq!(name, proposed);
    assert!(server.can("postgres", &name, "p1-it's", "SELECT a FROM t"));
    assert!(!server.can("postgres", &name, "p1-it's", "INSERT INTO t VALUES (1)"));
    let until = format!("SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{name}'");
    assert_eq!(server.sql("postgres", &until), "4070919845");

    bench.change_user(config, &change(&name, None, Some(LATER_MS + 60_000))).unwrap();
    assert_eq!(server.sql("postgres", &until), "4070919905");
    bench.change_user(config, &change(&name, Some("p2\\"), None)).unwrap();
    assert!(server.can("postgres", &name, "p2\\", "SELECT a FROM t"));
    assert!(!server.can("postgres", &name, "p1-it's", "SELECT a FROM t"));

    bench.delete_user(config, &removal(&name, &[])).unwrap();
    assert_eq!(roles(server), ADMIN);
    bench.delete_user(config, &removal(&name, &[])).unwrap();
    bench.delete_user(config, &removal(&name, &["DROP ROLE \"{{name}}\""])).unwrap();
    assert_eq!(bench.connected().len(), 2, "one to try the config, and one for all the rest");

    let unnamed = bench.create_user(config, &spec(None, "p", &[CREATE])).unwrap();
    assert!(unnamed.starts_with("v-token-reader-"));
    bench.delete_user(config, &removal(&unnamed, &["DROP OWNED BY \"{{name}}\"; DROP ROLE \"{{username}}\""])).unwrap();
    assert_eq!(roles(server), ADMIN);
}

fn statements_are_all_or_nothing(server: &Postgres, bench: &mut Bench, config: &Value) {
    let failing = spec(Some("u"), "p", &["CREATE ROLE \"{{name}}\"; GRANT SELECT ON nowhere TO \"{{name}}\""]);
    assert_eq!(
        told(bench.create_user(config, &failing)),
        "failed to execute query: ERROR: relation \"nowhere\" does not exist (SQLSTATE 42P01)"
    );
    assert_eq!(roles(server), ADMIN, "nothing is left of it");
    assert_eq!(told(bench.create_user(config, &spec(Some("u"), "p", &[" "]))), "empty creation statements");
    assert_eq!(told(bench.change_user(config, &change("u", None, None))), "no changes requested");
    assert_eq!(told(bench.change_user(config, &change("u", Some(""), None))), "missing password");
    let missing = told(bench.change_user(config, &change("u", Some("p"), None)));
    assert_eq!(missing, "failed to execute query: ERROR: role \"u\" does not exist (SQLSTATE 42704)");
    let other = removal("u", &["REVOKE nobody FROM \"{{name}}\""]);
    bench.delete_user(config, &other).unwrap();

    let mut undone = failing;
    undone.rollback_statements = vec!["CREATE TABLE rolled_back ()".to_owned()];
    let _ = told(bench.create_user(config, &undone));
    assert_eq!(server.sql("postgres", "SELECT count(*) FROM rolled_back; DROP TABLE rolled_back"), "0");
}

/// A role that there was is nobody's to make again, or to have undone.
fn roles_of_others(server: &Postgres, bench: &mut Bench, config: &Value) {
    let _ = server.sql("postgres", "CREATE ROLE theirs LOGIN PASSWORD 'p'");
    let subject = || Credential::Subject("CN=theirs".to_owned());
    for (credential, statement) in [
        (Credential::Password("s3cret".to_owned()), CREATE),
        (subject(), "CREATE ROLE \"{{name}}\" LOGIN"),
        (subject(), "GRANT SELECT ON t TO \"{{name}}\""),
    ] {
        let mut user = spec(Some("theirs"), "", &[statement]);
        user.credential = credential;
        user.rollback_statements = vec!["DROP ROLE \"{{name}}\"".to_owned()];
        let result = bench.create_user(config, &user);
        let Err(Error::PreconditionFailed(told)) = result else { panic!("{statement}: {result:?}") };
        assert!(told.contains("theirs") && !told.contains("s3cret"), "{told}");
        assert!(!server.can("postgres", "theirs", "p", "SELECT a FROM t"), "{statement}");
        assert!(server.can("postgres", "theirs", "p", "SELECT 1"), "{statement}");
    }
    // Another thing that is there, or the role itself after it was made here and kept, is no role of others.
    for statement in
        ["CREATE ROLE \"{{name}}\"; CREATE ROLE theirs", "CREATE ROLE \"{{name}}\"; COMMIT; CREATE ROLE \"{{name}}\""]
    {
        let text = told(bench.create_user(config, &spec(Some("own"), "p", &[statement])));
        assert!(text.contains("SQLSTATE 42710"), "{text}");
        bench.delete_user(config, &removal("own", &[])).unwrap();
    }
    let _ = server.sql("postgres", "DROP ROLE theirs");
    assert_eq!(roles(server), ADMIN);
}

fn statements_of_any_form(server: &Postgres, bench: &mut Bench, config: &Value) {
    for statements in [
        "DO $$ BEGIN CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; END $$; COMMENT ON ROLE \"{{name}}\" IS ';'",
        "[\"CREATE ROLE \\\"{{name}}\\\" LOGIN PASSWORD '{{password}}'\", \"-- {{password}}\\nSELECT 1\"]",
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; CREATE FUNCTION f_{{name}}() RETURNS int \
         BEGIN ATOMIC SELECT 1; SELECT 2; END; DROP FUNCTION f_{{name}}",
    ] {
        assert_eq!(bench.create_user(config, &spec(Some("form"), "it's", &[statements])).unwrap(), "form");
        assert!(server.can("postgres", "form", "it's", "SELECT 1"), "{statements}");
        bench.delete_user(config, &removal("form", &[])).unwrap();
    }
    let hashed = with(config, "password_authentication", "scram-sha-256");
    bench.create_user(&hashed, &spec(Some("hashed"), "pässword", &[CREATE])).unwrap();
    assert!(server.can("postgres", "hashed", "pässword", "SELECT 1"));
    bench.change_user(&hashed, &change("hashed", Some("other"), None)).unwrap();
    assert!(server.can("postgres", "hashed", "other", "SELECT 1"));
    bench.delete_user(&hashed, &removal("hashed", &[])).unwrap();
    let never = UserSpec { expires_at: None, ..spec(Some("never"), "p", &[CREATE]) };
    bench.create_user(config, &never).unwrap();
    assert_eq!(server.sql("postgres", "SELECT rolvaliduntil FROM pg_roles WHERE rolname = 'never'"), "infinity");
    bench.delete_user(config, &removal("never", &[])).unwrap();
}

fn passwords_are_not_told(bench: &mut Bench, config: &Value) {
    let secret = "s3cret-it's\\";
    for statements in [
        "CREATE ROLE \"{{name}}\" PASSWORD '{{password}}' '{{password}}'",
        "SELECT * FROM \"{{password}}\"",
        "SELECT '{{password}}'::int",
        "CREATE ROLE x PASSWORD {{password}}",
        "CREATE ROLE \"{{password}}\" LOGIN LOGIN",
    ] {
        let text = told(bench.create_user(config, &spec(Some("u"), secret, &[statements])));
        assert!(!text.contains("s3cret"), "{text}");
    }
    let text = told(bench.verify(&with(config, "password", "wrong-s3cret"), true));
    let expected = format!("server error: FATAL: password authentication failed for user \"{ADMIN}\" (SQLSTATE 28P01)");
    assert!(
        text.starts_with(
            "error verifying connection: failed to connect to `user=manager database=postgres`: 127.0.0.1:"
        )
    );
    assert!(text.ends_with(&expected) && !text.contains("s3cret"), "{text}");
}

// no name of a role, schema or database ends its quotes, and whoever is revoked is gone.
fn hostile_names(server: &Postgres, bench: &mut Bench) {
    let long = "x".repeat(60) + "é\"";
    for name in
        ["a\"b", "a;drop", "\"", "a'b", "a\\", "ünïcödé ☃", "two\nlines", "%s%I", "{{name}}", "$$", long.as_str()]
    {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let _ = server.sql("postgres", &format!("CREATE DATABASE {quoted}"));
        let _ = server.sql(name, &format!("CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.{quoted} (a int, b int)"));
        let _ = server
            .sql(name, &format!("CREATE FUNCTION {quoted}.{quoted}(a int) RETURNS int LANGUAGE sql AS 'select 1'"));
        let _ = server.sql(name, &format!("CREATE SEQUENCE {quoted}.s"));
        let url = format!("host=127.0.0.1 port={} user={{{{username}}}} password={{{{password}}}}", server.port());
        let database = name.replace('\\', "\\\\").replace('\'', "\\'");
        let config = json!({
            "connection_url": format!("{url} dbname='{database}'"), "username": ADMIN, "password": ADMIN_PASSWORD,
        });
        let grants = format!(
            "CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}'; GRANT USAGE ON SCHEMA {quoted} TO \"{{{{name}}}}\"; \
             GRANT SELECT ON ALL TABLES IN SCHEMA {quoted} TO \"{{{{name}}}}\"; GRANT UPDATE (b) ON {quoted}.{quoted} TO \"{{{{name}}}}\"; \
             GRANT ALL ON ALL FUNCTIONS IN SCHEMA {quoted} TO \"{{{{name}}}}\"; GRANT ALL ON ALL SEQUENCES IN SCHEMA {quoted} TO \"{{{{name}}}}\"; \
             GRANT CONNECT ON DATABASE {quoted} TO \"{{{{name}}}}\""
        );
        bench.create_user(&config, &spec(Some(name), name, &[&grants])).unwrap();
        assert!(server.can(name, name, name, &format!("SELECT a FROM {quoted}.{quoted}")), "{name:?}");
        bench.change_user(&config, &change(name, Some("other"), Some(LATER_MS))).unwrap();
        assert!(server.can(name, name, "other", "SELECT 1"), "{name:?}");
        bench.delete_user(&config, &removal(name, &[])).unwrap();
        assert_eq!(roles(server), ADMIN, "{name:?} is gone");
        assert_eq!(server.sql(name, &format!("SELECT count(*) FROM {quoted}.{quoted}")), "0", "and nothing else");
    }
    let too_long = "x".repeat(64);
    let config = config(server, "postgres");
    let refused = told(bench.create_user(&config, &spec(Some(&too_long), "p", &[CREATE])));
    assert_eq!(refused, "a username has at most 63 bytes, and none of them is 0");
}

fn grants_of_every_kind(server: &Postgres, bench: &mut Bench, config: &Value) {
    let _ = server.sql(
        "postgres",
        "CREATE TYPE kind AS ENUM ('a'); CREATE DOMAIN dom AS int; CREATE VIEW v AS SELECT 1; SELECT lo_create(4711); \
         CREATE AGGREGATE agg (int) (sfunc = int4pl, stype = int); CREATE SCHEMA \"Other\"; \
         CREATE PROCEDURE \"Other\".proc() LANGUAGE sql AS 'select 1'; CREATE ROLE grp",
    );
    let all = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; GRANT USAGE ON TYPE kind TO \"{{name}}\"; \
         GRANT USAGE ON DOMAIN dom TO \"{{name}}\"; GRANT SELECT ON v TO \"{{name}}\"; \
         GRANT SELECT ON LARGE OBJECT 4711 TO \"{{name}}\"; GRANT EXECUTE ON FUNCTION agg(int) TO \"{{name}}\"; \
         GRANT EXECUTE ON PROCEDURE \"Other\".proc() TO \"{{name}}\"; GRANT USAGE ON LANGUAGE plpgsql TO \"{{name}}\"; \
         GRANT CREATE ON TABLESPACE pg_default TO \"{{name}}\"; GRANT grp TO \"{{name}}\"; \
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO \"{{name}}\"; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA \"Other\" GRANT ALL ON SEQUENCES TO \"{{name}}\"; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA \"Other\" GRANT ALL ON FUNCTIONS TO \"{{name}}\"; GRANT USAGE ON SCHEMA \"Other\" TO \"{{name}}\"";
    bench.create_user(config, &spec(Some("a\"b"), "p", &[all])).unwrap();
    bench.delete_user(config, &removal("a\"b", &[])).unwrap();
    assert_eq!(server.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'a\"b'"), "0");

    // Before PostgreSQL 15 there are no grants of settings.
    if server.sql("postgres", "SELECT count(*) FROM pg_class WHERE relname = 'pg_parameter_acl'") == "1" {
        let settings = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
             GRANT SET ON PARAMETER work_mem TO \"{{name}}\"; GRANT SET, ALTER SYSTEM ON PARAMETER my.own, log_min_messages TO \"{{name}}\"";
        bench.create_user(config, &spec(Some("setter"), "p", &[settings])).unwrap();
        assert!(server.can("postgres", "setter", "p", "SET log_min_messages = error"));
        bench.delete_user(config, &removal("setter", &[])).unwrap();
        assert_eq!(server.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'setter'"), "0");
    }

    // What a role owns is not thrown away.
    bench
        .create_user(
            config,
            &spec(Some("owner"), "p", &["CREATE ROLE \"{{name}}\"; ALTER TABLE t OWNER TO \"{{name}}\""]),
        )
        .unwrap();
    let text = told(bench.delete_user(config, &removal("owner", &[])));
    assert!(text.contains("cannot be dropped because some objects depend on it (SQLSTATE 2BP01)"), "{text}");
    let _ = server.sql("postgres", "ALTER TABLE t OWNER TO manager; DROP ROLE owner; DROP ROLE grp");
}

fn other_ways_to_connect(server: &Postgres, bench: &mut Bench) {
    let port = server.port();
    let socket = server.socket_folder();
    for url in [
        format!(
            "postgres://{{{{username}}}}:{{{{password}}}}@127.0.0.1:1,127.0.0.1:{port}/postgres?sslmode=disable&connect_timeout=5"
        ),
        format!(
            "postgres://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?target_session_attrs=read-write"
        ),
        format!(
            "postgres://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?target_session_attrs=primary&sslmode=allow"
        ),
        format!(
            "host={socket} port={port} user='{{{{username}}}}' password='{{{{password}}}}' dbname=postgres sslmode=verify-full"
        ),
        format!(
            "host=127.0.0.1 port={port} user={{{{username}}}} password={{{{password}}}} dbname=postgres search_path=pg_catalog"
        ),
    ] {
        let config = json!({ "connection_url": url, "username": ADMIN, "password": ADMIN_PASSWORD });
        bench.verify(&config, true).unwrap();
        bench.verify(&config, true).unwrap();
    }
    let url = format!("postgres://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres");
    let percent: String = ADMIN_PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped = json!({ "connection_url": url, "username": ADMIN, "password": percent, "disable_escaping": true });
    bench.verify(&escaped, true).unwrap();
    let text =
        told(bench.verify(&with(&config(server, "nowhere"), "connection_url", format!("{url}?sslmode=require")), true));
    assert!(text.ends_with("tls error: server refused TLS connection"), "{text}");
    let text = told(bench.verify(&config(server, "nowhere"), true));
    assert!(text.ends_with("server error: FATAL: database \"nowhere\" does not exist (SQLSTATE 3D000)"), "{text}");
}

fn sessions_are_kept_and_replaced(server: &mut Postgres, config: &Value) {
    let mut bench = Bench::new();
    bench.create_user(config, &spec(Some("kept"), "p", &["CREATE ROLE \"{{name}}\"; SET ROLE \"{{name}}\""])).unwrap();
    assert_eq!(bench.parked(), 1);
    // The session is not the role's any more, which could not do this.
    bench.delete_user(config, &removal("kept", &[])).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (1, 1));
    bench.verify(&with(config, "max_idle_connections", -1), true).unwrap();
    bench.delete_user(&with(config, "max_idle_connections", -1), &removal("nobody", &[])).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (3, 1), "another config has other sessions, or keeps none");
    let bounded = with(config, "max_open_connections", 1);
    bench.delete_user(&bounded, &removal("nobody", &[])).unwrap();
    bench.delete_user(&bounded, &removal("nobody", &[])).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (4, 2));
    bench.verify(&bounded, true).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (5, 1), "the new one takes the place of the one that waits");

    server.kill();
    let away = told(bench.create_user(config, &spec(Some("away"), "s3cret", &[CREATE])));
    assert!(
        away.starts_with("unable to get connection: failed to connect to `user=manager database=postgres`: 127.0.0.1:"),
        "{away}"
    );
    assert!(away.contains("dial error: dial tcp 127.0.0.1:"), "{away}");
    server.restart();
    bench.verify(config, true).unwrap();
    server.restart();
    bench.create_user(config, &spec(Some("back"), "p", &[CREATE])).unwrap();
    bench.delete_user(config, &removal("back", &[])).unwrap();
    assert_eq!(roles(server), ADMIN);
    assert_eq!(bench.parked(), 1);
}

#[test]
fn older_ways_to_prove_a_password_work_too() {
    for method in ["md5", "password"] {
        let server = Postgres::start_with(method);
        let config = config(&server, "postgres");
        let mut bench = Bench::new();
        bench.verify(&config, true).unwrap();
        let text = told(bench.verify(&with(&config, "password", "wrong"), true));
        assert!(text.ends_with("password authentication failed for user \"manager\" (SQLSTATE 28P01)"), "{text}");
    }
}

#[test]
fn a_statement_that_takes_its_time_is_waited_for_and_keeps_nobody_else_waiting() {
    let server = Postgres::start();
    let _ = server.sql("postgres", "CREATE TABLE slow (a int); CREATE TABLE quick (a int)");
    let config = config(&server, "postgres");
    let make = |name: &str, table: &str, more: &str| {
        let statements = format!(
            "CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}'; GRANT SELECT ON {table} TO \"{{{{name}}}}\"{more}"
        );
        Bench::new().create_user(&config, &spec(Some(name), "p", &[&statements])).unwrap()
    };
    let begun = Instant::now();
    thread::scope(|scope| {
        // Longer than a session may take to begin.
        scope.spawn(|| make("slow", "slow", "; SELECT pg_sleep(21)"));
        thread::sleep(Duration::from_secs(1));
        // On the same table one has to wait, and then to begin anew: the server would have it fail.
        scope.spawn(|| make("waiting", "slow", ""));
        let quick = Instant::now();
        make("quick", "quick", "");
        assert!(quick.elapsed() < Duration::from_secs(10), "{:?}", quick.elapsed());
    });
    assert!(begun.elapsed() > Duration::from_secs(21));
    for (name, table) in [("slow", "slow"), ("waiting", "slow"), ("quick", "quick")] {
        assert!(server.can("postgres", name, "p", &format!("SELECT a FROM {table}")), "{name}");
    }
}

#[test]
fn those_that_grant_at_once_on_one_table_all_succeed() {
    let server = Postgres::start();
    let _ = server.sql("postgres", "CREATE TABLE t (a int)");
    let config = config(&server, "postgres");
    let make = |at: usize| {
        let mut bench = Bench::new();
        for number in 0..10 {
            let name = format!("v{at}-{number}");
            bench.create_user(&config, &spec(Some(&name), "p", &[CREATE])).unwrap();
            bench.delete_user(&config, &removal(&name, &[])).unwrap();
        }
    };
    thread::scope(|scope| (0..6).for_each(|at| drop(scope.spawn(move || make(at)))));
    assert_eq!(roles(&server), ADMIN);
}

// Whoever else is at the role knows nothing of our locks: an operator, or another program.
#[test]
fn a_role_that_somebody_else_changes_or_drops_meanwhile_is_gone_all_the_same() {
    let server = Postgres::start();
    let config = config(&server, "postgres");
    for (name, theirs) in [("dropped", "DROP ROLE dropped"), ("altered", "ALTER ROLE altered CONNECTION LIMIT 7")] {
        let mut bench = Bench::new();
        bench.create_user(&config, &spec(Some(name), "p", &["CREATE ROLE \"{{name}}\" LOGIN"])).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| server.sql("postgres", &format!("{theirs}; SELECT pg_sleep(2)")));
            until_asleep(&server);
            bench.delete_user(&config, &removal(name, &[])).unwrap();
        });
        assert_eq!(roles(&server), ADMIN, "{name}");
    }
}

/// Waits until somebody's statement has come to its sleep, and what it did before is not committed yet.
fn until_asleep(server: &Postgres) {
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let begun = Instant::now();
    while server.sql("postgres", sleeping) == "0" {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody sleeps");
        thread::sleep(Duration::from_millis(20));
    }
}

// No role without a lease, however late a statement arrives.
#[test]
fn what_arrives_after_somebody_else_was_at_the_role_has_no_effect() {
    let server = Postgres::start();
    let (direct, wire) = (config(&server, "postgres"), Wire::to(server.port()));
    let (mut bench, by_wire) = (Bench::new(), at(wire.port(), "postgres"));
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    // It would make the role last. Nobody passes it by before the server has ended the session, in which nobody speaks
    // any more.
    wire.hold("COMMIT");
    let broken = bench.create_user(&by_wire, &spec(Some("late"), "p1", &[create]));
    assert!(matches!(broken, Err(Error::Unavailable(_))), "{broken:?}");
    let begun = Instant::now();
    bench.delete_user(&direct, &removal("late", &[])).unwrap();
    assert!(begun.elapsed() > Duration::from_secs(5), "it was passed by");
    wire.release();
    assert_eq!(roles(&server), ADMIN);
}
