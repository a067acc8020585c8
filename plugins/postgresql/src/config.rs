//! A config, in the words of OpenBao's plugin of this name and of the connection string in it.

use bulkhead_sdk::driver::{Hush, Settings, UserSpec};
use bulkhead_sdk::net::{ClientIdentity, Pool, Tls, Verification};
use bulkhead_sdk::template::Template;
use bulkhead_sdk::{Cx, Error, Result, Secret};

use crate::address::Words;

/// How a name is made where the config does not say.
const USERNAME_TEMPLATE: &str = r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#;

/// Longest name of a role, in bytes: the server cuts off the rest, and then there is another.
const NAME_BYTES_MAX: usize = 63;

/// How long to wait for a server, in milliseconds, where the config does not say.
const TIMEOUT_MS: u32 = 20_000;

/// Most servers of one config.
const HOSTS_MAX: usize = 16;

/// Words of a connection string that are not for the server.
const OWN_WORDS: [&str; 23] = [
    "host",
    "port",
    "database",
    "user",
    "password",
    "passfile",
    "connect_timeout",
    "sslmode",
    "sslkey",
    "sslcert",
    "sslrootcert",
    "sslpassword",
    "sslsni",
    "sslnegotiation",
    "sslinline",
    "krbspn",
    "krbsrvname",
    "target_session_attrs",
    "service",
    "servicefile",
    "default_query_exec_mode",
    "statement_cache_capacity",
    "description_cache_capacity",
];

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// Never.
    Never,
    /// Where the server wants it.
    IfDemanded,
    /// Where the server can.
    IfOffered,
    /// Always.
    Always,
}

/// Which of several servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Any.
    Any,
    /// One that takes writes.
    ReadWrite,
    /// One that is no standby.
    Primary,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As errors call it.
    pub(crate) shown: String,
    /// As the host wants it: `tcp://…` or `unix://…`.
    pub(crate) address: String,
    /// The name that its certificate must have; none for a socket of this machine, where TLS is not spoken.
    pub(crate) server_name: Option<String>,
}

/// A config that was understood.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) places: Vec<Place>,
    pub(crate) login: Login,
    pub(crate) encryption: Encryption,
    pub(crate) tls: Tls,
    pub(crate) target: Target,
    pub(crate) timeout_ms: u32,
    /// Passwords are hashed here, so that the server never sees them.
    pub(crate) hashes_passwords: bool,
    template: Template,
    /// What must not be told.
    pub(crate) hush: Hush,
    /// Where its sessions wait.
    pub(crate) pool: Pool,
}

/// What is said when a session begins.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret<String>,
    pub(crate) database: String,
    /// Settings of the session.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Config {
    /// Understands a config.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is wrong with it.
    pub(crate) fn read(cx: &Cx, settings: &Settings) -> Result<Self> {
        let words = words(settings)?;
        let mut hush = Hush::default();
        hush.add(settings.secret("password")?.expose());
        hush.add(words.get("password").unwrap_or_default());
        let (encryption, tls) = encryption(settings, &words)?;
        Ok(Self {
            places: places(&words)?,
            login: login(&words)?,
            encryption,
            tls,
            target: target(&words)?,
            timeout_ms: timeout_ms(&words)?,
            hashes_passwords: hashes_passwords(settings)?,
            template: template(&settings.text("username_template")?)?,
            hush,
            pool: Pool::of(cx, "postgresql", settings)?,
        })
    }

    /// Whether the template makes names.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check_template(&self, cx: &Cx) -> Result<()> {
        let made = self.template.render(cx, &[("DisplayName", ""), ("RoleName", "")]);
        made.map(|_| ()).map_err(|error| error.within("invalid username template"))
    }

    /// The name of a user that is to be made.
    ///
    /// # Errors
    /// The template makes none, or one that the server would cut.
    pub(crate) fn username(&self, cx: &Cx, spec: &UserSpec) -> Result<String> {
        let own = spec.username_template.as_deref().filter(|text| !text.is_empty()).map(template).transpose()?;
        let data = [("DisplayName", spec.display_name.as_str()), ("RoleName", spec.role_name.as_str())];
        let name = own.as_ref().unwrap_or(&self.template).render(cx, &data)?;
        check_name(&name).map(|()| name)
    }
}

/// Whether a role can have this name.
///
/// # Errors
/// It cannot.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("missing username"));
    }
    if name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(Error::invalid(format!("a username has at most {NAME_BYTES_MAX} bytes, and none of them is 0")));
    }
    Ok(())
}

fn template(text: &str) -> Result<Template> {
    let text = if text.is_empty() { USERNAME_TEMPLATE } else { text };
    Template::parse(text).map_err(|error| error.within("unable to initialize username template"))
}

/// The connection string with name and password in their places. They are put there after it was
/// read, so that no sign in them can mean anything in it.
fn words(settings: &Settings) -> Result<Words> {
    let url = settings.text("connection_url")?;
    if url.is_empty() {
        return Err(Error::invalid("connection_url cannot be empty"));
    }
    let (username, password) = (settings.text("username")?, settings.secret("password")?);
    let places = ["{{username}}", "{{password}}"];
    if places.iter().any(|place| username.contains(place) || password.expose().contains(place)) {
        return Err(Error::invalid("username and/or password cannot contain the template variables"));
    }
    if settings.flag("disable_escaping")? {
        return Words::read(&url.replace(places[0], &username).replace(places[1], password.expose()));
    }
    let mut words = Words::read(&url)?;
    words.fill(places[0], &username);
    words.fill(places[1], password.expose());
    Ok(words)
}

fn places(words: &Words) -> Result<Vec<Place>> {
    let hosts: Vec<&str> = words.get("host").unwrap_or("localhost").split(',').collect();
    let ports: Vec<&str> = words.get("port").unwrap_or_default().split(',').collect();
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(Error::invalid("cannot parse connection_url: there are not as many ports as hosts"));
    }
    if hosts.len() > HOSTS_MAX {
        return Err(Error::invalid(format!("cannot parse connection_url: there are more than {HOSTS_MAX} hosts")));
    }
    let place = |(at, host): (usize, &&str)| {
        let host = if host.is_empty() { "localhost" } else { host };
        let port = match ports.get(if ports.len() == 1 { 0 } else { at }) {
            None | Some(&"") => 5432,
            Some(port) => {
                port.parse::<u16>().map_err(|_| Error::invalid("cannot parse connection_url: invalid port"))?
            }
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Ok(if host.starts_with('/') {
            let path = format!("{host}/.s.PGSQL.{port}");
            Place { address: format!("unix://{path}"), shown: path, server_name: None }
        } else {
            let shown = format!("{bracketed}:{port}");
            Place { address: format!("tcp://{shown}"), shown, server_name: Some(host.to_owned()) }
        })
    };
    hosts.iter().enumerate().map(place).collect()
}

fn login(words: &Words) -> Result<Login> {
    let user = words.get("user").unwrap_or_default().to_owned();
    if user.is_empty() {
        return Err(Error::invalid("connection_url has no user"));
    }
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in words.iter().filter(|(name, _)| !OWN_WORDS.contains(name)) {
        parameters.retain(|(known, _)| known != name);
        parameters.push((name.to_owned(), value.to_owned()));
    }
    for (name, value) in [("timezone", "UTC"), ("application_name", "bulkhead")] {
        if parameters.iter().all(|(known, _)| !known.eq_ignore_ascii_case(name)) {
            parameters.push((name.to_owned(), value.to_owned()));
        }
    }
    let database = words.get("database").filter(|name| !name.is_empty()).unwrap_or(&user).to_owned();
    let password = Secret::new(words.get("password").unwrap_or_default().to_owned());
    let texts = parameters.iter().flat_map(|(name, value)| [name, value]);
    if texts.chain([&user, &database, password.expose()]).any(|text| text.contains('\0')) {
        return Err(Error::invalid("cannot parse connection_url: a value has a byte 0"));
    }
    Ok(Login { user, password, database, parameters })
}

fn encryption(settings: &Settings, words: &Words) -> Result<(Encryption, Tls)> {
    for name in ["sslrootcert", "sslcert", "sslkey"] {
        if words.get(name).is_some_and(|value| !value.is_empty()) {
            return Err(Error::invalid(format!(
                "{name} names a file, which a plugin cannot read: give its text as {}",
                match name {
                    "sslrootcert" => "tls_ca",
                    "sslcert" => "tls_certificate",
                    _ => "private_key",
                }
            )));
        }
    }
    let roots_pem = Some(settings.text("tls_ca")?).filter(|pem| !pem.is_empty());
    let (encryption, verification) = match words.get("sslmode").unwrap_or("prefer") {
        "disable" => (Encryption::Never, Verification::Full),
        "allow" => (Encryption::IfDemanded, Verification::Insecure),
        "prefer" => (Encryption::IfOffered, Verification::Insecure),
        "require" if roots_pem.is_none() => (Encryption::Always, Verification::Insecure),
        "require" | "verify-ca" => (Encryption::Always, Verification::ChainOnly),
        "verify-full" => (Encryption::Always, Verification::Full),
        _ => return Err(Error::invalid("cannot parse connection_url: sslmode is invalid")),
    };
    let (chain_pem, key_pem) = (settings.text("tls_certificate")?, settings.secret("private_key")?);
    let client = match (chain_pem.is_empty(), key_pem.expose().is_empty()) {
        (true, true) => None,
        (false, false) => Some(ClientIdentity::new(chain_pem, key_pem)),
        _ => return Err(Error::invalid("tls_certificate and private_key are needed both, or neither")),
    };
    Ok((encryption, Tls { server_name: None, roots_pem, verification, client }))
}

fn target(words: &Words) -> Result<Target> {
    match words.get("target_session_attrs").unwrap_or("any") {
        "any" => Ok(Target::Any),
        "read-write" => Ok(Target::ReadWrite),
        "primary" => Ok(Target::Primary),
        _ => Err(Error::invalid("target_session_attrs must be any, read-write or primary: accounts are written")),
    }
}

fn timeout_ms(words: &Words) -> Result<u32> {
    let invalid = |_| Error::invalid("cannot parse connection_url: invalid connect_timeout");
    match words.get("connect_timeout") {
        None | Some("" | "0") => Ok(TIMEOUT_MS),
        Some(secs) => Ok(secs.parse::<u32>().map_err(invalid)?.saturating_mul(1000).min(TIMEOUT_MS)),
    }
}

fn hashes_passwords(settings: &Settings) -> Result<bool> {
    match settings.text("password_authentication")?.as_str() {
        "" | "password" => Ok(false),
        "scram-sha-256" => Ok(true),
        other => Err(Error::invalid(format!("'{other}' is not a valid password authentication type"))),
    }
}
