//! `rotate-root/:name`: the password that a connection logs in with.
//!
//! From the moment the database is asked to change it until the record says so, nobody can tell which
//! one holds. Both are in the intent by then, so that whoever settles it can try.

use bulkhead_sdk::databases::{Credential, Driver, UserChange};
use bulkhead_sdk::json;
use bulkhead_sdk::prelude::*;

use crate::connection::LOCK_MS;
use crate::credential;
use crate::details::Details;
use crate::records::{Connection, Name, connection_lock};

/// A change that is under way. It has both passwords, because one of them is nowhere else.
#[derive(Serialize)]
struct Change {
    name: String,
    driver: String,
    statements: Vec<String>,
    username: String,
    /// The config as it was, in JSON, with the old password.
    details: Secret<String>,
    password: Secret<String>,
}

impl Change {
    fn read(data: &[u8]) -> Result<Self> {
        let nothing = || Secret::new(String::new());
        let (name, driver, username) = (String::new(), String::new(), String::new());
        let mut found =
            Self { name, driver, username, statements: Vec::new(), details: nothing(), password: nothing() };
        for member in json::members(data)? {
            let (name, value) = member?;
            let text = || json::unquote(value).unwrap_or_default().into_owned();
            match &*name {
                "name" => found.name = text(),
                "driver" => found.driver = text(),
                "statements" => found.statements = bulkhead_sdk::fields::read(&name, value)?,
                "username" => found.username = text(),
                "details" => found.details = Secret::new(text()),
                "password" => found.password = Secret::new(text()),
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
    fn make(&self, by: &Details, password: &str) -> Result<()> {
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
            Err(Error::Unavailable(_)) => Err(unsettled()),
            Err(_) => Ok(holds(&self.driver, details)),
        }
    }
}

/// Whether the database takes this config.
fn holds(driver: &str, details: &Details) -> bool {
    Driver::new(driver, details.expose()).verify(true).is_ok()
}

pub(crate) fn rotate(cx: &Cx, name: &Name) -> Result<()> {
    let _lock = cx.acquire(&connection_lock(&name.0), LOCK_MS)?;
    let mut connection = Connection::required(cx, &name.0)?;
    let change = Change {
        name: name.0.clone(),
        driver: connection.driver(),
        statements: connection.root_rotation_statements.clone(),
        username: named(&connection, "username")?,
        password: credential::password(cx, "", &connection)?,
        details: Secret::new(connection.details.expose().to_owned()),
    };
    named(&connection, "password")?;
    if connection.details.has_password_in_url()? {
        return Err(unable("connection_url has a password of its own"));
    }
    let new = connection.details.with_password(&change.password)?;
    cx.intend("root", &change)?;
    let made = change.make(&connection.details, change.password.expose());
    // The database's own word counts, not what came of the call: its answer may be what was lost.
    if !holds(&change.driver, &new) {
        made?;
        return Err(Error::upstream("the database does not take the new password"));
    }
    connection.details = new;
    cx.put(&name.0, &connection)
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
    if !change.is_about(&connection.details)? {
        // If neither password holds where the new account does, that account is gone.
        return put_back(&change)
            .or_else(|error| if holds(&driver, &connection.details) { Ok(()) } else { Err(error) });
    }
    let new = connection.details.with_password(&change.password)?;
    if holds(&driver, &new) {
        connection.details = new;
        return cx.put(&change.name, &connection);
    }
    let change = Change { driver, ..change };
    if change.is_undone(&connection.details)? {
        return Ok(());
    }
    // Somebody may have written yet another one into the record meanwhile.
    let old = connection.details.with_password(&Secret::new(change.old().text("password")?))?;
    if !change.is_undone(&old)? {
        return Err(unsettled());
    }
    connection.details = old;
    cx.put(&change.name, &connection)
}

/// The connection is gone or is another one, and with it the place for the new password: the database
/// gets back the old one, which its owner knows.
fn put_back(change: &Change) -> Result<()> {
    let old = change.old();
    let new = old.with_password(&change.password)?;
    if holds(&change.driver, &new) {
        return change.make(&new, &old.text("password")?);
    }
    if change.is_undone(&old)? { Ok(()) } else { Err(unsettled()) }
}

fn unsettled() -> Error {
    Error::upstream("it is not known yet which password of the root holds")
}
