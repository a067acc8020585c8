//! `audit`: the devices that every request is recorded on.

use serde_json::{Map, Value, json};

use super::{Command, Group, Prints};
use crate::client::Call;
use crate::fault::{EXIT_REMOTE, Fault};
use crate::flags::Flag;
use crate::output::table;
use crate::pairs;
use crate::paths::{sanitized, with_slash};
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "audit",
    about: "Interact with audit devices",
    help: "Audit devices record every request before it is answered; where none can, nothing is\nanswered.\n\nRecord to a file:\n\n    $ bulkhead audit enable file file_path=/var/log/bulkhead-audit.log",
};

pub(super) const LIST: Command = Command {
    words: "audit list",
    about: "List enabled audit devices",
    usage: "[options]",
    help: "Lists the audit devices. Without any, the exit code is 2.\n\nList them with their options:\n\n    $ bulkhead audit list -detailed",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::switch("detailed", "Show options too.")],
    run: list,
};

pub(super) const ENABLE: Command = Command {
    words: "audit enable",
    about: "Enable an audit device",
    usage: "[options] TYPE [CONFIG K=V...]",
    help: "Records every request on one more device from now on. A server allows it in dev mode, or\nwhere its configuration says unsafe_allow_api_audit_creation = true; else devices are named\nin the configuration.\n\nRecord to a file:\n\n    $ bulkhead audit enable file file_path=/var/log/bulkhead-audit.log",
    prints: Prints::Lines,
    is_client: true,
    flags: &[
        Flag::text("description", "A description for people."),
        Flag::switch("local", "Keep the device out of replication. A Bulkhead server notes it, without effect."),
        Flag::text("path", "Name of the device; by default its type."),
    ],
    run: enable,
};

pub(super) const DISABLE: Command = Command {
    words: "audit disable",
    about: "Disable an audit device",
    usage: "[options] PATH",
    help: "Records nothing more on a device; what it has stays. A device that the server's\nconfiguration names is refused: it goes with its stanza.\n\nStop the device file/:\n\n    $ bulkhead audit disable file/",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: disable,
};

fn list(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    let secret =
        client.secret(&Call::new("GET", "sys/audit")).map_err(|error| Fault::request("Error listing audits", error))?;
    let mut devices: Vec<(String, Value)> =
        secret.and_then(|secret| secret.data).unwrap_or_default().into_iter().collect();
    devices.sort_by(|(left, _), (right, _)| left.cmp(right));
    if !session.is_table() {
        let object: Map<String, Value> = devices.iter().map(|(path, device)| (path.clone(), entry(device))).collect();
        return session.show_value(&Value::Object(object));
    }
    if devices.is_empty() {
        session.terminal.out("No audit devices are enabled.");
        return Ok(EXIT_REMOTE);
    }
    let rows: Vec<Vec<String>> = devices.iter().map(|(path, device)| row(path, device, session.is_detailed)).collect();
    let header = ["Path", "Type", "Description", "Replication", "Options"];
    session.terminal.out(&table::with_header(if session.is_detailed { &header } else { &header[..3] }, &rows));
    Ok(0)
}

fn entry(device: &Value) -> Value {
    let of = |key: &str, absent: Value| device.get(key).cloned().unwrap_or(absent);
    json!({
        "type": of("type", json!("")),
        "description": of("description", json!("")),
        "options": crate::output::sorted(&of("options", Value::Null)),
        "local": of("local", json!(false)),
        "path": of("path", json!("")),
    })
}

fn row(path: &str, device: &Value, is_detailed: bool) -> Vec<String> {
    let text = |key: &str| device.get(key).map_or_else(String::new, table::plain);
    let mut row = vec![path.to_owned(), text("type"), text("description")];
    if is_detailed {
        let options = device.get("options").and_then(Value::as_object);
        let options: Vec<String> =
            options.into_iter().flatten().map(|(key, value)| format!("{key}={}", table::plain(value))).collect();
        row.push(if device.get("local") == Some(&json!(true)) { "local" } else { "replicated" }.to_owned());
        row.push(options.join(" "));
    }
    row
}

fn enable(session: &Session) -> Result<u8, Fault> {
    let Some(kind) = session.arguments().first().map(|kind| kind.trim().to_owned()) else {
        let text =
            "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'.";
        return Err(Fault::Usage(text.to_owned()));
    };
    let path = with_slash(session.flags.text("path").unwrap_or(&kind));
    let options = session.data("Failed to parse K=V data", pairs::parse_texts)?;
    let body = json!({
        "type": kind,
        "description": session.flags.text("description").unwrap_or_default(),
        "options": options,
        "local": session.flags.switch("local"),
    });
    let client = session.client()?;
    client
        .send(&Call::new("PUT", &format!("sys/audit/{path}")).body(&body))
        .map_err(|error| Fault::request("Error enabling audit device", error))?;
    session.terminal.out(&format!("Success! Enabled the {kind} audit device at: {path}"));
    Ok(0)
}

fn disable(session: &Session) -> Result<u8, Fault> {
    let path = with_slash(&sanitized(session.one()?));
    let client = session.client()?;
    client
        .send(&Call::new("DELETE", &format!("sys/audit/{path}")))
        .map_err(|error| Fault::request("Error disabling audit device", error))?;
    session.terminal.out(&format!("Success! Disabled audit device (if it was enabled) at: {path}"));
    Ok(0)
}
