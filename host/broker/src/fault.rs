//! Why a step could not go on: an answer for the caller, or a fault of ours.

use bulkhead_barrier::StoreError;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::seam::ledger::LedgerError;

use crate::book::config::AclError;

/// Ends a visit early.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller gets this.
    Answer(Failure),
    /// The caller gets this, but what the visit wrote so far is committed all the same
    /// (a use of a token, a lockout counter).
    AnswerAndCommit(Failure),
    /// The store failed or held something damaged.
    Store(StoreError),
    /// The ledger failed.
    Ledger(LedgerError),
    /// Another change came first: the whole visit runs again.
    Conflict,
    /// The leases of a quota are being counted: the visit runs again then.
    Uncounted,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Answer(failure)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<AclError> for Fault {
    fn from(error: AclError) -> Self {
        match error {
            AclError::Store(error) => Self::Store(error),
            AclError::Policy { name, error } => {
                let text = wrapped(&format!("error parsing templated policy {name:?}: {error}"));
                Self::Answer(Failure::new(FailureKind::Denied, text))
            }
        }
    }
}

impl Fault {
    /// Whether it is only that another node leads. Nothing was proposed then.
    pub(crate) fn is_not_leader(&self) -> bool {
        matches!(
            self,
            Self::Ledger(LedgerError::NotLeader { .. })
                | Self::Store(StoreError::Ledger(LedgerError::NotLeader { .. }))
        )
    }

    /// Whether it is not known what became of a change that was proposed.
    pub(crate) fn is_undecided(&self) -> bool {
        use LedgerError as E;
        let is = |error: &E| !matches!(error, E::NotLeader { .. } | E::TooLarge { .. });
        match self {
            Self::Ledger(error) | Self::Store(StoreError::Ledger(error)) => is(error),
            _ => false,
        }
    }

    /// 400 with one text.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Answer(Failure::invalid(text))
    }

    /// 400 in the form of a Go multi-error, as Vault answers where a handler returned
    /// its error beside the response.
    pub(crate) fn invalid_wrapped(text: &str) -> Self {
        Self::invalid(wrapped(text))
    }

    /// Whether the ledger failed: that is no fault of the thing at hand, and the next one
    /// would meet it as well.
    pub(crate) fn is_of_ledger(&self) -> bool {
        matches!(self, Self::Ledger(_) | Self::Store(StoreError::Ledger(_)))
    }

    /// Why something that the host does by itself failed, for operators who ask: as a caller would be told.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Answer(failure) | Self::AnswerAndCommit(failure) => failure.errors.join("; "),
            Self::Store(_) | Self::Ledger(_) => "storage failed; see the server's log".to_owned(),
            Self::Conflict | Self::Uncounted => "others change the same data".to_owned(),
        }
    }

    /// The same for the log: no text of a plugin, which may quote what is nobody's business there.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Answer(failure) | Self::AnswerAndCommit(failure) => format!("{:?}", failure.kind),
            Self::Store(StoreError::BadKey(_)) => "a name that is none".to_owned(),
            Self::Store(error) => error.to_string(),
            Self::Ledger(error) => error.to_string(),
            Self::Conflict => "others change the same data".to_owned(),
            Self::Uncounted => "leases are being counted".to_owned(),
        }
    }

    /// What the caller is told. The cause of a fault of ours goes to the log alone.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Answer(failure) | Self::AnswerAndCommit(failure) => failure,
            Self::Store(error) => store_failure(&error),
            Self::Ledger(error) => ledger_failure(&error),
            Self::Uncounted => {
                Failure::new(FailureKind::Unavailable, "the leases of a quota are being counted; try again")
            }
            Self::Conflict => {
                Failure::new(FailureKind::Unavailable, "too many requests change the same data; try again")
            }
        }
    }
}

/// Vault's multi-error text around one error.
pub(crate) fn wrapped(text: &str) -> String {
    wrapped_all(&[text])
}

/// As [`wrapped`], around several.
pub(crate) fn wrapped_all(texts: &[impl AsRef<str>]) -> String {
    let lines: String = texts.iter().map(|text| format!("\t* {}\n", text.as_ref())).collect();
    let errors = if texts.len() == 1 { "error" } else { "errors" };
    format!("{} {errors} occurred:\n{lines}\n", texts.len())
}

fn store_failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Ledger(ledger) => ledger_failure(ledger),
        // As from a plugin, whose own answer it is there: 413 is about bodies.
        StoreError::BadKey(_) | StoreError::TooLarge { .. } => Failure::invalid(error.to_string()),
        StoreError::TooMany { .. } => Failure::new(FailureKind::TooLarge, error.to_string()),
        StoreError::Damaged { .. } | StoreError::UnknownTerm { .. } => {
            tracing::error!(error = %error, "stored data could not be used");
            Failure::internal()
        }
    }
}

fn ledger_failure(error: &LedgerError) -> Failure {
    match error {
        LedgerError::TooLarge { what, bytes, limit } => {
            Failure::new(FailureKind::TooLarge, format!("{what} is {bytes} bytes, over the limit of {limit}"))
        }
        LedgerError::NotLeader { .. } => Failure::new(FailureKind::Unavailable, "this node is not the leader"),
        LedgerError::Timeout => Failure::new(
            FailureKind::Unavailable,
            "the cluster did not answer in time; the change may or may not apply",
        ),
        LedgerError::Storage { .. } | LedgerError::Damaged { .. } | LedgerError::Stopped { .. } => {
            tracing::error!(error = %error, "storage failed");
            Failure::new(FailureKind::Internal, "storage failed: the node cannot take writes; see the server's log")
        }
    }
}
