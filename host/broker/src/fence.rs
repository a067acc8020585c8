//! How long an open node may go on: until it is sealed, or a snapshot took the place of the
//! state it was opened on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bulkhead_model::change::Version;
use bulkhead_model::failure::{Failure, FailureKind};
use tokio::sync::Notify;

use crate::fault::Fault;

/// What ends an open node, or keeps it from committing.
pub(crate) struct Fence {
    /// The version of the cluster's record: another one is of another state.
    moment: AtomicU64,
    /// Nothing is committed, and nothing begun, while this is above 0: so many want it so.
    shut: AtomicU64,
    /// Nor once this is set.
    closed: AtomicBool,
    /// The node was sealed.
    ended: AtomicBool,
    closing: Notify,
}

impl Fence {
    pub(crate) fn new(moment: Version) -> Self {
        let (closed, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { moment: AtomicU64::new(moment), shut: AtomicU64::new(0), closed, ended, closing: Notify::new() }
    }

    /// The version of the cluster's record in the state in use.
    pub(crate) fn moment(&self) -> Version {
        self.moment.load(Ordering::Relaxed)
    }

    /// Another state of the same cluster is in use.
    pub(crate) fn moved(&self, moment: Version) {
        self.moment.store(moment, Ordering::Relaxed);
    }

    /// Has the node seal itself; until then it begins nothing new, and commits nothing.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.closing.notify_one();
    }

    /// Returns once the node is to seal itself.
    pub(crate) async fn closing(&self) {
        self.closing.notified().await;
    }

    /// Begins nothing new and commits nothing, until it is said that this is over.
    pub(crate) fn shut(&self, shut: bool) {
        if shut {
            self.shut.fetch_add(1, Ordering::SeqCst);
        } else {
            self.shut.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// # Errors
    /// 503, while nothing may be begun or committed.
    pub(crate) fn refuse_shut(&self) -> Result<(), Fault> {
        let is_shut = self.closed.load(Ordering::SeqCst) || self.shut.load(Ordering::SeqCst) > 0;
        if is_shut { Err(sealed()) } else { Ok(()) }
    }

    /// Told when the node was sealed, to those who still work.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// # Errors
    /// 503, once the node was sealed.
    pub(crate) fn refuse_ended(&self) -> Result<(), Fault> {
        if self.ended.load(Ordering::SeqCst) { Err(sealed()) } else { Ok(()) }
    }
}

fn sealed() -> Fault {
    Failure::new(FailureKind::Unavailable, "Vault is sealed").into()
}
