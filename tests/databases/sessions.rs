//! Sessions at the command line with a database: the unmodified `bao` against our server, and what our own
//! client shows while many leases end.

use std::process::{Command, Output};

use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Postgres};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use serde_json::Value;

use super::with_engine;

/// A client, a server, and a database that the server is told of as `pg`.
struct Session {
    program: Program,
    node: Node,
    postgres: Postgres,
}

const CREATE: &str = "creation_statements=CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";

impl Session {
    fn with(program: Program) -> Self {
        let session = Self { program, node: with_engine(), postgres: Postgres::start() };
        let url = format!(
            "connection_url=postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable",
            session.postgres.port()
        );
        let (user, password) = (format!("username={ADMIN}"), format!("password={ADMIN_PASSWORD}"));
        let plugin = "plugin_name=postgresql-database-plugin";
        session.says(&["write", "database/config/pg", plugin, &url, "allowed_roles=*", &user, &password]);
        session.says(&["write", "database/roles/app", "db_name=pg", "default_ttl=1h", "max_ttl=24h", CREATE]);
        session
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.program.path());
        command.args(words).current_dir(self.node.dir()).env("HOME", self.node.dir());
        for prefix in ["VAULT", "BAO", "BULKHEAD"] {
            command.env(format!("{prefix}_ADDR"), format!("http://127.0.0.1:{}", self.node.port));
            command.env(format!("{prefix}_TOKEN"), &self.node.token);
        }
        command.output().unwrap()
    }

    /// What it prints, where it succeeds.
    fn says(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said.trim_end().to_owned()
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.says(words)).unwrap()
    }

    /// A user of the role: its lease, name and password.
    fn user(&self) -> (String, String, String) {
        let made = self.json(&["read", "-format=json", "database/creds/app"]);
        let text = |at: &str| made.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{made}")).to_owned();
        (text("/lease_id"), text("/data/username"), text("/data/password"))
    }

    fn can(&self, name: &str, password: &str) -> bool {
        self.postgres.can("postgres", name, password, "select 1")
    }

    fn users(&self) -> String {
        self.postgres.sql("postgres", "select count(*) from pg_roles where rolname like 'v-%'")
    }
}

#[test]
fn an_unmodified_bao_has_users_made_kept_and_removed() {
    if programs::bao().is_none() {
        println!("skipped: no bao here, by BULKHEAD_WITHOUT_PEER");
        return;
    }
    let session = Session::with(Program::Bao);
    assert_eq!(session.json(&["list", "-format=json", "database/config"]), serde_json::json!(["pg"]));
    assert_eq!(session.says(&["read", "-field=db_name", "database/roles/app"]), "pg");
    let (lease, name, password) = session.user();
    assert!(session.can(&name, &password));
    let renewed = session.json(&["lease", "renew", "-format=json", "-increment=1800", &lease]);
    assert_eq!((&renewed["lease_id"], &renewed["lease_duration"]), (&Value::from(lease.as_str()), &Value::from(1800)));
    let found = session.json(&["lease", "lookup", "-format=json", &lease]);
    assert_eq!(found.pointer("/data/id"), Some(&Value::from(lease.as_str())), "{found}");
    session.says(&["lease", "revoke", "-sync", &lease]);
    assert!(!session.can(&name, &password));
    assert!(!session.run(&["lease", "renew", &lease]).status.success());
    for _ in 0..5 {
        session.user();
    }
    assert_eq!(session.users(), "5");
    let said = session.says(&["lease", "revoke", "-prefix", "-sync", "database/creds/app"]);
    assert_eq!(said, "Success! Revoked any leases with prefix: database/creds/app");
    assert_eq!(session.users(), "0", "it says so when they are gone, and not before");
    session.says(&["delete", "database/roles/app"]);
    assert!(!session.run(&["read", "database/creds/app"]).status.success());
}

#[test]
fn an_unmodified_bao_has_passwords_changed_that_stay() {
    if programs::bao().is_none() {
        println!("skipped: no bao here, by BULKHEAD_WITHOUT_PEER");
        return;
    }
    let session = Session::with(Program::Bao);
    let _ = session.postgres.sql("postgres", "CREATE ROLE servant LOGIN PASSWORD 'first'");
    let role = ["write", "database/static-roles/servant", "db_name=pg", "username=servant", "rotation_period=24h"];
    session.says(&role);
    let password = || session.says(&["read", "-field=password", "database/static-creds/servant"]);
    let first = password();
    assert!(session.can("servant", &first) && !session.can("servant", "first"));
    session.says(&["write", "-f", "database/rotate-role/servant"]);
    let second = password();
    assert!(session.can("servant", &second) && !session.can("servant", &first));
    session.says(&["write", "-f", "database/rotate-root/pg"]);
    assert!(!session.can(ADMIN, ADMIN_PASSWORD), "the root's password was not changed");
    let (_, name, password) = session.user();
    assert!(session.can(&name, &password));
}

#[test]
fn our_own_client_shows_how_many_leases_are_left_and_fails_where_they_stay() {
    let mut session = Session::with(Program::Bulkhead);
    for _ in 0..12 {
        session.user();
    }
    let revoke = ["lease", "revoke", "-prefix", "-sync", "-progress", "database/creds"];
    let output = session.run(&revoke);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.first().copied(), Some("12 of 12 leases left"), "{told}");
    assert_eq!(lines.last().copied(), Some("0 of 12 leases left"), "{told}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.trim_end(), "Success! Revoked any leases with prefix: database/creds");
    assert_eq!(session.users(), "0");
    // Where nobody watches and nobody asks, nothing is told.
    session.user();
    let quiet = session.run(&["lease", "revoke", "-prefix", "-sync", "database/creds"]);
    assert_eq!((quiet.status.code(), String::from_utf8_lossy(&quiet.stderr).as_ref()), (Some(0), ""));
    session.user();
    session.user();
    session.postgres.kill();
    let output = session.run(&revoke);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("2 leases could not be revoked"), "{told}");
    let forced = session.run(&["lease", "revoke", "-prefix", "-force", "-progress", "database/creds"]);
    let told = String::from_utf8_lossy(&forced.stderr).into_owned();
    assert!(forced.status.success() && told.contains("0 of 2 leases left"), "{told}");
}
