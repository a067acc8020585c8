//! A node that takes no writes any more must not lead others: it would refuse theirs, and with
//! its heartbeats keep them from electing one that takes them.

use std::sync::Arc;

use openraft::async_runtime::WatchReceiver;
use tokio::task::JoinHandle;

use crate::fault::Health;
use crate::raft::Raft;

/// Waits for a fault, until it is dropped.
pub(super) struct StepAside(JoinHandle<()>);

impl Drop for StepAside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl StepAside {
    /// Ends this node's part in the cluster at the first fault, if there are others to go on.
    pub(super) fn start(raft: Raft, health: Arc<Health>) -> Self {
        Self(tokio::spawn(async move {
            health.failed().await;
            let others = raft.metrics().borrow_watched().membership_config.membership().voter_ids().count() > 1;
            if others && let Err(error) = raft.shutdown().await {
                tracing::error!(%error, "the ledger could not be stopped after a fault");
            }
        }))
    }
}
