//! Why a request was not served: a kind, which alone decides the status code, and
//! the texts the caller sees. Nothing secret may enter a text.

/// Whose fault it is, and so which status the API answers (in `api/status.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The request is wrong: 400.
    Invalid,
    /// No valid token, or no policy grants it: 403.
    Denied,
    /// Nothing there: 404.
    NotFound,
    /// The path exists, the operation does not: 405.
    Unsupported,
    /// A precondition (compare-and-set over the API) did not hold: 412.
    Precondition,
    /// The body is over its limit: 413.
    TooLarge,
    /// The body is not of a type this path takes: 415.
    MediaType,
    /// Turned away by a quota: 429.
    Limited,
    /// A header is over its limit: 431.
    HeaderTooLarge,
    /// Our fault; the log has the details: 500.
    Internal,
    /// An outside system refused or broke: 502.
    Upstream,
    /// Sealed, not initialised, or no leader; worth retrying: 503.
    Unavailable,
    /// The request took too long: 504.
    Timeout,
}

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Decides the status code.
    pub kind: FailureKind,
    /// The API's `errors` array.
    pub errors: Vec<String>,
}

impl Failure {
    /// A failure with one text.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, errors: vec![text.into()] }
    }

    /// 400 with one text.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, text)
    }

    /// 404 without a text: Vault's answer for a secret that is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self { kind: FailureKind::NotFound, errors: Vec::new() }
    }

    /// 403 for a token that is missing, unknown or expired.
    #[must_use]
    pub fn bad_token() -> Self {
        Self::new(FailureKind::Denied, "permission denied")
    }

    /// 403 for a known caller whom no policy lets through. Vault prints it as a Go
    /// multi-error, and clients match on the text.
    #[must_use]
    pub fn denied() -> Self {
        Self::new(FailureKind::Denied, "1 error occurred:\n\t* permission denied\n\n")
    }

    /// 500; the cause belongs in the operator's log, not in the answer.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(FailureKind::Internal, "internal error")
    }
}
