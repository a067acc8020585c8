//! Names of users that a template of the operator's made. It may make the same one twice, and then the
//! second user would take the place of the first in some databases, and be undone in its stead in all.

use bulkhead_sdk::prelude::*;

use crate::connection::LOCK_MS;
use crate::records::Reserved;
use crate::rotation::{JOB, NAMES, PAYLOAD};

const TAKEN: &str = "username_template makes the name of a user that has a lease already, or a certificate still";

/// Which users a name stands for: one name of one connection. Hashed, since a template may make any text.
pub(crate) fn place(cx: &Cx, connection: &str, username: &str) -> Result<String> {
    let hash = cx.hash("sha2-256", username.as_bytes())?;
    Ok(hash.iter().fold(format!("{connection}/"), |place, byte| place + &format!("{byte:02x}")))
}

/// Keeps a name from being taken, and a user of it from being undone, meanwhile.
pub(crate) fn alone(cx: &Cx, connection: &str, username: &str) -> Result<bulkhead_sdk::Lock> {
    cx.acquire(&format!("user/{}", place(cx, connection, username)?), LOCK_MS)
}

/// Takes a name for a user who lives until `ends_ms` at most.
///
/// # Errors
/// [`Error::InvalidRequest`] if there is such a user, or is about to be.
pub(crate) fn take(cx: &Cx, connection: &str, username: &str, ends_ms: u64) -> Result<()> {
    // Held until this call has committed, so that one of two that are made at once comes to know the other.
    let _lock = alone(cx, connection, username)?;
    let place = place(cx, connection, username)?;
    if is_at(cx, &place)? {
        return Err(Error::invalid(TAKEN));
    }
    cx.put(&place, &Reserved { ends_ms })
}

/// Whether somebody has the name.
pub(crate) fn is_taken(cx: &Cx, connection: &str, username: &str) -> Result<bool> {
    is_at(cx, &place(cx, connection, username)?)
}

/// Gives a name free, though not before then, in milliseconds since 1970; none: at once.
pub(crate) fn free(cx: &Cx, connection: &str, username: &str, not_before_ms: Option<u64>) -> Result<()> {
    let place = place(cx, connection, username)?;
    let Some(ends_ms) = not_before_ms.filter(|ends_ms| cx.now_ms() < *ends_ms) else {
        return cx.delete::<Reserved>(&place);
    };
    cx.put(&place, &Reserved { ends_ms })?;
    cx.schedule(JOB, &[NAMES, &place].concat(), PAYLOAD, ends_ms)
}

/// The job: forgets a name that is free, so that names of users who were removed do not pile up.
pub(crate) fn forget(cx: &Cx, place: &str) -> Result<JobOutcome> {
    match cx.get::<Reserved>(place)? {
        // Somebody has it again.
        Some(reserved) if cx.now_ms() < reserved.ends_ms => Ok(JobOutcome::Again((reserved.ends_ms, PAYLOAD.to_vec()))),
        Some(_) => cx.delete::<Reserved>(place).map(|()| JobOutcome::Done),
        None => Ok(JobOutcome::Done),
    }
}

/// A lease that an operator ended by force has left its name behind, but not for ever.
fn is_at(cx: &Cx, place: &str) -> Result<bool> {
    Ok(cx.get::<Reserved>(place)?.is_some_and(|reserved| cx.now_ms() < reserved.ends_ms))
}
