//! The same way at night: what is due is ended. Tokens are removed with all below
//! them, leases go to their guest's revoke, jobs are run, intents are undone. The work
//! follows an index ordered by time, so it costs nothing until something is due. Mounts
//! do not wait for each other ([`queue`]), and what fails is tried again later and later.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{SpaceId, StoreError};
use bulkhead_model::plugin::GuestLease;
use bulkhead_model::seam::plugin::{Call, Plugin};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::book::jobs;
use crate::book::leases::{self, DUE_JOB, DUE_LEASE, Due, LeaseRecord};
use crate::book::lockouts::DUE_LOCK;
use crate::book::mfa::secrets::{self, DUE_SECRETS};
use crate::book::mfa::waiting::{self, DUE_WAITING};
use crate::book::mounts::Mount;
use crate::book::removals::DUE_REMOVAL;
use crate::book::tokens::DUE_TOKEN;
use crate::components;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::intent::{self, DUE_INTENT};
use crate::step::upgrade::{self, DUE_UPGRADE};
use crate::step::{again, dispatch, job, lockout, remove};
use crate::underway::Held;
use crate::visit::{After, Visit};

mod queue;

pub(crate) use self::queue::AT_WORK_OF_MOUNT_MAX;
use self::queue::{How, Work};

/// How often the index's head is looked at, in milliseconds. Source: ours. Why: an end
/// is checked at every use anyway; this only bounds how long remains stay.
const LOOK_EVERY_MS: u64 = 1_000;
/// Records of a removed mount dropped in one change. Source: ours.
const DROP_SLICE: u32 = 1_000;
/// Whose the locks of leases are: no mount's, of which each has another.
const LEASES: SpaceId = SpaceId([0; 16]);
/// Kind byte of a removed mount's storage in the due index.
const DUE_DROP: u8 = b'd';

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    let mut tick = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // They live and end with this task: none outlives the seal.
    let mut running = FuturesUnordered::new();
    let mut work = Work::default();
    loop {
        let ended = tokio::select! {
            _ = tick.tick() => None,
            () = open.due.notified() => None,
            Some(ended) = running.next(), if !running.is_empty() => Some(ended),
        };
        let is_tick = ended.is_none();
        let has_run_out = ended.is_none_or(|(due, how)| work.ended(&due, how));
        if !leads(&open) {
            work.clear();
        } else if has_run_out {
            if is_tick && let Err(fault) = intent::review(&open).await {
                tracing::warn!(cause = ?fault, "intents could not be looked through; it is tried again");
            }
            if let Err(fault) = work.look(&open) {
                tracing::warn!(cause = ?fault, "what is due could not be read; it is tried again");
            }
        }
        while let Some(due) = work.start() {
            running.push(settle(&open, due));
        }
        let figures = &open.catalog.figures.expiry;
        let (waiting, at_work) = work.counts();
        figures.waiting.set(waiting);
        figures.at_work.set(at_work);
    }
}

/// Whether this node leads, of which whoever undoes intents has to hear.
fn leads(open: &Open) -> bool {
    let standing = open.ledger().standing();
    open.in_flight.underway.stands(&standing, open.parts.clock.steady_ms());
    standing.leader
}

/// Ends what is due, one thing after the other, until nothing is: [`run`] for tests that
/// decide when.
#[cfg(test)]
pub(crate) async fn settle_all(open: &Arc<Open>) {
    leads(open);
    intent::review(open).await.expect("nobody else writes");
    loop {
        let mut work = Work::default();
        work.look(open).expect("what is due can be read");
        if work.counts().0 == 0 {
            return;
        }
        while let Some(due) = work.start() {
            let (due, how) = settle(open, due).await;
            work.ended(&due, how);
        }
    }
}

/// Ends one thing, or sees to it that it is tried again.
async fn settle(open: &Arc<Open>, due: Due) -> (Due, How) {
    let now_ms = open.parts.clock.now_ms();
    let figures = &open.catalog.figures.expiry;
    let fault = match attempt(open, &due, now_ms).await {
        Ok(()) => {
            figures.ended.add_one();
            if due.kind == DUE_LEASE {
                figures.lease_ended(&due.id);
            }
            return (due, How::Done);
        }
        // Somebody else changed it meanwhile: it is looked at again.
        Err(Fault::Conflict) => return (due, How::Crossed),
        Err(fault) => fault,
    };
    figures.failed.add_one();
    // Where the ledger failed it is no fault of the thing, nor could it be put off.
    if fault.is_of_ledger() {
        tracing::warn!(kind = %char::from(due.kind), cause = %fault.cause(), "could not be ended; it is tried again");
        return (due, How::Stuck);
    }
    // The failure must not stay at the head of the index, where it would be tried every
    // second and keep others from their turn.
    if let Err(failed) = again::put_off(open, &due, &fault).await {
        let kind = char::from(due.kind);
        tracing::warn!(%kind, cause = %failed.cause(), "could not be put off, after {}", fault.cause());
        return (due, How::Stuck);
    }
    (due, How::PutOff)
}

async fn attempt(open: &Arc<Open>, due: &Due, now_ms: u64) -> Result<(), Fault> {
    if due.kind == DUE_REMOVAL {
        return remove::turn(open, due).await;
    }
    if due.kind == DUE_TOKEN {
        return remove::end_token(open, due, now_ms).await;
    }
    let mut visit = visit(open, now_ms)?;
    match due.kind {
        DUE_LEASE => end_lease(&mut visit, due).await?,
        DUE_JOB => job::run(&mut visit, due).await?,
        DUE_INTENT => intent::undo(&mut visit, due).await?,
        DUE_DROP => drop_slice(&mut visit, due)?,
        DUE_UPGRADE => upgrade::step(&mut visit, due).await?,
        DUE_LOCK => lockout::drop_ended(&mut visit, due)?,
        DUE_SECRETS if secrets::remove_slice(&mut visit.tx, due)? => visit.after.push(After::LookForDue),
        DUE_SECRETS => {}
        DUE_WAITING => waiting::remove_due(&mut visit.tx, due)?,
        _ => jobs::forget(&mut visit.tx, due)?,
    }
    let more = crate::step::settle::commit(visit).await?;
    if more.iter().any(|after| matches!(after, After::LookForDue)) {
        open.due.notify_one();
    }
    Ok(())
}

/// A visit that no request asked for, in the root namespace.
pub(crate) fn visit(open: &Arc<Open>, now_ms: u64) -> Result<Visit, Fault> {
    let mut tx = open.begin()?;
    let config = open.config(&mut tx)?;
    Ok(Visit {
        open: open.clone(),
        namespace: config.namespaces.root().clone(),
        config,
        tx,
        now_ms,
        who: None,
        after: Vec::new(),
        attempt: 0,
        ends: None,
        outside: false,
        seats: Vec::new(),
        held: Held::default(),
    })
}

/// Waits until nobody else works at a lease, and keeps it so until the visit's commit: whoever renews a lease,
/// or ends it, does something outside that none of the others would know of. To be called before the visit reads
/// the lease.
///
/// # Errors
/// [`Fault::Conflict`]: what the visit has read already was changed meanwhile.
pub(crate) async fn turn_at(visit: &mut Visit, lease: &[u8; 32]) -> Result<(), Fault> {
    let lock = visit.open.lock(LEASES, &hex::encode(lease));
    visit.held.locks.push(lock.lock_owned().await);
    let view = visit.open.ledger().view()?;
    if visit.tx.renew(view)? { Ok(()) } else { Err(Fault::Conflict) }
}

/// Ends a lease: its guest revokes, then it is struck from the book.
async fn end_lease(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    turn_at(visit, &due.id).await?;
    let record = match leases::id_at(&mut visit.tx, due)? {
        Some(id) => leases::get(&mut visit.tx, &id)?,
        None => None,
    };
    let Some(record) = record else { return jobs::forget(&mut visit.tx, due).map_err(Fault::from) };
    revoke(visit, &record).await?;
    leases::remove(&mut visit.tx, &record).map_err(Fault::from)
}

/// Has the guest revoke what a lease stands for. Idempotent on the guest's side.
pub(crate) async fn revoke(visit: &mut Visit, record: &LeaseRecord) -> Result<(), Fault> {
    let Some(mount) = visit.config.mounts.with_space(SpaceId(record.mount)).cloned() else {
        let space = hex::encode(record.mount);
        tracing::warn!(space, "a lease outlived its mount: it is dropped, what it stands for was not revoked");
        return Ok(());
    };
    let Some(plugin) = components::serving(&visit.open, &mount).await? else {
        return Err(Fault::invalid("the plugin of this lease's mount is not on this server"));
    };
    let lease = guest_lease(record, &mount);
    match dispatch::call(visit, &mount, &plugin, Call::RevokeLease(lease), &record.id).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(again::refused(&mount, &leases::digest(&record.id), "revoking a lease", &error)),
    }
}

/// A lease as its guest gets it back.
pub(crate) fn guest_lease(record: &LeaseRecord, mount: &Mount) -> GuestLease {
    let within = |path: &str| path.strip_prefix(mount.namespace.path()).unwrap_or(path).to_owned();
    GuestLease {
        id: mount.namespace.shown_lease(&record.id),
        kind: record.kind.clone(),
        path: within(&record.path),
        issued_at: record.issued_ms,
        expires_at: record.expires_ms,
        internal: record.internal.duplicate(),
        data_version: record.data_version,
        unmounting: mount.entry.leaving,
    }
}

/// The plugin that a mount's unfinished work is for.
///
/// # Errors
/// [`Fault`] if this node does not have it: the work is kept until it is back.
pub(crate) async fn plugin_of(open: &Open, mount: &Mount) -> Result<Arc<dyn Plugin>, Fault> {
    if let Some(plugin) = components::serving(open, mount).await? {
        return Ok(plugin);
    }
    tracing::warn!(mount = %mount.entry.accessor, plugin = %mount.entry.kind, "plugin is not on this server");
    Err(Fault::invalid("the plugin of this mount is not on this server"))
}

/// Has a removed mount's storage dropped, in slices, from now on.
pub(crate) fn schedule_drop(visit: &mut Visit, space_id: SpaceId) -> Result<(), StoreError> {
    let mut id = [0; 32];
    id[..16].copy_from_slice(&space_id.0);
    visit.tx.put(&leases::due_key(visit.now_ms, DUE_DROP, &id), &[])
}

/// Drops a slice of a removed mount's storage; the rest follows in the next look.
fn drop_slice(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    let mut space_id = SpaceId([0; 16]);
    space_id.0.copy_from_slice(&due.id[..16]);
    let mounted = visit.config.mounts.with_space(space_id).is_some();
    if mounted || !visit.tx.drop_space(space_id, DROP_SLICE)? {
        return jobs::forget(&mut visit.tx, due).map_err(Fault::from);
    }
    visit.after.push(After::LookForDue);
    Ok(())
}
