//! What a driver of databases implements: it manages accounts in one kind of system. There is no
//! mount and no state: each call brings its config, and connections are parked between calls
//! ([`crate::net::Pool`]). Of a [`Cx`] it has time, randomness, digests, the log and
//! the node's memory.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Display;

use crate::bindings::mounted::bulkhead::plugin::database_types as wit;
use crate::json::{self, Object};
use crate::{Cx, Error, Result, Secret};

pub use wit::{Credential, UserChange, UserRemoval, UserSpec};

/// Longest text that is told of what a server says, in characters.
const TOLD_MAX: usize = 1000;

/// What a password is shown as.
const HIDDEN: &str = "[password]";

/// A kind of database. End the crate with `export_driver!(Type);`.
pub trait Driver: 'static {
    /// Its name, such as `postgresql-database-plugin`.
    const NAME: &'static str;

    /// Its version.
    const VERSION: &'static str;

    /// What it is for.
    const HELP: &'static str;

    /// What its users can log in with: `password`, `rsa-private-key`, `client-certificate`.
    #[must_use]
    fn credential_kinds() -> &'static [&'static str] {
        &["password"]
    }

    /// Checks a config, and whether it leads to a database if it is to `connect`. Gives what is to
    /// be stored.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is wrong with it.
    fn verify(cx: &Cx, config: &Settings, connect: bool) -> Result<Settings>;

    /// The name of the next user, whatever its credential: a certificate is issued to that name. Touches nothing
    /// outside.
    ///
    /// # Errors
    /// The template does not give one.
    fn propose_username(cx: &Cx, config: &Settings, spec: &UserSpec) -> Result<String>;

    /// Makes a user, of the name in `spec` or else of one of its own; gives the name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database cannot be reached, [`Error::Upstream`] if it refuses; [`watched`]
    /// says where that was before anything was begun, [`Error::PreconditionFailed`] where there is such a user already.
    fn create_user(cx: &Cx, config: &Settings, spec: &UserSpec) -> Result<String>;

    /// Changes credential or end of a user.
    ///
    /// # Errors
    /// As for [`Driver::create_user`].
    fn change_user(cx: &Cx, config: &Settings, change: &UserChange) -> Result<()>;

    /// Removes a user. That there is none is no error.
    ///
    /// # Errors
    /// As for [`Driver::create_user`].
    fn delete_user(cx: &Cx, config: &Settings, removal: &UserRemoval) -> Result<()>;
}

/// A config: a JSON object, read member by member. Values are taken as people write them:
/// `"5"` for a number, `"true"` for a switch, as command lines send them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Names, and values as JSON text, in the order they came in.
    members: Vec<(String, String)>,
}

/// Names only: any value may be a password.
impl core::fmt::Debug for Settings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.members.iter().map(|(name, _)| name)).finish()
    }
}

impl Settings {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// It is none.
    pub fn read(json: &[u8]) -> Result<Self> {
        let mut settings = Self::default();
        for member in json::members(json)? {
            let (name, value) = member?;
            settings.set_json(&name, value);
        }
        Ok(settings)
    }

    /// The JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let object = |object: Object, (name, value): &(String, String)| object.json(name, value);
        self.members.iter().fold(Object::new(), object).end()
    }

    /// Gives a member this JSON text as its value.
    pub fn set_json(&mut self, name: &str, value: &str) {
        self.members.retain(|(known, _)| known != name);
        self.members.push((name.to_owned(), value.to_owned()));
    }

    fn raw(&self, name: &str) -> Option<&str> {
        let found = self.members.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| *value != "null")
    }

    /// A text; empty if there is none.
    ///
    /// # Errors
    /// It is a list or an object.
    pub fn text(&self, name: &str) -> Result<String> {
        Ok(self.scalar(name, "string")?.unwrap_or_default().into_owned())
    }

    /// A text that is not to be shown; empty if there is none.
    ///
    /// # Errors
    /// It is a list or an object.
    pub fn secret(&self, name: &str) -> Result<Secret<String>> {
        self.text(name).map(Secret::new)
    }

    /// A switch; off if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.scalar(name, "bool")?.as_deref() {
            None | Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(_) => Err(unparsed(name, "bool")),
        }
    }

    /// A whole number; 0 if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(&self, name: &str) -> Result<i64> {
        match self.scalar(name, "int")?.as_deref() {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| unparsed(name, "int")),
        }
    }

    /// A time, in seconds, written as a number or like `1h30m`; 0 if there is none.
    ///
    /// # Errors
    /// It is something else, or below 0.
    pub fn seconds(&self, name: &str) -> Result<u64> {
        let invalid = |_| Error::invalid(format!("invalid {name}: it is no duration"));
        match self.scalar(name, "duration")?.as_deref() {
            None | Some("") => Ok(0),
            Some(text) => {
                let secs = text.parse().ok().or_else(|| crate::time::parse_duration(text));
                u64::try_from(secs.unwrap_or(-1)).map_err(invalid)
            }
        }
    }

    /// A value that is one thing, as text.
    fn scalar(&self, name: &str, kind: &str) -> Result<Option<Cow<'_, str>>> {
        match self.raw(name) {
            None => Ok(None),
            Some(value) => match value.as_bytes().first() {
                Some(b'"') => json::unquote(value).map(Some).ok_or_else(|| unparsed(name, kind)),
                Some(b'[' | b'{') | None => Err(unparsed(name, kind)),
                Some(_) => Ok(Some(Cow::Borrowed(value))),
            },
        }
    }
}

/// Without the value, which may be the password that was meant for another field.
fn unparsed(name: &str, kind: &str) -> Error {
    Error::invalid(format!("'{name}' cannot parse value as '{kind}'"))
}

/// The name of the pool in which the sessions of one config wait, and those of no other.
///
/// # Errors
/// The host does not hash.
pub fn pool_name(cx: &Cx, kind: &str, config: &Settings) -> Result<String> {
    let digest = cx.hash("sha2-256", config.json().as_bytes())?;
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{kind}/{hex}"))
}

/// Whether a member has certificates of authorities in it, where it has anything.
///
/// # Errors
/// [`Error::InvalidRequest`]: it has none.
pub fn check_roots(member: &str, pem: Option<&str>) -> Result<()> {
    match pem {
        Some(pem) if !pem.contains("-----BEGIN CERTIFICATE-----") => {
            Err(Error::invalid(format!("{member} has no certificate in PEM")))
        }
        _ => Ok(()),
    }
}

/// What is refused because a server does not let us in: whoever writes a config that it does not take has written a
/// wrong one. One that cannot be reached may be back later.
#[must_use]
pub fn refusal(error: Error) -> Error {
    match error {
        Error::Upstream(text) => Error::InvalidRequest(text),
        other => other,
    }
}

/// Whether a call has begun something at the database that concerns its user.
#[derive(Debug, Default)]
pub struct Begun(Cell<bool>);

impl Begun {
    /// From now on it has, or may have: what concerns the user is about to be sent.
    pub fn now(&self) {
        self.0.set(true);
    }

    /// Whether it has.
    #[must_use]
    pub fn is(&self) -> bool {
        self.0.get()
    }
}

/// Does what a call asks for, and has an error from before anything was begun say so ([`unbegun`]).
///
/// # Errors
/// Those of `act`.
pub fn watched<R>(act: impl FnOnce(&Begun) -> Result<R>) -> Result<R> {
    let begun = Begun::default();
    act(&begun).map_err(|error| if begun.is() { error } else { unbegun(error) })
}

/// Says of an error of [`Driver::create_user`] or [`Driver::change_user`] that nothing was begun: of what concerns the
/// user, nothing was sent, and nothing will arrive. Its caller forgets the intent then, and nobody undoes anything;
/// so this is for what is certain, such as a session that did not begin. It is put on last, over all that is
/// put before the text.
#[must_use]
pub fn unbegun(error: Error) -> Error {
    crate::unbegun::said(error)
}

/// The password of a credential.
///
/// # Errors
/// It is of another kind.
pub fn password(credential: &Credential) -> Result<&str> {
    match credential {
        Credential::Password(password) => Ok(password),
        Credential::PublicKey(_) => Err(unsupported("rsa_private_key")),
        Credential::Subject(_) => Err(unsupported("client_certificate")),
    }
}

/// The common name of a certificate's subject, which is what the database knows its holder by. A user that has one is
/// of that name.
///
/// # Errors
/// It is a credential of another kind, or there is more in the subject than that.
pub fn common_name(credential: &Credential) -> Result<String> {
    let subject = match credential {
        Credential::Subject(subject) => subject,
        Credential::Password(_) => return Err(unsupported("password")),
        Credential::PublicKey(_) => return Err(unsupported("rsa_private_key")),
    };
    let wrong = || Error::invalid("the subject of the certificate is not a common name and nothing else");
    let mut signs = subject.strip_prefix("CN=").ok_or_else(wrong)?.chars();
    let mut name = String::with_capacity(subject.len());
    while let Some(sign) = signs.next() {
        name.push(match sign {
            '\\' => signs.next().ok_or_else(wrong)?,
            // These would begin another part of it.
            '+' | ',' | ';' => return Err(wrong()),
            sign => sign,
        });
    }
    Ok(name)
}

fn unsupported(kind: &str) -> Error {
    Error::invalid(format!("unsupported credential type: {kind}"))
}

/// The secrets of a call, to be taken out of whatever is said about it.
#[derive(Debug, Default)]
pub struct Hush(Vec<Secret<String>>);

impl Hush {
    /// Takes a secret out too, in every form in which it may be told.
    pub fn add(&mut self, secret: &str) {
        for form in [secret.to_owned(), secret.replace('\'', "''"), secret.replace('\\', "\\\\").replace('\'', "''")] {
            if !form.is_empty() {
                self.0.push(Secret::new(form));
            }
        }
    }

    /// A text without the secrets, and no longer than is told. It is cut last, so that nothing is left
    /// of a secret that stands across the end.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let (mut open, mut hidden_to) = (String::with_capacity(text.len()), 0);
        for (at, sign) in text.char_indices() {
            // Where one begins within another, both are taken out.
            let begins = self.0.iter().filter(|form| text[at..].starts_with(form.expose().as_str()));
            let end = begins.map(|form| at + form.expose().len()).max().unwrap_or(0);
            if end > 0 && at >= hidden_to {
                open.push_str(HIDDEN);
            }
            hidden_to = hidden_to.max(end);
            if at >= hidden_to {
                open.push(sign);
            }
        }
        open.chars().take(TOLD_MAX).collect()
    }

    /// An error without the secrets.
    #[must_use]
    pub fn error(&self, error: Error) -> Error {
        error.with_text(|text| self.text(&text))
    }
}

impl Error {
    /// The same error with `what` before its text, as in `what: text`.
    #[must_use]
    pub fn within(self, what: impl Display) -> Self {
        self.with_text(|text| format!("{what}: {text}"))
    }

    /// The same error with another text, made of its own.
    #[must_use]
    pub fn with_text(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::InvalidRequest(text) => Self::InvalidRequest(change(text)),
            Self::PermissionDenied(text) => Self::PermissionDenied(change(text)),
            Self::PreconditionFailed(text) => Self::PreconditionFailed(change(text)),
            Self::RateLimited(text) => Self::RateLimited(change(text)),
            Self::Upstream(text) => Self::Upstream(change(text)),
            Self::Unavailable(text) => Self::Unavailable(change(text)),
            Self::Internal(text) => Self::Internal(change(text)),
            Self::NotFound => Self::NotFound,
            Self::UnsupportedOperation => Self::UnsupportedOperation,
        }
    }
}

#[cfg(test)]
mod tests;
