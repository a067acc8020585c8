//! How a mount goes. With the first change no request reaches it any more, and the tokens of an
//! auth method's logins are none any more. They are ended with all below them. Then its leases are
//! revoked, each in a change of its own: one that fails must neither undo what the
//! others did outside nor keep them waiting. It is tried again later and later, as any lease
//! that is due. When none is left the mount gives its path back, and it goes when nothing is left
//! to be undone outside.

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use futures::{StreamExt, TryStreamExt, stream};

use crate::book::leases::{self, Due};
use crate::book::mounts::{self, Engine, Mount, MountEntry, Table};
use crate::book::removals::{self, LeaseEnd, RemovalRecord, Slice, TokensEnded, What};
use crate::book::tokens::{self, TokenRecord, tree};
use crate::book::{jobs, lease_quotas, quotas};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::expire::{self, AT_WORK_OF_MOUNT_MAX};
use crate::step::{again, duties, intent, remove, settle, upgrade};
use crate::visit::{After, Visit};

/// Leases tried between two notes of how far it is. Source: ours.
const LEASES_A_LOOK: usize = 32;
/// Ids of leases read at once. Source: ours. Why: most may be of another mount, which was put
/// where this one was before.
const IDS_A_PAGE: usize = 1_000;
/// Tokens looked at in one change. Source: ours. Why: most may be of other methods.
const TOKENS_A_LOOK: u32 = 4_096;
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
    let Some(due) = begin(visit, mount)? else { return Ok(()) };
    let begun = match mount.entry.table {
        Table::Secret => "the mount is disabled; the revocation of its leases takes longer",
        Table::Auth => "the auth method is disabled; the end of its tokens takes longer",
    };
    remove::finish(visit, due, begun).await?;
    told_of_rest(&visit.open, mount).await
}

/// Puts the end of a mount on record, and gives back its place; none: it has gone at once.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn begin(visit: &mut Visit, mount: &Mount) -> Result<Option<Due>, Fault> {
    if mount.entry.table == Table::Secret && !reaches_out(mount) && is_bare(&mut visit.tx, mount)? {
        take_away(visit, mount)?;
        return Ok(None);
    }
    mounts::save(&mut visit.tx, &MountEntry { leaving: true, ..mount.entry.clone() })?;
    let what = What::Mount { space: mount.space.0 };
    let due = removals::begin(&mut visit.tx, visit.now_ms, what.clone())?;
    if !has_plugin(mount) && !is_registered(visit, mount) {
        let record = RemovalRecord { without_plugin: true, ..RemovalRecord::new(what) };
        removals::save(&mut visit.tx, &due, &record)?;
    }
    Ok(Some(due))
}

/// Whether there are no leases where those of this mount would be. Bound to what it sees: with
/// one that is made meanwhile it is another matter.
fn is_bare(tx: &mut Transaction, mount: &Mount) -> Result<bool, StoreError> {
    for path in mount.lease_paths() {
        if !leases::page(tx, &path, None, 1)?.0.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether its plugin does things outside, of which some may be under way, or still to be undone.
fn reaches_out(mount: &Mount) -> bool {
    let Engine::Plugin(plugin, _) = &mount.engine else { return has_plugin(mount) };
    plugin.imports().iter().any(|import| ["net", "http", "database-drivers"].contains(&import.as_str()))
}

fn has_plugin(mount: &Mount) -> bool {
    matches!(mount.engine, Engine::Plugin(..) | Engine::Loading(_))
}

/// Whether its plugin is there for every node, even if this one could not compile it yet.
fn is_registered(visit: &Visit, mount: &Mount) -> bool {
    let MountEntry { table, kind, plugin_version, .. } = &mount.entry;
    visit.config.registry.find(*table, kind, plugin_version).is_some()
}

/// Ids of up to `limit` leases of a mount, behind `after`; in no order, but always the same.
/// Read in transactions of their own: leases that go meanwhile are no conflict.
async fn left(open: &Open, mount: &Mount, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
    if mount.entry.placeless {
        return Ok(Vec::new());
    }
    let paths = mount.lease_paths();
    let begin = after.and_then(|id| paths.iter().position(|path| id.starts_with(path.as_str()))).unwrap_or(0);
    let mut after = after.map(str::to_owned);
    let (mut left, mut a_page) = (Vec::new(), IDS_A_PAGE.min(limit));
    for path in &paths[begin..] {
        loop {
            let mut tx = open.begin()?;
            let (ids, next) = leases::page(&mut tx, path, after.as_deref(), a_page)?;
            for id in ids {
                if is_of(&mut tx, mount, &id)? {
                    left.push(id);
                }
                if left.len() == limit {
                    return Ok(left);
                }
            }
            a_page = IDS_A_PAGE;
            after = next;
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(left)
}

/// Whether a lease is of this mount. One that cannot be read is, where this mount is now.
fn is_of(tx: &mut Transaction, mount: &Mount, id: &str) -> Result<bool, StoreError> {
    match leases::get(tx, id) {
        Err(StoreError::Damaged { .. }) => Ok(id.starts_with(&mount.full_path)),
        found => Ok(found?.is_some_and(|lease| lease.mount == mount.space.0)),
    }
}

/// What the caller hears of leases that could not be revoked.
async fn told_of_rest(open: &Open, mount: &Mount) -> Result<(), Fault> {
    let left = left(open, mount, None, LEFT_COUNTED_MAX + 1).await?;
    let Some(first) = left.first() else { return Ok(()) };
    let count = match left.len() {
        count @ ..=LEFT_COUNTED_MAX => count.to_string(),
        _ => format!("more than {LEFT_COUNTED_MAX}"),
    };
    // Where the mount was before, another may be now.
    let is_here = first.starts_with(&mount.full_path);
    let path = if is_here { mount.full_path.trim_end_matches('/') } else { first };
    let (path, first) = (path.strip_prefix(mount.namespace.path()).unwrap_or(path), mount.namespace.shown_lease(first));
    Err(Fault::invalid(format!(
        "failed to revoke {first:?}, one of {count} leases left of this mount; see the server's log. The mount is \
         disabled, its leases are tried again later and later, and it goes with the last of them. To try again now, \
         disable it again; to give these leases up, write to sys/leases/revoke-force/{path}"
    )))
}

/// Has a mount without leases give its path back, though something is left to be undone outside: that is kept by
/// its space, and may take for ever.
fn give_path_back(visit: &mut Visit, mount: &Mount) -> Result<(), Fault> {
    mounts::save(&mut visit.tx, &MountEntry { placeless: true, ..mount.entry.clone() })?;
    forget_limits(visit, mount)?;
    visit.after.push(After::Refresh);
    Ok(())
}

/// Drops the limits of a mount's path. One that has given it back has none there: they are of another by then.
fn forget_limits(visit: &mut Visit, mount: &Mount) -> Result<(), Fault> {
    if mount.entry.placeless {
        return Ok(());
    }
    quotas::mount_gone(&mut visit.tx, &mount.full_path)?;
    lease_quotas::mount_gone(&mut visit.tx, &mount.full_path)?;
    Ok(())
}

/// Takes a mount without leases out of the book, with all that it has stored.
fn take_away(visit: &mut Visit, mount: &Mount) -> Result<(), Fault> {
    mounts::remove(&mut visit.tx, &mount.entry)?;
    duties::forget(&mut visit.tx, mount.space)?;
    upgrade::forget(&mut visit.tx, mount.space)?;
    forget_limits(visit, mount)?;
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
    if mount.entry.table == Table::Auth && record.tokens != TokensEnded::All {
        let accessor = &mount.entry.accessor;
        return end_tokens(open, due, |token| token.mount_accessor == *accessor, (record, slice)).await;
    }
    let has_plugin = has_plugin(&mount);
    let after = record.tried.as_deref().filter(|_| has_plugin);
    let ids = left(open, &mount, after, LEASES_A_LOOK).await?;
    let Some(last) = ids.last().cloned() else { return end(visit, due, &mount).await };
    if !has_plugin {
        if record.without_plugin {
            return forget_leases(open, &mount, visit.now_ms, slice).await;
        }
        // Another node may have it, and could revoke them.
        expire::plugin_of(&visit.open, &mount).await?;
    }
    drop(visit);
    // One whose plugin hangs must leave room for the others.
    let ended = ids.into_iter().map(|id| end_lease(open, id));
    stream::iter(ended).buffer_unordered(AT_WORK_OF_MOUNT_MAX).try_collect::<()>().await?;
    let mut tx = open.begin()?;
    removals::save(&mut tx, due, &RemovalRecord { failures: 0, tried: Some(last), ..record })?;
    open.commit(tx).await?;
    Ok(false)
}

/// Ends the next tokens that are meant with all below them. What does not fit goes on as a
/// removal of its own.
pub(crate) async fn end_tokens(
    open: &Open,
    due: &Due,
    meant: impl Fn(&TokenRecord) -> bool,
    (record, mut slice): (RemovalRecord, Slice),
) -> Result<bool, Fault> {
    let now_ms = open.parts.clock.now_ms();
    let mut tx = open.begin()?;
    let mut last = match record.tokens {
        TokensEnded::UpTo(hash) => Some(hash),
        _ => None,
    };
    let page = tokens::page(&mut tx, last.as_ref(), TOKENS_A_LOOK)?;
    let all = page.is_empty();
    for hash in page {
        let is_meant = match tokens::get_untracked(&mut tx, &hash) {
            // Nobody can use it.
            Err(StoreError::Damaged { .. }) => false,
            found => found?.is_some_and(|token| meant(&token)),
        };
        if is_meant {
            if !slice.has_room() {
                break;
            }
            let _ = tree::end_within(&mut tx, &open.salt, &hash, now_ms, &mut slice)?;
        }
        last = Some(hash);
    }
    let tokens = last.filter(|_| !all).map_or(TokensEnded::All, TokensEnded::UpTo);
    removals::save(&mut tx, due, &RemovalRecord { failures: 0, tokens, ..record })?;
    open.commit(tx).await?;
    open.due.notify_one();
    Ok(false)
}

/// Takes the mount away, or waits for what is left of it.
async fn end(mut visit: Visit, due: &Due, mount: &Mount) -> Result<bool, Fault> {
    let open = visit.open.clone();
    let is_undone = !intent::is_any_of(&mut open.begin()?, mount.space)? || !has_plugin(mount);
    let has_leases = !left(&open, mount, None, 1).await?.is_empty();
    if is_undone && !has_leases {
        take_away(&mut visit, mount)?;
        jobs::forget(&mut visit.tx, due)?;
    } else {
        if !has_leases && !mount.entry.placeless {
            give_path_back(&mut visit, mount)?;
        }
        // To a whole minute, where the removals meet that requests for the same mount began.
        let next_ms = (visit.now_ms / LOOK_EVERY_MS).saturating_add(1).saturating_mul(LOOK_EVERY_MS);
        removals::put_off(&mut visit.tx, due, next_ms, 0)?;
    }
    let after = settle::commit(visit).await?;
    settle::after(&open, after).await;
    Ok(true)
}

/// Revokes one lease, or has it tried again later.
async fn end_lease(open: &Arc<Open>, id: String) -> Result<(), Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let ended = match revoke(open, &id).await {
            Err(Fault::Conflict) => continue,
            Err(fault) if !fault.is_of_ledger() => again::put_off_lease(open, &id, &fault).await,
            ended => return ended,
        };
        if !matches!(ended, Err(Fault::Conflict)) {
            return ended;
        }
    }
    again::put_off_lease(open, &id, &Fault::Conflict).await
}

async fn revoke(open: &Arc<Open>, id: &str) -> Result<(), Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    expire::turn_at(&mut visit, &leases::digest(id)).await?;
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

/// Drops leases of a mount whose plugin is not there: nobody can revoke them, and the mount
/// could never go.
async fn forget_leases(open: &Arc<Open>, mount: &Mount, now_ms: u64, mut slice: Slice) -> Result<bool, Fault> {
    let ids = left(open, mount, None, slice.things_max()).await?;
    let mut tx = open.begin()?;
    for id in ids {
        if !remove::end_lease(&mut tx, &id, (Some(mount.space.0), LeaseEnd::Forgotten), now_ms, &mut slice)? {
            break;
        }
    }
    open.commit(tx).await?;
    tracing::warn!(
        mount = %mount.entry.accessor, plugin = %mount.entry.kind,
        "mount disabled without its plugin: leases were dropped, what they stand for was not revoked"
    );
    Ok(false)
}
