//! `operator key-status`: which encryption key is in use; and how `operator rotate` shows
//! it too.

use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::output::table;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator key-status",
    about: "Print which encryption key is in use",
    usage: "[options]",
    help: "Prints the term of the encryption key in use, when it was installed, and how much it\nhas encrypted.\n\nPrint it:\n\n    $ bulkhead operator key-status",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    show(session, &client, None)
}

/// Asks for the key's status and shows it, people being told `before` first.
///
/// # Errors
/// The request's.
pub(super) fn show(session: &Session, client: &Client, before: Option<&str>) -> Result<u8, Fault> {
    let answer = client
        .json(&Call::new("GET", "sys/key-status"))
        .map_err(|error| Fault::request("Error reading key status", error))?;
    let status = answer.get("data").unwrap_or(&answer);
    let field = |key: &str| status.get(key).cloned().unwrap_or(json!(0));
    if !session.is_table() {
        return session.show_value(&json!({ "term": field("term"), "install_time": field("install_time"), "encryptions": field("encryptions") }));
    }
    if let Some(text) = before {
        session.terminal.out(&format!("{text}\n"));
    }
    let installed = status.get("install_time").and_then(Value::as_str).map(short_time).unwrap_or_default();
    let rows = [
        ("Key Term", table::plain(&field("term"))),
        ("Install Time", installed),
        ("Encryption Count", table::plain(&field("encryptions"))),
    ];
    session.terminal.out(&table::columns(&rows.map(|(title, value)| vec![title.to_owned(), value])));
    Ok(0)
}

/// `23 Nov 26 21:44 UTC`, from RFC 3339; what cannot be read is shown as it is.
fn short_time(rfc3339: &str) -> String {
    use time::macros::format_description;
    let parsed = time::OffsetDateTime::parse(rfc3339, &time::format_description::well_known::Rfc3339);
    let format = format_description!("[day] [month repr:short] [year repr:last_two] [hour]:[minute] UTC");
    parsed
        .ok()
        .and_then(|time| time.to_offset(time::UtcOffset::UTC).format(format).ok())
        .unwrap_or_else(|| rfc3339.to_owned())
}
