//! Short ways to make an error, and how the host's own faults become one.

use crate::bindings::mounted::bulkhead::plugin::storage;
use crate::bindings::mounted::bulkhead::plugin::types::Error;

impl Error {
    /// 400: the request is wrong, and the text says how.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::InvalidRequest(text.into())
    }

    /// 403.
    pub fn denied(text: impl Into<String>) -> Self {
        Self::PermissionDenied(text.into())
    }

    /// 404 without a text: nothing is there.
    #[must_use]
    pub const fn not_found() -> Self {
        Self::NotFound
    }

    /// 500: the text goes to the operator's log, never to the caller.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into())
    }

    /// 502: an outside system refused or broke.
    pub fn upstream(text: impl Into<String>) -> Self {
        Self::Upstream(text.into())
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::TooLarge(limit) => {
                Self::InvalidRequest(format!("value is over the limit of {limit} bytes"))
            }
            storage::Error::Denied(text) => Self::Internal(format!("storage refused: {text}")),
            storage::Error::Backend(text) => Self::Internal(format!("storage failed: {text}")),
        }
    }
}
