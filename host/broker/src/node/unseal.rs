//! Unsealing: shares are collected, and tried together when there are enough; or a key outside
//! opens the node by itself.

use std::sync::Arc;

use bulkhead_barrier::{
    Barrier, Submitted, UnsealError, UnsealProgress, joining_key_of, read_seal_mark, read_sealed_key, unseal_key_of,
};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::seal::{SealError, SealKey, SealKind};

use super::Node;
use crate::ceremony::Migration;
use crate::cluster::joining::{self, Knowing};
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
    /// The key outside did not serve.
    #[error("the seal did not unwrap the unseal key: {0}")]
    Seal(#[from] SealError),
    /// Storage failed, or a part of the node did not open.
    #[error("{0}")]
    Broken(String),
}

/// What is said of shares that nobody needs.
const BY_ITSELF: &str = "this node joins the cluster and unseals by its own seal: shares are not needed; why it does \
                         not is in its log";

/// What is said where nobody could prove anything.
const NO_RECOVERY: &str = "the cluster has no recovery keys: only its seal opens it, when the node starts; make some \
                           with sys/rotate/recovery/init while it is open";

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
    if config.kind() != SealKind::Shamir {
        // Before anything else: without its stanza no share helps.
        node.parts.seals.of(config.kind())?;
        if joining::is_under_way(node)? {
            return Err(UnsealFailure::Share(BY_ITSELF.to_owned()));
        }
        if config.shares() == 0 {
            return Err(UnsealFailure::Share(NO_RECOVERY.to_owned()));
        }
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
        joining::become_member(node, &Knowing::Key(&joining_key_of(&secret))).await?;
    }
    let view = node.parts.ledger.view().map_err(Fault::from)?;
    let mark = read_seal_mark(&*view).map_err(Fault::from)?;
    let barrier = match config.kind() {
        SealKind::Shamir => Barrier::unseal(&*view, &secret).map_err(|e| refused(node, &e))?,
        kind => {
            let barrier = opened(node, node.parts.seals.of(kind)?).await?;
            barrier.verify_recovery_key(&*view, &secret).map_err(|e| refused(node, &e))?;
            barrier
        }
    };
    node.enter(barrier).await?;
    if node.parts.seals.differ_from(config)
        && let (Some(open), Some(mark)) = (node.open(), mark)
    {
        // Done by the node that leads, now or once this one does, if no other has done it.
        open.ceremonies().migration = Some(Migration { secret, mark });
    }
    Ok(())
}

/// Unseals by the key outside, where the config has one and nobody wants the node sealed.
pub(super) async fn by_key(node: &Arc<Node>) -> Result<(), UnsealFailure> {
    let Some(key) = &node.parts.seals.key else { return Ok(()) };
    if !node.is_sealed() {
        return Ok(());
    }
    let Some(config) = node.seal_config()? else { return Ok(()) };
    if config.kind() != key.kind() {
        let (stored, wanted) = (config.kind().name(), key.kind().name());
        return Err(UnsealFailure::Share(format!(
            "the cluster is sealed by {stored:?} and the config says {wanted:?}: unseal with -migrate to change to that"
        )));
    }
    if joining::is_under_way(node)? {
        joining::become_member(node, &Knowing::Seal(&**key)).await?;
    }
    let barrier = opened(node, &**key).await?;
    Ok(node.enter(barrier).await?)
}

/// The barrier, opened by a key outside.
async fn opened(node: &Node, by: &dyn SealKey) -> Result<Barrier, UnsealFailure> {
    let view = node.parts.ledger.view().map_err(Fault::from)?;
    let sealed = read_sealed_key(&*view).map_err(Fault::from)?.ok_or_else(|| {
        UnsealFailure::Broken("there is no sealed unseal key: the state in the storage is damaged".to_owned())
    })?;
    let secret = unseal_key_of(&sealed, by).await?;
    Barrier::unseal(&*view, &secret).map_err(|e| refused(node, &e))
}

/// Wrong shares end the attempt; the text is the one Vault's users know, and more.
fn refused(node: &Node, error: &UnsealError) -> UnsealFailure {
    match error {
        UnsealError::WrongShares => {
            node.reset_unseal();
            UnsealFailure::Share(format!("unable to retrieve stored keys: invalid key: {error}"))
        }
        UnsealError::ShareLength { .. } => UnsealFailure::Share(format!("invalid key: {error}")),
        UnsealError::WrongRecovery => {
            node.reset_unseal();
            UnsealFailure::Share(format!("invalid key: failed to verify recovery key: {error}"))
        }
        UnsealError::NotInitialised => UnsealFailure::NotInitialised,
        UnsealError::Damaged { .. } | UnsealError::Ledger(_) => {
            tracing::error!(error = %error, "unsealing failed");
            UnsealFailure::Broken(error.to_string())
        }
    }
}
