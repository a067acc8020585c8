//! Goes on with removals that were too large for one change, slice by slice, each a change
//! of its own. A request that began one does so until it is done, and then answers. If its
//! time ends first, or the node does, the scheduler takes over: what is left to do stands
//! in the due index.

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};
use bulkhead_model::failure::{Failure, FailureKind};
use parking_lot::Mutex;

use crate::book::jobs;
use crate::book::leases::{self, Due};
use crate::book::removals::{self, LeaseEnd, Pace, RemovalRecord, Slice, What};
use crate::book::space;
use crate::book::tokens::{self, tree};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::{leave, vacate};
use crate::visit::Visit;

/// Slices that the scheduler removes before it lets others have their turn. Source: ours.
const SLICES_A_TURN: usize = 16;

/// Removals that requests work at. The scheduler leaves them alone.
#[derive(Default)]
pub(crate) struct InHand(Mutex<Vec<Due>>);

impl InHand {
    pub(crate) fn has(&self, due: &Due) -> bool {
        self.0.lock().contains(due)
    }
}

/// A removal in a request's hand. However the request ends, the scheduler hears of it.
struct Hold {
    open: Arc<Open>,
    due: Due,
}

impl Hold {
    fn of(open: &Arc<Open>, due: Due) -> Self {
        open.in_flight.in_hand.0.lock().push(due);
        Self { open: open.clone(), due }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut in_hand = self.open.in_flight.in_hand.0.lock();
        if let Some(at) = in_hand.iter().position(|due| *due == self.due) {
            in_hand.swap_remove(at);
        }
        self.open.due.notify_one();
    }
}

/// Commits what the visit did so far, which begins a removal, and goes on with it until
/// nothing is left. `begun` tells the caller what holds from the first commit on.
///
/// # Errors
/// [`Fault::Conflict`]: nothing has begun. 504: the time is up, and the removal goes on
/// without the request. Others: it goes on as well, and fails or not as it may.
pub(crate) async fn finish(visit: &mut Visit, due: Due, begun: &str) -> Result<(), Fault> {
    // Before the commit, so that the scheduler never sees it free.
    let hold = Hold::of(&visit.open, due);
    visit.commit_so_far().await?;
    let ended = match visit.ends {
        Some(ends) => tokio::time::timeout_at(ends, to_the_end(&visit.open, &due)).await,
        None => Ok(to_the_end(&visit.open, &due).await),
    };
    drop(hold);
    // What the visit has read may be among what is gone.
    visit.tx = visit.begin()?;
    ended.unwrap_or_else(|_| Err(Failure::new(FailureKind::Timeout, format!("{begun}, and goes on")).into()))
}

async fn to_the_end(open: &Arc<Open>, due: &Due) -> Result<(), Fault> {
    let mut pace = Pace::default();
    while !slice(open, due, &mut pace).await? {
        // Reading takes the processor for a while, and others wait for it.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The scheduler's turn at a removal. What is left is due again at once, behind what waits
/// already.
///
/// # Errors
/// [`Fault`]: this slice failed.
pub(crate) async fn turn(open: &Arc<Open>, due: &Due) -> Result<(), Fault> {
    let mut pace = Pace::default();
    for _ in 0..SLICES_A_TURN {
        if slice(open, due, &mut pace).await? {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    let mut tx = open.begin()?;
    removals::put_off(&mut tx, due, open.parts.clock.now_ms(), 0)?;
    open.commit(tx).await?;
    open.due.notify_one();
    Ok(())
}

/// Ends a token whose time is over, with all below it. What does not fit into one change is
/// due in its place, and so are its leases.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) async fn end_token(open: &Arc<Open>, due: &Due, now_ms: u64) -> Result<(), Fault> {
    let mut contended = false;
    loop {
        let mut tx = open.begin()?;
        if tokens::get(&mut tx, &due.id)?.is_some_and(|record| record.is_expired(now_ms)) {
            let _ = tree::end(&mut tx, &open.salt, &due.id, now_ms, Slice::at_once(contended))?;
        }
        jobs::forget(&mut tx, due)?;
        match open.commit(tx).await {
            Err(Fault::Conflict) if !contended => contended = true,
            done => {
                if done.is_ok() {
                    open.due.notify_one();
                }
                return done;
            }
        }
    }
}

/// Moves a removal that failed to its next attempt.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn retry_later(
    tx: &mut Transaction,
    due: &Due,
    later: &impl Fn(&mut u32, &mut u64),
) -> Result<(), StoreError> {
    let Some(RemovalRecord { mut failures, .. }) = removals::at(tx, due)? else { return Ok(()) };
    let mut due_ms = due.at_ms;
    later(&mut failures, &mut due_ms);
    removals::put_off(tx, due, due_ms, failures)
}

/// The space of the mount that is being removed, if it is one, or of namespaces.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn mount_of(tx: &mut Transaction, due: &Due) -> Result<Option<[u8; 16]>, StoreError> {
    Ok(match removals::at(tx, due)? {
        Some(RemovalRecord { what: What::Mount { space }, .. }) => Some(space),
        // It looks at every token: what else the host ends does not wait behind it.
        Some(RemovalRecord { what: What::Namespace { .. }, .. }) => Some(space::NAMESPACES.0),
        _ => None,
    })
}

/// Removes a slice; says whether it was the last for now. One that met a conflict, or was
/// too large after all, is tried again with less.
async fn slice(open: &Arc<Open>, due: &Due, pace: &mut Pace) -> Result<bool, Fault> {
    match attempt(open, due, pace).await {
        Ok(done) => {
            pace.committed();
            Ok(done)
        }
        Err(Fault::Conflict) => {
            pace.met_conflict();
            Ok(false)
        }
        Err(Fault::Store(StoreError::TooLarge { .. } | StoreError::TooMany { .. })) if pace.reduce() => Ok(false),
        Err(fault) => Err(fault),
    }
}

async fn attempt(open: &Arc<Open>, due: &Due, pace: &Pace) -> Result<bool, Fault> {
    let now_ms = open.parts.clock.now_ms();
    let mut tx = open.begin()?;
    let Some(mut record) = removals::at(&mut tx, due)? else { return Ok(true) };
    let done = match &mut record.what {
        What::Tree { root, parent } => tree::go_on(&mut tx, &open.salt, (root, parent.as_ref()), now_ms, pace.slice())?,
        What::Orphans { parent } => tree::free(&mut tx, &open.salt, parent, now_ms, pace.slice())?,
        What::Leases { .. } => {
            let after = end_leases(open, &mut tx, &record.what, now_ms, pace.slice())?;
            let done = after.is_none();
            if let What::Leases { after: place, .. } = &mut record.what {
                *place = after;
            }
            done
        }
        What::Namespace { id } => {
            let id = id.clone();
            return vacate::step(open, due, &id, record, pace.slice()).await;
        }
        What::Mount { space } => return leave::step(open, due, SpaceId(*space), record, pace.slice()).await,
    };
    if done {
        jobs::forget(&mut tx, due)?;
    } else {
        removals::save(&mut tx, due, &RemovalRecord { failures: 0, ..record })?;
    }
    open.commit(tx).await?;
    Ok(done)
}

/// Ends the leases below a prefix. Where they are too many for one change, the rest goes
/// on as the removal whose place this gives back.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn begin_leases(
    visit: &mut Visit,
    prefix: &str,
    of: Option<SpaceId>,
    end: LeaseEnd,
) -> Result<Option<Due>, Fault> {
    let what = |after| What::Leases { prefix: prefix.to_owned(), after, of: of.map(|space| space.0), end };
    let (open, now_ms) = (visit.open.clone(), visit.now_ms);
    match end_leases(&open, &mut visit.tx, &what(None), now_ms, Slice::at_once(visit.attempt > 0))? {
        Some(after) => Ok(Some(removals::begin(&mut visit.tx, now_ms, what(Some(after)))?)),
        None => Ok(None),
    }
}

/// Ends leases below a prefix as far as the slice goes; gives back behind which to go on.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn end_leases(
    open: &Open,
    tx: &mut Transaction,
    what: &What,
    now_ms: u64,
    mut slice: Slice,
) -> Result<Option<String>, Fault> {
    let What::Leases { prefix, after, of, end } = what else { return Ok(None) };
    // In a transaction of its own: leases that come and go meanwhile are no conflict.
    let (ids, next) = leases::page(&mut open.begin()?, prefix, after.as_deref(), slice.things_max())?;
    let mut last = after.clone();
    for id in ids {
        if !end_lease(tx, &id, (*of, *end), now_ms, &mut slice)? {
            return Ok(last);
        }
        last = Some(id);
    }
    Ok(next)
}

/// Ends a lease, where a mount is given one of this mount; says whether there was room.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn end_lease(
    tx: &mut Transaction,
    id: &str,
    (of, end): (Option<[u8; 16]>, LeaseEnd),
    now_ms: u64,
    slice: &mut Slice,
) -> Result<bool, StoreError> {
    match leases::get(tx, id) {
        Ok(Some(lease)) if of.is_none_or(|mount| mount == lease.mount) => {
            if !slice.take(lease.stored_bytes()) {
                return Ok(false);
            }
            match end {
                LeaseEnd::FallDue => leases::fall_due(tx, &lease, now_ms)?,
                LeaseEnd::Forgotten => leases::remove(tx, &lease)?,
            }
        }
        Ok(_) => {}
        // It must not keep the others from their end.
        Err(StoreError::Damaged { what, .. }) => {
            tracing::error!(what, "a lease that is to end could not be read");
            if end == LeaseEnd::Forgotten {
                leases::remove_unread(tx, id)?;
            }
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}
