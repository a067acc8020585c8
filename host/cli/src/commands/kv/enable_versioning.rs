//! `kv enable-versioning`: turns a store into one with versions.

use serde_json::json;

use crate::commands::{Command, Prints, secrets};
use crate::fault::Fault;
use crate::paths::{sanitized, with_slash};
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv enable-versioning",
    about: "Turn on versioning for a KV store",
    usage: "[options] MOUNT",
    help: "Lets a store keep versions from now on. There is no way back.\n\nLet secret/ keep versions:\n\n    $ bulkhead kv enable-versioning secret",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = with_slash(&sanitized(session.one()?));
    let body =
        json!({ "options": { "version": "2" }, "default_lease_ttl": "", "max_lease_ttl": "", "force_no_cache": false });
    secrets::send_tune(&session.client()?, &path, &body)?;
    session.terminal.out(&format!("Success! Tuned the secrets engine at: {path}"));
    Ok(0)
}
