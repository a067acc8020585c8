//! `kv delete`: marks versions as deleted; what they hold can come back.

use serde_json::json;

use super::place::Place;
use super::{MOUNT, VERSIONS, versions};
use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv delete",
    about: "Delete versions in the KV store",
    usage: "[options] PATH",
    help: "Marks the newest version, or the ones named, as deleted; \"bulkhead kv undelete\" brings\nthem back. A store without versions loses the secret for good.\n\nDelete version 3 of foo:\n\n    $ bulkhead kv delete -mount=secret -versions=3 foo",
    prints: Prints::Fields,
    is_client: true,
    flags: &[MOUNT, VERSIONS],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = session.one()?;
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    let full = place.full("data");
    let versions = versions(session);
    let answer = if place.is_v2 && !versions.is_empty() {
        let body = json!({ "versions": versions });
        client.secret(&Call::new("PUT", &place.versioned("delete")).body(&body))
    } else {
        client.secret(&Call::new("DELETE", &full))
    };
    let answer = answer.map_err(|error| Fault::request(format!("Error deleting {full}"), error))?;
    session.show_answer(answer, &format!("Success! Data deleted (if it existed) at: {full}"))
}
