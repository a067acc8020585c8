//! The root key under another seal: the migration that holders of shares asked for, and the
//! renewal after the key outside was rotated. The node that leads does either.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Outside, Recovery, SealConfig, Sealing, Transaction, read_sealed_key};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::seal::{SealError, SealKey, SealKind};
use tokio::time::sleep;

use crate::fault::Fault;
use crate::open::Open;

/// How often a node looks whether it leads and has to migrate. Source: ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after a failure. Source: ours.
const AGAIN: Duration = Duration::from_secs(10);
/// Looks between two at the key outside, which may have been rotated. Source: Vault.
const LOOKS_A_KEY: u32 = 600;

/// Works until the node is sealed.
pub(super) async fn run(open: Arc<Open>) {
    let (mut term_seen, mut looks) = (None, 0_u32);
    loop {
        let standing = open.ledger().standing();
        let is_due = term_seen != Some(standing.term)
            || open.ceremonies.lock().migration.is_some()
            || looks.is_multiple_of(LOOKS_A_KEY);
        looks = looks.wrapping_add(1);
        if standing.leader && is_due {
            match settle(&open).await {
                Ok(()) => term_seen = Some(standing.term),
                Err(fault) if fault.is_not_leader() => {}
                Err(fault) => {
                    let why = fault.into_failure().errors.join("; ");
                    tracing::error!(%why, "the root key was not brought under the config's seal");
                    sleep(AGAIN).await;
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Brings the root key under the seal of the config, if somebody proved that they want it, or
/// if it is the same seal under an older key.
pub(super) async fn settle(open: &Open) -> Result<(), Fault> {
    let mut tx = open.begin()?;
    let stored = open.seal_config()?;
    let seals = &open.parts.seals;
    if seals.differ_from(stored) {
        let secret = open.ceremonies.lock().migration.as_ref().map(Hidden::duplicate);
        let Some(secret) = secret else { return Ok(()) };
        migrate(open, &mut tx, stored, &secret).await?;
    } else {
        open.ceremonies.lock().migration = None;
        let Some(key) = &seals.key else { return Ok(()) };
        let sealed = read_sealed_key(&*open.ledger().view()?)?;
        let newest = key.key_id().await.map_err(|error| of_seal(&error))?;
        if sealed.is_none_or(|sealed| sealed.key_id == newest) {
            return Ok(());
        }
        let outside = outside(open, stored, &**key).await?;
        open.barrier.reseal(&mut tx, Sealing::Outside(outside, Recovery::Unchanged), &*open.parts.entropy)?;
        tracing::info!(seal = stored.kind().name(), "the unseal key is wrapped by the newest key of the seal");
    }
    open.commit(tx).await?;
    open.ceremonies.lock().migration = None;
    Ok(())
}

/// From shares to a key outside, back, or from one key outside to another. The shares stay
/// with who has them: what unsealed is what recovers from now on, or the other way round.
async fn migrate(open: &Open, tx: &mut Transaction, stored: SealConfig, secret: &Hidden<Vec<u8>>) -> Result<(), Fault> {
    let wanted = stored.under(open.parts.seals.kind());
    let sealing = match &open.parts.seals.key {
        None if stored.shares() == 0 => {
            return Err(Fault::invalid("there are no recovery keys to unseal with afterwards: make some first"));
        }
        None => Sealing::Known(wanted, secret),
        Some(key) => {
            let outside = outside(open, wanted, &**key).await?;
            let was_shamir = stored.kind() == SealKind::Shamir;
            Sealing::Outside(outside, if was_shamir { Recovery::Known(secret) } else { Recovery::Unchanged })
        }
    };
    open.barrier.reseal(tx, sealing, &*open.parts.entropy)?;
    tracing::warn!(from = stored.kind().name(), to = wanted.kind().name(), "the cluster is under another seal");
    Ok(())
}

/// A fresh unseal key, wrapped by the key outside.
///
/// # Errors
/// [`Fault`]: that did not serve.
pub(crate) async fn outside(open: &Open, config: SealConfig, by: &dyn SealKey) -> Result<Outside, Fault> {
    Outside::make(config, by, &*open.parts.entropy).await.map_err(|error| of_seal(&error))
}

fn of_seal(error: &SealError) -> Fault {
    let kind = match error {
        SealError::Unavailable(_) => FailureKind::Unavailable,
        SealError::Refused(_) => FailureKind::Internal,
    };
    Failure::new(kind, format!("the seal did not wrap the unseal key: {error}")).into()
}
