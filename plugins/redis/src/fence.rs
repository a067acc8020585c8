//! One session at a time for each account. What a session was told may reach the server long after its caller has given
//! up, and after the account was removed or got another password because of that. So whoever makes, changes or removes
//! an account first has the server call its session by the account, and ends all others that are called so: what
//! arrives in those afterwards is nobody's word any more.

use bulkhead_sdk::{Cx, Error, Result};

use crate::resp::Reply;
use crate::session::Session;

/// What a session is called that is at work on no account.
const NOBODY: &str = "";

/// A number that no session has. Not 0, which some versions take for all of them.
const NO_SESSION: &str = "9223372036854775807";

const NEEDED: &str = "the account of the config must be allowed client|setname, client|list and client|kill, so that \
no command takes effect that arrives too late";

/// What sessions are called that are at work on an account of this name.
///
/// # Errors
/// The host does not hash.
pub(crate) fn name(cx: &Cx, account: &str) -> Result<String> {
    let hash = cx.hash("sha2-256", account.as_bytes())?;
    Ok(hash.iter().take(24).fold("bulkhead-".to_owned(), |name, byte| name + &format!("{byte:02x}")))
}

/// Runs this in a session that is called so, and none beside it.
///
/// # Errors
/// [`Error::Unavailable`]: the others cannot be ended, and nothing was begun.
pub(crate) fn alone<R>(session: &mut Session, name: &str, act: impl FnOnce(&mut Session) -> Result<R>) -> Result<R> {
    end_others(session, name).map_err(unable)?;
    named(session, name, act)
}

/// Runs this in a session that is called so, where nobody else can be at work on the account.
///
/// # Errors
/// As for [`alone`].
pub(crate) fn named<R>(session: &mut Session, name: &str, act: impl FnOnce(&mut Session) -> Result<R>) -> Result<R> {
    session.command(&["CLIENT", "SETNAME", name]).map_err(unable)?;
    let done = act(session)?;
    session.command(&["CLIENT", "SETNAME", NOBODY])?;
    Ok(done)
}

/// Whether the account of the config may do all this.
///
/// # Errors
/// It may not.
pub(crate) fn check(session: &mut Session) -> Result<()> {
    for words in [
        &["CLIENT", "SETNAME", NOBODY][..],
        &["CLIENT", "LIST", "ID", NO_SESSION],
        &["CLIENT", "KILL", "ID", NO_SESSION],
    ] {
        match session.command(words) {
            Err(Error::Upstream(text)) if text.starts_with("NOPERM") => return Err(unable(Error::Upstream(text))),
            // A version that does not know these words knows those that count.
            Ok(_) | Err(Error::Upstream(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn end_others(session: &mut Session, name: &str) -> Result<()> {
    let Reply::Text(list) = session.command(&["CLIENT", "LIST", "TYPE", "normal"])? else {
        return Err(Error::upstream("the server does not list its sessions"));
    };
    for id in called(&String::from_utf8_lossy(&list), name) {
        session.command(&["CLIENT", "KILL", "ID", id])?;
    }
    Ok(())
}

/// The numbers of the sessions in a list that are called so.
fn called<'a>(list: &'a str, name: &str) -> Vec<&'a str> {
    let of_line = |line: &'a str| {
        let value = |wanted: &str| line.split(' ').find_map(|field| field.strip_prefix(wanted));
        value("id=").filter(|_| value("name=") == Some(name))
    };
    list.lines().filter_map(of_line).collect()
}

/// Nobody knows then whether a command is still on its way.
fn unable(error: Error) -> Error {
    match error {
        Error::Upstream(text) => Error::Unavailable(format!("{NEEDED}: {text}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_told_apart_by_what_they_are_called() {
        let list = "id=3 addr=127.0.0.1:1 fd=8 name=bulkhead-a age=1 cmd=acl|setuser user=u\n\
                    id=14 addr=127.0.0.1:2 fd=9 name= age=1 cmd=ping user=name=bulkhead-a\n\
                    id=15 addr=127.0.0.1:3 fd=9 name=bulkhead-ab age=1 cmd=ping user=u\n\
                    id=16 addr=127.0.0.1:4 fd=9 name=bulkhead-a age=1 cmd=ping user=u\n";
        assert_eq!(called(list, "bulkhead-a"), ["3", "16"]);
        assert_eq!(called(list, "bulkhead-b"), Vec::<&str>::new());
        assert_eq!(called("", "bulkhead-a"), Vec::<&str>::new());
    }
}
