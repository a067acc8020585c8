//! How many calls may have a database at work at a time: `max_open_connections` of its connection.
//!
//! A driver has no memory that calls share, so its caller counts: each call that reaches a database so bounded has one of
//! so many locks, to its end. Nobody waits for another lock while it has one, so these deadlock with none.

use bulkhead_sdk::Lock;
use bulkhead_sdk::prelude::*;

use crate::connection::LOCK_MS;
use crate::records::Connection;

/// Bounds above this are the host's: it opens no more connections to one address. Source: the host's own.
const SEATS_MAX: u64 = 16;

/// How many times a call may ask for a seat. Source: the host's own. Why: it lets a call ask for 16 locks, whether or
/// not it gets them, and one of them is that of a name, role or connection.
const TRIES: u64 = 15;

/// What the host says of a lock that another call has. Any other refusal is not about the seat.
const TAKEN: &str = "the lock is taken";

/// A seat at a connection's database, held until the call ends; none where there is no bound. To be taken before
/// anything is begun outside: what was read before may be out of date afterwards, and then the call begins anew.
///
/// # Errors
/// [`Error::Unavailable`]: others have them all, for longer than is waited.
pub(crate) fn take(cx: &Cx, name: &str, connection: &Connection) -> Result<Option<Lock>> {
    let seats = connection.details.number("max_open_connections")?;
    if !(1..SEATS_MAX).contains(&seats) {
        return Ok(None);
    }
    let first = cx.random(1).first().map_or(0, |byte| u64::from(*byte) % seats);
    // A seat that is free is found at once: all are looked at, the last of fifteen by waiting for it.
    let looks = seats.min(TRIES - 1);
    let wait_ms = LOCK_MS / u32::try_from(TRIES - looks).unwrap_or(1).max(1);
    for at in 0..TRIES {
        let seat = format!("open/{name}/{}", (first + at) % seats);
        match cx.acquire(&seat, if at < looks { 0 } else { wait_ms }) {
            Ok(lock) => return Ok(Some(lock)),
            Err(Error::Unavailable(text)) if text == TAKEN => {}
            Err(other) => return Err(other),
        }
    }
    Err(Error::Unavailable(format!("all {seats} of max_open_connections are in use")))
}
