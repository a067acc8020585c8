//! What a call on the bench came to.

use serde_json::Value;

use crate::auth::WRONG_CREDENTIALS;
use crate::bindings::mounted::bulkhead::plugin::types::{AuthGrant, Error, LeaseGrant};
use crate::{Reply, Result};

/// An answer, with the status the API would send.
#[derive(Debug)]
pub struct Answer {
    result: Result<Reply>,
    warnings: Vec<String>,
}

impl Answer {
    /// The host's warnings come after the guest's, and not beside an empty answer.
    pub(super) fn new(result: Result<Reply>, from_host: Vec<String>) -> Self {
        let mut warnings = Vec::new();
        if let Ok(reply) = &result {
            warnings.clone_from(&reply.response.warnings);
            if reply.response.data.is_some() || reply.auth.is_some() || !warnings.is_empty() {
                warnings.extend(from_host);
            }
        }
        Self { result, warnings }
    }

    pub(super) const fn failed(error: Error) -> Self {
        Self { result: Err(error), warnings: Vec::new() }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match &self.result {
            Ok(reply) => reply.response.status.unwrap_or_else(|| self.plain_status(reply)),
            Err(Error::InvalidRequest(_)) => 400,
            Err(Error::PermissionDenied(_)) => 403,
            Err(Error::NotFound) => 404,
            Err(Error::UnsupportedOperation) => 405,
            Err(Error::PreconditionFailed(_)) => 412,
            Err(Error::RateLimited(_)) => 429,
            Err(Error::Internal(_)) => 500,
            Err(Error::Upstream(_)) => 502,
            Err(Error::Unavailable(_)) => 503,
        }
    }

    fn plain_status(&self, reply: &Reply) -> u16 {
        let bare = reply.response.data.is_none() && reply.auth.is_none() && self.warnings.is_empty();
        if bare && reply.response.raw.is_none() { 204 } else { 200 }
    }

    /// The answer, which must have succeeded.
    ///
    /// # Panics
    /// If the call failed, with its error.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        self.result.as_ref().unwrap_or_else(|error| panic!("the call failed: {error:?}"))
    }

    /// Checks that the call succeeded.
    ///
    /// # Panics
    /// If it did not.
    pub fn ok(&self) -> &Self {
        assert!(self.status() < 300, "{self:?}");
        self
    }

    /// The envelope's `data` as text; empty without any.
    #[must_use]
    pub fn text(&self) -> &str {
        let data = self.reply().response.data.as_deref().unwrap_or_default();
        std::str::from_utf8(data).expect("answers are UTF-8")
    }

    /// The envelope's `data`; null without any.
    #[must_use]
    pub fn data(&self) -> Value {
        match self.text() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("answers are JSON"),
        }
    }

    /// The text of the error, or of the reply's first error; empty without one.
    #[must_use]
    pub fn error(&self) -> &str {
        match &self.result {
            Ok(reply) => reply.response.errors.first().map_or("", String::as_str),
            Err(
                Error::InvalidRequest(text)
                | Error::PermissionDenied(text)
                | Error::PreconditionFailed(text)
                | Error::RateLimited(text)
                | Error::Internal(text)
                | Error::Upstream(text)
                | Error::Unavailable(text),
            ) => text,
            Err(Error::NotFound | Error::UnsupportedOperation) => "",
        }
    }

    /// Whether it is a login with wrong credentials, which the host counts against its alias.
    #[must_use]
    pub fn is_wrong_login(&self) -> bool {
        let extra = self.result.as_ref().map_or(&[][..], |reply| &reply.response.extra);
        extra.iter().any(|(name, json)| name == WRONG_CREDENTIALS && json == b"true")
    }

    /// The guest's warnings, then the host's.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The lifetime told without a lease.
    #[must_use]
    pub fn lifetime(&self) -> Option<u64> {
        let extra = &self.reply().response.extra;
        let (_, json) = extra.iter().find(|(name, _)| name == "lease-duration")?;
        serde_json::from_slice(json).ok()
    }

    /// The bytes that replace the envelope.
    #[must_use]
    pub fn raw(&self) -> Option<&[u8]> {
        self.reply().response.raw.as_ref().map(|raw| raw.content.as_slice())
    }

    /// The lease, which must be there.
    ///
    /// # Panics
    /// If nothing was leased.
    #[must_use]
    pub fn lease(&self) -> &LeaseGrant {
        self.reply().lease.as_ref().expect("the answer is leased")
    }

    /// The grant of a login, which must be there.
    ///
    /// # Panics
    /// If nobody was logged in.
    #[must_use]
    pub fn auth(&self) -> &AuthGrant {
        self.reply().auth.as_ref().expect("the answer is a login")
    }
}
