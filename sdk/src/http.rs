//! Requests to servers outside. The host sends them, to the origins that the operator granted and
//! no others; it follows no redirects.

use crate::bindings::mounted::bulkhead::plugin::http as wit;
use crate::bindings::mounted::bulkhead::plugin::net;
use crate::{Error, host};

pub use net::Error as HttpError;
pub use wit::Response as HttpResponse;

/// Longest body of an answer, in bytes.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Longest time for request and answer, in milliseconds.
const TIMEOUT_MS: u32 = 20_000;

/// How a server shows who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name its certificate must have; that of the address where none is given.
    pub server_name: Option<String>,
    /// The authorities that are believed, PEM; those of the machine where none are given.
    pub roots_pem: Option<String>,
    /// Takes any certificate. Needs a grant of its own.
    pub is_insecure: bool,
}

/// A request.
#[derive(Debug)]
pub struct HttpRequest<'a> {
    request: wit::Request,
    tls: Option<&'a Tls>,
}

impl<'a> HttpRequest<'a> {
    /// A request with this method, in capitals.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let request =
            wit::Request { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), body: Vec::new() };
        Self { request, tls: None }
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends this JSON.
    #[must_use]
    pub fn json(self, body: Vec<u8>) -> Self {
        let mut request = self.header("Content-Type", "application/json");
        request.request.body = body;
        request
    }

    /// Asks this of the server where TLS is spoken.
    #[must_use]
    pub const fn tls(mut self, tls: &'a Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sends it, once.
    ///
    /// # Errors
    /// There was no answer. An answer with any status is none.
    pub fn send(self) -> Result<HttpResponse, HttpError> {
        let config = self.tls.map(configured).transpose()?;
        let options = wit::Options { timeout_ms: TIMEOUT_MS, max_body: BODY_BYTES_MAX, follow_redirects: 0 };
        host::http::send(&self.request, config.as_ref(), options)
    }
}

fn configured(tls: &Tls) -> Result<host::net::TlsConfig, HttpError> {
    let config = host::net::TlsConfig::new();
    if let Some(name) = &tls.server_name {
        config.server_name(name);
    }
    if let Some(pem) = &tls.roots_pem {
        config.roots_pem(pem.as_bytes())?;
    }
    if tls.is_insecure {
        config.verification(net::Verification::Insecure);
    }
    Ok(config)
}

/// What a request without an answer usually means: nothing to the caller, and worth trying
/// again, but for a grant that is missing.
impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(grant) => Self::PermissionDenied(format!("this plugin is not granted {grant}")),
            HttpError::Resolve(text) | HttpError::Refused(text) | HttpError::Other(text) => Self::Unavailable(text),
            HttpError::Tls(text) => Self::Unavailable(format!("TLS: {text}")),
            HttpError::Timeout => Self::Unavailable("it took too long".to_owned()),
            HttpError::Closed => Self::Unavailable("the connection was ended before the answer".to_owned()),
        }
    }
}
