//! `list`: the keys under a path; and how `kv list` shows them too.

use serde_json::{Value, json};

use super::{Command, Prints};
use crate::client::{ClientError, Secret};
use crate::fault::{EXIT_REMOTE, Fault};
use crate::flags::Flag;
use crate::paths;
use crate::session::Session;

pub(super) const COMMAND: Command = Command {
    words: "list",
    about: "List data or secrets",
    usage: "[options] PATH",
    help: "Lists the keys under a path; folders end with a slash.\n\nList the policies:\n\n    $ bulkhead list sys/policies/acl\n\nContinue behind a key, 50 keys at most:\n\n    $ bulkhead list -after=last-key -limit=50 secret/metadata",
    prints: Prints::Details,
    is_client: true,
    flags: &[
        Flag::text("after", "Begin behind this key, where the path supports pages."),
        Flag::int("limit", "List no more than this many keys, where the path supports pages."),
    ],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = paths::sanitized(session.one()?);
    let after = session.flags.text("after").unwrap_or_default();
    let limit = session.flags.int("limit").unwrap_or(-1);
    let is_paged = !after.is_empty() || limit > 0;
    let page = [("after".to_owned(), after.to_owned()), ("limit".to_owned(), limit.to_string())];
    let client = session.client()?;
    let secret = client.list(&path, if is_paged { &page } else { &[] });
    show(session, &path, secret)
}

/// Shows a list's answer. Scripts get an empty object where there is nothing, and the
/// exit code says so.
///
/// # Errors
/// The request's, or nothing was found.
pub(super) fn show(session: &Session, path: &str, answer: Result<Option<Secret>, ClientError>) -> Result<u8, Fault> {
    let secret = answer.map_err(|error| Fault::request(format!("Error listing {path}"), error))?;
    if let Some(wrapped) = secret.as_ref().filter(|secret| secret.wrap_info.as_ref().is_some_and(|wrap| wrap.ttl != 0))
    {
        return session.show_secret(wrapped);
    }
    match &secret {
        Some(secret) => match secret.keys() {
            Some(keys) => session.show_list(secret, keys),
            None if !session.is_table() => nothing(session),
            None if secret.data.is_none() => session.show_secret(secret),
            None => Err(Fault::Refused(format!("No entries found at {path}"))),
        },
        None if !session.is_table() => nothing(session),
        None => Err(Fault::Refused(format!("No value found at {path}"))),
    }
}

fn nothing(session: &Session) -> Result<u8, Fault> {
    let empty: Value = json!({});
    session.show_value(&empty)?;
    Ok(EXIT_REMOTE)
}
