//! How many leases there are of each quota, as the node that leads counts them: in memory, by
//! what they are called, so that what ends twice counts once. Whoever makes one takes a seat
//! first, before the outside is touched, and gives it back if nothing comes of it.
//!
//! Invariant: what is counted is never less than what is committed. A seat is counted before
//! its lease is written; where it is not known what became of a change, all is counted anew,
//! and no seat is given until that is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bulkhead_model::change::Version;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::book::lease_quotas::LeaseQuotas;

#[cfg(test)]
mod tests;

/// What a count is of.
#[derive(Clone)]
pub(crate) struct Basis {
    /// Term of the leadership: before it, others may have written.
    pub term: u64,
    /// The state, of which there is another once a snapshot was restored.
    pub moment: Version,
    pub quotas: Arc<LeaseQuotas>,
}

impl Basis {
    fn is(&self, other: &Self) -> bool {
        (self.term, self.moment) == (other.term, other.moment) && self.has_quotas_of(other)
    }

    fn has_quotas_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.quotas, &other.quotas) || self.quotas.is_for_same(&other.quotas)
    }
}

/// The name of a lease or token. Of its digest half is kept: two of one name do not happen.
type Name = u128;

fn name(id: &[u8; 32]) -> Name {
    u128::from_be_bytes(*id.first_chunk().expect("a digest is longer"))
}

/// The counts of a node.
#[derive(Default)]
pub(crate) struct Tally {
    state: Mutex<State>,
    /// Whether anything is counted. While it is not, what ends is nobody's concern.
    active: AtomicBool,
    /// Somebody waits for a count.
    wanted: Notify,
    /// Wakes who waits.
    done: Notify,
}

#[derive(Default)]
struct State {
    basis: Option<Basis>,
    /// Whether all were counted.
    whole: bool,
    /// Number of the count; one that is begun, or was made worthless, is another.
    count: u64,
    /// Leases by name, with the place of their quota.
    marked: HashMap<Name, usize>,
    /// Of each quota: its leases, and seats that have none yet.
    counts: Vec<u64>,
    /// Seats that are taken.
    seats: HashMap<u64, Held>,
    seats_given: u64,
    /// What ended while it was counted.
    gone: HashSet<Name>,
}

struct Held {
    place: usize,
    lease: Option<Name>,
}

/// What became of a wish for a seat.
pub(crate) enum Taken {
    Seat(Seat),
    /// There are as many leases as there may be.
    Full,
    /// They have to be counted first.
    Uncounted,
}

impl Tally {
    /// Takes a seat of the quota in this place, which has so many.
    pub(crate) fn take(self: &Arc<Self>, basis: &Basis, (place, max): (usize, u64)) -> Taken {
        let mut state = self.state.lock();
        if !state.holds(basis) {
            self.wanted.notify_one();
            return Taken::Uncounted;
        }
        if state.counts[place] >= max {
            return Taken::Full;
        }
        state.counts[place] += 1;
        state.seats_given += 1;
        let number = state.seats_given;
        state.seats.insert(number, Held { place, lease: None });
        Taken::Seat(Seat { tally: self.clone(), number, place, is_committing: false })
    }

    /// Leases of the quota in this place; `None`: they have to be counted first.
    pub(crate) fn count(&self, basis: &Basis, place: usize) -> Option<u64> {
        let state = self.state.lock();
        if !state.holds(basis) {
            self.wanted.notify_one();
            return None;
        }
        Some(state.counts[place])
    }

    /// The quotas that were counted, and how many leases each has.
    pub(crate) fn told(&self) -> Option<(Arc<LeaseQuotas>, Vec<u64>)> {
        let state = self.state.lock();
        let basis = state.basis.as_ref().filter(|_| state.whole)?;
        Some((basis.quotas.clone(), state.counts.clone()))
    }

    pub(crate) fn holds(&self, basis: &Basis) -> bool {
        self.state.lock().holds(basis)
    }

    /// Returns once somebody wants a count.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Returns once a count was made or given up, or so much time has passed.
    pub(crate) async fn counted_within(&self, time: Duration) {
        drop(tokio::time::timeout(time, self.done.notified()).await);
    }

    /// Whether what ends is to be told.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::SeqCst)
    }

    /// Begins to count; gives the number of the count. What is seen of the state must be seen
    /// after this.
    pub(crate) fn begin(&self, basis: Basis) -> u64 {
        // Before anything is looked at: what ends from here on is told.
        self.active.store(true, Ordering::SeqCst);
        let mut state = self.state.lock();
        // Who has a seat of other quotas meets a conflict: they are another epoch's.
        if !state.basis.as_ref().is_some_and(|before| before.has_quotas_of(&basis)) {
            state.seats.clear();
        }
        state.count += 1;
        state.whole = false;
        state.marked.clear();
        state.gone.clear();
        state.counts = vec![0; basis.quotas.records.len()];
        state.basis = Some(basis);
        let State { seats, marked, counts, .. } = &mut *state;
        for held in seats.values() {
            counts[held.place] += 1;
            if let Some(lease) = held.lease {
                marked.insert(lease, held.place);
            }
        }
        state.count
    }

    /// Counts leases that were found, each with the place of its quota.
    pub(crate) fn found(&self, count: u64, leases: impl IntoIterator<Item = ([u8; 32], usize)>) {
        let mut state = self.state.lock();
        if state.count != count {
            return;
        }
        for (id, place) in leases {
            let name = name(&id);
            if !state.gone.contains(&name) && state.marked.insert(name, place).is_none() {
                state.counts[place] += 1;
            }
        }
    }

    /// All were found; says whether the count is good.
    pub(crate) fn finish(&self, count: u64) -> bool {
        let mut state = self.state.lock();
        let is_good = state.count == count;
        if is_good {
            state.whole = true;
            state.gone = HashSet::new();
        }
        drop(state);
        self.done.notify_waiters();
        is_good
    }

    /// There is nothing to count, or not by this node.
    pub(crate) fn clear(&self) {
        if self.is_active() {
            let mut state = self.state.lock();
            self.active.store(false, Ordering::SeqCst);
            *state = State { count: state.count + 1, seats_given: state.seats_given, ..State::default() };
        }
        self.done.notify_waiters();
    }

    /// What was counted may not be all, or more than there is.
    pub(crate) fn doubt(&self) {
        if self.is_active() {
            let mut state = self.state.lock();
            state.count += 1;
            state.whole = false;
            self.wanted.notify_one();
        }
    }

    /// Takes out what has ended.
    fn ended(&self, ids: &[[u8; 32]]) {
        if !self.is_active() {
            return;
        }
        let mut state = self.state.lock();
        for id in ids {
            let name = name(id);
            if let Some(place) = state.marked.remove(&name) {
                state.counts[place] -= 1;
            }
            if !state.whole {
                state.gone.insert(name);
            }
        }
    }
}

impl State {
    fn holds(&self, basis: &Basis) -> bool {
        self.whole && self.basis.as_ref().is_some_and(|own| own.is(basis))
    }

    fn release(&mut self, number: u64) {
        let Some(held) = self.seats.remove(&number) else { return };
        // One that has ended already was seen, and so it was committed.
        if held.lease.is_none_or(|lease| self.marked.remove(&lease).is_some()) {
            self.counts[held.place] -= 1;
        }
    }
}

/// A seat for one lease. Dropped, it is free again; where it is not known whether its lease was
/// committed, all are counted anew.
pub(crate) struct Seat {
    tally: Arc<Tally>,
    number: u64,
    place: usize,
    is_committing: bool,
}

impl Seat {
    /// The place of its quota.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Whether it has no lease yet.
    pub(crate) fn is_free(&self) -> bool {
        self.tally.state.lock().seats.get(&self.number).is_some_and(|held| held.lease.is_none())
    }

    /// Gives it to the lease of this name.
    pub(crate) fn give_to(&self, id: &[u8; 32]) {
        let mut state = self.tally.state.lock();
        let State { seats, marked, .. } = &mut *state;
        if let Some(held) = seats.get_mut(&self.number) {
            held.lease = Some(name(id));
            marked.insert(name(id), held.place);
        }
    }

    /// From now on its lease may be committed.
    pub(crate) fn commits(&mut self) {
        self.is_committing = true;
    }

    /// Its lease is committed.
    pub(crate) fn keep(mut self) {
        self.is_committing = false;
        let mut state = self.tally.state.lock();
        match state.seats.get(&self.number).map(|held| held.lease.is_some()) {
            Some(true) => drop(state.seats.remove(&self.number)),
            Some(false) => state.release(self.number),
            // It was counted without this one.
            None => {
                drop(state);
                self.tally.doubt();
            }
        }
    }

    /// Nothing was committed.
    pub(crate) fn give_back(mut self) {
        self.is_committing = false;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_committing {
            self.tally.state.lock().release(self.number);
            return;
        }
        // Nobody knows; the count that follows will.
        self.tally.state.lock().seats.remove(&self.number);
        self.tally.doubt();
    }
}

/// Leases and tokens that end with a change. If nobody hears what became of it, all are counted
/// anew.
pub(crate) struct Endings {
    tally: Arc<Tally>,
    ids: Vec<[u8; 32]>,
}

impl Endings {
    /// None, where nothing is counted.
    pub(crate) fn of(tally: &Arc<Tally>, ids: Vec<[u8; 32]>) -> Option<Self> {
        (!ids.is_empty() && tally.is_active()).then(|| Self { tally: tally.clone(), ids })
    }

    /// They are committed.
    pub(crate) fn happened(mut self) {
        self.tally.ended(&std::mem::take(&mut self.ids));
    }

    /// Nothing was.
    pub(crate) fn did_not_happen(mut self) {
        self.ids.clear();
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        if !self.ids.is_empty() {
            self.tally.doubt();
        }
    }
}
