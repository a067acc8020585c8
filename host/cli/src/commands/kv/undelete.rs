//! `kv undelete`: brings deleted versions back.

use super::place::Place;
use super::{MOUNT, VERSIONS, versions};
use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv undelete",
    about: "Undelete versions in the KV store",
    usage: "[options] KEY",
    help: "Brings deleted versions back, unless they were destroyed.\n\nBring version 3 of foo back:\n\n    $ bulkhead kv undelete -mount=secret -versions=3 foo",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[MOUNT, VERSIONS],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = session.one()?;
    let versions = versions(session);
    if versions.is_empty() {
        let text = "No versions provided, use the \"-versions\" flag to specify the version to undelete.";
        return Err(Fault::Usage(text.to_owned()));
    }
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    if !place.is_v2 {
        return Err(Fault::Local("Undelete not supported on KV Version 1".to_owned()));
    }
    let full = place.versioned("undelete");
    let body = serde_json::json!({ "versions": versions });
    let answer = client
        .secret(&Call::new("PUT", &full).body(&body))
        .map_err(|error| Fault::request(format!("Error writing data to {full}"), error))?;
    session.show_answer(answer, &format!("Success! Data written to: {full}"))
}
