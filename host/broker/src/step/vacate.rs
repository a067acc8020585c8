//! How a namespace goes. With the first change no request reaches it any more, and its tokens are
//! none any more. They are ended, then its mounts leave as any mount does, each with its leases.
//! When the last has gone, what the namespace has in the books is dropped, and so is the namespace.
//! All of it is on record from the first change on, so that it goes on after a crash.

use std::sync::Arc;

use crate::book::leases::Due;
use crate::book::mounts::{self, Engine, Mount};
use crate::book::namespaces::{self, Namespace, NamespaceRecord};
use crate::book::removals::{self, RemovalRecord, Slice, TokensEnded, What};
use crate::book::{jobs, lease_quotas, quotas, space};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::{expire, leave, settle};
use crate::visit::{After, Visit};

/// Mounts that begin to leave in one change. Source: ours. Why: each writes some records, and those
/// without leases go with it.
const MOUNTS_A_CHANGE: usize = 32;

/// First time between two looks whether the mounts are gone, doubled each time, and the longest, in
/// milliseconds. Source: ours. Why: mounts without leases are gone at once, and who makes the namespace anew
/// waits for that.
const LOOK_MS: u64 = 50;
const LOOK_MS_MAX: u64 = 60_000;

/// Puts the end of a namespace on record; what is below it must be gone. One that leaves already
/// is tried again.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn begin(visit: &mut Visit, namespace: &Namespace) -> Result<(), Fault> {
    namespaces::save(&mut visit.tx, &NamespaceRecord { leaving: true, ..namespace.record.clone() })?;
    let what = What::Namespace { id: namespace.record.id.clone() };
    removals::begin(&mut visit.tx, visit.now_ms, what)?;
    Ok(())
}

/// Takes the next step; says whether there is nothing more to do for now.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) async fn step(
    open: &Arc<Open>,
    due: &Due,
    id: &str,
    record: RemovalRecord,
    slice: Slice,
) -> Result<bool, Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    let found = visit.config.namespaces.with_id(id).filter(|found| found.record.leaving).cloned();
    let Some(namespace) = found else {
        jobs::forget(&mut visit.tx, due)?;
        return committed(visit, true).await;
    };
    if record.tokens != TokensEnded::All {
        return leave::end_tokens(open, due, |token| token.namespace == id, (record, slice)).await;
    }
    let own = |mount: &&Arc<Mount>| mount.entry.namespace == id && is_plugins(mount);
    let all: Vec<_> = visit.config.mounts.with_leaving().filter(own).cloned().collect();
    let stay: Vec<_> = all.iter().filter(|mount| !mount.entry.leaving).take(MOUNTS_A_CHANGE).collect();
    if !stay.is_empty() {
        for mount in stay {
            leave::begin(&mut visit, mount)?;
        }
        return committed(visit, false).await;
    }
    if !all.is_empty() {
        // The mounts wait for their leases, and this waits for them.
        let wait_ms = LOOK_MS.saturating_mul(1 << record.failures.min(20)).min(LOOK_MS_MAX);
        let next_ms = visit.now_ms.saturating_add(wait_ms);
        removals::put_off(&mut visit.tx, due, next_ms, record.failures.saturating_add(1))?;
        return committed(visit, true).await;
    }
    end(&mut visit, &namespace)?;
    jobs::forget(&mut visit.tx, due)?;
    committed(visit, true).await
}

fn is_plugins(mount: &Mount) -> bool {
    matches!(mount.engine, Engine::Plugin(..) | Engine::Loading(_) | Engine::Missing(_))
}

/// Takes a namespace whose mounts are gone out of the books.
fn end(visit: &mut Visit, namespace: &Namespace) -> Result<(), Fault> {
    let config = visit.config.clone();
    for mount in config.mounts.all().filter(|mount| mount.entry.namespace == namespace.record.id) {
        mounts::remove(&mut visit.tx, &mount.entry)?;
    }
    for book in space::OF_EACH {
        expire::schedule_drop(visit, namespace.realm().place(book))?;
    }
    quotas::mount_gone(&mut visit.tx, namespace.path())?;
    lease_quotas::mount_gone(&mut visit.tx, namespace.path())?;
    namespaces::remove(&mut visit.tx, &namespace.record)?;
    visit.after.extend([After::Refresh, After::LookForDue]);
    Ok(())
}

async fn committed(visit: Visit, done: bool) -> Result<bool, Fault> {
    let open = visit.open.clone();
    let after = settle::commit(visit).await?;
    settle::after(&open, after).await;
    Ok(done)
}
