//! How a mount goes. With the first change no request reaches it any more. Then its leases
//! are revoked, each in a change of its own: one that fails must neither undo what the
//! others did outside nor keep them waiting. It is tried again later and later, as any lease
//! that is due, and the mount goes when none is left.

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, StoreError};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use futures::{StreamExt, TryStreamExt, stream};

use crate::book::leases::{self, Due, LeaseRecord};
use crate::book::mounts::{self, Engine, Mount, MountEntry};
use crate::book::removals::{self, LeaseEnd, RemovalRecord, Slice, What};
use crate::book::{jobs, quotas};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::expire::{self, AT_WORK_OF_MOUNT_MAX};
use crate::step::{duties, remove, settle, upgrade};
use crate::visit::{After, Visit};

/// Leases tried between two notes of how far it is. Source: ours.
const LEASES_A_LOOK: usize = 32;
/// Leases counted for the caller where some could not be revoked. Source: ours.
const LEFT_COUNTED_MAX: usize = 1_000;
/// How often it is looked whether the last lease is gone, in milliseconds. Source: ours. Why:
/// a look is a change, and the leases themselves wait for longer and longer.
const LOOK_EVERY_MS: u64 = 60_000;

/// Disables a mount, and works at it until its leases are gone or were each tried once. One
/// that leaves already is tried again.
///
/// # Errors
/// 400: the mount is disabled, but some leases could not be revoked. Else as of
/// [`remove::finish`].
pub(crate) async fn mount(visit: &mut Visit, mount: &Mount) -> Result<(), Fault> {
    // Bound to what it sees: with a lease that is made meanwhile it is another matter.
    if leases::page(&mut visit.tx, &mount.full_path, None, 1)?.0.is_empty() {
        return take_away(visit, mount);
    }
    mounts::save(&mut visit.tx, &MountEntry { leaving: true, ..mount.entry.clone() })?;
    let due = removals::begin(&mut visit.tx, visit.now_ms, What::Mount { space: mount.space.0 })?;
    remove::finish(visit, due, "the mount is disabled; the revocation of its leases takes longer").await?;
    told_of_rest(&visit.open, mount)
}

/// What the caller hears of leases that could not be revoked.
fn told_of_rest(open: &Open, mount: &Mount) -> Result<(), Fault> {
    let (left, more) = leases::page(&mut open.begin()?, &mount.full_path, None, LEFT_COUNTED_MAX)?;
    let Some(first) = left.first() else { return Ok(()) };
    let count = if more.is_some() { format!("more than {}", left.len()) } else { left.len().to_string() };
    let path = mount.full_path.trim_end_matches('/');
    Err(Fault::invalid(format!(
        "failed to revoke {first:?}, one of {count} leases left of this mount; see the server's log. The mount is \
         disabled, its leases are tried again later and later, and it goes with the last of them. To try again now, \
         disable it again; to give these leases up, write to sys/leases/revoke-force/{path}"
    )))
}

/// Takes a mount without leases out of the book, with all that it has stored.
fn take_away(visit: &mut Visit, mount: &Mount) -> Result<(), Fault> {
    mounts::remove(&mut visit.tx, &mount.entry)?;
    duties::forget(&mut visit.tx, mount.space)?;
    upgrade::forget(&mut visit.tx, mount.space)?;
    quotas::mount_gone(&mut visit.tx, &mount.full_path)?;
    expire::schedule_drop(visit, mount.space)?;
    visit.after.extend([After::Refresh, After::DropCache(mount.space), After::LookForDue]);
    Ok(())
}

/// Tries the next leases of a mount that goes, and in the end the mount; says whether
/// there is nothing more to do for now.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) async fn step(
    open: &Arc<Open>,
    due: &Due,
    space: SpaceId,
    record: RemovalRecord,
    slice: Slice,
) -> Result<bool, Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    let mount = visit.config.mounts.with_space(space).filter(|mount| mount.entry.leaving).cloned();
    let Some(mount) = mount else {
        jobs::forget(&mut visit.tx, due)?;
        settle::commit(visit).await?;
        return Ok(true);
    };
    let has_plugin = matches!(mount.engine, Engine::Plugin(..));
    let after = record.tried.as_deref().filter(|_| has_plugin);
    // Not in the transaction: leases that go meanwhile are no conflict.
    let (ids, _) = leases::page(&mut open.begin()?, &mount.full_path, after, LEASES_A_LOOK)?;
    let Some(last) = ids.last().cloned() else { return end(visit, due, &mount).await };
    if !has_plugin {
        return forget_leases(open, &mount, visit.now_ms, slice).await;
    }
    drop(visit);
    // One whose plugin hangs must leave room for the others.
    let ended = ids.into_iter().map(|id| end_lease(open, &mount, id));
    stream::iter(ended).buffer_unordered(AT_WORK_OF_MOUNT_MAX).try_collect::<()>().await?;
    let mut tx = open.begin()?;
    removals::save(&mut tx, due, &RemovalRecord { failures: 0, tried: Some(last), ..record })?;
    open.commit(tx).await?;
    Ok(false)
}

/// Takes the mount away, or waits for the leases that are left.
async fn end(mut visit: Visit, due: &Due, mount: &Mount) -> Result<bool, Fault> {
    let open = visit.open.clone();
    if leases::page(&mut open.begin()?, &mount.full_path, None, 1)?.0.is_empty() {
        take_away(&mut visit, mount)?;
        jobs::forget(&mut visit.tx, due)?;
    } else {
        // To a whole minute, where the removals meet that requests for the same mount began.
        let next_ms = (visit.now_ms / LOOK_EVERY_MS).saturating_add(1).saturating_mul(LOOK_EVERY_MS);
        removals::put_off(&mut visit.tx, due, next_ms, 0)?;
    }
    let after = settle::commit(visit).await?;
    settle::after(&open, after).await;
    Ok(true)
}

/// Revokes one lease, or has it tried again later.
async fn end_lease(open: &Arc<Open>, mount: &Mount, id: String) -> Result<(), Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let ended = match revoke(open, &id).await {
            Err(Fault::Conflict) => continue,
            Err(fault) if !fault.is_of_ledger() => {
                tracing::warn!(
                    mount = %mount.entry.accessor, cause = ?fault,
                    "a lease of a disabled mount could not be revoked; it is tried again"
                );
                put_off(open, &id).await
            }
            ended => return ended,
        };
        if !matches!(ended, Err(Fault::Conflict)) {
            return ended;
        }
    }
    put_off(open, &id).await
}

async fn revoke(open: &Arc<Open>, id: &str) -> Result<(), Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    match leases::get(&mut visit.tx, id) {
        Ok(Some(lease)) => {
            expire::revoke(&mut visit, &lease).await?;
            leases::remove(&mut visit.tx, &lease)?;
        }
        Ok(None) => {}
        Err(StoreError::Damaged { what, .. }) => {
            tracing::error!(what, "a lease of a disabled mount could not be read; it is dropped unread");
            leases::remove_unread(&mut visit.tx, id)?;
        }
        Err(error) => return Err(error.into()),
    }
    let after = settle::commit(visit).await?;
    settle::after(open, after).await;
    Ok(())
}

/// Has a lease tried again later. It is over: nobody can renew it meanwhile.
async fn put_off(open: &Open, id: &str) -> Result<(), Fault> {
    let mut tx = open.begin()?;
    let Some(lease) = leases::get(&mut tx, id)? else { return Ok(()) };
    // Not the time of the attempt: it may have taken longer than the wait.
    let now_ms = open.parts.clock.now_ms();
    let failures = lease.failures.saturating_add(1);
    let (due_ms, expires_ms) = (now_ms.saturating_add(expire::back_off(failures)), lease.expires_ms.min(now_ms));
    leases::save(&mut tx, Some(&lease), &LeaseRecord { failures, due_ms, expires_ms, ..lease.clone() })?;
    open.commit(tx).await
}

/// Drops leases of a mount whose plugin is not there: nobody can revoke them, and the mount
/// could never go.
async fn forget_leases(open: &Arc<Open>, mount: &Mount, now_ms: u64, slice: Slice) -> Result<bool, Fault> {
    let mut tx = open.begin()?;
    let prefix = mount.full_path.clone();
    let what = What::Leases { prefix, after: None, of: None, end: LeaseEnd::Forgotten };
    remove::end_leases(open, &mut tx, &what, now_ms, slice)?;
    open.commit(tx).await?;
    tracing::warn!(
        mount = %mount.entry.accessor, plugin = %mount.entry.kind,
        "mount disabled without its plugin: leases were dropped, what they stand for was not revoked"
    );
    Ok(false)
}
