//! The servers outside, as a test answers for them.

use std::cell::RefCell;

use crate::http::{HttpError, HttpResponse, Tls};

/// A request that a handler sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its method.
    pub method: String,
    /// Its address.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// What it asks of the server, if anything.
    pub tls: Option<Tls>,
}

impl Sent {
    /// The header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path, with the query.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map_or("/", |at| &rest[at..])
    }

    /// The body, which is JSON.
    ///
    /// # Panics
    /// It is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// Answers for all servers.
pub(super) type Web = Box<dyn FnMut(&Sent) -> Result<HttpResponse, HttpError>>;

thread_local! {
    static WEB: RefCell<Option<Web>> = const { RefCell::new(None) };
}

/// Runs a call that has these servers around it.
pub(super) fn with<R>(web: &mut Web, call: impl FnOnce() -> R) -> R {
    let taken = std::mem::replace(web, Box::new(|_| Err(HttpError::Closed)));
    WEB.with(|around| *around.borrow_mut() = Some(taken));
    let result = call();
    *web = WEB.with(|around| around.borrow_mut().take()).expect("put there above");
    result
}

/// `http`.
pub(crate) mod http {
    use super::{Sent, WEB};
    use crate::bench::wires::net;
    use crate::bindings::mounted::bulkhead::plugin::http::{Options, Request};
    use crate::http::{HttpError, HttpResponse};

    pub(crate) fn send(
        request: &Request,
        tls: Option<&net::TlsConfig>,
        _options: Options,
    ) -> Result<HttpResponse, HttpError> {
        let sent = Sent {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            tls: tls.map(net::TlsConfig::asked),
        };
        // What is mounted has no way out yet.
        WEB.with(|around| match around.borrow_mut().as_mut() {
            Some(answer) => answer(&sent),
            None => Err(HttpError::Denied(sent.url.clone())),
        })
    }
}
