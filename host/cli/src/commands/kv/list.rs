//! `kv list` and `kv scan`: the keys in a store, of one folder or of all below it.

use super::MOUNT;
use super::place::Place;
use crate::client::Client;
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
    run: |session| {
        let (client, path) = asked(session)?;
        list::show(session, "listing", &path, client.list(&path, &[]))
    },
};

pub(in crate::commands) const SCAN: Command = Command {
    words: "kv scan",
    about: "Scan data or secrets",
    usage: "[options] PATH",
    help: "Lists all keys below a path of a store, those in its folders included.\n\nScan what is under my-app/:\n\n    $ bulkhead kv scan -mount=secret my-app/",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[MOUNT],
    run: |session| {
        let (client, path) = asked(session)?;
        list::show(session, "scanning", &path, client.scan(&path, &[]))
    },
};

/// The server, and the path of the keys there.
fn asked(session: &Session) -> Result<(Client, String), Fault> {
    let path = match session.at_most(1)? {
        [path] => path.as_str(),
        _ if session.flags.text("mount").is_some() => "",
        _ => return Err(Fault::Usage("Not enough arguments (expected 1, got 0)".to_owned())),
    };
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    let full = place.full("metadata");
    Ok((client, full))
}
