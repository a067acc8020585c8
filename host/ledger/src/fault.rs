//! Remembers the first fault that stopped the ledger, and words it for operators.
//! After a failed write or sync nothing more is written: what the disk holds is unknown.

use std::io;
use std::sync::OnceLock;

use bulkhead_model::seam::ledger::LedgerError;
use openraft::error::Fatal;
use tokio::sync::Notify;

use crate::raft::Types;

/// The first fault, if there was one. Reads go on; writes don't.
#[derive(Default)]
pub(crate) struct Health {
    first: OnceLock<LedgerError>,
    failed: Notify,
}

impl Health {
    /// Notes a fault; only the first one counts. Returns it.
    pub(crate) fn fail(&self, error: LedgerError) -> &LedgerError {
        if self.first.get().is_none() {
            tracing::error!(%error, "the ledger has stopped taking writes");
        }
        let first = self.first.get_or_init(|| error);
        self.failed.notify_one();
        first
    }

    /// Returns once there is a fault. One may wait for it.
    pub(crate) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// The fault that stopped the ledger.
    pub(crate) fn fault(&self) -> Option<LedgerError> {
        self.first.get().cloned()
    }
}

/// An I/O error as operators should read it.
pub(crate) fn storage(doing: &'static str, error: &io::Error) -> LedgerError {
    let cause = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("disk full: free space and restart ({error})")
        }
        _ => error.to_string(),
    };
    LedgerError::Storage { doing, cause }
}

/// The same error for openraft, which speaks `io::Error`.
pub(crate) fn as_io(error: &LedgerError) -> io::Error {
    io::Error::other(error.to_string())
}

/// Why Raft has stopped: the fault that was noted first, or what it says itself.
pub(crate) fn explain_fatal(health: &Health, error: &Fatal<Types>) -> LedgerError {
    health.fault().unwrap_or_else(|| LedgerError::Stopped { cause: error.to_string() })
}
