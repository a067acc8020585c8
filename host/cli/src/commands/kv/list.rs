//! `kv list`: the keys in a store.

use super::MOUNT;
use super::place::Place;
use crate::commands::{Command, Prints, list};
use crate::fault::Fault;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv list",
    about: "List data or secrets",
    usage: "[options] PATH",
    help: "Lists the keys under a path of a store; folders end with a slash.\n\nList what is under my-app/:\n\n    $ bulkhead kv list -mount=secret my-app/",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[MOUNT],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = match session.at_most(1)? {
        [path] => path.as_str(),
        _ if session.flags.text("mount").is_some() => "",
        _ => return Err(Fault::Usage("Not enough arguments (expected 1, got 0)".to_owned())),
    };
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    let full = place.full("metadata");
    list::show(session, &full, client.list(&full, &[]))
}
