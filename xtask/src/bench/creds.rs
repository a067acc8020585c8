//! `--creds`: users of a PostgreSQL, made by each server in its turn, in the same database.

use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Postgres};
use serde_json::json;

use super::server::Server;
use super::table::{Bar, Line, render_lines};
use super::{Options, Phase, alternate};
use crate::http::request;
use crate::shell::{Done, say};

/// Sessions that a server may have with the database. Why: the peer's own bound is 4, and ours 32.
const SESSIONS: u32 = 16;

/// How long users live. Why: none ends while others are made.
const TTL: &str = "1h";

/// One server.
#[derive(serde::Serialize)]
pub(super) struct Creds {
    name: &'static str,
    phase: Phase,
}

/// Measures both.
pub(super) fn run(servers: &mut [Server; 2], options: &Options) -> Done<(Vec<Creds>, String)> {
    let postgres = Postgres::start();
    for server in servers.iter_mut() {
        say(format_args!("initialising {}", server.name));
        server.initialise()?;
        enable(server, &postgres)?;
    }
    say(format_args!("creds: {} s on each server, in {} rounds", options.seconds, options.rounds));
    let requests =
        [0, 1].map(|place: usize| vec![request("GET", "database/creds/app", &servers[place].asked().token, "")]);
    let tallies = alternate(servers, &requests, options)?;
    let measured: Vec<Creds> = servers
        .iter()
        .zip(tallies)
        .map(|(server, tally)| Creds { name: server.name, phase: tally.phase("creds, PostgreSQL") })
        .collect();
    let versions = [servers[0].version()?, servers[1].version()?];
    let table = render_lines([&versions[0], &versions[1]], &lines(&measured), options);
    Ok((measured, table))
}

fn enable(server: &Server, postgres: &Postgres) -> Done {
    let url = "postgresql://{{username}}:{{password}}@127.0.0.1:PORT/postgres?sslmode=disable";
    let config = json!({
        "plugin_name": "postgresql-database-plugin",
        "connection_url": url.replace("PORT", &postgres.port().to_string()),
        "username": ADMIN,
        "password": ADMIN_PASSWORD,
        "allowed_roles": "*",
        "max_open_connections": SESSIONS,
        "max_idle_connections": SESSIONS,
    });
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
    let role = json!({ "db_name": "pg", "creation_statements": create, "default_ttl": TTL, "max_ttl": TTL });
    for (path, body) in [
        ("sys/mounts/database", json!({ "type": "database" })),
        ("database/config/pg", config),
        ("database/roles/app", role),
    ] {
        server.call("POST", path, &body, &[200, 204])?;
    }
    Ok(())
}

fn lines(all: &[Creds]) -> Vec<Line> {
    let [ours, theirs] = all else { return Vec::new() };
    let line = |label: &str, of: &dyn Fn(&Phase) -> f64, decimals, bar| Line {
        label: label.to_owned(),
        ours: of(&ours.phase),
        theirs: of(&theirs.phase),
        decimals,
        bar,
    };
    let mut lines = vec![
        line("users made a second", &|phase| phase.per_second, 0, Bar::AtLeast(1.0)),
        line("p50, µs", &|phase| f64::from(phase.p50_us), 0, Bar::None),
        line("p99, µs", &|phase| f64::from(phase.p99_us), 0, Bar::None),
        line("server CPU, µs", &|phase| phase.server_cpu_us, 1, Bar::AtMost(1.0)),
    ];
    if ours.phase.errors + theirs.phase.errors > 0 {
        lines.push(line("ERRORS", &|phase| phase.errors as f64, 0, Bar::OursAtMost(0.0)));
    }
    lines
}
