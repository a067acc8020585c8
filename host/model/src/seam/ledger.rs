//! Replicated, ordered, durable bytes. Kept by the ledger room; all it sees is ciphertext.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::change::{Change, Verdict, Version};
use crate::seam::cluster::{Cluster, Leader};

/// What went wrong in the ledger, and whose fault it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The disk or the store failed; the node must stop serving writes.
    #[error("storage failed while {doing}: {cause}")]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        cause: String,
    },
    /// Stored bytes are not what was written.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// Which file or record, and how it was noticed.
        what: String,
    },
    /// This node does not lead; the change must go to the leader.
    #[error("this node is not the leader")]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<Leader>,
    },
    /// No answer in time. The change may or may not have been committed.
    #[error("no answer from the cluster in time")]
    Timeout,
    /// The ledger is shutting down or has stopped after a fault.
    #[error("the ledger has stopped: {cause}")]
    Stopped {
        /// Why.
        cause: String,
    },
    /// A key, value or change is over its limit; nothing was proposed.
    #[error("{what} is {bytes} bytes, over the limit of {limit}")]
    TooLarge {
        /// Which thing.
        what: &'static str,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// A record and the version it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Log index of the entry that wrote it.
    pub version: Version,
    /// The value.
    pub bytes: Vec<u8>,
}

/// The whole state at one moment. Later changes do not show in it.
pub trait View: Send + Sync {
    /// The record at a key.
    ///
    /// # Errors
    /// [`LedgerError::Storage`] or [`LedgerError::Damaged`].
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, LedgerError>;

    /// Up to `limit` keys in `[from, end)`, in byte order.
    ///
    /// # Errors
    /// As for [`View::get`].
    fn keys(&self, from: &[u8], end: &[u8], limit: u32) -> Result<Vec<Vec<u8>>, LedgerError>;
}

/// Where this node stands in its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether this node leads.
    pub leader: bool,
    /// Raft term.
    pub term: u64,
    /// Last index known to be committed.
    pub committed_index: u64,
    /// Last index applied to the state.
    pub applied_index: u64,
}

/// The ledger of one node.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// A snapshot of the applied state.
    ///
    /// # Errors
    /// [`LedgerError::Storage`] or [`LedgerError::Stopped`].
    fn view(&self) -> Result<Arc<dyn View>, LedgerError>;

    /// Returns once every change acknowledged before this call shows in views taken after.
    ///
    /// Any node may be asked; one that does not lead asks the leader how far it must be.
    ///
    /// # Errors
    /// [`LedgerError::NotLeader`] on a node that belongs to no cluster,
    /// [`LedgerError::Timeout`] or [`LedgerError::Stopped`].
    async fn linearizable(&self) -> Result<(), LedgerError>;

    /// Returns once every change acknowledged longer than `age` before this call shows in
    /// views taken after. Where that is known to be so already, nobody is asked.
    ///
    /// # Errors
    /// As for [`Ledger::linearizable`].
    async fn fresh_within(&self, age: Duration) -> Result<(), LedgerError> {
        let _ = age;
        self.linearizable().await
    }

    /// Returns once the entry at `index` shows in views taken after, or `within` has passed.
    ///
    /// # Errors
    /// [`LedgerError::Timeout`].
    async fn reached(&self, index: u64, within: Duration) -> Result<(), LedgerError> {
        let _ = within;
        if self.standing().applied_index >= index { Ok(()) } else { Err(LedgerError::Timeout) }
    }

    /// Commits a change as one log entry, if its checks still hold. Returns after it is
    /// on a majority's disk and applied here.
    ///
    /// # Errors
    /// Any [`LedgerError`]; after `Timeout` and `Stopped` the outcome is unknown.
    async fn propose(&self, change: Change) -> Result<Verdict, LedgerError>;

    /// Makes this node, if its storage is fresh, a cluster of one that others may join.
    /// Does nothing on a node that belongs to a cluster already.
    ///
    /// # Errors
    /// Any [`LedgerError`].
    async fn bootstrap(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Where this node stands.
    fn standing(&self) -> Standing;

    /// The cluster this node is, or can be, a member of; `None` where storage is not shared.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }
}
