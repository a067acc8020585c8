//! What an active node owes the plugins of its mounts: it tells each once that the node
//! is unsealed or has become active, or that another version of the plugin serves the
//! mount, and schedules what the plugin wants to be run regularly.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::plugin::{GuestError, Reason};
use bulkhead_model::seam::plugin::{Call, Plugin};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;

use crate::book::mounts::{Engine, Mount};
use crate::book::{opaque, space};
use crate::components;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::{dispatch, expire, job, settle};
use crate::visit::{After, Visit};

/// How often a node looks whether it is active. Source: ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// When a plugin that could not prepare itself is told again, in milliseconds. Source: ours.
const RETRY_MS: u64 = 60_000;

/// Plugins told at once. Source: ours. Why: a mount must not wait for another whose plugin
/// hangs, and each may hold an instance.
const TOLD_AT_ONCE_MAX: usize = 8;

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // They live and end with this task, and with the node's leadership.
    let mut running = FuturesUnordered::new();
    let mut owed = Owed::default();
    loop {
        let told = tokio::select! {
            _ = tick.tick() => None,
            Some(told) = running.next(), if !running.is_empty() => Some(told),
        };
        match told {
            Some((space, Err(fault))) => owed.failed(open.parts.clock.now_ms(), space, &fault),
            Some((_, Ok(()))) => {}
            None if owed.look(&open) => {}
            None => running.clear(),
        }
        while running.len() < TOLD_AT_ONCE_MAX
            && let Some(space) = owed.next(open.parts.clock.now_ms())
        {
            let (open, reason) = (&open, owed.reason);
            running.push(async move { (space, tell(open, space, reason).await) });
        }
    }
}

/// Mounts whose plugins are still to be told.
struct Owed {
    reason: Reason,
    /// The term that this node leads in, and of which state, once it is known whom to tell.
    term: Option<(u64, Version)>,
    /// Whom to tell, and not before when, in milliseconds.
    waiting: VecDeque<(u64, SpaceId)>,
}

impl Default for Owed {
    fn default() -> Self {
        Self { reason: Reason::Unsealed, term: None, waiting: VecDeque::new() }
    }
}

impl Owed {
    /// Looks whether the node is active. False: it is not, or not any more in the same term,
    /// and what is being told has no meaning.
    fn look(&mut self, open: &Open) -> bool {
        let standing = open.ledger().standing();
        let term = standing.leader.then_some((standing.term, open.fence.moment()));
        if term.is_some() && term == self.term {
            return true;
        }
        if term.is_none() || self.term.is_some() {
            *self = Self { reason: Reason::BecameActive, ..Self::default() };
        }
        if term.is_some() {
            match plugin_mounts(open) {
                Ok(mounts) => {
                    self.waiting = mounts.into_iter().map(|space| (0, space)).collect();
                    self.term = term;
                }
                Err(fault) => tracing::error!(cause = ?fault, "the mounts could not be read; it is tried again"),
            }
        }
        false
    }

    /// Takes the first mount whose time has come.
    fn next(&mut self, now_ms: u64) -> Option<SpaceId> {
        let at = self.waiting.iter().position(|(from_ms, _)| *from_ms <= now_ms)?;
        self.waiting.remove(at).map(|(_, space)| space)
    }

    fn failed(&mut self, now_ms: u64, space: SpaceId, fault: &Fault) {
        tracing::error!(cause = ?fault, "a plugin could not prepare itself; it is told again in a minute");
        self.waiting.push_back((now_ms.saturating_add(RETRY_MS), space));
    }
}

/// Tells the plugin of each mount once: [`run`] for tests that decide when.
#[cfg(test)]
pub(crate) async fn tell_all(open: &Arc<Open>, reason: Reason) {
    for (_, told) in tell_each(open, plugin_mounts(open).expect("the mounts can be read"), reason).await {
        told.expect("the plugin can prepare itself");
    }
}

/// Tells the plugins of these mounts, some at once; none waits for the success of another.
pub(crate) async fn tell_each(
    open: &Arc<Open>,
    mounts: Vec<SpaceId>,
    reason: Reason,
) -> Vec<(SpaceId, Result<(), Fault>)> {
    let calls = mounts.into_iter().map(|space| async move { (space, tell(open, space, reason).await) });
    futures::stream::iter(calls).buffered(TOLD_AT_ONCE_MAX).collect().await
}

fn plugin_mounts(open: &Open) -> Result<Vec<SpaceId>, Fault> {
    let mut tx = open.begin()?;
    let config = open.config(&mut tx)?;
    let is_plugin = |mount: &&Arc<Mount>| matches!(mount.engine, Engine::Plugin(..) | Engine::Loading(_));
    Ok(config.mounts.all().filter(is_plugin).map(|mount| mount.space).collect())
}

/// Tells one mount's plugin, in a change of its own.
async fn tell(open: &Arc<Open>, space: SpaceId, reason: Reason) -> Result<(), Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
        let mount = visit.config.mounts.with_space(space).filter(|mount| !mount.entry.leaving).cloned();
        let Some(mount) = mount else { return Ok(()) };
        let plugin = match components::serving(open, &mount).await {
            Err(Fault::Conflict) => continue,
            serving => serving?,
        };
        let Some(plugin) = plugin else { return Ok(()) };
        match take_up(&mut visit, &mount, &plugin, reason).await {
            Err(Fault::Conflict) => continue,
            taken => taken?,
        }
        if reason == Reason::Reloaded {
            visit.after.push(After::DropCache(space));
        }
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
