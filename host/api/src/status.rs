//! Which status a failure gets. The only place where that is decided.

use bulkhead_model::failure::FailureKind;
use hyper::StatusCode;

/// A snapshot, which is sent as it is read.
pub(crate) const STREAMED: StatusCode = StatusCode::OK;

/// A browser that asked first may go on.
pub(crate) const PREFLIGHT: StatusCode = StatusCode::OK;

/// A browser asked first for a method that pages do not get.
pub(crate) const PREFLIGHT_METHOD: StatusCode = StatusCode::METHOD_NOT_ALLOWED;

/// A page of a site that is not allowed.
pub(crate) const FOREIGN_PAGE: StatusCode = StatusCode::FORBIDDEN;

/// The status code of a failure.
pub(crate) fn code(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::Invalid => 400,
        FailureKind::Denied => 403,
        FailureKind::NotFound => 404,
        FailureKind::Unsupported => 405,
        FailureKind::Precondition => 412,
        FailureKind::TooLarge => 413,
        FailureKind::MediaType => 415,
        FailureKind::Limited => 429,
        FailureKind::HeaderTooLarge => 431,
        FailureKind::Internal => 500,
        FailureKind::Upstream => 502,
        FailureKind::Unavailable => 503,
        FailureKind::Timeout => 504,
    }
}
