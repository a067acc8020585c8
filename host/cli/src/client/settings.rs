//! What the flags and the environment say about the connection, checked once.

use std::sync::Arc;

use bulkhead_model::hidden::Hidden;

use super::ClientError;
use super::address::{Address, Endpoint};
use super::proxy::Proxies;
use crate::env::Environment;
use crate::flags::Parsed;
use crate::span::Span;

/// Where the server is if nobody says.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";

/// Longest wait for one request. Source: setting `CLIENT_TIMEOUT`. Why: a script must
/// not hang on a node that is gone.
const TIMEOUT_SECS: i64 = 60;

/// What to do instead of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dry {
    /// Send.
    No,
    /// Print a curl command.
    Curl,
    /// Print a policy.
    Policy,
}

/// What stands in the environment itself instead of a file, as PEM.
#[derive(Default)]
pub(crate) struct TlsBytes {
    pub(super) ca_cert: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) client_key: Option<Hidden<String>>,
}

/// How to know the server, and how to be known by it.
#[derive(Default)]
pub(crate) struct TlsFiles {
    pub(super) ca_cert: Option<String>,
    pub(super) ca_path: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) bytes: TlsBytes,
    pub(super) server_name: Option<String>,
    pub(super) skip_verify: bool,
    /// Files of roots the system trusts, for when nothing above names any.
    pub(super) system_roots: Vec<String>,
}

/// Everything about the connection except the token.
pub(crate) struct Settings {
    pub(super) address: Address,
    pub(super) tls: TlsFiles,
    pub(super) proxies: Arc<Proxies>,
    pub(super) timeout: std::time::Duration,
    /// Whether the user named it.
    pub(super) is_timeout_given: bool,
    pub(super) retries: u32,
    pub(super) headers: Vec<(String, String)>,
    pub(super) namespace: Option<String>,
    pub(super) wrap_ttl: Option<String>,
    pub(super) disable_redirects: bool,
    pub(super) dry: Dry,
}

impl Settings {
    /// Reads them: a flag wins over its setting in the environment.
    ///
    /// # Errors
    /// [`ClientError::Settings`] for one that cannot be used.
    pub(crate) fn read(flags: &Parsed, env: &Environment) -> Result<Self, ClientError> {
        let address = flags.text("agent-address").or_else(|| flags.text("address")).unwrap_or(DEFAULT_ADDRESS);
        let address = Address::parse(address)?;
        switches(flags, env)?;
        rate_limit(env)?;
        lookup(&address, env)?;
        Ok(Self {
            address,
            tls: tls_files(flags, env),
            proxies: Arc::new(Proxies::read(env)?),
            timeout: timeout(env)?,
            is_timeout_given: env.setting("CLIENT_TIMEOUT").is_some(),
            retries: retries(env)?,
            headers: headers(flags)?,
            namespace: flags.text("namespace").map(canonical_namespace).filter(|path| !path.is_empty()),
            wrap_ttl: wrap_ttl(flags, env),
            disable_redirects: flags.switch("disable-redirects"),
            dry: match (flags.switch("output-curl-string"), flags.switch("output-policy")) {
                (true, _) => Dry::Curl,
                (false, true) => Dry::Policy,
                (false, false) => Dry::No,
            },
        })
    }
}

/// What is said of switches must be true or false: which of them was meant is not to be guessed.
fn switches(flags: &Parsed, env: &Environment) -> Result<(), ClientError> {
    for (setting, flag) in [("SKIP_VERIFY", "tls-skip-verify"), ("DISABLE_REDIRECTS", "disable-redirects")] {
        if env.setting(setting).is_some() && !flags.given(flag) {
            return Err(ClientError::Settings(format!("could not parse BAO_{setting}: write true or false")));
        }
    }
    Ok(())
}

/// How often requests may be sent is checked and not kept: a command sends a few, as the peers' does.
fn rate_limit(env: &Environment) -> Result<(), ClientError> {
    let Some(text) = env.setting("RATE_LIMIT") else { return Ok(()) };
    let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    if rate.parse::<f64>().is_ok() && burst.is_none_or(|burst| burst.parse::<i64>().is_ok()) {
        return Ok(());
    }
    Err(ClientError::Settings("BAO_RATE_LIMIT was provided but incorrectly formatted".to_owned()))
}

/// A server is not looked up by its service in DNS; it has to be where its address says.
fn lookup(address: &Address, env: &Environment) -> Result<(), ClientError> {
    let Some(text) = env.setting("SRV_LOOKUP") else { return Ok(()) };
    let wanted = crate::flags::parse_bool(text);
    let wanted = wanted.ok_or_else(|| ClientError::Settings("could not parse BAO_SRV_LOOKUP".to_owned()))?;
    let is_named = matches!(address.endpoint, Endpoint::Tcp(..)) && !address.has_port();
    if wanted && is_named {
        return Err(ClientError::Settings("SRV_LOOKUP is not offered: write the port into the address".to_owned()));
    }
    Ok(())
}

/// What answers are to be wrapped for. What is no duration goes to the server as it is, which refuses it: to
/// leave it out would be to print what was to be wrapped.
fn wrap_ttl(flags: &Parsed, env: &Environment) -> Option<String> {
    match flags.span("wrap-ttl") {
        Some(ttl) => Some(ttl).filter(|ttl| !ttl.is_zero()).map(|ttl| ttl.to_string()),
        None => env.setting("WRAP_TTL").map(str::to_owned),
    }
}

fn tls_files(flags: &Parsed, env: &Environment) -> TlsFiles {
    let text = |name| flags.text(name).map(str::to_owned);
    let bytes = |name| env.setting(name).map(str::to_owned);
    // A file goes before what stands in the environment, which goes before a folder from there.
    let ca_path =
        text("ca-path").filter(|path| bytes("CACERT_BYTES").is_none() || env.setting("CAPATH") != Some(path.as_str()));
    TlsFiles {
        ca_cert: text("ca-cert"),
        ca_path,
        client_cert: text("client-cert"),
        client_key: text("client-key"),
        bytes: TlsBytes {
            ca_cert: bytes("CACERT_BYTES"),
            client_cert: bytes("CLIENT_CERT_BYTES"),
            client_key: bytes("CLIENT_KEY_BYTES").map(Hidden::new),
        },
        server_name: text("tls-server-name"),
        skip_verify: flags.switch("tls-skip-verify"),
        system_roots: env.raw("SSL_CERT_FILE").map(str::to_owned).into_iter().collect(),
    }
}

fn timeout(env: &Environment) -> Result<std::time::Duration, ClientError> {
    let unusable = || {
        let name = env.variable("CLIENT_TIMEOUT");
        ClientError::Settings(format!("could not parse {name:?}: write seconds or a duration such as 90s"))
    };
    let span = match env.setting("CLIENT_TIMEOUT") {
        None => Span::of_secs(TIMEOUT_SECS),
        Some(text) => Span::parse(text).map_err(|_| unusable())?,
    };
    // Zero is "the default", as with the peers.
    let span = if span.is_zero() { Span::of_secs(TIMEOUT_SECS) } else { span };
    span.as_std().ok_or_else(unusable)
}

/// How often a failed request is sent again. The peers' library retries twice, but
/// their command line does not retry unless it is told to: a person sees an error
/// at once, and a script says what it wants.
fn retries(env: &Environment) -> Result<u32, ClientError> {
    match env.setting("MAX_RETRIES") {
        None => Ok(0),
        Some(text) => {
            text.parse().map_err(|_| ClientError::Settings(format!("MAX_RETRIES is {text:?}: write a number")))
        }
    }
}

fn headers(flags: &Parsed) -> Result<Vec<(String, String)>, ClientError> {
    let mut headers: Vec<(String, String)> = flags.pairs("header").into_iter().collect();
    let forbidden: Vec<&str> = headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.to_ascii_lowercase().starts_with("x-vault-"))
        .collect();
    if !forbidden.is_empty() {
        return Err(ClientError::Settings(format!(
            "failed to setup Headers[{}]: Header starting by 'X-Vault-' are for internal usage only",
            forbidden.join(", ")
        )));
    }
    headers.extend(flags.list("mfa").into_iter().map(|value| ("X-Vault-MFA".to_owned(), value)));
    if flags.switch("policy-override") {
        headers.push(("X-Vault-Policy-Override".to_owned(), "true".to_owned()));
    }
    Ok(headers)
}

/// `a/b/`; the root namespace is the empty path.
fn canonical_namespace(path: &str) -> String {
    let path = path.trim().trim_matches('/');
    if path.is_empty() || path == "root" { String::new() } else { format!("{path}/") }
}
