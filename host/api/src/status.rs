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

/// A message that breaks HTTP's own rules.
pub(crate) const MALFORMED: StatusCode = StatusCode::BAD_REQUEST;

/// A body in a coding that is not undone here.
pub(crate) const UNKNOWN_CODING: StatusCode = StatusCode::NOT_IMPLEMENTED;

/// A client that wants something promised which is not known here.
pub(crate) const UNMET_EXPECTATION: StatusCode = StatusCode::EXPECTATION_FAILED;

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
