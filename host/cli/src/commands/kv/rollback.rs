//! `kv rollback`: makes an old version the newest again.

use serde_json::{Value, json};

use super::MOUNT;
use super::patch::existing;
use super::place::{Place, read_version};
use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv rollback",
    about: "Roll back to a previous version of data",
    usage: "[options] KEY",
    help: "Writes the data of an old version as a new one, provided that nobody else has written\nmeanwhile.\n\nGo back to version 2 of foo:\n\n    $ bulkhead kv rollback -mount=secret -version=2 foo",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[MOUNT, Flag::int("version", "The version to go back to.")],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let [path] = session.arguments() else {
        return Err(Fault::Usage(format!(
            "Invalid number of arguments (expected 1, got {})",
            session.arguments().len()
        )));
    };
    let version =
        session.flags.int("version").ok_or_else(|| Fault::Usage("Version flag must be specified".to_owned()))?;
    if version <= 0 {
        return Err(Fault::Usage(format!("Invalid value {version} for the version flag")));
    }
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    if !place.is_v2 {
        return Err(Fault::Refused("K/V engine mount must be version 2 for rollback support".to_owned()));
    }
    let full = place.versioned("data");
    let read = |version| {
        read_version(&client, &full, version)
            .map_err(|error| Fault::request(format!("Error doing pre-read at {full}"), error))
    };
    let newest = read(None)?.and_then(|secret| secret.get("metadata").cloned());
    let newest = newest.filter(Value::is_object).ok_or_else(|| Fault::Refused(format!("No value found at {full}")))?;
    let old = read(Some(version))?;
    refuse_gone(old.as_ref().and_then(|secret| secret.get("metadata")))?;
    let data = existing(old, &full, "rollback")?.data;
    let body = json!({ "data": data, "options": { "cas": newest.get("version") } });
    let answer = client
        .secret(&Call::new("PUT", &full).body(&body))
        .map_err(|error| Fault::request(format!("Error writing data to {full}"), error))?;
    session.show_answer(answer, &format!("Success! Data written to: {full}"))
}

fn refuse_gone(metadata: Option<&Value>) -> Result<(), Fault> {
    let field = |key: &str| metadata.and_then(|metadata| metadata.get(key));
    if field("deletion_time").and_then(Value::as_str).is_some_and(|time| !time.is_empty()) {
        return Err(Fault::Refused("Cannot roll back to a version that has been deleted".to_owned()));
    }
    if field("destroyed") == Some(&json!(true)) {
        return Err(Fault::Refused("Cannot roll back to a version that has been destroyed".to_owned()));
    }
    Ok(())
}
