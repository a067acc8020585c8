//! Passwords of users that stay: how one is changed, when, and what happens when that fails.
//!
//! Once a database was asked for a change, what it has is not known until a change has succeeded. A call
//! that learns of a failure keeps a mark of it in the role, and the job goes on until one succeeds; one
//! that ends without a word leaves its intent, which does the same.

use bulkhead_sdk::databases::{Credential, Driver, UserChange};
use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{Level, Lock};

use crate::automation;
use crate::connection::LOCK_MS;
use crate::creds;
use crate::records::{Connection, Name, StaticRole, static_role_lock};
use crate::reserved;
use crate::rhythm::{kind, wait_ms};
use crate::seat;

/// The job that does what is due. Its key is a static role, a connection below [`ROOTS`], a reserved name below
/// [`NAMES`] or a user below [`USERS`], which no role is named.
pub(crate) const JOB: &str = "rotate";
pub(crate) const ROOTS: &str = "root/";
pub(crate) const NAMES: &str = "name/";
pub(crate) const USERS: &str = "user/";
/// What it is told where it asks no database for anything.
pub(crate) const PAYLOAD: &[u8] = b"null";

/// How many static roles are looked at when a connection is written. Source: ours. Why: the write is one request; the
/// others wait as long as they would have.
const WOKEN_MAX: usize = 1000;

const UNFINISHED: &str = "unable to finish rotating credentials; retries will continue in the background but it is also \
safe to retry manually: ";

const FAILED: &str = "rotating a static role failed";

/// A change that is under way: if the role was last changed at this time still, it is not known how it
/// went. Without a secret: to settle it takes another change.
#[derive(Serialize)]
struct Underway<'a> {
    /// What operators read of it.
    about: String,
    lane: &'a str,
    role: &'a str,
    last_ms: u64,
}

/// What a change takes, made before anything outside is touched.
pub(crate) struct Prepared {
    _seat: Option<Lock>,
    connection: Connection,
    driver: String,
    secret: Secret<String>,
    credential: Credential,
}

pub(crate) fn prepare(cx: &Cx, name: &str, role: &StaticRole) -> Result<Prepared> {
    let connection = Connection::required(cx, &role.db_name)?;
    connection.allow(name)?;
    let driver = connection.driver();
    role.credential.check(Driver::new(&driver, connection.details.expose()))?;
    let (secret, credential) = role.credential.make(cx, &connection)?;
    let _seat = seat::take(cx, &role.db_name, &connection)?;
    Ok(Prepared { _seat, connection, driver, secret, credential })
}

/// Has the database take the new credential, and the role know it.
pub(crate) fn change(cx: &Cx, role: &mut StaticRole, prepared: Prepared) -> Result<()> {
    let now_ms = cx.now_ms();
    let next_ms = role.rhythm.next(now_ms, now_ms)?;
    let change = UserChange {
        username: role.username.clone(),
        credential: Some(prepared.credential),
        expires_at: None,
        statements: role.rotation_statements.clone(),
    };
    let changed = Driver::new(&prepared.driver, prepared.connection.details.expose()).change_user(&change);
    changed.map_err(|failed| failed.error.within("error setting credentials"))?;
    (role.last_ms, role.next_ms, role.failures) = (now_ms, next_ms, 0);
    role.secret = prepared.secret;
    Ok(())
}

/// Writes the role, and when it is changed next.
pub(crate) fn keep(cx: &Cx, name: &str, role: &StaticRole) -> Result<()> {
    cx.put(name, role)?;
    cx.schedule(JOB, name, &Told::first(&role.db_name).payload(), due_ms(cx, role))
}

/// When the job is to look at the role.
fn due_ms(cx: &Cx, role: &StaticRole) -> u64 {
    match role.failures {
        0 => role.next_ms,
        failures => cx.now_ms().saturating_add(wait_ms(failures)),
    }
}

/// Takes a role off the schedule.
pub(crate) fn cancel(cx: &Cx, name: &str) {
    cx.cancel(JOB, name);
}

/// What the job is told: at which connection, and how often in a row something could not be done.
#[derive(Default)]
pub(crate) struct Told {
    /// What is due at one connection does not wait for another's.
    lane: String,
    pub(crate) failures: u64,
}

impl Told {
    /// Nothing has failed.
    pub(crate) fn first(connection: &str) -> Self {
        Self::after(connection, 0)
    }

    /// So often in a row.
    pub(crate) fn after(connection: &str, failures: u64) -> Self {
        Self { lane: connection.to_owned(), failures }
    }

    /// Before there were lanes it was the count alone, or nothing.
    pub(crate) fn read(payload: &[u8]) -> Self {
        let mut told = Self::default();
        let count = |text: &str| text.parse().unwrap_or(0);
        match std::str::from_utf8(payload) {
            Ok(text) if !text.starts_with('{') => told.failures = count(text),
            _ => {
                for (name, value) in json::members(payload).into_iter().flatten().flatten() {
                    match &*name {
                        "lane" => told.lane = json::unquote(value).unwrap_or_default().into_owned(),
                        "failures" => told.failures = count(value),
                        _ => {}
                    }
                }
            }
        }
        told
    }

    /// Once more it could not be done.
    pub(crate) fn failed(self) -> Self {
        Self { failures: self.failures.saturating_add(1), ..self }
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        Object::new().text("lane", &self.lane).number("failures", self.failures).end().into_bytes()
    }
}

/// Has the job look again, after a wait that grows each time.
fn later(cx: &Cx, told: &Told) -> JobOutcome {
    JobOutcome::Again((cx.now_ms().saturating_add(wait_ms(told.failures)), told.payload()))
}

/// Has the static roles of a connection that are due be changed now: what kept them from it may have been mended.
pub(crate) fn wake(cx: &Cx, connection: &str) -> Result<()> {
    for name in cx.list::<StaticRole>(&Page::default())?.0.iter().take(WOKEN_MAX) {
        let role = cx.get::<StaticRole>(name)?.filter(|role| role.db_name == connection);
        if role.is_some_and(|role| role.failures > 0 || role.next_ms <= cx.now_ms()) {
            cx.schedule(JOB, name, &Told::first(connection).payload(), cx.now_ms())?;
        }
    }
    Ok(())
}

/// Changes it, and marks in the role if that failed. Either way the role is to be kept. The outer error: nothing was
/// begun.
fn attempt(cx: &Cx, name: &str, role: &mut StaticRole) -> Result<Result<()>> {
    let prepared = prepare(cx, name, role)?;
    let about = format!("the password of static role {name:?}");
    cx.intend("rotation", &Underway { about, lane: &role.db_name, role: name, last_ms: role.last_ms })?;
    let done = change(cx, role, prepared);
    if done.is_err() {
        role.failures = role.failures.saturating_add(1);
    }
    Ok(done)
}

/// `rotate-role/:name`.
pub(crate) fn now(cx: &Cx, name: &Name) -> Result<Reply> {
    let _lock = cx.acquire(&static_role_lock(&name.0), LOCK_MS)?;
    let mut role: StaticRole = cx.get(&name.0)?.ok_or_else(|| Error::invalid("no static role found for role name"))?;
    let done = attempt(cx, &name.0, &mut role)?;
    keep(cx, &name.0, &role)?;
    // A reply, unlike an error, commits the mark.
    Ok(match done {
        Ok(()) => Reply::empty(),
        Err(error) => failed(error),
    })
}

fn failed(error: Error) -> Reply {
    let (status, text) = match error {
        Error::InvalidRequest(text) | Error::PreconditionFailed(text) | Error::PermissionDenied(text) => (400, text),
        Error::Upstream(text) => (502, text),
        Error::Unavailable(text) | Error::RateLimited(text) => (503, text),
        Error::NotFound | Error::UnsupportedOperation | Error::Internal(_) => (500, "the driver failed".to_owned()),
    };
    Reply::failed(status, [UNFINISHED, &text].concat())
}

/// The job: changes what is due, of a static role or of a connection's root, and forgets names.
pub(crate) fn due(cx: &Cx, whose: &str, payload: &[u8]) -> Result<JobOutcome> {
    match whose.split_inclusive('/').next() {
        Some(ROOTS) => automation::due(cx, &whose[ROOTS.len()..], payload),
        Some(NAMES) => reserved::forget(cx, &whose[NAMES.len()..]),
        Some(USERS) => creds::undo_again(cx, payload),
        _ => role_due(cx, whose, Told::read(payload)),
    }
}

/// While it can be, it says itself when it is to run again: the host would have one that fails wait for up to a day.
fn role_due(cx: &Cx, name: &str, told: Told) -> Result<JobOutcome> {
    let Ok(_lock) = cx.acquire(&static_role_lock(name), LOCK_MS) else {
        return Ok(later(cx, &told.failed()));
    };
    let Some(mut role) = cx.get::<StaticRole>(name)? else { return Ok(JobOutcome::Done) };
    let told = Told { lane: role.db_name.clone(), ..told };
    let now_ms = cx.now_ms();
    // What was begun is finished, however late.
    if role.failures == 0 && role.rhythm.is_missed(role.next_ms, now_ms) {
        role.next_ms = role.rhythm.next(role.last_ms, now_ms)?;
    } else if role.failures > 0 || role.next_ms <= now_ms {
        let (is_begun, done) = match attempt(cx, name, &mut role) {
            Ok(done) => (true, done),
            Err(error) => (false, Err(error)),
        };
        if let Err(error) = done {
            cx.log(Level::Warn, FAILED, &[("role", name), ("error", &kind(&error))]);
        }
        if !is_begun {
            return Ok(later(cx, &told.failed()));
        }
    }
    cx.put(name, &role)?;
    Ok(JobOutcome::Again((due_ms(cx, &role), Told::first(&role.db_name).payload())))
}

/// A change of which nobody knows how it went: the job makes another.
pub(crate) fn settle(cx: &Cx, data: &[u8]) -> Result<()> {
    let (mut name, mut last_ms) = (String::new(), 0);
    for member in json::members(data)? {
        let (member, value) = member?;
        match &*member {
            "role" => name = json::unquote(value).unwrap_or_default().into_owned(),
            "last_ms" => last_ms = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let Some(mut role) = cx.get::<StaticRole>(&name)?.filter(|role| role.last_ms == last_ms) else { return Ok(()) };
    role.failures = role.failures.max(1);
    cx.put(&name, &role)?;
    cx.schedule(JOB, &name, &Told::first(&role.db_name).payload(), cx.now_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_job_is_told_names_the_connection_and_is_read_as_it_once_was() {
        let told = Told::first("p\"g").failed().failed();
        assert_eq!(told.payload(), br#"{"lane":"p\"g","failures":2}"#);
        let again = Told::read(&told.payload());
        assert_eq!((again.lane.as_str(), again.failures), ("p\"g", 2));
        for (before, failures) in [("null", 0), ("7", 7), ("", 0), ("{", 0), ("[3]", 0)] {
            let told = Told::read(before.as_bytes());
            assert_eq!((told.lane.as_str(), told.failures), ("", failures), "{before}");
        }
    }
}
