//! `read`: whatever is at a path.

use super::{Command, Prints};
use crate::client::Call;
use crate::fault::Fault;
use crate::output::Format;
use crate::session::Session;
use crate::{pairs, paths};

pub(super) const COMMAND: Command = Command {
    words: "read",
    about: "Read data and retrieve secrets",
    usage: "[options] PATH [QUERY K=V...]",
    help: "Reads a path: a secret, freshly made credentials, or a configuration.\n\nRead the settings of a mount:\n\n    $ bulkhead read sys/mounts/secret/tune",
    prints: Prints::Fields,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = match session.arguments().first() {
        Some(path) => paths::sanitized(path),
        None => return Err(Fault::Usage("Not enough arguments (expected 1, got 0)".to_owned())),
    };
    let query = session.data("Failed to parse K=V data", pairs::parse_queries)?;
    let client = session.client()?;
    if session.format == Format::Raw {
        let call = Call::new("GET", &path).query(&query);
        let answer = client.send(&call).map_err(|error| Fault::request(format!("Error reading: {path}"), error))?;
        session.terminal.out(&String::from_utf8_lossy(&answer.body));
        return Ok(0);
    }
    let secret = client.read(&path, &query).map_err(|error| Fault::request(format!("Error reading {path}"), error))?;
    match secret {
        Some(secret) => session.show(&secret),
        None => Err(Fault::Refused(format!("No value found at {path}"))),
    }
}
