//! Requests to servers outside. The host sends them, to the origins that the operator granted and
//! no others; it follows no redirects.

use crate::bindings::mounted::bulkhead::plugin::http as wit;
use crate::host;
use crate::net::configured;

pub use crate::net::{NetError as HttpError, Tls};
pub use wit::Response as HttpResponse;

/// Longest body of an answer, in bytes.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Longest time for request and answer, in milliseconds.
const TIMEOUT_MS: u32 = 20_000;

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
