//! The engine on the bench, route by route, against databases in memory. Texts and statuses were read
//! off OpenBao 2.7.2.

use bulkhead_sdk::bench::{Answer, Bench};
use bulkhead_sdk::prelude::*;
use serde_json::Value;

use crate::Database;

mod automation;
mod certificates;
mod connections;
mod crashes;
mod creds;
mod hostile;
mod roles;
mod roots;
mod rotations;
mod seats;
mod static_roles;
mod templates;

/// The driver that the bench has.
const DRIVER: &str = "postgresql-database-plugin";
/// The server that it reaches.
const SERVER: &str = "db.example:5432";

/// A mount that knows a driver, and a server with a root.
fn bare() -> Bench<Database> {
    let mut bench = Bench::new();
    bench.databases().add_driver(DRIVER, &["password"]);
    bench.databases().add_account(SERVER, "root", "rootpw");
    bench
}

fn details() -> Value {
    json!({ "plugin_name": DRIVER, "connection_url": SERVER, "username": "root", "password": "rootpw", "allowed_roles": "*" })
}

/// A mount with the connection `pg` and the role `app`, whose users live for an hour and two at most.
fn bench() -> Bench<Database> {
    let mut bench = bare();
    bench.write("config/pg", details()).ok();
    let role =
        json!({ "db_name": "pg", "creation_statements": "CREATE {{name}}", "default_ttl": "1h", "max_ttl": "2h" });
    bench.write("roles/app", role).ok();
    bench.databases().take_calls();
    bench
}

/// A mount with the static role `batch` too, of the user `worker`, whose password changes every day.
fn with_static_role() -> Bench<Database> {
    let mut bench = bench();
    bench.databases().add_account(SERVER, "worker", "from before");
    let role = json!({ "db_name": "pg", "username": "worker", "rotation_period": "24h" });
    bench.write("static-roles/batch", role).ok();
    bench.databases().take_calls();
    bench
}

/// Status and text of a refusal.
fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status(), answer.error())
}

/// The names of the server's users beside the root.
fn users(bench: &mut Bench<Database>) -> Vec<String> {
    bench.databases().server(SERVER).accounts.keys().filter(|name| *name != "root").cloned().collect()
}

/// The password that the server has for a user.
fn password(bench: &mut Bench<Database>, user: &str) -> String {
    bench.databases().server(SERVER).accounts[user].credential.clone()
}

#[test]
fn a_user_cannot_be_asked_for_without_a_token() {
    let bench = bare();
    assert!(bench.descriptor().routes.iter().all(|route| !route.unauthenticated));
    assert_eq!(bench.descriptor().lease_kinds, ["creds"]);
}

#[test]
fn what_touches_a_database_runs_on_the_active_node() {
    let touches = ["config/{name}", "creds/{name}", "static-roles/{name}", "rotate-root/{name}", "rotate-role/{name}"];
    let bench = bare();
    for route in bench.descriptor().routes.iter().filter(|route| touches.contains(&route.pattern.as_str())) {
        assert!(route.operations.iter().any(|operation| operation.active_only), "{}", route.pattern);
    }
}
