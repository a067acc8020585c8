//! `plugin grants`, `plugin grant`, `plugin revoke`: what a mount's plugin may do beyond its own
//! records.

use serde_json::{Value, json};

use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(in crate::commands) const GRANTS: Command = Command {
    words: "plugin grants",
    about: "List what the plugin of a mount is granted",
    usage: "[options] MOUNT",
    help: "Lists what the plugin of a mount may do beyond its own records: which servers it reaches,\nwhich drivers it has work.\n\nList the grants of a mount:\n\n    $ bulkhead plugin grants database/",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: list,
};

pub(in crate::commands) const GRANT: Command = Command {
    words: "plugin grant",
    about: "Grant something to the plugin of a mount",
    usage: "[options] MOUNT GRANT...",
    help: "Grants one thing or several to the plugin of a mount. A denial names the grant that is missing.\n\nLet it reach a database, and have a driver work that was registered:\n\n    $ bulkhead plugin grant database/ \"net tcp://db.example:5432\" \"driver acme-database-plugin\"",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: grant,
};

pub(in crate::commands) const REVOKE: Command = Command {
    words: "plugin revoke",
    about: "Take a grant from the plugin of a mount",
    usage: "[options] MOUNT GRANT...",
    help: "Takes one grant or several from the plugin of a mount, as `plugin grants` lists them.\n\nLet it reach no more than what else is granted:\n\n    $ bulkhead plugin revoke database/ \"net tcp://*:*\"",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: revoke,
};

fn path(mount: &str) -> String {
    format!("sys/plugins/grants/{}", mount.trim().trim_matches('/'))
}

fn list(session: &Session) -> Result<u8, Fault> {
    let mount = session.one()?;
    let client = session.client()?;
    let answer = client
        .secret(&Call::new("GET", &path(mount)))
        .map_err(|error| Fault::request(format!("Error reading the grants of {mount}"), error))?;
    let told = answer.and_then(|secret| secret.data).unwrap_or_default();
    if !session.is_table() {
        return session.show_value(&Value::Object(told));
    }
    let grants = told.get("grants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if grants.is_empty() {
        session.terminal.out("Nothing is granted.");
    }
    for grant in grants.iter().filter_map(Value::as_str) {
        session.terminal.out(grant);
    }
    Ok(0)
}

fn grant(session: &Session) -> Result<u8, Fault> {
    change(session, "add", "Granted")
}

fn revoke(session: &Session) -> Result<u8, Fault> {
    change(session, "remove", "Revoked")
}

fn change(session: &Session, field: &str, done: &str) -> Result<u8, Fault> {
    let [mount, grants @ ..] = session.arguments() else {
        return Err(Fault::Usage("Not enough arguments (expected 2, got 0)".to_owned()));
    };
    if grants.is_empty() {
        return Err(Fault::Usage("Not enough arguments (expected 2, got 1)".to_owned()));
    }
    let client = session.client()?;
    client
        .send(&Call::new("POST", &path(mount)).body(&json!({ field: grants })))
        .map_err(|error| Fault::request(format!("Error changing the grants of {mount}"), error))?;
    session.terminal.out(&format!("Success! {done}: {}", grants.join(", ")));
    Ok(0)
}
