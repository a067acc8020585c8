//! The root key under another seal: the migration that holders of shares asked for, and the
//! renewal after the key outside was rotated. The node that leads does either.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{
    Outside, Recovery, SealConfig, Sealing, Transaction, read_seal_config, read_seal_mark, read_sealed_key,
    unseal_key_of,
};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::seal::{SealError, SealKey, SealKind};
use tokio::time::sleep;

use crate::ceremony::Ceremonies;
use crate::fault::Fault;
use crate::open::Open;

/// How often a node looks whether it leads and has to migrate. Source: ours.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pause after a failure. Source: ours.
const AGAIN: Duration = Duration::from_secs(10);
/// Looks between two at the key outside, which may have been rotated: ten minutes. Source: Vault.
const LOOKS_A_KEY: u32 = 2400;

/// Looks between two at whether the key outside is there, which keeps its token alive: a minute.
/// Source: ours.
const LOOKS_HEALTH: u32 = 240;

/// Works until the node is sealed.
pub(super) async fn run(open: Arc<Open>) {
    let (mut term_seen, mut looks) = (None, 0_u32);
    loop {
        let standing = open.ledger().standing();
        let may_migrate = drop_worthless(&open).unwrap_or(false);
        let is_due = term_seen != Some(standing.term) || may_migrate || looks.is_multiple_of(LOOKS_A_KEY);
        if looks.is_multiple_of(LOOKS_HEALTH)
            && let Some(key) = &open.parts.seals.key
            && let Err(error) = key.key_id().await
        {
            tracing::warn!(%error, "the seal's key does not serve now: a node that is restarted could not unseal itself");
        }
        looks = looks.wrapping_add(1);
        if standing.leader && is_due {
            match settle(&open).await {
                Ok(()) => term_seen = Some(standing.term),
                // Somebody else changed it, or leads: the next look shows how it is.
                Err(Fault::Conflict) => {}
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

/// Forgets what was proved against a seal that is no more: the migration is done, by this node
/// or another, or the shares are other ones. Says whether there is something to do with it still.
fn drop_worthless(open: &Open) -> Result<bool, Fault> {
    if open.ceremonies().migration.is_none() {
        return Ok(false);
    }
    let view = open.ledger().view()?;
    let (mark, stored) = (read_seal_mark(&*view)?, read_seal_config(&*view)?);
    let is_done = stored.is_none_or(|stored| !open.parts.seals.differ_from(stored));
    let mut ceremonies = open.ceremonies();
    if is_done || ceremonies.migration.as_ref().map(|migration| &migration.mark) != mark.as_ref() {
        if !is_done {
            tracing::warn!("the keys were changed since a migration was asked for: ask for it again");
        }
        ceremonies.migration = None;
    }
    Ok(ceremonies.migration.is_some())
}

/// Brings the root key under the seal of the config, if somebody proved that they want it, or
/// if it is the same seal under an older key.
async fn settle(open: &Open) -> Result<(), Fault> {
    open.fence.refuse_shut()?;
    let view = open.ledger().view()?;
    let mut tx = open.barrier.begin(Arc::clone(&view));
    let Some(stored) = read_seal_config(&*view)? else { return Ok(()) };
    let seals = &open.parts.seals;
    let done = if seals.differ_from(stored) {
        let mark = read_seal_mark(&*view)?;
        let secret = open
            .ceremonies()
            .migration
            .as_ref()
            .and_then(|migration| (Some(&migration.mark) == mark.as_ref()).then(|| migration.secret.duplicate()));
        let Some(secret) = secret else { return Ok(()) };
        migrate(open, &mut tx, stored, &secret).await?;
        "the cluster is under another seal"
    } else {
        let Some(key) = &seals.key else { return Ok(()) };
        if !renew(open, &mut tx, stored, &**key).await? {
            return Ok(());
        }
        "the unseal key is wrapped by the newest key of the seal"
    };
    open.commit(tx).await?;
    if stored.kind() != seals.kind() {
        // What was begun was begun by holders of shares that mean something else now.
        *open.ceremonies() = Ceremonies::default();
    }
    tracing::warn!(from = stored.kind().name(), to = seals.kind().name(), "{done}");
    Ok(())
}

/// Has the unseal key wrapped by the newest key outside, if it is not.
async fn renew(open: &Open, tx: &mut Transaction, stored: SealConfig, key: &dyn SealKey) -> Result<bool, Fault> {
    let newest = key.key_id().await.map_err(|error| of_seal(&error))?;
    let sealed = read_sealed_key(&*open.ledger().view()?)?;
    let Some(sealed) = sealed.filter(|sealed| sealed.key_id != newest) else { return Ok(false) };
    // A node whose config does not know the key in use has an older config, not a newer key.
    if let Err(error) = unseal_key_of(&sealed, key).await {
        tracing::warn!(%error, "the seal of this node's config is another than the cluster's: bring it up to date");
        return Ok(false);
    }
    let outside = outside(open, stored, key).await?;
    open.barrier.reseal(tx, Sealing::Outside(outside, Recovery::Unchanged), &*open.parts.entropy)?;
    Ok(true)
}

/// From shares to a key outside, back, or from one key outside to another. The shares stay
/// with who has them: what unsealed is what recovers from now on, or the other way round.
async fn migrate(open: &Open, tx: &mut Transaction, stored: SealConfig, secret: &Hidden<Vec<u8>>) -> Result<(), Fault> {
    let wanted = stored.under(open.parts.seals.kind());
    let sealing = match &open.parts.seals.key {
        None => Sealing::Known(wanted, secret),
        Some(key) => {
            let outside = outside(open, wanted, &**key).await?;
            let was_shamir = stored.kind() == SealKind::Shamir;
            Sealing::Outside(outside, if was_shamir { Recovery::Known(secret) } else { Recovery::Unchanged })
        }
    };
    open.barrier.reseal(tx, sealing, &*open.parts.entropy)?;
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
