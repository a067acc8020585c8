//! A request as the API decoded it, within limits, its path canonical.

use std::net::IpAddr;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::hidden::Hidden;
use crate::path::ApiPath;

/// What the client asked for. Operations that only the node itself may start (renew,
/// revoke, rollback, jobs) have no verb, so no client can ask for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// GET.
    Read,
    /// POST or PUT: create or update, which the existence check decides.
    Write,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// LIST, or GET with `list=true`.
    List,
    /// SCAN, or GET with `scan=true`.
    Scan,
    /// HEAD.
    Head,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client's address; `None` where it has none, as over a Unix socket. It is within no
    /// network then.
    pub address: Option<IpAddr>,
    /// Its port; 0 without an address.
    pub port: u16,
    /// Client certificate chain, DER, leaf first; empty without mutual TLS.
    pub certificates: Vec<Vec<u8>>,
    /// Whoever comes this way may read the node's metrics without a token: the listener's
    /// `unauthenticated_metrics_access`.
    pub open_metrics: bool,
    /// What else whoever comes this way may do without a token.
    pub open_ceremonies: OpenCeremonies,
}

/// What holders of key shares may do without a token, by a listener that says so. By default nothing: anybody who
/// reaches it could keep others from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCeremonies {
    /// Make a root token: `disable_unauthed_generate_root_endpoints` is false.
    pub generate_root: bool,
    /// Split the unseal or recovery key anew: `disable_unauthed_rekey_endpoints` is false.
    pub rekey: bool,
}

/// A body, checked against every limit before it was parsed.
pub enum Body {
    /// None, or of length zero.
    Empty,
    /// A JSON object, as sent. Query parameters of a GET, LIST or DELETE and form
    /// bodies arrive in this form too, their values as JSON strings.
    Json(Hidden<Vec<u8>>),
    /// Any other type of content.
    Raw {
        /// The `Content-Type` header.
        content_type: String,
        /// The bytes.
        bytes: Hidden<Vec<u8>>,
    },
    /// Too large to be held: it is read by whoever answers, once the caller was let through.
    Unread(Unread),
}

/// A body that comes piece by piece. Whoever takes it in from the client keeps its bounds.
#[async_trait]
pub trait Pieces: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What the client is told: it comes too slowly, is too long, or broke off.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure>;
}

/// A body of which nothing was read yet.
pub struct Unread(Mutex<Option<Box<dyn Pieces>>>);

impl Unread {
    /// Nothing is asked of the pieces here.
    #[must_use]
    pub fn new(pieces: Box<dyn Pieces>) -> Self {
        Self(Mutex::new(Some(pieces)))
    }

    /// The pieces, the first time.
    pub fn take(&self) -> Option<Box<dyn Pieces>> {
        self.0.lock().take()
    }
}

/// A request on its way into the broker.
pub struct Request {
    /// A UUID made for this request; the answer and both audit lines carry it.
    pub id: String,
    /// What is asked.
    pub verb: Verb,
    /// Where, below `/v1/`, canonical.
    pub path: ApiPath,
    /// `X-Vault-Namespace`, canonical, without slashes at the ends; empty: root.
    pub namespace: String,
    /// The bearer token, if one was sent.
    pub token: Option<Hidden<String>>,
    /// The body.
    pub body: Body,
    /// Content type of the body as sent; empty without one.
    pub content_type: String,
    /// All headers but the token's, names in lower case.
    pub headers: Vec<(String, String)>,
    /// `X-Vault-Wrap-TTL`, in seconds.
    pub wrap_ttl_secs: Option<u64>,
    /// `help=1` was asked for instead of the operation.
    pub help: bool,
    /// The raw query's parameters, decoded.
    pub query: Vec<(String, String)>,
    /// Who sent it.
    pub origin: Origin,
}

impl Request {
    /// The first query parameter of this name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}
