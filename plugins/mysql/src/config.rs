//! A config, in the words of OpenBao's plugin of this name and of Go's driver.

use bulkhead_sdk::driver::{Hush, Settings, UserSpec};
use bulkhead_sdk::net::{ClientIdentity, Pool, Tls, Verification};
use bulkhead_sdk::template::Template;
use bulkhead_sdk::time::parse_duration;
use bulkhead_sdk::{Cx, Error, Result, Secret};

use crate::address::Source;

/// How a name is made where the config does not say.
const USERNAME_TEMPLATE: &str = r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 10) (.RoleName | truncate 10) (random 20) (unix_time) | truncate 32 }}"#;

/// How long to wait for a server, in milliseconds, at most and where the config does not say.
const TIMEOUT_MS: u32 = 20_000;

/// Parameters that mean something to a client, and not to the server.
const OWN_PARAMETERS: [&str; 24] = [
    "allowAllFiles",
    "allowCleartextPasswords",
    "allowFallbackToPlaintext",
    "allowNativePasswords",
    "allowOldPasswords",
    "charset",
    "checkConnLiveness",
    "clientFoundRows",
    "collation",
    "columnsWithAlias",
    "compress",
    "connectionAttributes",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "rejectReadOnly",
    "serverPubKey",
    "timeTruncate",
    "timeout",
    "tls",
    "writeTimeout",
];

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// Never.
    Never,
    /// Where the server can.
    IfOffered,
    /// Always.
    Always,
}

/// A config that was understood.
#[derive(Debug)]
pub(crate) struct Config {
    /// As the host wants it: `tcp://…` or `unix://…`.
    pub(crate) address: String,
    pub(crate) login: Login,
    pub(crate) encryption: Encryption,
    pub(crate) tls: Tls,
    pub(crate) timeout_ms: u32,
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
    /// Whether a statement may be several.
    pub(crate) multi_statements: bool,
    /// Whether the server may ask for the bare password, over TLS.
    pub(crate) allows_cleartext: bool,
    /// A socket of this machine, which nobody else listens to.
    pub(crate) is_local: bool,
    /// Statements that set what the session is to have.
    pub(crate) settings: Vec<String>,
}

impl Config {
    /// Understands a config.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is wrong with it.
    pub(crate) fn read(cx: &Cx, settings: &Settings) -> Result<Self> {
        let source = source(settings)?;
        let mut hush = Hush::default();
        hush.add(settings.secret("password")?.expose());
        hush.add(&source.password);
        let (address, host) = place(&source)?;
        let (encryption, tls) = encryption(settings, &source, host)?;
        Ok(Self {
            login: login(&source)?,
            address,
            encryption,
            tls,
            timeout_ms: timeout_ms(&source)?,
            template: template(&settings.text("username_template")?)?,
            hush,
            pool: Pool::of(cx, "mysql", settings)?,
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
    /// The template makes none.
    pub(crate) fn username(&self, cx: &Cx, spec: &UserSpec) -> Result<String> {
        let own = spec.username_template.as_deref().filter(|text| !text.is_empty()).map(template).transpose()?;
        let data = [("DisplayName", spec.display_name.as_str()), ("RoleName", spec.role_name.as_str())];
        let name = own.as_ref().unwrap_or(&self.template).render(cx, &data)?;
        check_name(&name).map(|()| name)
    }
}

/// Whether an account can have this name. One that is too long is refused by the server.
///
/// # Errors
/// It cannot.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') {
        return Err(Error::invalid("a username is not empty and has no byte 0"));
    }
    Ok(())
}

fn template(text: &str) -> Result<Template> {
    let text = if text.is_empty() { USERNAME_TEMPLATE } else { text };
    Template::parse(text).map_err(|error| error.within("unable to initialize username template"))
}

/// The data source name with user and password in their places. They are put there after it was
/// read, so that no sign in them can mean anything in it.
fn source(settings: &Settings) -> Result<Source> {
    let url = settings.text("connection_url")?;
    if url.is_empty() {
        return Err(Error::invalid("connection_url cannot be empty"));
    }
    let (username, password) = (settings.text("username")?, settings.secret("password")?);
    let mut source = Source::read(&url)?;
    source.fill("{{username}}", &username);
    source.fill("{{password}}", password.expose());
    if [&source.user, &source.password, &source.database].iter().any(|text| text.contains('\0')) {
        return Err(Error::invalid("unable to parse connectionURL: invalid DSN: a value has a byte 0"));
    }
    Ok(source)
}

/// Where the server is, and the name that its certificate must have.
fn place(source: &Source) -> Result<(String, Option<String>)> {
    let invalid = |told: &str| Error::invalid(format!("unable to parse connectionURL: {told}"));
    match source.network.as_str() {
        "unix" => {
            let path = if source.address.is_empty() { "/tmp/mysql.sock" } else { &source.address };
            Ok((format!("unix://{path}"), None))
        }
        "tcp" | "tcp4" | "tcp6" => {
            let address = if source.address.is_empty() { "127.0.0.1" } else { &source.address };
            let has_port = address.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
            let (host, port) =
                if has_port { address.rsplit_once(':').unwrap_or((address, "")) } else { (address, "3306") };
            let port: u16 = port.parse().map_err(|_| invalid("invalid port"))?;
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let shown = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
            Ok((format!("tcp://{shown}:{port}"), Some(bare.to_owned())))
        }
        _ => Err(invalid("the network must be tcp or unix")),
    }
}

fn login(source: &Source) -> Result<Login> {
    let flag = |name: &str| match source.get(name) {
        None | Some("0" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "true" | "TRUE" | "True") => Ok(true),
        Some(_) => Err(Error::invalid(format!("unable to parse connectionURL: invalid bool value: {name}"))),
    };
    let mut settings = Vec::new();
    for (name, value) in source.parameters().iter().filter(|(name, _)| !OWN_PARAMETERS.contains(&name.as_str())) {
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@".contains(&b));
        if !is_name {
            return Err(Error::invalid("unable to parse connectionURL: a parameter is no name of a variable"));
        }
        settings.push(format!("SET {name} = {value}"));
    }
    Ok(Login {
        user: source.user.clone(),
        password: Secret::new(source.password.clone()),
        database: source.database.clone(),
        multi_statements: flag("multiStatements")?,
        allows_cleartext: flag("allowCleartextPasswords")?,
        is_local: source.network == "unix",
        settings,
    })
}

fn encryption(settings: &Settings, source: &Source, host: Option<String>) -> Result<(Encryption, Tls)> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let roots_pem = given(settings.text("tls_ca")?);
    let client = given(settings.text("tls_certificate_key")?).map(|pem| identity(&pem)).transpose()?;
    let server_name = given(settings.text("tls_server_name")?).or(host);
    let is_set = roots_pem.is_some() || client.is_some();
    let skips = settings.flag("tls_skip_verify")?;
    let (encryption, verification) = match source.get("tls").unwrap_or("false") {
        _ if is_set && skips => (Encryption::Always, Verification::Insecure),
        _ if is_set => (Encryption::Always, Verification::Full),
        "true" | "1" | "TRUE" => (Encryption::Always, Verification::Full),
        "false" | "0" | "FALSE" => (Encryption::Never, Verification::Full),
        "skip-verify" => (Encryption::Always, Verification::Insecure),
        "preferred" => (Encryption::IfOffered, Verification::Insecure),
        _ => {
            return Err(Error::invalid(
                "unable to parse connectionURL: tls must be true, false, skip-verify or preferred",
            ));
        }
    };
    Ok((encryption, Tls { server_name, roots_pem, verification, client }))
}

/// Certificate and key out of one text.
fn identity(pem: &str) -> Result<ClientIdentity> {
    let (mut chain_pem, mut key_pem) = (String::new(), String::new());
    let mut rest = pem;
    while let Some(at) = rest.find("-----BEGIN ") {
        let block = &rest[at..];
        let end = block.find("-----END ").and_then(|end| Some(end + 9 + block[end + 9..].find("-----")? + 5));
        let (block, after) = block.split_at(end.unwrap_or(block.len()));
        let into = if block.starts_with("-----BEGIN CERTIFICATE-----") { &mut chain_pem } else { &mut key_pem };
        into.push_str(block);
        into.push('\n');
        rest = after;
    }
    if chain_pem.is_empty() || key_pem.is_empty() {
        return Err(Error::invalid("unable to load tls_certificate_key_data: it needs a certificate and its key"));
    }
    Ok(ClientIdentity::new(chain_pem, Secret::new(key_pem)))
}

fn timeout_ms(source: &Source) -> Result<u32> {
    let invalid = || Error::invalid("unable to parse connectionURL: invalid timeout");
    match source.get("timeout") {
        None => Ok(TIMEOUT_MS),
        Some(text) => {
            let millis = match text.strip_suffix("ms") {
                Some(number) => number.parse::<u32>().ok(),
                None => {
                    parse_duration(text).and_then(|secs| u32::try_from(secs).ok()).map(|secs| secs.saturating_mul(1000))
                }
            };
            Ok(millis.filter(|millis| *millis > 0).ok_or_else(invalid)?.min(TIMEOUT_MS))
        }
    }
}
