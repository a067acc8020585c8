//! `secrets`: the mounts of secrets engines.

use serde_json::{Map, Value, json};

use super::mounts::{self, enable_flags, tune_flags};
use super::{Command, Group, Prints, remount};
use crate::client::Call;
use crate::fault::Fault;
use crate::flags::Flag;
use crate::output::table;
use crate::paths::{sanitized, with_slash};
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "secrets",
    about: "Interact with secrets engines",
    help: "Secrets engines store or make secrets; each is mounted at a path of its own.\n\nMount a key-value store:\n\n    $ bulkhead secrets enable -version=2 kv",
};

pub(super) const ENABLE: Command = Command {
    words: "secrets enable",
    about: "Enable a secrets engine",
    usage: "[options] TYPE",
    help: "Mounts a secrets engine. Requests for paths that begin with its own then go to it.\n\nMount a versioned key-value store at team-a/:\n\n    $ bulkhead secrets enable -path=team-a -version=2 kv",
    prints: Prints::Lines,
    is_client: true,
    flags: enable_flags![Flag::switch(
        "force-no-cache",
        "Keep the server from caching for this mount. A Bulkhead server notes it, without effect."
    )],
    run: enable,
};

pub(super) const DISABLE: Command = Command {
    words: "secrets disable",
    about: "Disable a secrets engine",
    usage: "[options] PATH",
    help: "Takes a secrets engine away, with everything it stored; secrets it made are revoked.\n\nTake away the engine at team-a/:\n\n    $ bulkhead secrets disable team-a/",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: disable,
};

pub(super) const LIST: Command = Command {
    words: "secrets list",
    about: "List enabled secrets engines",
    usage: "[options]",
    help: "Lists what is mounted where. A TTL of \"system\" is the server's default.\n\nList with all columns:\n\n    $ bulkhead secrets list -detailed",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::switch("detailed", "Show all columns: TTLs, options, versions and more.")],
    run: list,
};

pub(super) const TUNE: Command = Command {
    words: "secrets tune",
    about: "Tune a secrets engine configuration",
    usage: "[options] PATH",
    help: "Changes settings of a mounted secrets engine; what is not given stays.\n\nLet its leases live three days by default:\n\n    $ bulkhead secrets tune -default-lease-ttl=72h team-a/",
    prints: Prints::Lines,
    is_client: true,
    flags: tune_flags![],
    run: tune,
};

pub(super) const MOVE: Command = Command {
    words: "secrets move",
    about: "Move a secrets engine to a new path",
    usage: "[options] SOURCE DESTINATION",
    help: "Moves a mounted secrets engine with its data. Leases of the old path are revoked.\n\nMove secret/ to generic/:\n\n    $ bulkhead secrets move secret/ generic/",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: |session| remount::run(session, &remount::ENGINE),
};

fn enable(session: &Session) -> Result<u8, Fault> {
    let (kind, path) = mounts::kind_and_path(session, session.one()?)?;
    let body = json!({
        "type": kind,
        "description": session.flags.text("description").unwrap_or_default(),
        "config": mounts::enable_config(session),
        "local": session.flags.switch("local"),
        "seal_wrap": session.flags.switch("seal-wrap"),
        "external_entropy_access": session.flags.switch("external-entropy-access"),
        "options": mounts::options(session),
    });
    let client = session.client()?;
    client
        .send(&Call::new("POST", &format!("sys/mounts/{path}")).body(&body))
        .map_err(|error| Fault::request("Error enabling", error))?;
    session
        .terminal
        .out(&format!("Success! Enabled the {kind} secrets engine{} at: {path}", mounts::version_suffix(session)));
    Ok(0)
}

fn disable(session: &Session) -> Result<u8, Fault> {
    let path = with_slash(&sanitized(session.one()?));
    let client = session.client()?;
    client
        .send(&Call::new("DELETE", &format!("sys/mounts/{path}")))
        .map_err(|error| Fault::request(format!("Error disabling secrets engine at {path}"), error))?;
    session.terminal.out(&format!("Success! Disabled the secrets engine (if it existed) at: {path}"));
    Ok(0)
}

fn list(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("GET", "sys/mounts"))
        .map_err(|error| Fault::request("Error listing secrets engines", error))?;
    let answer = secret.and_then(|secret| secret.data).unwrap_or_default();
    let all = mounts::by_path(&answer);
    if !session.is_table() {
        let object: Map<String, Value> =
            all.into_iter().map(|(path, mount)| (path.clone(), mounts::entry(mount))).collect();
        return session.show_value(&Value::Object(object));
    }
    let text = if session.is_detailed {
        let rows: Vec<_> =
            all.into_iter().map(|(path, mount)| mounts::detailed(path, mount, "force_no_cache")).collect();
        table::with_header(&mounts::detailed_header("Force No Cache"), &rows)
    } else {
        let text = |mount: &Value, key: &str| mount.get(key).map_or_else(String::new, table::plain);
        let rows: Vec<_> = all
            .into_iter()
            .map(|(path, mount)| {
                vec![path.clone(), text(mount, "type"), text(mount, "accessor"), text(mount, "description")]
            })
            .collect();
        table::with_header(&["Path", "Type", "Accessor", "Description"], &rows)
    };
    session.terminal.out(&text);
    Ok(0)
}

fn tune(session: &Session) -> Result<u8, Fault> {
    let path = with_slash(&sanitized(session.one()?));
    let body = Value::Object(mounts::tune_body(session));
    let client = session.client()?;
    send_tune(&client, &path, &body)?;
    session.terminal.out(&format!("Success! Tuned the secrets engine at: {path}"));
    Ok(0)
}

/// Sends the settings of the engine at `path`, which ends with a slash.
///
/// # Errors
/// The request's.
pub(super) fn send_tune(client: &crate::client::Client, path: &str, body: &Value) -> Result<(), Fault> {
    client
        .send(&Call::new("POST", &format!("sys/mounts/{path}tune")).body(body))
        .map_err(|error| Fault::request(format!("Error tuning secrets engine {path}"), error))?;
    Ok(())
}
