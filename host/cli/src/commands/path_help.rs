//! `path-help`: what the server says about a path.

use serde_json::Value;

use super::{Command, Prints};
use crate::client::Call;
use crate::fault::Fault;
use crate::output::{Format, json, sorted};
use crate::paths;
use crate::session::Session;

pub(super) const COMMAND: Command = Command {
    words: "path-help",
    about: "Retrieve API help for paths",
    usage: "[options] PATH",
    help: "Prints the server's help for a path: what is behind it and which fields it takes. With\n-format=json it is an OpenAPI document.\n\nGet help for everything under secret/:\n\n    $ bulkhead path-help secret/",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = paths::sanitized(session.one()?);
    let client = session.client()?;
    let query = [("help".to_owned(), "1".to_owned())];
    let answer = client.json(&Call::new("GET", &path).query(&query)).map_err(|error| {
        if error.is_sealed() {
            return Fault::Refused(
                "Error: Vault is sealed. The \"path-help\" command requires the server to be unsealed.".to_owned(),
            );
        }
        Fault::request("Error retrieving help", error)
    })?;
    let text = answer.get("help").and_then(Value::as_str).unwrap_or_default();
    match session.format {
        Format::Json => session.terminal.out(&json::compact(&sorted(answer.get("openapi").unwrap_or(&Value::Null)))),
        _ => session.terminal.out(text),
    }
    Ok(0)
}
