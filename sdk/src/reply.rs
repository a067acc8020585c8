//! Answers, and what handlers may return as one.

use serde::Serialize;

use crate::bindings::mounted::bulkhead::plugin::types::{AuthGrant, LeaseGrant, RawBody, Response};
use crate::{Error, Result, Seconds, json};

/// An answer. Whatever its status, what the call wrote is committed; to undo it, return
/// an [`Error`].
#[derive(Debug)]
pub struct Reply {
    pub(crate) response: Response,
    pub(crate) lease: Option<LeaseGrant>,
    pub(crate) auth: Option<AuthGrant>,
}

impl Reply {
    /// 204 without a body.
    #[must_use]
    pub const fn empty() -> Self {
        let response = Response {
            data: None,
            warnings: Vec::new(),
            errors: Vec::new(),
            status: None,
            headers: Vec::new(),
            raw: None,
            force_wrap: None,
            extra: Vec::new(),
        };
        Self { response, lease: None, auth: None }
    }

    /// `data` as JSON text; see [`json::Object`].
    #[must_use]
    pub fn text(data: String) -> Self {
        let mut reply = Self::empty();
        reply.response.data = Some(data.into_bytes());
        reply
    }

    /// `data` through serde.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON.
    pub fn json(data: &impl Serialize) -> Result<Self> {
        let text =
            serde_json::to_string(data).map_err(|error| Error::internal(format!("encoding an answer: {error}")))?;
        Ok(Self::text(text))
    }

    /// Bytes of another type instead of the envelope.
    #[must_use]
    pub fn raw(content_type: &str, content: Vec<u8>) -> Self {
        let mut reply = Self::empty();
        reply.response.raw = Some(RawBody { content_type: content_type.to_owned(), content });
        reply
    }

    /// A failure that still commits: its status, and texts for the caller.
    #[must_use]
    pub fn failed(status: u16, error: impl Into<String>) -> Self {
        let mut reply = Self::empty().status(status);
        reply.response.errors.push(error.into());
        reply
    }

    /// A failure that still commits: the one that `error` would be if it were returned.
    ///
    /// # Errors
    /// The error itself, where its text is not for the caller.
    pub fn refused(error: Error) -> Result<Self> {
        let (status, text) = match error {
            Error::InvalidRequest(text) => (400, text),
            Error::PermissionDenied(text) => (403, text),
            Error::PreconditionFailed(text) => (412, text),
            Error::RateLimited(text) => (429, text),
            Error::Upstream(text) => (502, text),
            Error::Unavailable(text) => (503, text),
            other => return Err(other),
        };
        Ok(Self::failed(status, text))
    }

    /// Another status than 200 or 204.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.response.status = Some(status);
        self
    }

    /// Adds a warning.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.response.warnings.push(warning.into());
        self
    }

    /// Tells a lifetime without leasing anything.
    #[must_use]
    pub fn lifetime(mut self, secs: u64) -> Self {
        self.response.extra.push(("lease-duration".to_owned(), secs.to_string().into_bytes()));
        self
    }

    /// Sets an HTTP header of the answer; it is sent where the operator lets the mount set it
    /// (`allowed_response_headers`).
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.response.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts the answer behind a single-use token even if the caller did not ask for it.
    #[must_use]
    pub const fn wrapped(mut self, ttl: Seconds) -> Self {
        self.response.force_wrap = Some(ttl.0);
        self
    }

    /// Leases the answer: the host calls the `#[revoke]` handler of this kind when its
    /// time is over, and hands `internal` back. Zero seconds: the mount's default.
    ///
    /// # Errors
    /// [`Error::Internal`] if `internal` cannot be written as JSON.
    pub fn leased(mut self, kind: &str, ttl: Seconds, internal: &impl Serialize) -> Result<Self> {
        let internal =
            serde_json::to_vec(internal).map_err(|error| Error::internal(format!("encoding a lease: {error}")))?;
        let ttl = Some(ttl.0).filter(|secs| *secs > 0);
        self.lease = Some(LeaseGrant { kind: kind.to_owned(), ttl, max_ttl: None, renewable: true, internal });
        Ok(self)
    }

    /// The lease's longest life.
    #[must_use]
    pub const fn max_ttl(mut self, max: Seconds) -> Self {
        if let Some(lease) = &mut self.lease {
            lease.max_ttl = Some(max.0);
        }
        self
    }

    /// The lease ends at its time, whatever the caller asks.
    #[must_use]
    pub const fn not_renewable(mut self) -> Self {
        if let Some(lease) = &mut self.lease {
            lease.renewable = false;
        }
        self
    }
}

/// What a handler may return.
pub trait IntoReply {
    /// The answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an empty list; [`Error::Internal`] for what is not JSON.
    fn into_reply(self) -> Result<Reply>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::empty())
    }
}

impl IntoReply for serde_json::Value {
    fn into_reply(self) -> Result<Reply> {
        Reply::json(&self)
    }
}

/// Answers with anything serde can write.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoReply for Json<T> {
    fn into_reply(self) -> Result<Reply> {
        Reply::json(&self.0)
    }
}

/// Answers a list: `{"keys": [...]}`, or 404 without any, as Vault does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(pub Vec<String>);

impl IntoReply for Keys {
    fn into_reply(self) -> Result<Reply> {
        if self.0.is_empty() {
            return Err(Error::NotFound);
        }
        let keys = json::strings(self.0.iter().map(String::as_str));
        Ok(Reply::text(json::Object::with_room(keys.len() + 16).json("keys", &keys).end()))
    }
}

/// `json!({..}).leased("kind", ttl, internal)`.
pub trait Leased: Serialize + Sized {
    /// A leased answer; see [`Reply::leased`].
    ///
    /// # Errors
    /// [`Error::Internal`] if either part cannot be written as JSON.
    fn leased(self, kind: &str, ttl: Seconds, internal: impl Serialize) -> Result<Reply> {
        Reply::json(&self)?.leased(kind, ttl, &internal)
    }
}

impl Leased for serde_json::Value {}
