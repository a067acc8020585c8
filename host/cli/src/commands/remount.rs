//! `secrets move` and `auth move`: a mount goes to another path, and whoever asked for it waits.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Call;
use crate::fault::Fault;
use crate::paths::with_slash;
use crate::session::Session;

/// How long to wait before asking again whether a move is done.
const MOVE_WAIT: Duration = Duration::from_secs(1);

/// How often to ask. Source: none, a constant. Why: a script must not wait for ever.
const MOVE_CHECKS_MAX: u32 = 600;

/// What is moved.
pub(super) struct Kind {
    noun: &'static str,
    /// Where mounts of this kind are, if that is left out.
    below: &'static str,
}

pub(super) const ENGINE: Kind = Kind { noun: "secrets engine", below: "" };
pub(super) const METHOD: Kind = Kind { noun: "auth method", below: "auth/" };

impl Kind {
    fn path(&self, given: &str) -> String {
        let path = with_slash(given);
        // A path in a namespace below says so itself.
        let is_whole = path.starts_with(self.below) || path.contains(&format!("/{}", self.below));
        if is_whole { path } else { format!("{}{path}", self.below) }
    }
}

pub(super) fn run(session: &Session, kind: &Kind) -> Result<u8, Fault> {
    let arguments = session.exactly(2)?;
    let (from, to) = (kind.path(&arguments[0]), kind.path(&arguments[1]));
    let (noun, client) = (kind.noun, session.client()?);
    let body = json!({ "from": from, "to": to });
    let started = client
        .json(&Call::new("POST", "sys/remount").body(&body))
        .map_err(|error| Fault::request(format!("Error moving {noun} {from} to {to}"), error))?;
    let id = started
        .pointer("/data/migration_id")
        .or_else(|| started.get("migration_id"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let what = format!("{noun} {from} to {to}, with migration ID {id}");
    session.terminal.out(&format!("Started moving {what}"));
    for _ in 0..MOVE_CHECKS_MAX {
        let status = client.json(&Call::new("GET", &format!("sys/remount/status/{id}"))).map_err(|error| {
            Fault::request(format!("Error checking migration status of {noun} {from} to {to}"), error)
        })?;
        match status.pointer("/data/migration_info/status").and_then(Value::as_str) {
            Some("success") => {
                session.terminal.out(&format!("Success! Finished moving {what}"));
                return Ok(0);
            }
            Some("failure") => return Err(Fault::Refused(format!("Failure! Error encountered moving {what}"))),
            _ => session.terminal.out(&format!("Waiting for terminal status in migration of {what}")),
        }
        std::thread::sleep(MOVE_WAIT);
    }
    Err(Fault::Refused(format!("The server is still moving {what}; ask for sys/remount/status/{id}")))
}
