//! `delete`: what is at a path.

use super::{Command, Prints};
use crate::client::Call;
use crate::fault::Fault;
use crate::session::Session;
use crate::{pairs, paths};

pub(super) const COMMAND: Command = Command {
    words: "delete",
    about: "Delete secrets and configuration",
    usage: "[options] PATH",
    help: "Deletes what is at a path. What that means is up to the engine there: a versioned KV\nstore keeps a deleted version until it is destroyed.\n\nRemove a role of the auth method approle:\n\n    $ bulkhead delete auth/approle/role/ci",
    prints: Prints::Fields,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = match session.arguments().first() {
        Some(path) => paths::sanitized(path),
        None => return Err(Fault::Usage("Not enough arguments (expected at least 1, got 0)".to_owned())),
    };
    let query = session.data("Failed to parse string list data", pairs::parse_queries)?;
    let client = session.client()?;
    let answer = client
        .secret(&Call::new("DELETE", &path).query(&query))
        .map_err(|error| Fault::request(format!("Error deleting {path}"), error))?;
    session.show_answer(answer, &format!("Success! Data deleted (if it existed) at: {path}"))
}
