//! Where the server is, and who logs in there: in fields of their own, or in a URL.

use bulkhead_sdk::driver::Settings;
use bulkhead_sdk::url::percent_decoded;
use bulkhead_sdk::{Error, Result, Secret};

/// The port of a URL that names none.
const PORT: u16 = 6379;

/// The account of whoever does not log in.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// Places in a URL for what stands in fields of its own, where it can be changed.
const USERNAME_PLACE: &str = "{{username}}";
const PASSWORD_PLACE: &str = "{{password}}";

/// An address that was understood.
#[derive(Debug)]
pub(crate) struct Address {
    /// With its port, as errors call it.
    pub(crate) place: String,
    pub(crate) username: String,
    pub(crate) password: Secret<String>,
    pub(crate) has_tls: bool,
}

impl Address {
    /// Understands either form.
    ///
    /// # Errors
    /// What is wrong with it, or that it is both. A URL is not told: there may be a password in it.
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let url = settings.secret("connection_url")?;
        if url.expose().is_empty() { Self::from_fields(settings) } else { Self::from_url(url.expose(), settings) }
    }

    fn from_fields(settings: &Settings) -> Result<Self> {
        let (host, port) = (settings.text("host")?, settings.number("port")?);
        for (name, is_empty) in [("host", host.is_empty()), ("port", port == 0)] {
            if is_empty {
                return Err(missing(name));
            }
        }
        let port = u16::try_from(port).map_err(|_| Error::invalid("port must be from 1 to 65535"))?;
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let (username, password) = (settings.text("username")?, settings.secret("password")?);
        let has_tls = settings.flag("tls")?;
        Self { place: format!("{host}:{port}"), username, password, has_tls }.checked()
    }

    fn from_url(url: &str, settings: &Settings) -> Result<Self> {
        let (username, password) = (settings.text("username")?, settings.secret("password")?);
        let has_places = url.contains(USERNAME_PLACE) || url.contains(PASSWORD_PLACE);
        let has_login = !username.is_empty() || !password.expose().is_empty();
        let has_place = !settings.text("host")?.is_empty() || settings.number("port")? != 0 || settings.flag("tls")?;
        if has_place || (has_login && !has_places) {
            return Err(Error::invalid("cannot specify both connection_url and individual connection parameters"));
        }
        let (has_tls, rest) = scheme(url)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.bytes().all(|byte| byte.is_ascii_digit()) || authority.contains(['?', '#']) {
            // Accounts are those of all databases. A setting that is not served is not taken for one that is.
            return Err(wrong("after the host there may be the number of a database, and nothing else"));
        }
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, secret) = login.split_once(':').unwrap_or((login, ""));
        let decoded =
            |text: &str| percent_decoded(text, false).ok_or_else(|| wrong("a percent sign is not of an escape"));
        // They are put there after it was read, so that no sign in them can mean anything in it.
        let user = decoded(user)?.replace(USERNAME_PLACE, &username);
        let secret = Secret::new(decoded(secret)?.replace(PASSWORD_PLACE, password.expose()));
        let username = if user.is_empty() && !has_places { DEFAULT_ACCOUNT.to_owned() } else { user };
        Self { place: place(host)?, username, password: secret, has_tls }.checked()
    }

    fn checked(self) -> Result<Self> {
        match (self.username.is_empty(), self.password.expose().is_empty()) {
            (true, _) => Err(missing("username")),
            (_, true) => Err(missing("password")),
            _ => Ok(self),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("{name} cannot be empty"))
}

fn wrong(what: &str) -> Error {
    Error::invalid(format!("cannot parse connection_url: {what}"))
}

/// Whether a URL asks for TLS, and what follows its scheme.
fn scheme(url: &str) -> Result<(bool, &str)> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    match scheme {
        "redis" | "valkey" => Ok((false, rest)),
        "rediss" | "valkeys" => Ok((true, rest)),
        _ => Err(wrong("it begins with redis://, valkey://, rediss:// or valkeys://")),
    }
}

/// A host with its port, as both stand in a URL.
fn place(text: &str) -> Result<String> {
    let end = text.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match text[end..].find(':').map(|at| end + at) {
        Some(at) => (&text[..at], text[at + 1..].parse().unwrap_or(0)),
        None => (text, PORT),
    };
    if host.is_empty() {
        return Err(missing("host"));
    }
    if port == 0 || host.starts_with('[') != host.ends_with(']') {
        return Err(wrong("invalid host or port"));
    }
    Ok(format!("{host}:{port}"))
}
