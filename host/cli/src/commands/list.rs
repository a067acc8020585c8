//! `list` and `scan`: the keys under a path, and all below it; and how `kv list` and `kv scan`
//! show them too.

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
    flags: PAGES,
    run: |session| {
        let (path, page) = asked(session)?;
        show(session, "listing", &path, session.client()?.list(&path, &page))
    },
};

pub(super) const SCAN: Command = Command {
    words: "scan",
    about: "Scan data or secrets",
    usage: "[options] PATH",
    help: "Lists all keys below a path, those in its folders included, where the engine supports it.\n\nScan a store:\n\n    $ bulkhead scan secret/metadata/my-app\n\nWith what belongs to each key:\n\n    $ bulkhead scan -detailed secret/detailed-metadata/my-app",
    prints: Prints::Details,
    is_client: true,
    flags: PAGES,
    run: |session| {
        let (path, page) = asked(session)?;
        show(session, "scanning", &path, session.client()?.scan(&path, &page))
    },
};

const PAGES: &[Flag] = &[
    Flag::text("after", "Begin behind this key, where the path supports pages."),
    Flag::int("limit", "List no more than this many keys, where the path supports pages."),
];

/// The path, and the part of its keys that is wanted.
fn asked(session: &Session) -> Result<(String, Vec<(String, String)>), Fault> {
    let path = paths::sanitized(session.one()?);
    let after = session.flags.text("after").unwrap_or_default();
    let limit = session.flags.int("limit").unwrap_or(-1);
    let is_paged = !after.is_empty() || limit > 0;
    let page = vec![("after".to_owned(), after.to_owned()), ("limit".to_owned(), limit.to_string())];
    Ok((path, if is_paged { page } else { Vec::new() }))
}

/// Shows the answer to a list or a scan (`doing`: which of them). Scripts get an empty object where there is nothing, and the
/// exit code says so.
///
/// # Errors
/// The request's, or nothing was found.
pub(super) fn show(
    session: &Session,
    doing: &str,
    path: &str,
    answer: Result<Option<Secret>, ClientError>,
) -> Result<u8, Fault> {
    let secret = answer.map_err(|error| Fault::request(format!("Error {doing} {path}"), error))?;
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
