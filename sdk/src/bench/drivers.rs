//! Databases natively: servers with accounts in memory, behind drivers that know no more of them than
//! a test needs. What was done to them stays done when a call fails, as outside.
//!
//! A config is an object with `connection_url`, which is the server's name, `username` and `password`.
//! Statements do what their first word says, where it is one of these: `fail` refuses, `strict` refuses
//! to remove who is not there, `keep` removes nobody. Any other is kept with the call, and does nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::Bench;
use crate::databases::Credential;
use crate::driver::unbegun;
use crate::{Error, Plugin, Result};

thread_local! {
    /// What the call that runs on this thread reaches.
    static CURRENT: RefCell<Databases> = RefCell::default();
}

/// An account of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The password, the public key in PEM, or the subject.
    pub credential: String,
    /// Until when it may log in, in milliseconds since 1970.
    pub expires_at: Option<u64>,
}

/// A server that is reached under one address.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Its accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// Whether it answers nobody, so that nothing is begun.
    pub is_down: bool,
}

/// How a call of a driver goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is done, but nobody knows that.
    Refused,
    /// It is done, but the answer is lost.
    AnswerLost,
    /// Nothing is wrong with this one.
    None,
}

/// All servers, and what drivers did.
#[derive(Debug, Default)]
pub struct Databases {
    servers: BTreeMap<String, Server>,
    /// Kinds of credentials by the driver's name.
    drivers: BTreeMap<String, Vec<String>>,
    failures: VecDeque<Failure>,
    calls: Vec<String>,
    statements: Vec<String>,
    touched: bool,
}

impl<P: Plugin> Bench<P> {
    /// The databases outside.
    pub fn databases(&mut self) -> &mut Databases {
        &mut self.databases
    }
}

impl Databases {
    /// Adds a driver that can give credentials of these kinds.
    pub fn add_driver(&mut self, name: &str, kinds: &[&str]) {
        self.drivers.insert(name.to_owned(), kinds.iter().map(|kind| (*kind).to_owned()).collect());
    }

    /// The server at an address, which is made when it is first asked for.
    pub fn server(&mut self, address: &str) -> &mut Server {
        self.servers.entry(address.to_owned()).or_default()
    }

    /// Gives a server an account with a password.
    pub fn add_account(&mut self, address: &str, name: &str, password: &str) {
        let account = Account { credential: password.to_owned(), expires_at: None };
        self.server(address).accounts.insert(name.to_owned(), account);
    }

    /// How the next calls that touch a server go, one after the other.
    pub fn fail_next(&mut self, failures: &[Failure]) {
        self.failures.extend(failures);
    }

    /// What drivers were asked to do outside since this was called last: `create`, `change`, `delete`,
    /// `verify`, each with the name of the user.
    pub fn take_calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
    }

    /// The statements that came with those calls.
    pub fn take_statements(&mut self) -> Vec<String> {
        std::mem::take(&mut self.statements)
    }

    /// Whether the call that ran last touched a server.
    pub(super) const fn were_touched(&self) -> bool {
        self.touched
    }

    fn known(&self, driver: &str) -> Result<&[String]> {
        let name = driver.split_once('@').map_or(driver, |(name, _)| name);
        let kinds = self.drivers.get(name).map(Vec::as_slice);
        kinds.ok_or_else(|| Error::invalid(format!("the driver {driver:?} is not in the catalog")))
    }

    /// Does something at the server of a config, or fails as the test wants it.
    fn touch<R>(
        &mut self,
        call: String,
        config: &Value,
        statements: &[String],
        act: impl FnOnce(&mut Server) -> Result<R>,
    ) -> Result<R> {
        self.touched = true;
        self.calls.push(call);
        self.statements.extend_from_slice(statements);
        let failure = self.failures.pop_front().unwrap_or(Failure::None);
        let server = self.servers.entry(text(config, "connection_url").to_owned()).or_default();
        if server.is_down || failure == Failure::Refused {
            let error = Error::upstream("connection refused");
            return Err(if server.is_down { unbegun(error) } else { error });
        }
        let account = server.accounts.get(text(config, "username"));
        if account.is_none_or(|account| account.credential != text(config, "password")) {
            return Err(unbegun(Error::upstream("password authentication failed")));
        }
        if statements.iter().any(|statement| statement.starts_with("fail")) {
            return Err(Error::upstream("syntax error"));
        }
        let done = act(server)?;
        if failure == Failure::AnswerLost { Err(Error::upstream("connection reset")) } else { Ok(done) }
    }
}

/// Runs a call that reaches these databases.
pub(super) fn with<R>(databases: &mut Databases, call: impl FnOnce() -> R) -> R {
    let mut taken = std::mem::take(databases);
    taken.touched = false;
    CURRENT.set(taken);
    let result = call();
    *databases = CURRENT.take();
    result
}

fn text<'a>(config: &'a Value, name: &str) -> &'a str {
    config[name].as_str().unwrap_or_default()
}

fn read(config: &[u8]) -> Result<Value> {
    let config: Value = serde_json::from_slice(config).map_err(|_| Error::invalid("the config is not JSON"))?;
    if text(&config, "connection_url").is_empty() {
        return Err(Error::invalid("connection_url cannot be empty"));
    }
    Ok(config)
}

fn shown(credential: &Credential) -> String {
    match credential {
        Credential::Password(text) | Credential::Subject(text) => text.clone(),
        Credential::PublicKey(pem) => String::from_utf8_lossy(pem).into_owned(),
    }
}

/// `database-drivers`.
pub(crate) mod database_drivers {
    use super::{Account, CURRENT, Databases, read, shown, text};
    use crate::databases::{UserChange, UserRemoval, UserSpec};
    use crate::{Error, Result, host};

    fn current<R>(act: impl FnOnce(&mut Databases) -> R) -> R {
        CURRENT.with_borrow_mut(act)
    }

    pub(crate) fn available() -> Vec<String> {
        current(|databases| databases.drivers.keys().cloned().collect())
    }

    pub(crate) fn credential_kinds(driver: &str) -> Result<Vec<String>> {
        current(|databases| databases.known(driver).map(<[String]>::to_vec))
    }

    pub(crate) fn verify(driver: &str, config: &[u8], connect: bool) -> Result<Vec<u8>> {
        current(|databases| {
            databases.known(driver)?;
            let read = read(config)?;
            if connect {
                let call = format!("verify {}", text(&read, "username"));
                databases.touch(call, &read, &[], |_| Ok(()))?;
            }
            Ok(config.to_vec())
        })
    }

    pub(crate) fn propose_username(driver: &str, _config: &[u8], request: &UserSpec) -> Result<String> {
        current(|databases| databases.known(driver).map(|_| ()))?;
        let own: String = host::digest::random(4).iter().map(|byte| format!("{byte:02x}")).collect();
        match request.username_template.as_deref() {
            Some("fixed") => Ok("fixed".to_owned()),
            Some(template) if template.starts_with("fixed ") => Ok(template["fixed ".len()..].to_owned()),
            Some("wrong") => Err(Error::invalid("unable to parse the template")),
            _ => Ok(format!("v-{}-{}-{own}", request.display_name, request.role_name)),
        }
    }

    pub(crate) fn create_user(driver: &str, config: &[u8], request: &UserSpec) -> Result<String> {
        current(|databases| {
            databases.known(driver)?;
            if request.statements.is_empty() {
                return Err(Error::invalid("empty creation statements"));
            }
            let name = request.username.clone().ok_or_else(|| Error::invalid("the name was not proposed"))?;
            let account = Account { credential: shown(&request.credential), expires_at: request.expires_at };
            databases.touch(format!("create {name}"), &read(config)?, &request.statements, |server| {
                if server.accounts.contains_key(&name) {
                    return Err(Error::PreconditionFailed(format!("role {name:?} already exists")));
                }
                server.accounts.insert(name.clone(), account);
                Ok(name)
            })
        })
    }

    pub(crate) fn change_user(driver: &str, config: &[u8], request: &UserChange) -> Result<()> {
        current(|databases| {
            databases.known(driver)?;
            let name = &request.username;
            databases.touch(format!("change {name}"), &read(config)?, &request.statements, |server| {
                let account = server.accounts.get_mut(name);
                let account = account.ok_or_else(|| Error::upstream(format!("role {name:?} does not exist")))?;
                if let Some(credential) = &request.credential {
                    account.credential = shown(credential);
                }
                account.expires_at = request.expires_at.or(account.expires_at);
                Ok(())
            })
        })
    }

    pub(crate) fn delete_user(driver: &str, config: &[u8], request: &UserRemoval) -> Result<()> {
        current(|databases| {
            databases.known(driver)?;
            let name = &request.username;
            let says = |word: &str| request.statements.iter().any(|statement| statement.starts_with(word));
            databases.touch(format!("delete {name}"), &read(config)?, &request.statements, |server| {
                if says("strict") && !server.accounts.contains_key(name) {
                    return Err(Error::upstream(format!("role {name:?} does not exist")));
                }
                if !says("keep") {
                    server.accounts.remove(name);
                }
                Ok(())
            })
        })
    }
}

#[cfg(test)]
mod tests;
