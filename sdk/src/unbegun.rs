//! How a driver says that an error is from before it had begun anything, and an engine hears it: the
//! kinds of errors know no such thing, so it is said within one that drivers have no other use for.

use crate::Error;

const BEGIN: &str = "nothing was begun (";
const END: &str = "): ";

/// The same error, saying so. One of a kind without a number here says no more than it did.
pub(crate) fn said(error: Error) -> Error {
    let (status, text) = match error {
        Error::InvalidRequest(text) => (400, text),
        Error::PermissionDenied(text) => (403, text),
        Error::Upstream(text) => (502, text),
        Error::Unavailable(text) => (503, text),
        other => return other,
    };
    Error::RateLimited(format!("{BEGIN}{status}{END}{text}"))
}

/// The error that it was, and whether something may have been begun.
pub(crate) fn heard(error: Error) -> (Error, bool) {
    let Error::RateLimited(told) = &error else { return (error, true) };
    let parts = told.strip_prefix(BEGIN).and_then(|rest| rest.split_once(END));
    let was = parts.and_then(|(status, text)| {
        let kind = match status {
            "400" => Error::InvalidRequest,
            "403" => Error::PermissionDenied,
            "502" => Error::Upstream,
            "503" => Error::Unavailable,
            _ => return None,
        };
        Some(kind(text.to_owned()))
    });
    was.map_or((error, true), |was| (was, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_what_it_was_and_says_that_nothing_was_begun() {
        let kinds = [Error::InvalidRequest, Error::PermissionDenied, Error::Upstream, Error::Unavailable];
        for kind in kinds {
            let text = "dial h:1): refused (503): x";
            let (was, is_begun) = heard(said(kind(text.to_owned())));
            assert_eq!((format!("{was:?}"), is_begun), (format!("{:?}", kind(text.to_owned())), false));
        }
    }

    #[test]
    fn no_other_error_says_so_whatever_its_text() {
        for error in [
            Error::RateLimited("slow down".to_owned()),
            Error::RateLimited("nothing was begun (200): x".to_owned()),
            Error::RateLimited("nothing was begun (503)".to_owned()),
            Error::Unavailable("nothing was begun (503): x".to_owned()),
            said(Error::PreconditionFailed("there is one".to_owned())),
            said(Error::Internal("broken".to_owned())),
        ] {
            let before = format!("{error:?}");
            let (was, is_begun) = heard(error);
            assert_eq!((format!("{was:?}"), is_begun), (before, true));
        }
    }
}
