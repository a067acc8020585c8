//! `status`: whether the server is sealed and who leads; and how `operator unseal` shows
//! the same.

use serde_json::{Map, Value, json};

use super::{Command, Prints};
use crate::client::{Call, Client, ClientError};
use crate::fault::{EXIT_REMOTE, Fault};
use crate::output::table;
use crate::session::Session;

pub(super) const COMMAND: Command = Command {
    words: "status",
    about: "Print seal and HA status",
    usage: "[options]",
    help: "Prints whether the server is sealed and which node leads. It works without a token.\n\nThe exit code is 0 if it is unsealed, 2 if it is sealed, and 1 if it cannot be asked.\n\nWait until it is unsealed:\n\n    $ until bulkhead status >/dev/null; do sleep 1; done",
    prints: Prints::Fields,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    // Settings that cannot be used end this command with 1: 2 says "sealed".
    let client = session.client().map_err(Fault::of_check)?.outside_namespaces();
    let status = client
        .json(&Call::new("GET", "sys/seal-status"))
        .map_err(|error| Fault::Check { tried: "Error checking seal status".to_owned(), source: Box::new(error) })?;
    let status = with_leader(&client, &status)?;
    if let Some(field) = session.flags.text("field") {
        // The peers print the error of a missing field and exit by the seal alone.
        if let Err(fault) = show_field(session, &status, field) {
            session.terminal.error(&fault.to_string());
        }
    } else {
        show_object(session, &status)?;
    }
    Ok(if is_true(&status, "sealed") { EXIT_REMOTE } else { 0 })
}

/// Shows a seal status with who leads.
///
/// # Errors
/// The leader cannot be asked for.
pub(super) fn show(session: &Session, client: &Client, status: &Value) -> Result<u8, Fault> {
    show_object(session, &with_leader(client, status)?)?;
    Ok(0)
}

fn show_object(session: &Session, status: &Map<String, Value>) -> Result<(), Fault> {
    if session.is_table() {
        let rows: Vec<(String, String)> = rows(status);
        session.terminal.out(&table::key_value(&rows).unwrap_or_default());
        return Ok(());
    }
    session.show_value(&Value::Object(status.clone())).map(|_| ())
}

fn show_field(session: &Session, status: &Map<String, Value>, field: &str) -> Result<u8, Fault> {
    if field == "ha_mode" {
        let mode = if is_true(status, "is_self") { "active" } else { "standby" };
        return session.show_map_field(&Map::from_iter([("ha_mode".to_owned(), json!(mode))]), field, "seal status");
    }
    session.show_map_field(status, field, "seal status")
}

/// The seal status in the peers' order, with what the leader's answer adds.
fn with_leader(client: &Client, status: &Value) -> Result<Map<String, Value>, Fault> {
    let leader = match client.json(&Call::new("GET", "sys/leader")) {
        Ok(leader) => leader,
        // A sealed node does not say; the peers then show what a cluster would.
        Err(error) if error.is_sealed() => json!({ "ha_enabled": true }),
        Err(error) => return Err(leader_unknown(error)),
    };
    let always = [
        ("type", json!("")),
        ("initialized", json!(false)),
        ("sealed", json!(false)),
        ("t", json!(0)),
        ("n", json!(0)),
        ("progress", json!(0)),
        ("nonce", json!("")),
        ("version", json!("")),
        ("commit_date", json!("")),
        ("migration", json!(false)),
        ("cluster_name", Value::Null),
        ("cluster_id", Value::Null),
        ("recovery_seal", json!(false)),
        ("recovery_seal_type", Value::Null),
        ("storage_type", Value::Null),
        ("warnings", Value::Null),
        ("build_date", json!("")),
    ];
    let mut object = Map::new();
    for (key, absent) in always {
        insert(&mut object, key, status.get(key), &absent);
    }
    insert(&mut object, "ha_enabled", leader.get("ha_enabled"), &json!(false));
    for key in [
        "is_self",
        "active_time",
        "leader_address",
        "leader_cluster_address",
        "raft_committed_index",
        "raft_applied_index",
    ] {
        insert(&mut object, key, leader.get(key).filter(|value| says_something(value)), &Value::Null);
    }
    Ok(object)
}

fn leader_unknown(error: ClientError) -> Fault {
    Fault::Check { tried: "Error checking leader status".to_owned(), source: Box::new(error) }
}

/// A key that is absent and has null for that is left out, like an empty one.
fn insert(object: &mut Map<String, Value>, key: &str, value: Option<&Value>, absent: &Value) {
    let value = value.filter(|value| !value.is_null()).unwrap_or(absent);
    if absent.is_null() && !says_something(value) {
        return;
    }
    object.insert(key.to_owned(), value.clone());
}

/// Neither empty nor zero, in Go's sense; the year 1 is Go's "no time".
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && !text.starts_with("0001-01-01T00:00:00"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn is_true(status: &Map<String, Value>, key: &str) -> bool {
    status.get(key) == Some(&Value::Bool(true))
}

fn rows(status: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |key: &str| status.get(key).map(table::plain).unwrap_or_default();
    let is_recovery = is_true(status, "recovery_seal");
    let prefix = if is_recovery { "Recovery " } else { "" };
    let mut rows = vec![("Seal Type".to_owned(), text("type"))];
    if is_recovery {
        rows.push(("Recovery Seal Type".to_owned(), text("recovery_seal_type")));
    }
    rows.push(("Initialized".to_owned(), text("initialized")));
    rows.push(("Sealed".to_owned(), text("sealed")));
    rows.push((format!("Total {prefix}Shares"), text("n")));
    rows.push(("Threshold".to_owned(), text("t")));
    if is_true(status, "sealed") {
        rows.push(("Unseal Progress".to_owned(), format!("{}/{}", text("progress"), text("t"))));
        rows.push(("Unseal Nonce".to_owned(), text("nonce")));
    }
    if is_true(status, "migration") {
        rows.push(("Seal Migration in Progress".to_owned(), "true".to_owned()));
    }
    let mut optional = vec![("Version", "version"), ("Commit Date", "commit_date"), ("Storage Type", "storage_type")];
    if status.contains_key("cluster_name") && status.contains_key("cluster_id") {
        optional.extend([("Cluster Name", "cluster_name"), ("Cluster ID", "cluster_id")]);
    }
    for (title, key) in optional {
        if !text(key).is_empty() {
            rows.push((title.to_owned(), text(key)));
        }
    }
    rows.push(("HA Enabled".to_owned(), text("ha_enabled")));
    rows.extend(cluster_rows(status));
    rows
}

fn cluster_rows(status: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |key: &str| status.get(key).map(table::plain).unwrap_or_default();
    let mut rows = Vec::new();
    if is_true(status, "ha_enabled") && !is_true(status, "sealed") {
        let is_self = is_true(status, "is_self");
        rows.push(("HA Cluster".to_owned(), text("leader_cluster_address")));
        rows.push(("HA Mode".to_owned(), if is_self { "active" } else { "standby" }.to_owned()));
        if is_self && status.contains_key("active_time") {
            rows.push(("Active Since".to_owned(), text("active_time")));
        }
        if !is_self && status.contains_key("leader_address") {
            rows.push(("Active Node Address".to_owned(), text("leader_address")));
        }
    }
    for (title, key) in [("Raft Committed Index", "raft_committed_index"), ("Raft Applied Index", "raft_applied_index")]
    {
        if status.contains_key(key) {
            rows.push((title.to_owned(), text(key)));
        }
    }
    rows
}
