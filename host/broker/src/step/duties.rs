//! What an active node owes the plugins of its mounts: it tells each once that the node
//! is unsealed or has become active, or that another version of the plugin serves the
//! mount, and schedules what the plugin wants to be run regularly.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::plugin::{GuestError, Reason};
use bulkhead_model::seam::plugin::{Call, Plugin};

use crate::book::mounts::{Engine, Mount};
use crate::book::{opaque, space};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::{dispatch, expire, job, settle};
use crate::visit::Visit;

/// How often a node looks whether it has become active. Source: ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// When a plugin that could not prepare itself is told again. Source: ours.
const RETRY_EVERY: Duration = Duration::from_secs(60);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    let (mut was_active, mut reason) = (false, Reason::Unsealed);
    loop {
        let is_active = open.ledger().standing().leader;
        if is_active && !was_active {
            tell_all(&open, reason).await;
        }
        was_active = is_active;
        reason = Reason::BecameActive;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells the plugin of each mount, and those that fail again, until none is left or the
/// node is not active any more.
pub(crate) async fn tell_all(open: &Arc<Open>, reason: Reason) {
    let mut left = match plugin_mounts(open) {
        Ok(mounts) => mounts,
        Err(fault) => return tracing::error!(cause = ?fault, "the mounts could not be read"),
    };
    loop {
        let mut failed = Vec::new();
        for space in left {
            if let Err(fault) = tell(open, space, reason).await {
                tracing::error!(cause = ?fault, "a plugin could not prepare itself; it is told again in a minute");
                failed.push(space);
            }
        }
        if failed.is_empty() {
            return;
        }
        left = failed;
        tokio::time::sleep(RETRY_EVERY).await;
        if !open.ledger().standing().leader {
            return;
        }
    }
}

fn plugin_mounts(open: &Open) -> Result<Vec<SpaceId>, Fault> {
    let mut tx = open.begin()?;
    let config = open.config(&mut tx)?;
    let is_plugin = |mount: &&Arc<Mount>| matches!(mount.engine, Engine::Plugin(..));
    Ok(config.mounts.all().filter(is_plugin).map(|mount| mount.space).collect())
}

/// Tells one mount's plugin, in a change of its own.
async fn tell(open: &Arc<Open>, space: SpaceId, reason: Reason) -> Result<(), Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
        let Some(mount) = visit.config.mounts.with_space(space).cloned() else { return Ok(()) };
        let Engine::Plugin(plugin, _) = &mount.engine else { return Ok(()) };
        take_up(&mut visit, &mount, plugin, reason).await?;
        let outside = visit.outside;
        match settle::commit(visit).await {
            Err(Fault::Conflict) if !outside => {}
            Ok(after) => {
                settle::after(open, after).await;
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::Conflict)
}

/// Where it is written which code was last told of a mount.
fn code_key(mount: SpaceId) -> Key {
    opaque(space::HOST, &[b"code", &mount.0[..]].concat())
}

/// Schedules the plugin's regular jobs and lets it prepare itself. `upgraded` takes the
/// place of the reason where it is not the code that was told last.
///
/// # Errors
/// [`Fault`]: the plugin refused, or the call brought no answer.
pub(crate) async fn take_up(
    visit: &mut Visit,
    mount: &Arc<Mount>,
    plugin: &Arc<dyn Plugin>,
    reason: Reason,
) -> Result<(), Fault> {
    job::schedule_regular(&mut visit.tx, mount, &**plugin, visit.now_ms)?;
    let (key, code) = (code_key(mount.space), Hidden::new(plugin.sha256().as_bytes().to_vec()));
    let told = visit.tx.get(&key)?;
    if told.as_ref() == Some(&code) {
        return initialise(visit, mount, plugin, reason).await;
    }
    visit.tx.put(&key, code.expose())?;
    let reason = if told.is_some() { Reason::Upgraded } else { reason };
    initialise(visit, mount, plugin, reason).await
}

/// Forgets what was written about a mount, with the mount.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn forget(tx: &mut Transaction, mount: SpaceId) -> Result<(), StoreError> {
    tx.delete(&code_key(mount))
}

/// Lets a plugin prepare itself; what it refuses, the operator is told.
///
/// # Errors
/// [`Fault`]: the plugin refused, or the call brought no answer.
pub(crate) async fn initialise(
    visit: &mut Visit,
    mount: &Arc<Mount>,
    plugin: &Arc<dyn Plugin>,
    reason: Reason,
) -> Result<(), Fault> {
    match dispatch::call(visit, mount, plugin, Call::Initialize(reason), "initialize").await? {
        Ok(_) => Ok(()),
        Err(error) => {
            use GuestError as E;
            let text = match error {
                E::InvalidRequest(text) | E::PreconditionFailed(text) | E::Unavailable(text) => text,
                // What a plugin says of its insides is for the operator's log alone.
                other => {
                    tracing::error!(mount = %mount.entry.accessor, "plugin could not prepare the mount: {}", other.kind());
                    "the plugin could not prepare the mount; see the server's log".to_owned()
                }
            };
            Err(Fault::invalid(text))
        }
    }
}
