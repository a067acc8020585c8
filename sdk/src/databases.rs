//! Databases as an engine reaches them: by drivers, which are components of their own, with grants
//! of their own. A driver keeps nothing, so each call carries its config.
//!
//! Which of these calls touch the outside is [`Driver`]'s to say: the host does not run a call again
//! that made one of those, so an engine writes down an intent first ([`crate::Cx::intend`]).

pub use crate::bindings::mounted::bulkhead::plugin::database_types::{Credential, UserChange, UserRemoval, UserSpec};

use crate::host::database_drivers;
use crate::{Error, Result};

/// What passwords are called among the kinds of credentials.
pub const PASSWORD: &str = "password";
/// What pairs of RSA keys are called among the kinds of credentials.
pub const RSA_PRIVATE_KEY: &str = "rsa-private-key";
/// What certificates of clients are called among the kinds of credentials.
pub const CLIENT_CERTIFICATE: &str = "client-certificate";

/// The subject that a certificate to this name has: a common name and nothing else, as RFC 4514 writes it.
/// [`crate::driver::common_name`] reads it.
#[must_use]
pub fn subject(common_name: &str) -> String {
    let last = common_name.chars().count().saturating_sub(1);
    let mut out = "CN=".to_owned();
    for (at, sign) in common_name.chars().enumerate() {
        let is_odd = matches!(sign, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
        if is_odd || (at == 0 && sign == '#') || ((at == 0 || at == last) && sign == ' ') {
            out.push('\\');
        }
        out.push(sign);
    }
    out
}

/// The names of the drivers that the mount may call.
#[must_use]
pub fn available() -> Vec<String> {
    database_drivers::available()
}

/// Why a driver did not do what it was asked, and whether it may have begun to.
#[derive(Debug)]
pub struct Failed {
    /// What came of it.
    pub error: Error,
    /// Whether something may be done at the database for it, or yet be: always, unless the driver says for certain
    /// that nothing is ([`crate::driver::unbegun`]).
    pub is_begun: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let (error, is_begun) = crate::unbegun::heard(error);
        Self { error, is_begun }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// A driver, and the config that each of its calls gets. There is no `Debug`: the config has secrets.
#[derive(Clone, Copy)]
pub struct Driver<'a> {
    name: &'a str,
    config: &'a str,
}

impl<'a> Driver<'a> {
    /// The driver of this name, or name and version as `name@version`; the config is a JSON object.
    #[must_use]
    pub const fn new(name: &'a str, config: &'a str) -> Self {
        Self { name, config }
    }

    /// The kinds of credentials that it can give to users. Touches nothing.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if there is no such driver, [`Error::PermissionDenied`] if the mount is not
    /// granted to call it; the same goes for each call below.
    pub fn credential_kinds(self) -> Result<Vec<String>> {
        database_drivers::credential_kinds(self.name)
    }

    /// Checks the config, and with `connect` also that the database takes it, by a connection of its own.
    /// Gives what to keep of it. With `connect` this touches the outside, though it changes nothing there.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for what is wrong with the config, else what came of connecting.
    pub fn verify(self, connect: bool) -> Result<String> {
        let kept = database_drivers::verify(self.name, self.config.as_bytes(), connect);
        let kept = kept.map_err(|error| Failed::from(error).error)?;
        String::from_utf8(kept).map_err(|_| Error::internal("a driver's config is not UTF-8"))
    }

    /// The name that [`Driver::create_user`] would give to such a user. Touches nothing; asked twice it
    /// may give two names.
    ///
    /// # Errors
    /// What is wrong with the request, such as its template.
    pub fn propose_username(self, spec: &UserSpec) -> Result<String> {
        database_drivers::propose_username(self.name, self.config.as_bytes(), spec)
    }

    /// Makes a user, outside; gives its name.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if there is such a user already, whom nobody made for this request and
    /// nobody may remove for it. Else what came of it: where something was begun, there may be a user all the same.
    pub fn create_user(self, spec: &UserSpec) -> Result<String, Failed> {
        Ok(database_drivers::create_user(self.name, self.config.as_bytes(), spec)?)
    }

    /// Changes a user, outside.
    ///
    /// # Errors
    /// What came of it. Where something was begun, it may be changed all the same.
    pub fn change_user(self, change: &UserChange) -> Result<(), Failed> {
        Ok(database_drivers::change_user(self.name, self.config.as_bytes(), change)?)
    }

    /// Removes a user, outside; one that is not there is removed.
    ///
    /// # Errors
    /// What came of it.
    pub fn delete_user(self, removal: &UserRemoval) -> Result<()> {
        let done = database_drivers::delete_user(self.name, self.config.as_bytes(), removal);
        done.map_err(|error| Failed::from(error).error)
    }
}
