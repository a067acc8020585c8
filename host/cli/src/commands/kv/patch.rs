//! `kv patch`: changes some keys of a secret.

use serde_json::{Map, Value, json};

use super::place::{Place, read_version};
use super::{MOUNT, show};
use crate::client::{Call, Client, Secret};
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::pairs;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv patch",
    about: "Set or update data in the KV store without overwriting",
    usage: "[options] KEY [DATA K=V...]",
    help: "Writes a new version of a secret in which only the given keys differ. Where the server\nor the policy does not allow that in one request, the secret is read, changed and\nwritten back, provided that nobody else has written meanwhile.\n\nChange one key and drop another:\n\n    $ bulkhead kv patch -mount=secret -remove-data=old foo bar=baz",
    prints: Prints::Fields,
    is_client: true,
    flags: &[
        Flag::int("cas", "Write only if this is the current version."),
        Flag::text("method", "\"patch\" to try only the one request, \"rw\" to read and write back."),
        MOUNT,
        Flag::list("remove-data", "Key to drop; may be given many times."),
    ],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let removed = session.flags.list("remove-data");
    let path = match session.arguments() {
        [] => return Err(Fault::Usage("Not enough arguments (expected >1, got 0)".to_owned())),
        [_] if removed.is_empty() => return Err(Fault::Usage("Must supply data".to_owned())),
        [path, ..] => path,
    };
    let client = session.client()?;
    let mut changes = session.data("Failed to parse K=V data", pairs::parse)?;
    changes.extend(removed.into_iter().map(|key| (key, Value::Null)));
    let place = Place::find(session, &client, path)?;
    if !place.is_v2 {
        return Err(Fault::Refused("K/V engine mount must be version 2 for patch support".to_owned()));
    }
    let full = place.versioned("data");
    let answer = match session.flags.text("method") {
        Some("rw") => read_then_write(&client, &full, changes)?,
        Some("patch") => merge(session, &client, &full, &changes)?,
        None => merge_or_rewrite(session, &client, &full, changes)?,
        Some(other) => return Err(Fault::Refused(format!("Unsupported method provided to -method flag: {other}"))),
    };
    show::written(session, &full, answer)
}

fn merge(
    session: &Session,
    client: &Client,
    full: &str,
    changes: &Map<String, Value>,
) -> Result<Option<Secret>, Fault> {
    let cas = session.flags.int("cas").filter(|cas| *cas > 0);
    let options: Map<String, Value> = cas.map(|cas| ("cas".to_owned(), json!(cas))).into_iter().collect();
    let body = json!({ "data": changes, "options": options });
    client
        .secret(&Call::new("PATCH", full).body(&body))
        .map_err(|error| Fault::request(format!("Error writing data to {full}"), error))
}

/// One request where it is allowed, else two.
fn merge_or_rewrite(
    session: &Session,
    client: &Client,
    full: &str,
    changes: Map<String, Value>,
) -> Result<Option<Secret>, Fault> {
    let fault = match merge(session, client, full, &changes) {
        Ok(answer) => return Ok(answer),
        Err(fault) => fault,
    };
    match fault.client_error().and_then(crate::client::ClientError::status) {
        Some(405) => {}
        Some(403) => session.terminal.warn(&format!(
            "Data was written to {full} but we recommend that you add the \"patch\" capability to your ACL policy in order to use HTTP PATCH in the future."
        )),
        _ => return Err(fault),
    }
    read_then_write(client, full, changes)
}

fn read_then_write(client: &Client, full: &str, changes: Map<String, Value>) -> Result<Option<Secret>, Fault> {
    let before = client
        .plainly(|client| read_version(client, full, None))
        .map_err(|error| Fault::request(format!("Error doing pre-read at {full}"), error))?;
    let Existing { mut data, metadata } = existing(before, full, "patch")?;
    data.extend(changes);
    let body = json!({ "data": data, "options": { "cas": metadata.get("version") } });
    client
        .secret(&Call::new("PUT", full).body(&body))
        .map_err(|error| Fault::request(format!("Error writing data to {full}"), error))
}

/// A version that is there.
pub(super) struct Existing {
    /// What it holds.
    pub(super) data: Map<String, Value>,
    /// What is known about it.
    pub(super) metadata: Map<String, Value>,
}

/// Data and metadata of a version that is there.
///
/// # Errors
/// What is missing; `what` is the command that needs it.
pub(super) fn existing(secret: Option<Secret>, full: &str, what: &str) -> Result<Existing, Fault> {
    let mut all =
        secret.and_then(|secret| secret.data).ok_or_else(|| Fault::Refused(format!("No value found at {full}")))?;
    let mut part = |key: &str, title: &str| match all.remove(key) {
        Some(Value::Object(map)) => Ok(map),
        None | Some(Value::Null) => {
            Err(Fault::Refused(format!("No {title} found at {full}; {what} only works on existing data")))
        }
        Some(_) => Err(Fault::Refused(format!("{title} found at {full} is not the expected type (JSON object)"))),
    };
    let metadata = part("metadata", "metadata")?;
    Ok(Existing { data: part("data", "data")?, metadata })
}
