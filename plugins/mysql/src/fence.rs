//! One session at a time for each account. What a session was told may reach the server long after its caller has given
//! up, and after the account was removed or got another password because of that. So whoever makes, changes or removes an
//! account takes a lock of its name first, which the server keeps for the session, and ends the session that
//! still has it: what arrives in that one afterwards is nobody's word any more.

use bulkhead_sdk::{Cx, Result};

use crate::fault::Fault;
use crate::session::{Row, Session};

/// How long to wait for a session that may yet be done, in seconds. Why: one that is at work takes less.
const PATIENCE_SECS: u32 = 2;

/// How long a session that was told to end may take for it, in seconds: what it has begun is finished.
const END_SECS: u32 = 10;

/// How many sessions in a row are ended.
const ENDED_MAX: usize = 4;

/// The code of a server that knows no session of a number: it has ended by itself.
const NO_SESSION: u16 = 1094;

/// The lock of an account of this name, at whichever host.
///
/// # Errors
/// The host does not hash.
pub(crate) fn name(cx: &Cx, account: &str) -> Result<String> {
    let hash = cx.hash("sha2-256", account.as_bytes())?;
    // A name of a lock has 64 signs at most.
    Ok(hash.iter().take(24).fold("bulkhead-".to_owned(), |name, byte| name + &format!("{byte:02x}")))
}

/// Runs this with the lock of that name.
///
/// # Errors
/// Somebody else has it, who can neither be waited for nor ended; then nothing was begun.
pub(crate) fn within<R>(
    session: &mut Session,
    name: &str,
    act: impl FnOnce(&mut Session) -> Result<R, Fault>,
) -> Result<R, Fault> {
    take(session, name)?;
    let done = act(session)?;
    // A session that ends for a fault gives the lock back by itself.
    session.query(&format!("DO RELEASE_LOCK('{name}')"))?;
    Ok(done)
}

fn take(session: &mut Session, name: &str) -> Result<(), Fault> {
    let mut secs = PATIENCE_SECS;
    for _ in 0..ENDED_MAX {
        if is_one(&session.query(&format!("SELECT GET_LOCK('{name}', {secs})"))?) {
            return Ok(());
        }
        let holder = session.query(&format!("SELECT IS_USED_LOCK('{name}')"))?;
        let Some(holder) = first(&holder).and_then(|number| number.parse::<u64>().ok()) else { continue };
        match session.query(&format!("KILL {holder}")) {
            Ok(_) | Err(Fault::Server { code: NO_SESSION, .. }) => secs = END_SECS,
            // Its own waiting for a word ends it, in time.
            Err(Fault::Server { message, .. }) => return Err(Fault::Busy(format!("{BUSY}: {message}"))),
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::Busy(BUSY.to_owned()))
}

const BUSY: &str = "another session is at work on the account, and does not end";

fn first(rows: &[Row]) -> Option<&str> {
    rows.first()?.first()?.as_deref()
}

fn is_one(rows: &[Row]) -> bool {
    first(rows) == Some("1")
}
