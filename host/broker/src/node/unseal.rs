//! Unsealing: shares are collected, and tried together when there are enough.

use std::sync::Arc;

use bulkhead_barrier::{Barrier, Submitted, UnsealError, UnsealProgress};
use bulkhead_model::hidden::Hidden;

use super::Node;
use crate::cluster::joining;
use crate::fault::Fault;

/// Why a share did not help.
#[derive(Debug, thiserror::Error)]
pub enum UnsealFailure {
    /// There is nothing to unseal yet.
    #[error("Vault is not initialized")]
    NotInitialised,
    /// The share cannot be one, or the shares together are not those of this cluster.
    #[error("{0}")]
    Share(String),
    /// Storage failed, or a part of the node did not open.
    #[error("{0}")]
    Broken(String),
}

impl From<Fault> for UnsealFailure {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault.into_failure().errors.join("; "))
    }
}

impl Node {
    /// Shares given so far and the attempt's nonce.
    pub(crate) fn unseal_progress(&self) -> (usize, String) {
        match &*self.progress.lock() {
            Some(progress) => (progress.collected(), progress.nonce().to_owned()),
            None => (0, String::new()),
        }
    }

    /// Forgets the shares given so far.
    pub(crate) fn reset_unseal(&self) {
        *self.progress.lock() = None;
    }
}

pub(super) async fn add(node: &Arc<Node>, share: Hidden<Vec<u8>>) -> Result<(), UnsealFailure> {
    let config = node.seal_config()?.ok_or(UnsealFailure::NotInitialised)?;
    if !node.is_sealed() {
        return Ok(());
    }
    let submitted = {
        let mut progress = node.progress.lock();
        let attempt = progress.get_or_insert_with(|| UnsealProgress::new(config));
        attempt.submit(share, &*node.parts.entropy)
    };
    let secret = match submitted.map_err(|e| refused(node, &e))? {
        Submitted::Collecting => return Ok(()),
        Submitted::Complete(secret) => secret,
    };
    node.reset_unseal();
    if joining::is_under_way(node)? {
        joining::become_member(node, &secret).await?;
    }
    let view = node.parts.ledger.view().map_err(Fault::from)?;
    let barrier = Barrier::unseal(&*view, &secret).map_err(|e| refused(node, &e))?;
    node.enter(barrier).await.map_err(UnsealFailure::from)
}

/// Wrong shares end the attempt; the text is the one Vault's users know, and more.
fn refused(node: &Node, error: &UnsealError) -> UnsealFailure {
    match error {
        UnsealError::WrongShares => {
            node.reset_unseal();
            UnsealFailure::Share(format!("unable to retrieve stored keys: invalid key: {error}"))
        }
        UnsealError::ShareLength { .. } => UnsealFailure::Share(format!("invalid key: {error}")),
        UnsealError::NotInitialised => UnsealFailure::NotInitialised,
        UnsealError::Damaged { .. } | UnsealError::Ledger(_) => {
            tracing::error!(error = %error, "unsealing failed");
            UnsealFailure::Broken(error.to_string())
        }
    }
}
