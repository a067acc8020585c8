//! `unwrap`: opens a wrapped answer.

use super::{Command, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(super) const COMMAND: Command = Command {
    words: "unwrap",
    about: "Unwrap a wrapped secret",
    usage: "[options] [TOKEN]",
    help: "Shows what was wrapped in a token; without one, the token in use is opened. It works\nonce: if it fails for a token that is fresh, somebody else has opened it.\n\nOpen a wrapping token:\n\n    $ bulkhead unwrap s.3TkrtN7TzEmlK5ZSjbKu5L31",
    prints: Prints::Fields,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let token = session.at_most(1)?.first().map(|token| token.trim()).unwrap_or_default();
    let client = session.client()?;
    let secret = client.unwrap(token).map_err(|error| Fault::request("Error unwrapping", error))?;
    let Some(secret) = secret else {
        session.tell("Successfully unwrapped. There was no data in the wrapped secret.");
        return Ok(0);
    };
    match secret.keys() {
        Some(keys) if session.flags.text("field").is_none() => session.show_list(&secret, keys),
        _ => session.show(&secret),
    }
}
