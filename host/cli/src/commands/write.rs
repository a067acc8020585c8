//! `write`: data to any path; and what `patch` shares with it.

use super::{Command, Prints};
use crate::client::Call;
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;
use crate::{pairs, paths};

/// Lets a request go without data.
pub(super) const FORCE: Flag =
    Flag::switch("force", "Send the request although there is no data: some paths need none.").alias("f");

pub(super) const COMMAND: Command = Command {
    words: "write",
    about: "Write data, configuration, and secrets",
    usage: "[options] PATH [DATA K=V...]",
    help: "Writes data to a path. A value that begins with \"@\" is read from that file, and \"-\" is\nread from stdin; a lone \"@file\" or \"-\" holds the whole data as a JSON object.\n\nTune a mount:\n\n    $ bulkhead write sys/mounts/secret/tune max_lease_ttl=1h\n\nUpload a policy from a file:\n\n    $ bulkhead write sys/policies/acl/ops policy=@ops.hcl",
    prints: Prints::Fields,
    is_client: true,
    flags: &[FORCE],
    run: |session| send(session, "PUT"),
};

/// Sends the arguments as the data of a request.
///
/// # Errors
/// Arguments that are not data, or the server's refusal.
pub(super) fn send(session: &Session, method: &str) -> Result<u8, Fault> {
    let path = match session.arguments() {
        [] => return Err(Fault::Usage("Not enough arguments (expected 1, got 0)".to_owned())),
        [_] if !session.flags.switch("force") => return Err(Fault::Usage("Must supply data or use -force".to_owned())),
        [path, ..] => paths::sanitized(path),
    };
    let data = serde_json::Value::Object(session.data("Failed to parse K=V data", pairs::parse)?);
    let client = session.client()?;
    let answer = client
        .secret(&Call::new(method, &path).body(&data))
        .map_err(|error| Fault::request(format!("Error writing data to {path}"), error))?;
    session.show_answer(answer, &format!("Success! Data written to: {path}"))
}
