//! `token`: tokens, by themselves or by their accessors.

pub(super) mod create;

use serde_json::{Value, json};

use super::{Command, Group, Prints};
use crate::client::Call;
use crate::fault::{EXIT_LOCAL, Fault};
use crate::flags::Flag;
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "token",
    about: "Interact with tokens",
    help: "Makes, looks up, renews and revokes tokens.\n\nMake a token for an hour:\n\n    $ bulkhead token create -ttl=1h -policy=ops",
};

const ACCESSOR: Flag =
    Flag::switch("accessor", "The argument is an accessor, which tells nothing about the token itself.");

pub(super) const LOOKUP: Command = Command {
    words: "token lookup",
    about: "Display information about a token",
    usage: "[options] [TOKEN | ACCESSOR]",
    help: "Shows what the server knows about a token; without an argument, about the one in use.\n\nLook up the token behind an accessor:\n\n    $ bulkhead token lookup -accessor 9793c9b3e04a46f3e7b8748d",
    prints: Prints::Fields,
    is_client: true,
    flags: &[ACCESSOR],
    run: lookup,
};

pub(super) const RENEW: Command = Command {
    words: "token renew",
    about: "Renew a token lease",
    usage: "[options] [TOKEN | ACCESSOR]",
    help: "Lets a token live longer, up to its greatest TTL; without an argument, the one in use.\n\nAsk for half an hour from now on:\n\n    $ bulkhead token renew -increment=30m",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[ACCESSOR, Flag::span("increment", "How long from now; the server need not agree.").alias("i")],
    run: renew,
};

pub(super) const REVOKE: Command = Command {
    words: "token revoke",
    about: "Revoke a token and its children",
    usage: "[options] [TOKEN | ACCESSOR]",
    help: "Ends a token, every token made with it, and their leases.\n\nEnd the token in use:\n\n    $ bulkhead token revoke -self\n\nEnd one, but leave those made with it:\n\n    $ bulkhead token revoke -mode=orphan s.3TkrtN7TzEmlK5ZSjbKu5L31",
    prints: Prints::Lines,
    is_client: true,
    flags: &[
        ACCESSOR,
        Flag::text(
            "mode",
            "\"orphan\" leaves tokens that were made with it; \"path\" ends all tokens from logins under that path.",
        ),
        Flag::switch("self", "End the token in use."),
    ],
    run: revoke,
};

pub(super) const CAPABILITIES: Command = Command {
    words: "token capabilities",
    about: "Print capabilities of a token on a path",
    usage: "[options] [TOKEN] PATH",
    help: "Prints what a token may do at a path; without a token, what the one in use may.\n\nSee what is allowed at secret/data/foo:\n\n    $ bulkhead token capabilities secret/data/foo",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: capabilities,
};

fn lookup(session: &Session) -> Result<u8, Fault> {
    let is_accessor = session.flags.switch("accessor");
    let arguments = match session.arguments() {
        more if is_accessor && more.len() != 1 => {
            let how = if more.is_empty() { "Not enough" } else { "Too many" };
            let text = format!("{how} arguments with -accessor (expected 1, got {})", more.len());
            return Err(Fault::Usage(text));
        }
        _ => session.at_most(1)?,
    };
    let token = arguments.first().map(|token| token.trim()).unwrap_or_default();
    let client = session.client()?;
    let answer = match (token, is_accessor) {
        ("", _) => client.secret(&Call::new("GET", "auth/token/lookup-self")),
        (accessor, true) => {
            client.secret(&Call::new("POST", "auth/token/lookup-accessor").body(&json!({ "accessor": accessor })))
        }
        (token, false) => client.secret(&Call::new("POST", "auth/token/lookup").body(&json!({ "token": token }))),
    };
    let secret = answer.map_err(|error| Fault::request("Error looking up token", error))?;
    session.show_answer(secret, "")
}

fn renew(session: &Session) -> Result<u8, Fault> {
    let token = session.at_most(1)?.first().map(|token| token.trim()).unwrap_or_default();
    let increment = session.flags.span("increment").map_or(0, |span| span.secs().max(0));
    let client = session.client()?;
    let answer = match (token, session.flags.switch("accessor")) {
        ("", _) => client.secret(&Call::new("PUT", "auth/token/renew-self").body(&json!({ "increment": increment }))),
        (accessor, true) => client.secret(
            &Call::new("POST", "auth/token/renew-accessor")
                .body(&json!({ "accessor": accessor, "increment": increment })),
        ),
        (token, false) => client
            .secret(&Call::new("PUT", "auth/token/renew").body(&json!({ "token": token, "increment": increment }))),
    };
    let secret = answer.map_err(|error| Fault::request("Error renewing token", error))?;
    session.show_answer(secret, "")
}

fn revoke(session: &Session) -> Result<u8, Fault> {
    let flags = &session.flags;
    let mode = flags.text("mode").unwrap_or_default();
    let (is_self, is_accessor) = (flags.switch("self"), flags.switch("accessor"));
    if let Some(mistake) = revoke_mistake(session.arguments().len(), mode, is_self, is_accessor) {
        return Err(Fault::Usage(mistake));
    }
    let token = session.arguments().first().map(|token| token.trim()).unwrap_or_default();
    let client = session.client()?;
    let answer = match (is_self, is_accessor, mode) {
        (true, ..) => client.send(&Call::new("PUT", "auth/token/revoke-self")),
        (_, true, _) => {
            client.send(&Call::new("POST", "auth/token/revoke-accessor").body(&json!({ "accessor": token })))
        }
        (.., "orphan") => client.send(&Call::new("PUT", "auth/token/revoke-orphan").body(&json!({ "token": token }))),
        (.., "path") => client.send(&Call::new("PUT", &format!("sys/leases/revoke-prefix/{token}"))),
        _ => client.send(&Call::new("PUT", "auth/token/revoke").body(&json!({ "token": token }))),
    };
    answer.map_err(|error| Fault::request("Error revoking token", error))?;
    session.terminal.out("Success! Revoked token (if it existed)");
    Ok(0)
}

fn revoke_mistake(count: usize, mode: &str, is_self: bool, is_accessor: bool) -> Option<String> {
    let text = match (is_self, is_accessor, mode) {
        (.., other) if !matches!(other, "" | "orphan" | "path") => format!("Invalid mode: {other}"),
        (true, ..) if count > 0 => format!("Too many arguments with -self (expected 0, got {count})"),
        (false, ..) if count > 1 => format!("Too many arguments (expected 1 or -self, got {count})"),
        (false, ..) if count < 1 => format!("Not enough arguments (expected 1 or -self, got {count})"),
        (true, true, _) => "Cannot use -self with -accessor!".to_owned(),
        (true, _, "orphan" | "path") => "Cannot use -self with -mode!".to_owned(),
        (_, true, "orphan" | "path") => format!("Cannot use -accessor with -mode={mode}!"),
        _ => return None,
    };
    Some(text)
}

fn capabilities(session: &Session) -> Result<u8, Fault> {
    let (path, body) = match session.arguments() {
        [] => return Err(Fault::Usage("Not enough arguments (expected 1-2, got 0)".to_owned())),
        [path] => (path, json!({ "path": path })),
        [token, path] => (path, json!({ "token": token, "path": path })),
        more => return Err(Fault::Usage(format!("Too many arguments (expected 1-2, got {})", more.len()))),
    };
    let endpoint = if session.arguments().len() == 1 { "sys/capabilities-self" } else { "sys/capabilities" };
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("POST", endpoint).body(&body))
        .map_err(|error| Fault::request("Error listing capabilities", error))?;
    let found = secret
        .as_ref()
        .and_then(|secret| secret.get("capabilities").or_else(|| secret.get(path)))
        .and_then(Value::as_array)
        .cloned();
    let Some(found) = found else {
        session.terminal.error("No capabilities found");
        return Ok(EXIT_LOCAL);
    };
    if !session.is_table() {
        return session.show_value(&Value::Array(found));
    }
    let mut names: Vec<&str> = found.iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    session.terminal.out(&names.join(", "));
    Ok(0)
}
