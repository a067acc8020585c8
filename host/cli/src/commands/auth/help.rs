//! `auth help`: how one logs in by an auth method, or what the server says of it.

use serde_json::Value;

use crate::client::Call;
use crate::commands::{Command, Prints, login, mounts};
use crate::fault::{EXIT_LOCAL, Fault};
use crate::paths::{sanitized, with_slash};
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "auth help",
    about: "Print how an auth method is used",
    usage: "[options] TYPE | PATH",
    help: "Prints how one logs in by an auth method of this type, or by the one that is mounted at this path\nbelow auth/; and where logging in is the method's own matter, what the server says of it.\n\nPrint how one logs in by name and password:\n\n    $ bulkhead auth help userpass",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run,
};

/// Types whose logins the command line knows by itself.
const KNOWN: [(&str, &str); 3] = [
    (
        "userpass",
        "Usage: bulkhead login -method=userpass username=NAME [password=TEXT]\n\n  Logs in with a name and a password. A password that is not given is asked for.\n\n      $ bulkhead login -method=userpass username=alice",
    ),
    (
        "approle",
        "Usage: bulkhead login -method=approle role_id=ID [secret_id=ID]\n\n  Logs a machine in with the ids of its role.\n\n      $ bulkhead login -method=approle role_id=... secret_id=...",
    ),
    (
        "token",
        "Usage: bulkhead login [TOKEN]\n\n  Takes a token that there is already, and keeps it. One that is not given is asked for. With\n  lookup=false it is not looked up before.\n\n      $ bulkhead login",
    ),
];

fn run(session: &Session) -> Result<u8, Fault> {
    let path = sanitized(session.one()?);
    let known = |kind: &str| KNOWN.iter().find(|(name, _)| *name == kind).map(|(_, text)| *text);
    if let Some(text) = known(&path) {
        session.terminal.out(text);
        return Ok(0);
    }
    let client = session.client()?;
    let listed = client
        .secret(&Call::new("GET", "sys/auth"))
        .map_err(|error| Fault::request("Error listing authentications", error))?;
    let (answer, path) = (listed.and_then(|listed| listed.data).unwrap_or_default(), with_slash(&path));
    let all = mounts::by_path(&answer);
    let Some((_, mount)) = all.into_iter().find(|(at, _)| **at == path) else {
        session.terminal.error(&format!("No auth method available on the server at {path:?}"));
        return Ok(EXIT_LOCAL);
    };
    let kind = mount.get("type").and_then(Value::as_str).unwrap_or_default();
    if let Some(text) = known(kind) {
        session.terminal.out(&login::at_path(text, kind, &path));
        return Ok(0);
    }
    let query = [("help".to_owned(), "1".to_owned())];
    let told = client
        .json(&Call::new("GET", &format!("auth/{path}")).query(&query))
        .map_err(|error| Fault::request("Error retrieving help", error))?;
    session.terminal.out(told.get("help").and_then(Value::as_str).unwrap_or_default());
    Ok(0)
}
