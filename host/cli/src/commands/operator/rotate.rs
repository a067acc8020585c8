//! `operator rotate`: installs a new encryption key.

use super::key_status;
use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator rotate",
    about: "Rotate the encryption key",
    usage: "[options]",
    help: "Installs a new encryption key for everything that is written from now on. Older keys\nstay to read what was written with them. Nothing stops meanwhile.\n\nRotate the key:\n\n    $ bulkhead operator rotate",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    client
        .send(&Call::new("POST", "sys/rotate/keyring"))
        .map_err(|error| Fault::request("Error rotating key", error))?;
    key_status::show(session, &client, Some("Success! Rotated key"))
}
