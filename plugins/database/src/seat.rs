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

/// How many seats are looked at before one is waited for. Source: ours. Why: a call has a bounded number of locks.
const LOOKS_MAX: u64 = 6;

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
    let seat = |at: u64| format!("open/{name}/{}", (first + at) % seats);
    for at in 0..seats.min(LOOKS_MAX) {
        if let Ok(lock) = cx.acquire(&seat(at), 0) {
            return Ok(Some(lock));
        }
    }
    let taken = |_| Error::Unavailable(format!("all {seats} of max_open_connections are in use"));
    cx.acquire(&seat(0), LOCK_MS).map(Some).map_err(taken)
}
