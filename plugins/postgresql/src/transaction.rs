//! Transactions: how one begins, who waits for whom, and which begin anew.
//!
//! Two that grant on the same table undo each other: the server has the second wait, and then fails it ("tuple
//! concurrently updated"). So those that do more than make a role go one at a time, by a lock that they take. Whoever has
//! it for long would have all others wait, whatever these are about; so there are several such locks, and who does not get
//! the first soon takes the next. Then two may meet, and the second begins anew.

use crate::fault::{Fault, LOCK_TIMEOUT};
use crate::session::Session;

/// Begins a transaction that the server ends by itself where nobody is there any more who could: a
/// lock that it holds would else keep all others for hours. What waits is over before its caller is.
pub(crate) const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '35s'; SET LOCAL statement_timeout = '40s'; \
                                SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// The last of the locks: for this one is waited as long as for any other.
const LAST: u32 = 3;

/// How often a transaction is begun at most.
const BEGUN_MAX: usize = 6;

/// Words that end a transaction.
const ENDS: [&str; 5] = ["COMMIT", "END", "PREPARE", "ROLLBACK", "ABORT"];

/// Within a transaction, from here on one at a time with most others.
pub(crate) fn alone(session: &mut Session) -> Result<(), Fault> {
    for lock in 1..LAST {
        let taken = session.query(&format!(
            "SAVEPOINT bulkhead; SET LOCAL lock_timeout = '1s'; SELECT pg_catalog.pg_advisory_xact_lock(1114991467, {lock}); \
             SET LOCAL lock_timeout = '35s'; RELEASE SAVEPOINT bulkhead"
        ));
        match taken {
            Err(fault) if fault.is(LOCK_TIMEOUT) => {
                session.query("ROLLBACK TO SAVEPOINT bulkhead; RELEASE SAVEPOINT bulkhead")?;
            }
            other => return other.map(|_| ()),
        }
    }
    session.query(&format!("SELECT pg_catalog.pg_advisory_xact_lock(1114991467, {LAST})")).map(|_| ())
}

/// Runs a transaction of these statements, and anew where it failed for another one.
pub(crate) fn anew(
    session: &mut Session,
    statements: &[String],
    mut act: impl FnMut(&mut Session) -> Result<(), Fault>,
) -> Result<(), Fault> {
    // What was committed in between cannot be done twice.
    let is_whole = !statements.iter().any(|statement| may_end(statement));
    for _ in 1..BEGUN_MAX {
        match act(session) {
            Err(fault) if is_whole && fault.is_conflict() => session.query("ROLLBACK")?,
            other => return other,
        };
    }
    act(session)
}

/// Whether a statement may be the end of its transaction. Also a word of a body or a comment: that is enough.
pub(crate) fn may_end(statement: &str) -> bool {
    let mut words = statement.split(|sign: char| !sign.is_ascii_alphabetic());
    words.any(|word| ENDS.iter().any(|it| word.eq_ignore_ascii_case(it)))
}
