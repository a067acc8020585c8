//! What commands have in common by which holders of key shares do something together: how a share is given, and
//! the nonce that goes with it.

use std::io::Read as _;

use bulkhead_model::hidden::Hidden;
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::session::Session;
use crate::wrap::wrap_padded;

/// Longest share read from standard input, in bytes. Source: none, a constant; those of a server have 66 at most.
const SHARE_BYTES_MAX: u64 = 4_096;

/// A share, and the nonce of what it is for.
pub(super) struct Brought {
    pub(super) share: Hidden<String>,
    pub(super) nonce: String,
}

/// The share: the argument, what standard input holds where that is `-`, or what is typed.
///
/// # Errors
/// A share from elsewhere without a nonce: whoever types one sees what it is for.
pub(super) fn brought(session: &Session, of: &str, nonce: &str) -> Result<Brought, Fault> {
    let given = session.arguments().first().map(|word| word.trim()).filter(|word| !word.is_empty());
    let Some(given) = given else {
        session.terminal.out(&format!("{of} nonce: {nonce}"));
        return Ok(Brought { share: typed(session)?, nonce: nonce.to_owned() });
    };
    let Some(named) = session.flags.text("nonce").filter(|nonce| !nonce.is_empty()) else {
        return Err(Fault::Local("Missing nonce value: specify it via the -nonce flag".to_owned()));
    };
    let share = if given == "-" { read(session)? } else { Hidden::new(given.to_owned()) };
    Ok(Brought { share, nonce: named.to_owned() })
}

/// What standard input holds, without what surrounds it.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(session: &Session) -> Result<Hidden<String>, Fault> {
    let mut text = Hidden::new(String::with_capacity(SHARE_BYTES_MAX as usize));
    let mut stdin = session.terminal.stdin(session.flags.switch("non-interactive")).take(SHARE_BYTES_MAX);
    let unread = |error| Fault::Local(format!("Failed to read from stdin: {error}"));
    stdin.read_to_string(text.expose_mut()).map_err(unread)?;
    Ok(Hidden::new(text.expose().trim().to_owned()))
}

fn typed(session: &Session) -> Result<Hidden<String>, Fault> {
    if session.flags.switch("non-interactive") {
        let text = "Refusing to read from stdin with -non-interactive specified; specify the key as an argument to this command";
        return Err(Fault::Local(wrap_padded(text, 0)));
    }
    session.terminal.ask_secret("Unseal Key (will be hidden): ").map_err(|error| {
        let text = "An error occurred attempting to ask for the unseal key. Usually this is because a value was piped into the command or \
                    there is no terminal (tty). To pipe the value, pass \"-\" as the argument to read from stdin. The raw error was:";
        Fault::Local(format!("{}\n\n{error}", wrap_padded(text, 0)))
    })
}

/// What an answer holds, with or without an envelope.
pub(super) fn held(answer: &Value) -> &Value {
    answer.get("data").filter(|data| data.is_object()).unwrap_or(answer)
}

/// The members of a form in their order, as an answer has them, or as they stand in the form.
pub(super) fn in_form(answer: &Value, form: &[(&str, Value)]) -> Value {
    let told = held(answer);
    let member = |(name, default): &(&str, Value)| {
        let value = told.get(*name).filter(|value| !value.is_null()).unwrap_or(default);
        ((*name).to_owned(), value.clone())
    };
    Value::Object(form.iter().map(member).collect::<Map<_, _>>())
}

/// A text of an answer; empty where it has none.
pub(super) fn text<'v>(told: &'v Value, name: &str) -> &'v str {
    told.get(name).and_then(Value::as_str).unwrap_or_default()
}
