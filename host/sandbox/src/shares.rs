//! Places that many share, each of whom is known by a name: so many in all, and of what the others leave nobody takes
//! more than half. So there is a place for whoever has none, however many hold theirs for long, and who has many
//! comes after who has few. Whoever finds none waits, not without bound, in the order of coming.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How many places there are, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) in_all: usize,
    /// Of these, places of one name.
    pub(crate) each: usize,
    /// Those who wait for one.
    pub(crate) waiting: usize,
    /// Of these, those of one name.
    pub(crate) waiting_each: usize,
}

/// The places.
pub(crate) struct Shares {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who has places, or waits for one.
    names: HashMap<Arc<str>, Count>,
    taken: usize,
    waiting: VecDeque<(Arc<str>, oneshot::Sender<Share>)>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    taken: usize,
    waiting: usize,
}

/// A place, given back when dropped.
pub(crate) struct Share {
    of: Arc<Shares>,
    name: Arc<str>,
}

/// Somebody who waits, and has himself taken off the list if he goes.
struct Waiting<'a> {
    of: &'a Shares,
    name: Arc<str>,
    place: oneshot::Receiver<Share>,
}

impl Shares {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, state: Mutex::default() })
    }

    /// A place, for which is waited so long.
    pub(crate) async fn take(self: &Arc<Self>, name: &str, within: Duration) -> Option<Share> {
        let mut waiting = {
            let mut state = self.state.lock();
            let name = state.known(name);
            if state.has_room(&self.bounds, &name) {
                return Some(state.give(self, name));
            }
            let own = state.count(&name).waiting;
            let may_wait = state.waiting.len() < self.bounds.waiting && own < self.bounds.waiting_each;
            if !may_wait || within.is_zero() {
                return None;
            }
            let (sender, place) = oneshot::channel();
            state.names.entry(Arc::clone(&name)).or_default().waiting += 1;
            state.waiting.push_back((Arc::clone(&name), sender));
            Waiting { of: self, name, place }
        };
        match tokio::time::timeout(within, &mut waiting.place).await {
            Ok(place) => place.ok(),
            Err(_) => None,
        }
    }

    /// Whether this one would be given a place now.
    pub(crate) fn has_room(&self, name: &str) -> bool {
        self.state.lock().has_room(&self.bounds, name)
    }

    /// Whether it is for want of any place that this one, who has none, would be given none.
    pub(crate) fn is_full_for(&self, name: &str) -> bool {
        let state = self.state.lock();
        state.taken >= self.bounds.in_all && state.count(name).taken == 0
    }

    /// Whether somebody who waits would have a place if this one gave one of his back.
    pub(crate) fn is_wanted_of(&self, name: &str) -> bool {
        let mut state = self.state.lock();
        state.take_back(name);
        let is_wanted = state.waiting.iter().any(|(other, _)| state.has_room(&self.bounds, other));
        state.count_in(&Arc::from(name));
        is_wanted
    }

    fn give_back(self: &Arc<Self>, name: &str) {
        let mut unwanted = Vec::new();
        {
            let mut state = self.state.lock();
            state.take_back(name);
            while let Some(at) = state.next(&self.bounds) {
                let Some((name, sender)) = state.waiting.remove(at) else { break };
                let place = state.give(self, name);
                // Somebody who has gone meanwhile gives it back, below: that takes the lock.
                unwanted.extend(sender.send(place).err());
            }
        }
        drop(unwanted);
    }
}

impl State {
    fn known(&self, name: &str) -> Arc<str> {
        self.names.get_key_value(name).map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name))
    }

    fn count(&self, name: &str) -> Count {
        self.names.get(name).copied().unwrap_or_default()
    }

    fn has_room(&self, bounds: &Bounds, name: &str) -> bool {
        let own = self.count(name).taken;
        let left_by_others = bounds.in_all.saturating_sub(self.taken - own);
        self.taken < bounds.in_all && own < left_by_others.div_ceil(2).min(bounds.each)
    }

    /// The first who waits that there is room for.
    fn next(&self, bounds: &Bounds) -> Option<usize> {
        if self.taken >= bounds.in_all {
            return None;
        }
        self.waiting.iter().position(|(name, _)| self.has_room(bounds, name))
    }

    fn count_in(&mut self, name: &Arc<str>) {
        self.names.entry(Arc::clone(name)).or_default().taken += 1;
        self.taken += 1;
    }

    fn give(&mut self, of: &Arc<Shares>, name: Arc<str>) -> Share {
        self.count_in(&name);
        Share { of: Arc::clone(of), name }
    }

    fn take_back(&mut self, name: &str) {
        let count = self.names.get_mut(name).expect("who gives a place back has one");
        count.taken -= 1;
        self.taken -= 1;
        self.forget(name);
    }

    fn forget(&mut self, name: &str) {
        if self.names.get(name).is_some_and(|count| (count.taken, count.waiting) == (0, 0)) {
            self.names.remove(name);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.give_back(&self.name);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // What is sent from now on comes back to who sent it.
        self.place.close();
        let mut state = self.of.state.lock();
        state.waiting.retain(|(_, sender)| !sender.is_closed());
        if let Some(count) = state.names.get_mut(&self.name) {
            count.waiting -= 1;
        }
        state.forget(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { in_all: 64, each: 16, waiting: 8, waiting_each: 4 };
    const AT_ONCE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    /// Takes as many as it is given at once.
    async fn fill(shares: &Arc<Shares>, name: &str) -> Vec<Share> {
        let mut held = Vec::new();
        while let Some(share) = shares.take(name, AT_ONCE).await {
            held.push(share);
        }
        held
    }

    fn waits(shares: &Arc<Shares>, name: &'static str) -> tokio::task::JoinHandle<Option<Share>> {
        let shares = Arc::clone(shares);
        tokio::spawn(async move { shares.take(name, LONG).await })
    }

    async fn until_waiting(shares: &Shares, count: usize) {
        while shares.state.lock().waiting.len() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn nobody_takes_more_than_half_of_what_the_others_leave() {
        let shares = Shares::new(BOUNDS);
        let mut held = Vec::new();
        for (name, count) in [("a", 16), ("b", 16), ("c", 16), ("d", 8), ("e", 4), ("f", 2), ("g", 1), ("h", 1)] {
            let own = fill(&shares, name).await;
            assert_eq!(own.len(), count, "{name}");
            held.push(own);
        }
        assert!(shares.take("i", AT_ONCE).await.is_none(), "all are taken");
        // Of what comes free, those get some who have none, and not who has many.
        held[0].pop();
        assert!(shares.take("a", AT_ONCE).await.is_none());
        assert!(shares.take("i", AT_ONCE).await.is_some());
        drop(held);
        assert!(shares.state.lock().names.is_empty(), "nobody is remembered");
        assert_eq!(fill(&shares, "a").await.len(), 16);
    }

    #[tokio::test]
    async fn who_waits_is_given_what_comes_free_and_who_has_none_first() {
        let shares = Shares::new(Bounds { in_all: 4, each: 4, ..BOUNDS });
        let mut held = fill(&shares, "a").await;
        held.extend(fill(&shares, "b").await);
        held.extend(fill(&shares, "c").await);
        assert_eq!(held.len(), 4);
        let of_a = waits(&shares, "a");
        until_waiting(&shares, 1).await;
        let of_d = waits(&shares, "d");
        until_waiting(&shares, 2).await;
        assert!(!shares.has_room("d") && shares.is_full_for("d") && !shares.is_full_for("a"));
        assert!(shares.is_wanted_of("b"));
        held.pop();
        let place = of_d.await.expect("it ends").expect("a place came free");
        assert!(!of_a.is_finished());
        drop((held, place));
        assert!(of_a.await.expect("it ends").is_some());
        let state = shares.state.lock();
        assert_eq!((state.taken, state.waiting.len(), state.names.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn no_more_than_so_many_wait_and_who_goes_is_not_counted() {
        let shares = Shares::new(Bounds { in_all: 2, each: 1, ..BOUNDS });
        let held = [fill(&shares, "a").await, fill(&shares, "b").await];
        let mut waiting: Vec<_> = (0..4).map(|_| waits(&shares, "a")).collect();
        until_waiting(&shares, 4).await;
        assert!(shares.take("a", LONG).await.is_none(), "too many of its own wait");
        waiting.extend((0..4).map(|_| waits(&shares, "b")));
        until_waiting(&shares, 8).await;
        assert!(shares.take("c", LONG).await.is_none(), "too many wait");
        for waiting in waiting {
            waiting.abort();
            assert!(waiting.await.is_err());
        }
        assert!(shares.take("c", Duration::from_millis(1)).await.is_none(), "none came free in time");
        assert!(shares.state.lock().waiting.is_empty());
        drop(held);
        assert!(shares.state.lock().names.is_empty());
        assert!(shares.take("c", AT_ONCE).await.is_some());
    }
}
