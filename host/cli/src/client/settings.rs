//! What the flags and the environment say about the connection, checked once.

use super::ClientError;
use super::address::Address;
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

/// How to know the server, and how to be known by it.
#[derive(Debug, Default)]
pub(crate) struct TlsFiles {
    pub(super) ca_cert: Option<String>,
    pub(super) ca_path: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) skip_verify: bool,
    /// Files of roots the system trusts, for when nothing above names any.
    pub(super) system_roots: Vec<String>,
}

/// Everything about the connection except the token.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) address: Address,
    pub(super) tls: TlsFiles,
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
        let wrap_ttl = flags.span("wrap-ttl").filter(|ttl| !ttl.is_zero()).map(|ttl| ttl.to_string());
        Ok(Self {
            address: Address::parse(address)?,
            tls: tls_files(flags, env)?,
            timeout: timeout(env)?,
            is_timeout_given: env.setting("CLIENT_TIMEOUT").is_some(),
            retries: retries(env)?,
            headers: headers(flags)?,
            namespace: flags.text("namespace").map(canonical_namespace).filter(|path| !path.is_empty()),
            wrap_ttl,
            disable_redirects: flags.switch("disable-redirects"),
            dry: match (flags.switch("output-curl-string"), flags.switch("output-policy")) {
                (true, _) => Dry::Curl,
                (false, true) => Dry::Policy,
                (false, false) => Dry::No,
            },
        })
    }
}

fn tls_files(flags: &Parsed, env: &Environment) -> Result<TlsFiles, ClientError> {
    let text = |name| flags.text(name).map(str::to_owned);
    if env.setting("SKIP_VERIFY").is_some() && !flags.given("tls-skip-verify") {
        return Err(ClientError::Settings("could not parse BAO_SKIP_VERIFY: write true or false".to_owned()));
    }
    Ok(TlsFiles {
        ca_cert: text("ca-cert"),
        ca_path: text("ca-path"),
        client_cert: text("client-cert"),
        client_key: text("client-key"),
        server_name: text("tls-server-name"),
        skip_verify: flags.switch("tls-skip-verify"),
        system_roots: env.raw("SSL_CERT_FILE").map(str::to_owned).into_iter().collect(),
    })
}

fn timeout(env: &Environment) -> Result<std::time::Duration, ClientError> {
    let unusable = || {
        ClientError::Settings("could not parse \"CLIENT_TIMEOUT\": write seconds or a duration such as 90s".to_owned())
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
