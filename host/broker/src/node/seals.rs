//! Which key outside opens the node, and whether what is stored is still under another seal.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::SealConfig;
use bulkhead_model::seam::seal::{SealKey, SealKind};
use tokio::time::sleep;

use super::{Node, UnsealFailure};

/// How often a sealed node looks whether there is something to unseal. Source: ours.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pause after the key outside did not serve. Source: Vault.
const AGAIN: Duration = Duration::from_secs(5);

/// Attempts to join where the config does not say so. Source: ours. Why: a minute of them.
const FAILURES_MAX: u32 = 12;

/// Keys outside the cluster, as the config has them.
#[derive(Clone, Default)]
pub struct Seals {
    /// The one that is to unseal; `None`: key shares do.
    pub key: Option<Arc<dyn SealKey>>,
    /// One that the config calls disabled: it only opens what it wrapped, to migrate away
    /// from it.
    pub former: Option<Arc<dyn SealKey>>,
}

impl Seals {
    /// What is to unseal.
    pub(crate) fn kind(&self) -> SealKind {
        self.key.as_ref().map_or(SealKind::Shamir, |key| key.kind())
    }

    /// The key that opens what is stored under this kind of seal.
    ///
    /// # Errors
    /// [`UnsealFailure::Share`]: the config has none of that kind.
    pub(crate) fn of(&self, kind: SealKind) -> Result<&dyn SealKey, UnsealFailure> {
        let found = [&self.key, &self.former].into_iter().flatten().find(|key| key.kind() == kind);
        found.map(|key| &**key).ok_or_else(|| {
            let name = kind.name();
            UnsealFailure::Share(format!(
                "the cluster is sealed by {name:?}: its seal stanza is missing in the config of this node (with \
                 disabled = true, to migrate away from it)"
            ))
        })
    }

    /// Whether what is stored is under another seal than the config wants.
    pub(crate) fn differ_from(&self, stored: SealConfig) -> bool {
        stored.kind() != self.kind()
    }
}

impl Node {
    /// Lets the key outside unseal the node whenever it is sealed and nobody wants it to be.
    /// Ends with the node.
    pub fn keep_unsealed(self: &Arc<Self>) {
        if self.parts.seals.key.is_none() {
            return;
        }
        let node = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut told = String::new();
            let mut failures = 0;
            while let Some(node) = node.upgrade() {
                let ended = node.unseal_by_key().await;
                failures = if ended.is_ok() { 0 } else { failures + 1 };
                if failures >= FAILURES_MAX
                    && node.parts.peers.as_ref().is_some_and(|peers| node.joiner.was_told(peers))
                {
                    // Anybody may have told it: it does not go on asking there.
                    node.joiner.forget();
                }
                drop(node);
                let Err(failure) = ended else {
                    told.clear();
                    sleep(LOOK_EVERY).await;
                    continue;
                };
                // Once for each reason, and not every few seconds.
                let why = failure.to_string();
                if why != told {
                    tracing::error!(%why, "the node could not unseal itself and goes on trying");
                    told = why;
                }
                sleep(AGAIN).await;
            }
        });
    }
}
