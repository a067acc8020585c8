//! Why a request came to nothing, and what the user can do about it.

use serde_json::Value;

use super::secret::Secret;

/// What kept a request from an answer, or what answer it got.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The server refused.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// Nobody could be reached.
    #[error("{method} {url:?}: {source}")]
    Connect {
        /// HTTP method, in Go's spelling.
        method: String,
        /// The whole URL.
        url: String,
        /// Where it was tried, as an address is given.
        at: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The TLS handshake failed.
    #[error("{method} {url:?}: {source}")]
    Tls {
        /// HTTP method, in Go's spelling.
        method: String,
        /// The whole URL.
        url: String,
        /// What the TLS library says.
        source: std::io::Error,
    },
    /// The server does not take the client's certificate, or wants one.
    #[error("{method} {url:?}: remote error: tls: {alert}")]
    Certificate {
        /// HTTP method, in Go's spelling.
        method: String,
        /// The whole URL.
        url: String,
        /// What it says, in Go's words.
        alert: &'static str,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("{method} {url:?}: {what}")]
    Http {
        /// HTTP method, in Go's spelling.
        method: String,
        /// The whole URL.
        url: String,
        /// What went wrong.
        what: String,
    },
    /// No answer in time.
    #[error("{method} {url:?}: no answer within {secs} s")]
    Timeout {
        /// HTTP method, in Go's spelling.
        method: String,
        /// The whole URL.
        url: String,
        /// How long was waited.
        secs: u64,
    },
    /// The answer is not what the API promises.
    #[error("the server's answer is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// The answer is an error without a status to say so.
    #[error("{0}")]
    Errors(String),
    /// A redirect that must not be followed.
    #[error("redirect to {location:?} would cause protocol downgrade")]
    Downgrade {
        /// Where it pointed.
        location: String,
    },
    /// Redirects without end.
    #[error("too many redirects, the last to {url}")]
    Redirects {
        /// Where the last pointed.
        url: String,
    },
    /// An address, certificate or setting that cannot be used.
    #[error("{0}")]
    Settings(String),
    /// Not a failure: what a dry run prints instead of sending.
    #[error("dry run")]
    Dry(String),
}

impl ClientError {
    /// What a dry run is to print.
    pub(crate) fn dry_run(&self) -> Option<&str> {
        match self {
            Self::Dry(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the server only could not wait for the end of what it goes on with.
    pub(crate) fn says_it_goes_on(&self) -> bool {
        matches!(self, Self::Api(error) if error.status == 504 && error.errors.iter().any(|text| text.contains("goes on")))
    }

    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            _ => None,
        }
    }

    /// What the server wants the user to know beside its refusal.
    pub(crate) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Api(error) => {
                Secret::parse(&error.body).ok().flatten().map(|secret| secret.warnings).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the server refused because it is sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self, Self::Api(error) if error.status == 503 && error.errors.iter().any(|text| text.contains("is sealed")))
    }

    /// What to do next, where that can be told from the error.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Connect { at, source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused => {
                Some(format!(
                    "Nobody listens at {at}. Is the server running? Start one with \"bulkhead server -dev\",\n\
                 or name another address with -address or in BULKHEAD_ADDR."
                ))
            }
            Self::Connect { at, .. } => {
                Some(format!("The address in use is {at}; set another with -address or in BULKHEAD_ADDR."))
            }
            Self::Tls { url, source, .. } if source.to_string().contains("HTTP response") => Some(format!(
                "The server speaks HTTP, but the address says https. If TLS is switched off there, try:\n\n    \
                 export BULKHEAD_ADDR={}",
                origin(url).replacen("https", "http", 1)
            )),
            Self::Certificate { .. } => Some(
                "The server wants to know its clients by their certificates: give -client-cert and -client-key\n\
                 (BULKHEAD_CLIENT_CERT, BULKHEAD_CLIENT_KEY), with a certificate of an authority that it trusts."
                    .to_owned(),
            ),
            Self::Tls { .. } => {
                Some("Name the CA that vouches for the server with -ca-cert or in BULKHEAD_CACERT; if its certificate is for another\n\
                 name than the address has, give that name with -tls-server-name.".to_owned())
            }
            Self::Http { url, .. } if url.starts_with("http://") => Some(format!(
                "If the server speaks TLS, try:\n\n    export BULKHEAD_ADDR={}",
                origin(url).replacen("http", "https", 1)
            )),
            Self::Api(error) => error.hint(self.is_sealed()),
            _ => None,
        }
    }
}

/// Scheme and host of a URL.
pub(super) fn origin(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

/// A refusal, as the server put it.
#[derive(Debug)]
pub(crate) struct ApiError {
    method: String,
    url: String,
    /// HTTP status.
    pub(crate) status: u16,
    namespace: Option<String>,
    errors: Vec<String>,
    is_raw: bool,
    /// The whole body: a 404 may carry data.
    pub(crate) body: Vec<u8>,
}

impl ApiError {
    pub(super) fn new(method: &str, url: &str, status: u16, body: Vec<u8>, namespace: Option<String>) -> Self {
        let errors =
            serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object).map(|value| error_texts(&value));
        let (errors, is_raw) = match errors {
            Some(errors) => (errors, false),
            None => (vec![String::from_utf8_lossy(&body).into_owned()], true),
        };
        Self { method: method.to_owned(), url: url.to_owned(), status, namespace, errors, is_raw, body }
    }

    fn hint(&self, is_sealed: bool) -> Option<String> {
        if is_sealed {
            return Some(
                "Unseal it with \"bulkhead operator unseal\", once for every key share it asks for; a new server has\n\
                 no shares before \"bulkhead operator init\"."
                    .to_owned(),
            );
        }
        if self.status == 400
            && self.url.starts_with("http://")
            && self.errors.iter().any(|text| text.contains("HTTP request to an HTTPS server"))
        {
            return Some(format!(
                "The server speaks TLS. Try:\n\n    export BULKHEAD_ADDR={}",
                origin(&self.url).replacen("http", "https", 1)
            ));
        }
        None
    }
}

fn error_texts(value: &Value) -> Vec<String> {
    let errors = value.get("errors").and_then(Value::as_array);
    errors.into_iter().flatten().map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect()
}

/// The peers' wording, which scripts match on.
impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Error making API request.\n\n")?;
        if let Some(namespace) = self.namespace.as_deref().filter(|path| !path.is_empty() && *path != "root/") {
            writeln!(f, "Namespace: {namespace}")?;
        }
        let kind = if self.is_raw { "Raw Message" } else { "Errors" };
        write!(f, "URL: {} {}\nCode: {}. {kind}:\n\n", self.method, self.url, self.status)?;
        for text in &self.errors {
            if self.is_raw { f.write_str(text)? } else { write!(f, "* {text}")? }
        }
        Ok(())
    }
}
