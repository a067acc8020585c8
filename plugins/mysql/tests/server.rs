//! The driver against a real server.

#![allow(clippy::unwrap_used)] // a test says what failed by where it stopped

use bulkhead_plugin_mysql::Mysql;
use bulkhead_sdk::Error;
use bulkhead_sdk::bench::DriverBench;
use bulkhead_sdk::driver::{Credential, UserChange, UserRemoval, UserSpec};
use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, MariaDb, Wire};
use serde_json::{Value, json};

type Bench = DriverBench<Mysql>;

const CREATE: &str = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON app.* TO '{{name}}'@'%'";

fn config(server: &MariaDb) -> Value {
    at(server.port())
}

fn at(port: u16) -> Value {
    let url = format!("{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{port})/");
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
        display_name: "token-long-name".to_owned(),
        role_name: "reader".to_owned(),
        username_template: None,
        statements: statements.iter().map(|text| (*text).to_owned()).collect(),
        rollback_statements: Vec::new(),
        credential: Credential::Password(password.to_owned()),
        expires_at: Some(4_070_919_845_000),
    }
}

fn removal(username: &str, statements: &[&str]) -> UserRemoval {
    let statements = statements.iter().map(|text| (*text).to_owned()).collect();
    UserRemoval { username: username.to_owned(), statements }
}

fn change(username: &str, password: Option<&str>) -> UserChange {
    let credential = password.map(|password| Credential::Password(password.to_owned()));
    UserChange { username: username.to_owned(), credential, expires_at: Some(1), statements: Vec::new() }
}

fn accounts(server: &MariaDb) -> String {
    server.sql("SELECT user FROM mysql.user WHERE user NOT IN ('root', 'mariadb.sys', 'mysql', '') ORDER BY user")
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidRequest(text) | Error::Upstream(text) | Error::Unavailable(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_user_lives_as_its_lease_does() {
    let mut server = MariaDb::start();
    let _ = server.sql("CREATE DATABASE app; CREATE TABLE app.t (a int)");
    let config = config(&server);
    let mut bench = Bench::new();
    a_life(&server, &mut bench, &config);
    hostile_names(&server, &mut bench, &config);
    what_is_refused(&server, &mut bench, &config);
    accounts_of_others(&server, &mut bench, &config);
    modes_of_the_server(&server);
    ways_to_prove_a_password(&server);
    sessions_are_kept_and_replaced(&mut server, &config);
}

fn a_life(server: &MariaDb, bench: &mut Bench, config: &Value) {
    assert_eq!(bench.verify(config, true).unwrap(), *config, "a config is stored as it was given");
    let name = bench.propose_username(config, &spec(None, "", &[])).unwrap();
    assert!(name.starts_with("v-token-long-reader-") && name.len() == 32, "{name}");
    assert_eq!(bench.create_user(config, &spec(Some(&name), "p1-it's\\", &[CREATE])).unwrap(), name);
    assert!(server.can(&name, "p1-it's\\", "SELECT a FROM app.t"));
    assert!(!server.can(&name, "p1-it's\\", "INSERT INTO app.t VALUES (1)"));
    bench.change_user(config, &change(&name, None)).unwrap();
    bench.change_user(config, &change(&name, Some("p2\"\n"))).unwrap();
    assert!(server.can(&name, "p2\"\n", "SELECT 1") && !server.can(&name, "p1-it's\\", "SELECT 1"));
    bench.delete_user(config, &removal(&name, &[])).unwrap();
    bench.delete_user(config, &removal(&name, &[])).unwrap();
    bench.delete_user(config, &removal(&name, &["DROP USER '{{name}}'@'localhost'"])).unwrap();
    assert_eq!(accounts(server), ADMIN);
    assert_eq!(bench.connected().len(), 2, "one to try the config, and one for all the rest");
}

fn hostile_names(server: &MariaDb, bench: &mut Bench, config: &Value) {
    for name in ["a'b", "a\"b", "a`b", "a;drop", "a\\", "\\'", "ünïcödé ☃", "two\nlines", "%", "{{name}}", "a@b"]
    {
        let grants = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; CREATE DATABASE `{{name}}`; \
             CREATE TABLE `{{name}}`.`{{name}}` (a int); GRANT SELECT ON `{{name}}`.`{{name}}` TO \"{{name}}\"@'%'; \
             GRANT ALL ON `{{name}}`.* TO '{{name}}'@'%' WITH GRANT OPTION";
        bench.create_user(config, &spec(Some(name), name, &[grants])).unwrap();
        let quoted = format!("`{}`", name.replace('`', "``"));
        assert!(server.can(name, name, &format!("SELECT a FROM {quoted}.{quoted}")), "{name:?}");
        bench.change_user(config, &change(name, Some("other"))).unwrap();
        assert!(server.can(name, "other", "SELECT 1"), "{name:?}");
        bench.delete_user(config, &removal(name, &[])).unwrap();
        assert_eq!(accounts(server), ADMIN, "{name:?} is gone");
        let _ = server.sql(&format!("DROP DATABASE {quoted}"));
    }
}

fn what_is_refused(server: &MariaDb, bench: &mut Bench, config: &Value) {
    assert_eq!(told(bench.create_user(config, &spec(Some("u"), "p", &[]))), "empty creation statements");
    for statement in [
        "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}' '{{password}}'",
        "SELECT * FROM `{{password}}`",
        "CREATE USER x IDENTIFIED BY {{password}}",
        "SELECT '{{password}}'",
        "KILL '{{password}}'",
    ] {
        let result = bench.create_user(config, &spec(Some("u"), "s3cret-it's", &[statement]));
        assert!(statement.starts_with("SELECT '") || !told(result).contains("s3cret"), "{statement}");
    }
    let syntax = told(bench.create_user(config, &spec(Some("u"), "s3cret", &["CREATE USR '{{name}}'"])));
    assert!(syntax.starts_with("Error 1064 (42000): You have an error in your SQL syntax;"), "{syntax}");
    assert_eq!(
        told(bench.change_user(config, &change("u", Some("")))),
        "failed to change password: must provide both username and password"
    );
    let missing = told(bench.change_user(config, &change("u", Some("p-none"))));
    assert_eq!(missing, "failed to change password: Error 1396 (HY000): Operation ALTER USER failed for 'u'@'%'");
    let wrong = told(bench.verify(&with(config, "password", "wrong-s3cret"), true));
    let expected = "error verifying - ping: Error 1045 (28000): Access denied for user 'manager'@'127.0.0.1' (using password: YES)";
    assert_eq!(wrong, expected);

    // Statements without their own removal, and an account that the default does not reach.
    bench.create_user(config, &spec(Some("local"), "p", &["CREATE USER '{{name}}'@'localhost'"])).unwrap();
    let text = told(bench.delete_user(config, &removal("local", &["DROP USER '{{name}}'@'%'"])));
    assert!(text.starts_with("Error 1396 (HY000): Operation DROP USER failed"), "{text}");
    bench.create_user(config, &spec(Some("lo'cal"), "p", &["CREATE USER '{{name}}'@'a', '{{name}}'@'b'"])).unwrap();
    // The default reaches them all.
    bench.delete_user(config, &removal("local", &[])).unwrap();
    bench.delete_user(config, &removal("lo'cal", &[])).unwrap();
    assert_eq!(accounts(server), ADMIN);
    let mut undone = spec(Some("half"), "p", &["CREATE USER '{{name}}'@'%'; GRANT NONSENSE ON *.* TO '{{name}}'@'%'"]);
    undone.rollback_statements = vec!["DROP USER '{{name}}'@'%'".to_owned()];
    let _ = told(bench.create_user(config, &undone));
    assert_eq!(accounts(server), ADMIN);
}

/// An account that there was is nobody's to make again, or to remove for it.
fn accounts_of_others(server: &MariaDb, bench: &mut Bench, config: &Value) {
    let _ = server.sql("CREATE USER theirs@localhost IDENTIFIED BY 'p'");
    let _ = server.sql("CREATE USER blind@'%' IDENTIFIED BY 'b'; GRANT CREATE USER ON *.* TO blind@'%'");
    let _ = server.sql("GRANT SELECT ON app.* TO blind@'%' WITH GRANT OPTION");
    let blind = with(&with(config, "username", "blind"), "password", "b");
    for (config, statements) in [
        (config, CREATE),
        (config, "CREATE USER IF NOT EXISTS '{{name}}'@'%' IDENTIFIED BY '{{password}}'"),
        (config, "CREATE OR REPLACE USER '{{name}}'@'localhost' IDENTIFIED BY '{{password}}'"),
        (config, "GRANT SELECT ON app.* TO '{{name}}'@'%' IDENTIFIED BY '{{password}}'"),
        // Who may not read which accounts there are goes by what the server says.
        (&blind, "CREATE USER '{{name}}'@'localhost' IDENTIFIED BY '{{password}}'"),
    ] {
        let mut user = spec(Some("theirs"), "s3cret", &[statements]);
        user.rollback_statements = vec!["DROP USER '{{name}}'@'localhost'".to_owned()];
        let result = bench.create_user(config, &user);
        let Err(Error::PreconditionFailed(told)) = result else { panic!("{statements}: {result:?}") };
        assert!(told.contains("theirs") && !told.contains("s3cret"), "{told}");
        assert!(server.can("theirs", "p", "SELECT 1"), "{statements}");
        assert_eq!(server.sql("SELECT host FROM mysql.user WHERE user = 'theirs'"), "localhost", "{statements}");
    }
    // One that nobody has is made, whoever may read what; and what fails later is no account of others.
    bench.create_user(&blind, &spec(Some("new"), "p", &[CREATE])).unwrap();
    bench.delete_user(config, &removal("new", &[])).unwrap();
    let twice = "CREATE USER '{{name}}'@'%'; CREATE USER '{{name}}'@'%'";
    let text = told(bench.create_user(config, &spec(Some("twice"), "p4-twice", &[twice])));
    assert!(text.starts_with("Error 1396 (HY000): Operation CREATE USER failed"), "{text}");
    bench.delete_user(config, &removal("twice", &[])).unwrap();
    let _ = server.sql("DROP USER theirs@localhost, blind@'%'");
    assert_eq!(accounts(server), ADMIN);
}

fn modes_of_the_server(server: &MariaDb) {
    let mut bench = Bench::new();
    for mode in ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"] {
        let url =
            format!("{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{})/app?sql_mode=%27{mode}%27", server.port());
        let config = json!({ "connection_url": url, "username": ADMIN, "password": ADMIN_PASSWORD });
        for _ in 0..2 {
            bench.create_user(&config, &spec(Some("mode"), "a\\'b", &[CREATE])).unwrap();
            assert!(server.can("mode", "a\\'b", "SELECT 1"), "{mode}");
            bench.delete_user(&config, &removal("mode", &[])).unwrap();
        }
    }
    let url =
        format!("{{{{username}}}}:{{{{password}}}}@unix({})/app?multiStatements=true&timeout=5s", server.socket());
    let config = json!({ "connection_url": url, "username": ADMIN, "password": ADMIN_PASSWORD });
    bench
        .create_user(
            &config,
            &spec(Some("multi"), "p", &[r#"["CREATE USER '{{name}}'@'%'; GRANT SELECT ON app.* TO '{{name}}'@'%'"]"#]),
        )
        .unwrap();
    bench.delete_user(&config, &removal("multi", &[])).unwrap();
    assert_eq!(accounts(server), ADMIN);
}

fn ways_to_prove_a_password(server: &MariaDb) {
    let _ = server.sql("CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('p'); CREATE USER bare@'%'");
    for (user, password, is_let_in) in [("ed", "p", true), ("ed", "q", false), ("bare", "", true), ("bare", "x", false)]
    {
        let config = with(&with(&config(server), "username", user), "password", password);
        assert_eq!(Bench::new().verify(&config, true).is_ok(), is_let_in, "{user} {password}");
    }
    // A change of the password leaves it the way that it is proved, whoever makes the change.
    let plugin = || server.sql("SELECT plugin FROM mysql.user WHERE user = 'ed'");
    let _ = server.sql("GRANT ALL ON *.* TO ed@'%' WITH GRANT OPTION");
    let by_itself = with(&with(&config(server), "username", "ed"), "password", "p");
    let mut bench = Bench::new();
    bench.change_user(&config(server), &change("ed", Some("q'\\"))).unwrap();
    assert_eq!(plugin(), "ed25519");
    bench.verify(&with(&by_itself, "password", "q'\\"), true).unwrap();
    bench.change_user(&with(&by_itself, "password", "q'\\"), &change("ed", Some("r"))).unwrap();
    assert_eq!(plugin(), "ed25519");
    bench.verify(&with(&by_itself, "password", "r"), true).unwrap();
    let own = UserChange {
        statements: vec!["ALTER USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'".to_owned()],
        ..change("ed", Some("s"))
    };
    bench.change_user(&config(server), &own).unwrap();
    assert_eq!(plugin(), "mysql_native_password", "the operator's statements are the operator's");
    let odd = "x` IDENTIFIED VIA ed25519 ";
    bench.create_user(&config(server), &spec(Some(odd), "p", &[CREATE])).unwrap();
    bench.change_user(&config(server), &change(odd, Some("q"))).unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM mysql.user WHERE plugin = 'ed25519'"), "0");
    bench.delete_user(&config(server), &removal(odd, &[])).unwrap();
    let _ = server.sql("DROP USER ed@'%', bare@'%'");
    let url = format!("{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{})/?tls=true", server.port());
    let text = told(Bench::new().verify(&with(&config(server), "connection_url", url), true));
    assert!(text.contains("tls: the server does not speak TLS"), "{text}");
}

fn sessions_are_kept_and_replaced(server: &mut MariaDb, config: &Value) {
    let mut bench = Bench::new();
    bench.create_user(config, &spec(Some("kept"), "p", &[CREATE])).unwrap();
    bench.delete_user(config, &removal("kept", &[])).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (1, 1));
    bench.verify(&with(config, "max_idle_connections", "-1"), true).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (2, 1));
    server.kill();
    let away = told(bench.verify(config, true));
    assert!(away.starts_with("error verifying - ping: dial tcp 127.0.0.1:"), "{away}");
    server.restart();
    bench.verify(config, true).unwrap();
    server.restart();
    bench.create_user(config, &spec(Some("back"), "p", &[CREATE])).unwrap();
    bench.delete_user(config, &removal("back", &[])).unwrap();
    assert_eq!(accounts(server), ADMIN);
}

/// The call is over, and what it said is not there yet.
fn breaks<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
}

// No account without a lease, however late a statement arrives.
#[test]
fn what_arrives_after_somebody_else_was_at_the_account_has_no_effect() {
    let server = MariaDb::start();
    let (direct, wire) = (config(&server), Wire::to(server.port()));
    let (mut bench, by_wire) = (Bench::new(), at(wire.port()));
    let create = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
    for (text, statements) in [("CREATE USER", create), ("GRANT SELECT", CREATE)] {
        let _ = server.sql("CREATE DATABASE IF NOT EXISTS app");
        wire.hold(text);
        breaks(bench.create_user(&by_wire, &spec(Some("late"), "p1", &[statements])));
        bench.delete_user(&direct, &removal("late", &[])).unwrap();
        wire.release();
        assert_eq!(accounts(&server), ADMIN, "{text}");
    }
    // Where nobody was, it is as if it were in time: it is removed as anybody is.
    wire.hold("CREATE USER");
    breaks(bench.create_user(&by_wire, &spec(Some("late"), "p1", &[create])));
    wire.release();
    assert!(server.can("late", "p1", "SELECT 1"));

    wire.hold("ALTER USER");
    breaks(bench.change_user(&by_wire, &change("late", Some("p2"))));
    bench.change_user(&direct, &change("late", Some("p3"))).unwrap();
    wire.release();
    assert!(server.can("late", "p3", "SELECT 1") && !server.can("late", "p2", "SELECT 1"));

    wire.hold("DROP USER");
    breaks(bench.delete_user(&by_wire, &removal("late", &[])));
    bench.delete_user(&direct, &removal("late", &[])).unwrap();
    bench.create_user(&direct, &spec(Some("late"), "p4", &[create])).unwrap();
    wire.release();
    assert!(server.can("late", "p4", "SELECT 1"), "an account that was made anew is another's");
    bench.delete_user(&direct, &removal("late", &[])).unwrap();
    assert_eq!(accounts(&server), ADMIN);
}

#[test]
fn who_may_not_end_a_session_at_the_account_does_not_pass_it_by() {
    let server = MariaDb::start();
    let _ = server.sql("CREATE USER other@'%' IDENTIFIED BY 'o'; GRANT CREATE USER, SELECT ON *.* TO other@'%'");
    let other = with(&with(&config(&server), "username", "other"), "password", "o");
    let (wire, mut bench) = (Wire::to(server.port()), Bench::new());
    wire.hold("CREATE USER");
    let create = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
    breaks(bench.create_user(&at(wire.port()), &spec(Some("late"), "p1", &[create])));
    for _ in 0..2 {
        breaks(bench.delete_user(&other, &removal("late", &["DROP USER '{{name}}'@'%'"])));
        breaks(bench.change_user(&other, &change("late", Some("p2"))));
        breaks(bench.create_user(&other, &spec(Some("late"), "p2", &[create])));
    }
    wire.release();
    assert!(server.can("late", "p1", "SELECT 1"));
    bench.delete_user(&other, &removal("late", &["DROP USER '{{name}}'@'%'"])).unwrap();
    assert!(!accounts(&server).contains("late"));
}
