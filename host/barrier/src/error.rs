//! Why the barrier could not read or write. No key name and no value enters a text:
//! these end up in logs.

use bulkhead_model::seam::ledger::LedgerError;

use crate::key::{KeyError, SpaceId};

/// Why a read or write failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A stored record is not what the barrier wrote there: rot, or somebody's hand.
    #[error("a record in space {space:?} is damaged: {what}")]
    Damaged {
        /// Which space; its id says nothing about what is in it.
        space: SpaceId,
        /// How it was noticed.
        what: &'static str,
    },
    /// A record is of a term this node has no key for. The node missed a rotation and
    /// is to [`refresh`](crate::Barrier::refresh), or the record is damaged.
    #[error("a record in space {space:?} is of term {term}, which is not in the keyring")]
    UnknownTerm {
        /// Which space.
        space: SpaceId,
        /// The record's term.
        term: u32,
    },
    /// A value or the whole change is over its limit.
    #[error("{what} is over the limit of {limit} bytes")]
    TooLarge {
        /// Which thing.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The transaction reads, writes or walks over more than it may.
    #[error("transaction touches more than {limit} {what}")]
    TooMany {
        /// Of what: records, or names.
        what: &'static str,
        /// The limit, in pieces.
        limit: usize,
    },
    /// The key cannot be a key.
    #[error("storage key is not acceptable")]
    BadKey(#[from] KeyError),
    /// The ledger failed.
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
}

impl StoreError {
    /// Whether the caller asked for too much or for nonsense; else the node is at fault.
    #[must_use]
    pub fn is_callers_fault(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TooMany { .. } | Self::BadKey(_))
    }
}
