//! `operator seal`: locks the server.

use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator seal",
    about: "Seal the server",
    usage: "[options]",
    help: "Makes the server forget its keys and answer nothing until it is unsealed again. Needs a\ntoken with sudo on sys/seal.\n\nSeal the server:\n\n    $ bulkhead operator seal",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    session.client()?.send(&Call::new("PUT", "sys/seal")).map_err(|error| Fault::request("Error sealing", error))?;
    session.terminal.out("Success! Vault is sealed.");
    Ok(0)
}
