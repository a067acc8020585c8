//! Whose turn it is to have a driver work, for each mount and config: so many at once, and others
//! wait, in their order, as long as it goes on. A database that does not answer is not waited for:
//! each that waits holds an instance of the engine, and others' mounts need those.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bulkhead_model::seam::plugin::CallFailure;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::PER_ADDRESS_MAX;

/// Calls of one mount and config that wait. Source: ours. Why: with those at work, a mount's engine
/// has no more instances than half of all.
const WAITING_MAX: usize = 112;
/// Calls that wait over all mounts. Source: ours. Why: databases may all become slow at once.
const WAITING_IN_ALL_MAX: usize = 128;
/// Longest wait. Source: ours. Why: what comes then has the rest of a request's time.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How long is waited while no call comes to an end. Source: ours.
const STALLED: Duration = Duration::from_secs(2);
/// A call that took longer is no sign that it goes on: it may have ended by its own deadline.
const QUICK: Duration = Duration::from_secs(5);
/// How often somebody who waits looks whether it goes on.
const LOOK: Duration = Duration::from_millis(250);
/// Lanes remembered with no call; beyond this, those are forgotten. Why: remembering saves an
/// allocation per call, forgetting bounds the map.
const IDLE_MAX: usize = 1_000;

/// All lanes.
#[derive(Default)]
pub(crate) struct Turns {
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    waiting: AtomicUsize,
}

/// The calls of one mount and config.
struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// When one ended that was quick.
    moved: Mutex<Instant>,
}

/// A place among those at work, given back when dropped.
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    lane: Arc<Lane>,
    begun: Instant,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.begun.elapsed() < QUICK {
            *self.lane.moved.lock() = Instant::now();
        }
    }
}

/// Counts somebody who waits, as long as it does.
struct Waiting<'a>([&'a AtomicUsize; 2]);

impl<'a> Waiting<'a> {
    fn new(lane: &'a AtomicUsize, all: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self([lane, all]);
        let (in_lane, in_all) = (lane.fetch_add(1, SeqCst), all.fetch_add(1, SeqCst));
        (in_lane < WAITING_MAX && in_all < WAITING_IN_ALL_MAX).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for count in self.0 {
            count.fetch_sub(1, SeqCst);
        }
    }
}

impl Turns {
    /// Returns once it is this call's turn.
    ///
    /// # Errors
    /// [`CallFailure::Busy`]: too many wait, or it does not go on.
    pub(crate) async fn take(&self, lane: &str) -> Result<Turn, CallFailure> {
        let lane = self.lane(lane);
        let place = match Arc::clone(&lane.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait(&lane).await?,
        };
        Ok(Turn { _place: place, lane, begun: Instant::now() })
    }

    async fn wait(&self, lane: &Lane) -> Result<OwnedSemaphorePermit, CallFailure> {
        let _waiting = Waiting::new(&lane.waiting, &self.waiting).ok_or(CallFailure::Busy)?;
        let began = Instant::now();
        let mut place = pin!(Arc::clone(&lane.places).acquire_owned());
        loop {
            if let Ok(place) = tokio::time::timeout(LOOK, &mut place).await {
                return place.map_err(|_| CallFailure::Busy);
            }
            let is_stalled = began.elapsed() >= STALLED && lane.moved.lock().elapsed() >= STALLED;
            if is_stalled || began.elapsed() >= WAIT_MAX {
                return Err(CallFailure::Busy);
            }
        }
    }

    fn lane(&self, name: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(name) {
            return Arc::clone(lane);
        }
        if lanes.len() >= IDLE_MAX {
            // Whoever is at work or waits holds its lane.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let places = Arc::new(Semaphore::new(PER_ADDRESS_MAX));
        let lane = Arc::new(Lane { places, waiting: AtomicUsize::new(0), moved: Mutex::new(Instant::now()) });
        lanes.insert(name.to_owned(), Arc::clone(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fill(turns: &Turns, lane: &str) -> Vec<Turn> {
        let mut held = Vec::new();
        for _ in 0..PER_ADDRESS_MAX {
            held.push(turns.take(lane).await.expect("a place is free"));
        }
        held
    }

    #[tokio::test]
    async fn whoever_finds_no_place_waits_for_one_and_other_configs_do_not() {
        let turns = Arc::new(Turns::default());
        let mut held = fill(&turns, "a").await;
        fill(&turns, "b").await;
        let waiting = Arc::clone(&turns);
        let waiting = tokio::spawn(async move { waiting.take("a").await.is_ok() });
        while turns.waiting.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        held.pop();
        assert!(waiting.await.expect("it ends"));
        assert_eq!(turns.waiting.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn what_does_not_go_on_is_not_waited_for() {
        let turns = Turns::default();
        let held = fill(&turns, "a").await;
        let began = Instant::now();
        assert!(matches!(turns.take("a").await, Err(CallFailure::Busy)));
        assert!(began.elapsed() >= STALLED && began.elapsed() < WAIT_MAX);
        drop(held);
        assert!(turns.take("a").await.is_ok());
    }

    #[tokio::test]
    async fn no_more_than_so_many_wait() {
        let turns = Arc::new(Turns::default());
        let held = fill(&turns, "a").await;
        let mut waiting = Vec::new();
        for _ in 0..WAITING_MAX {
            let turns = Arc::clone(&turns);
            waiting.push(tokio::spawn(async move { turns.take("a").await.is_ok() }));
        }
        while turns.waiting.load(SeqCst) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        assert!(matches!(turns.take("a").await, Err(CallFailure::Busy)));
        assert!(began.elapsed() < STALLED, "it is told at once");
        drop(held);
        for waiting in waiting {
            assert!(waiting.await.expect("it ends"));
        }
    }
}
