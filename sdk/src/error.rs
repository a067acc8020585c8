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

/// Why a value of this length could not be written. The host says only a limit; a value
/// within it was one too many for the change.
pub(crate) fn put_refused(error: storage::Error, value_bytes: usize) -> Error {
    match error {
        storage::Error::TooLarge(limit) if value_bytes as u64 > limit => {
            Error::InvalidRequest(format!("value is over the limit of {limit} bytes"))
        }
        other => other.into(),
    }
}

/// Why the names below a folder could not be told. The limit may be one of names or of
/// their bytes; the host does not say which.
pub(crate) fn names_refused(error: storage::Error) -> Error {
    match error {
        storage::Error::TooLarge(limit) => {
            Error::InvalidRequest(format!("too many names below this path: they are over the limit of {limit}"))
        }
        other => other.into(),
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::TooLarge(limit) => {
                Self::InvalidRequest(format!("the whole change is over the limit of {limit} bytes"))
            }
            // Keys are made of what callers ask for, and so is their length.
            storage::Error::Denied(text) if text.ends_with("is too long") => {
                Self::InvalidRequest(format!("storage refused: {text}"))
            }
            storage::Error::Denied(text) => Self::Internal(format!("storage refused: {text}")),
            storage::Error::Backend(text) => Self::Internal(format!("storage failed: {text}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: Error) -> String {
        match error {
            Error::InvalidRequest(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_limit_is_told_with_what_is_over_it() {
        let refused = || storage::Error::TooLarge(1000);
        assert_eq!(text(put_refused(refused(), 1001)), "value is over the limit of 1000 bytes");
        assert_eq!(text(put_refused(refused(), 1000)), "the whole change is over the limit of 1000 bytes");
        assert_eq!(text(refused().into()), "the whole change is over the limit of 1000 bytes");
        assert_eq!(text(storage::Error::Denied("key is too long".into()).into()), "storage refused: key is too long");
        assert_eq!(text(names_refused(refused())), "too many names below this path: they are over the limit of 1000");
    }
}
