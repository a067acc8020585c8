//! The password that a connection logs in with: changed by `rotate-root/:name`, and when it is due.
//!
//! From the moment the database is asked to change it until the record says so, nobody can tell which
//! one holds. Both are in the intent by then, so that whoever settles it can try.

use bulkhead_sdk::databases::{Credential, Driver, Failed, UserChange};
use bulkhead_sdk::json;
use bulkhead_sdk::prelude::*;

use crate::automation;
use crate::connection::LOCK_MS;
use crate::credential;
use crate::details::Details;
use crate::records::{Connection, Name, connection_lock};
use crate::seat;

/// A change that is under way. It has both passwords, because one of them is nowhere else.
#[derive(Serialize)]
struct Change {
    /// What operators read of it: no secret.
    about: String,
    /// Of the connection.
    #[serde(rename = "lane")]
    name: String,
    driver: String,
    statements: Vec<String>,
    username: String,
    /// The config as it was, in JSON, with the old password.
    details: Secret<String>,
    password: Secret<String>,
    /// Changes that had failed before, since one was due.
    failures: u64,
}

impl Change {
    /// One that is about to be made, with a new password.
    fn of(cx: &Cx, name: &str, connection: &Connection, failures: u64) -> Result<Self> {
        Ok(Self {
            about: format!("the root's password of connection {name:?}"),
            name: name.to_owned(),
            driver: connection.driver(),
            statements: connection.root_rotation_statements.clone(),
            username: account(connection)?,
            password: credential::password(cx, "", connection)?,
            details: Secret::new(connection.details.expose().to_owned()),
            failures,
        })
    }

    /// Has the database take the new password, and the connection know it.
    fn carry_out(&self, cx: &Cx, connection: &mut Connection) -> Result<(), Failed> {
        let new = connection.details.with_password(&self.password)?;
        let made = self.make(&connection.details, self.password.expose());
        if let Err(Failed { is_begun: false, .. }) = made {
            return made;
        }
        // The database's own word counts, not what came of the call: its answer may be what was lost.
        if !holds(&self.driver, &new) {
            made?;
            return Err(Error::upstream("the database does not take the new password").into());
        }
        connection.automation.note_change(cx.now_ms())?;
        connection.details = new;
        Ok(())
    }

    fn read(data: &[u8]) -> Result<Self> {
        let nothing = || Secret::new(String::new());
        let mut found = Self {
            about: String::new(),
            name: String::new(),
            driver: String::new(),
            statements: Vec::new(),
            username: String::new(),
            details: nothing(),
            password: nothing(),
            failures: 0,
        };
        for member in json::members(data)? {
            let (name, value) = member?;
            let text = || json::unquote(value).unwrap_or_default().into_owned();
            match &*name {
                // The second is how it was kept before there were lanes.
                "lane" | "name" => found.name = text(),
                "driver" => found.driver = text(),
                "statements" => found.statements = bulkhead_sdk::fields::read(&name, value)?,
                "username" => found.username = text(),
                "details" => found.details = Secret::new(text()),
                "password" => found.password = Secret::new(text()),
                "failures" => found.failures = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        Ok(found)
    }

    fn old(&self) -> Details {
        Details::new(self.details.expose().clone())
    }

    /// Whether a config is of the account that the change is about.
    fn is_about(&self, details: &Details) -> Result<bool> {
        let old = self.old();
        let is_same = |member: &str| -> Result<bool> { Ok(old.text(member)? == details.text(member)?) };
        Ok(is_same("username")? && is_same("connection_url")?)
    }

    /// Asks the database to take `password`, logging in as `by` says.
    fn make(&self, by: &Details, password: &str) -> Result<(), Failed> {
        Driver::new(&self.driver, by.expose()).change_user(&UserChange {
            username: self.username.clone(),
            credential: Some(Credential::Password(password.to_owned())),
            expires_at: None,
            statements: self.statements.clone(),
        })
    }

    /// Whether the password of this config is the one that holds, because the database was told it once
    /// more. That it takes the config is not enough: a session from before a change outlives that.
    fn is_undone(&self, details: &Details) -> Result<bool> {
        match self.make(details, &details.text("password")?) {
            Ok(()) => Ok(true),
            // It may still be at the change that it was asked for first.
            Err(Failed { error: Error::Unavailable(_), .. }) => Err(unsettled()),
            Err(_) => Ok(holds(&self.driver, details)),
        }
    }
}

/// Whether the database takes this config.
fn holds(driver: &str, details: &Details) -> bool {
    Driver::new(driver, details.expose()).verify(true).is_ok()
}

/// `rotate-root/:name`.
pub(crate) fn rotate(cx: &Cx, name: &Name) -> Result<Reply> {
    let _lock = cx.acquire(&connection_lock(&name.0), LOCK_MS)?;
    let mut connection = Connection::required(cx, &name.0)?;
    let change = Change::of(cx, &name.0, &connection, 0)?;
    let _seat = seat::take(cx, &name.0, &connection)?;
    match undertake(cx, &change, &mut connection)? {
        Ok(()) => automation::keep(cx, &name.0, &connection).map(|()| Reply::empty()),
        // A reply, unlike an error, commits: the intent goes.
        Err(error) => Reply::refused(error),
    }
}

/// Changes it because it is due, after so many failures; the connection is to be kept then. The inner error: it is as
/// it was, and nothing is left to be settled. The outer one leaves its intent, and whoever settles that has the job go
/// on.
pub(crate) fn attempt(cx: &Cx, name: &str, connection: &mut Connection, failures: u64) -> Result<Result<()>> {
    let begun =
        Change::of(cx, name, connection, failures).and_then(|change| Ok((change, seat::take(cx, name, connection)?)));
    let (change, _seat) = match begun {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    // While the database is away nothing is begun: intents of many attempts would all have to be settled.
    if !holds(&change.driver, &connection.details) {
        return Ok(Err(Error::Unavailable("the database does not take the password that is known".to_owned())));
    }
    undertake(cx, &change, connection)
}

/// Makes a change; what its errors are, as for [`attempt`].
fn undertake(cx: &Cx, change: &Change, connection: &mut Connection) -> Result<Result<()>> {
    cx.intend("root", change)?;
    let Err(Failed { error, is_begun }) = change.carry_out(cx, connection) else { return Ok(Ok(())) };
    // A database that did not answer in time may still be at the change, and then nobody knows yet.
    let is_refused = !matches!(error, Error::Unavailable(_));
    let is_undone = || change.is_undone(&connection.details).is_ok_and(|is_undone| is_undone);
    if !is_begun || (is_refused && is_undone()) {
        return Ok(Err(error));
    }
    Err(error)
}

/// The account whose password can be changed.
///
/// # Errors
/// [`Error::InvalidRequest`]: there is none, or its password stands where a change would not reach it.
pub(crate) fn account(connection: &Connection) -> Result<String> {
    let username = named(connection, "username")?;
    named(connection, "password")?;
    if connection.details.has_password_in_url()? {
        return Err(unable("connection_url has a password of its own"));
    }
    Ok(username)
}

fn named(connection: &Connection, member: &str) -> Result<String> {
    let text = connection.details.text(member)?;
    if text.is_empty() { Err(unable(&format!("no {member} in configuration"))) } else { Ok(text) }
}

fn unable(text: &str) -> Error {
    Error::invalid(format!("unable to rotate root credentials: {text}"))
}

/// Finds out which password holds, and sees to it that the record has that one. While none does, because
/// the database does not answer, it fails and is asked again.
pub(crate) fn settle(cx: &Cx, data: &[u8]) -> Result<()> {
    let change = Change::read(data)?;
    let _lock = cx.acquire(&connection_lock(&change.name), LOCK_MS)?;
    let Some(mut connection) = cx.get::<Connection>(&change.name)? else { return put_back(&change) };
    let driver = connection.driver();
    let _seat = seat::take(cx, &change.name, &connection)?;
    if !change.is_about(&connection.details)? {
        // If neither password holds where the new account does, that account is gone.
        put_back(&change).or_else(|error| if holds(&driver, &connection.details) { Ok(()) } else { Err(error) })?;
        return automation::go_on(cx, &change.name, &connection, change.failures);
    }
    let new = connection.details.with_password(&change.password)?;
    if holds(&driver, &new) {
        connection.details = new;
        connection.automation.note_change(cx.now_ms())?;
        return automation::keep(cx, &change.name, &connection);
    }
    let change = Change { driver, ..change };
    if change.is_undone(&connection.details)? {
        return automation::go_on(cx, &change.name, &connection, change.failures);
    }
    // Somebody may have written yet another one into the record meanwhile.
    let old = connection.details.with_password(&Secret::new(change.old().text("password")?))?;
    if !change.is_undone(&old)? {
        return Err(unsettled());
    }
    connection.details = old;
    cx.put(&change.name, &connection)?;
    automation::go_on(cx, &change.name, &connection, change.failures)
}

/// The connection is gone or is another one, and with it the place for the new password: the database
/// gets back the old one, which its owner knows.
fn put_back(change: &Change) -> Result<()> {
    let old = change.old();
    let new = old.with_password(&change.password)?;
    if holds(&change.driver, &new) {
        return Ok(change.make(&new, &old.text("password")?)?);
    }
    if change.is_undone(&old)? { Ok(()) } else { Err(unsettled()) }
}

fn unsettled() -> Error {
    Error::upstream("it is not known yet which password of the root holds")
}
