//! `plugin intents`: what plugins have begun outside, and what is still to be undone of it; and the way to give
//! that up.

use serde_json::Value;

use crate::client::{Call, Client};
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::output::table;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "plugin intents",
    about: "List what plugins have begun outside and not ended",
    usage: "[options]",
    help: "Lists what plugins have begun at systems outside: by calls that are under way, and by calls\nthat failed, which is undone as soon as that can be done: what it is, when it is tried next,\nand why it could not be done the last time. One without a next attempt is under way.\n\nSee what is still to be undone:\n\n    $ bulkhead plugin intents\n\nGive up on one, of a database that is gone for ever, by its ID in the list as JSON:\n\n    $ bulkhead plugin intents -format=json\n    $ bulkhead plugin intents -forget=5d41402abc4b2a76…",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::text("forget", "The intent with this ID is not undone any more; what it began outside stays.")],
    run,
};

/// What is shown of each, and its title.
const COLUMNS: [(&str, &str); 8] = [
    ("Mount", "mount"),
    ("Plugin", "plugin"),
    ("Kind", "kind"),
    ("About", "about"),
    ("Begun", "begun_at"),
    ("Next Attempt", "next_attempt"),
    ("Attempts", "attempts"),
    ("Last Error", "last_error"),
];

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    if let Some(id) = session.flags.text("forget") {
        return forget(session, &client, id.trim());
    }
    let answer = client
        .secret(&Call::new("GET", "sys/plugins/intents"))
        .map_err(|error| Fault::request("Error listing intents", error))?;
    let told = answer.and_then(|secret| secret.data).unwrap_or_default();
    if !session.is_table() {
        return session.show_value(&Value::Object(told));
    }
    let intents = told.get("intents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if intents.is_empty() {
        session.terminal.out("Nothing is under way, and nothing is to be undone.");
        return Ok(0);
    }
    let cell = |intent: &Value, key: &str| intent.get(key).map_or_else(String::new, table::plain);
    let rows: Vec<Vec<String>> =
        intents.iter().map(|intent| COLUMNS.iter().map(|(_, key)| cell(intent, key)).collect()).collect();
    session.terminal.out(&table::with_header(&COLUMNS.map(|(title, _)| title), &rows));
    Ok(0)
}

fn forget(session: &Session, client: &Client, id: &str) -> Result<u8, Fault> {
    if id.is_empty() || !id.bytes().all(|sign| sign.is_ascii_hexdigit()) {
        return Err(Fault::Usage("The ID of an intent is a hexadecimal number, as the list has it".to_owned()));
    }
    client
        .secret(&Call::new("DELETE", &format!("sys/plugins/intents/{id}")))
        .map_err(|error| Fault::request(format!("Error forgetting the intent {id}"), error))?;
    session.tell(&format!("Success! The intent {id} is forgotten, and what it began is not undone."));
    Ok(0)
}
