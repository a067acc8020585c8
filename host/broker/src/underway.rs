//! Intents whose calls may be at work still, so that nobody undoes them yet: what were undone while it is
//! being done would be there afterwards, and nobody would know of it. Of its own calls a node knows when they
//! end. Those of leaders before it have ended when it has led for as long as a call may take. No wall clock
//! has a say in this, because a wrong one, on whichever node, would have something undone too soon.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use bulkhead_model::seam::ledger::Standing;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::book::lane::Lane;

/// How long a call may be at work outside, in milliseconds. Source: ours, twice the longest call of a
/// plugin. Why: a server outside may go on for a while with what it was asked last.
pub(crate) const CALL_MS_MAX: u64 = 120_000;

/// Intents of one lane that may wait to be undone. Source: ours. Why: while what it works with is down, each
/// request for it would leave one, and what waits is undone in turns.
pub(crate) const OF_LANE_MAX: usize = 500;

/// Intents of one mount that may be, of calls at work too. Source: ours. Why: whoever may make such requests, or name
/// new lanes, would fill the storage; and a handful of lanes that are full is to leave room for the others.
const OF_MOUNT_MAX: usize = 5_000;

/// What a node knows of intents. Times are those of its steady clock, in milliseconds.
#[derive(Default)]
pub(crate) struct Underway(Mutex<Known>);

#[derive(Default)]
struct Known {
    tenure: Option<Tenure>,
    /// Those of this node's own calls and those that were found, by the digests of their ids.
    all: HashMap<[u8; 32], One>,
    /// Of each mount, how many there are.
    of_mount: HashMap<[u8; 16], usize>,
    /// Of each lane, how many there are whose calls are not at work.
    waiting: HashMap<Lane, usize>,
}

/// The time for which this node leads.
struct Tenure {
    term: u64,
    since_ms: u64,
    /// When intents were looked through, or it began.
    reviewed_ms: u64,
}

#[derive(Clone, Copy)]
struct One {
    lane: Lane,
    /// When its call began, if that is known.
    begun_ms: Option<u64>,
    is_at_work: bool,
    /// It has ended, and so has its commit: nothing can become of it any more.
    is_void: bool,
}

impl One {
    /// Whether something may still become of its call, whether or not that has ended.
    fn is_recent(&self, now_ms: u64) -> bool {
        self.is_at_work || self.begun_ms.is_some_and(|begun_ms| now_ms.saturating_sub(begun_ms) < CALL_MS_MAX)
    }
}

impl Known {
    /// What there is of one from now on, if it is there at all.
    fn set(&mut self, digest: [u8; 32], one: Option<One>) {
        let before = match one {
            Some(one) => self.all.insert(digest, one),
            None => self.all.remove(&digest),
        };
        if let Some(one) = before {
            one_less(&mut self.of_mount, one.lane.mount);
            if !one.is_at_work {
                one_less(&mut self.waiting, one.lane);
            }
        }
        if let Some(one) = one {
            *self.of_mount.entry(one.lane.mount).or_default() += 1;
            if !one.is_at_work {
                *self.waiting.entry(one.lane).or_default() += 1;
            }
        }
    }

    fn forget_unless(&mut self, stays: impl Fn(&[u8; 32], &One) -> bool) {
        let gone: Vec<[u8; 32]> =
            self.all.iter().filter(|(digest, one)| !stays(digest, one)).map(|(digest, _)| *digest).collect();
        gone.into_iter().for_each(|digest| self.set(digest, None));
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: K) {
    if let Entry::Occupied(mut count) = counts.entry(of) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

impl Underway {
    /// Notes where the node stands now. To be told often: what it does not hear of counts from when it
    /// does.
    pub(crate) fn stands(&self, standing: &Standing, now_ms: u64) {
        let mut known = self.0.lock();
        let is_same = known.tenure.as_ref().is_some_and(|tenure| tenure.term == standing.term);
        if standing.leader && is_same {
            return;
        }
        // What became of the others, another leader knows, or the next look.
        known.forget_unless(|_, one| one.is_recent(now_ms));
        let tenure = Tenure { term: standing.term, since_ms: now_ms, reviewed_ms: now_ms };
        known.tenure = standing.leader.then_some(tenure);
    }

    /// Notes that a call of this node, of a lane, is about to do something outside, until what is given back
    /// is dropped. `None`: too much of that lane, or of its mount, waits to be undone.
    pub(crate) fn begin(self: &Arc<Self>, digest: [u8; 32], lane: Lane, now_ms: u64) -> Option<AtWork> {
        let mut known = self.0.lock();
        let of_mount = known.of_mount.get(&lane.mount).copied().unwrap_or_default();
        let waiting = known.waiting.get(&lane).copied().unwrap_or_default();
        if waiting >= OF_LANE_MAX || of_mount >= OF_MOUNT_MAX {
            return None;
        }
        known.set(digest, Some(One { lane, begun_ms: Some(now_ms), is_at_work: true, is_void: false }));
        Some(AtWork { all: self.clone(), digest })
    }

    /// In how long an intent may be undone, in milliseconds; `None`: its call is at work, and it is not
    /// known how long that takes, or this node does not lead.
    pub(crate) fn left_ms(&self, digest: &[u8; 32], now_ms: u64) -> Option<u64> {
        let known = self.0.lock();
        let begun_ms = match known.all.get(digest) {
            Some(one) if one.is_at_work => return None,
            Some(one) if one.is_void => return known.tenure.as_ref().map(|_| 0),
            Some(one) => one.begun_ms.unwrap_or(0),
            None => 0,
        };
        let since_ms = known.tenure.as_ref()?.since_ms.max(begun_ms);
        Some(since_ms.saturating_add(CALL_MS_MAX).saturating_sub(now_ms))
    }

    /// Whether nothing can become of its call any more.
    pub(crate) fn is_over(&self, digest: &[u8; 32], now_ms: u64) -> bool {
        self.left_ms(digest, now_ms) == Some(0)
    }

    /// Whether intents are to be looked through: from when what was found is over, and then from time to
    /// time.
    pub(crate) fn is_review_due(&self, now_ms: u64) -> bool {
        let known = self.0.lock();
        known.tenure.as_ref().is_some_and(|tenure| now_ms.saturating_sub(tenure.reviewed_ms) >= CALL_MS_MAX)
    }

    /// They have been looked through.
    pub(crate) fn reviewed(&self, now_ms: u64) {
        if let Some(tenure) = &mut self.0.lock().tenure {
            tenure.reviewed_ms = now_ms;
        }
    }

    /// These there are, and no others if they are all.
    pub(crate) fn found(&self, found: &HashMap<[u8; 32], Lane>, is_all: bool, now_ms: u64) {
        let mut known = self.0.lock();
        if is_all {
            known.forget_unless(|digest, one| found.contains_key(digest) || one.is_recent(now_ms));
        }
        for (digest, lane) in found {
            if !known.all.contains_key(digest) {
                known.set(*digest, Some(One { lane: *lane, begun_ms: None, is_at_work: false, is_void: false }));
            }
        }
    }

    /// One that goes with a commit, and is not counted any more after that.
    pub(crate) fn going(self: &Arc<Self>, digest: [u8; 32]) -> Going {
        Going { all: self.clone(), digest }
    }
}

/// An intent that goes with a commit, because it is undone or nobody is to undo it.
pub(crate) struct Going {
    all: Arc<Underway>,
    digest: [u8; 32],
}

/// A call of this node that does something outside.
pub(crate) struct AtWork {
    all: Arc<Underway>,
    digest: [u8; 32],
}

impl AtWork {
    /// The commit came to nothing, and its call has ended: nothing can become of it any more.
    fn ended(self) -> [u8; 32] {
        let mut known = self.all.0.lock();
        if let Some(one) = known.all.get(&self.digest).copied() {
            known.set(self.digest, Some(One { is_at_work: false, is_void: true, ..one }));
        }
        drop(known);
        self.digest
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut known = self.all.0.lock();
        if let Some(one) = known.all.get(&self.digest).copied() {
            known.set(self.digest, Some(One { is_at_work: false, ..one }));
        }
    }
}

/// What a call holds until its commit has come to an end, well or not.
#[derive(Default)]
pub(crate) struct Held {
    /// Advisory locks.
    pub locks: Vec<OwnedMutexGuard<()>>,
    /// Of its own intents, which go with the commit.
    pub at_work: Vec<AtWork>,
    /// Other intents that go with it.
    pub going: Vec<Going>,
}

impl Held {
    /// Holds what another call held too.
    pub(crate) fn extend(&mut self, other: Self) {
        self.locks.extend(other.locks);
        self.at_work.extend(other.at_work);
        self.going.extend(other.going);
    }

    /// Lets go of everything, after the commit.
    pub(crate) fn committed(self) {
        for AtWork { all, digest } in &self.at_work {
            all.0.lock().set(*digest, None);
        }
        for Going { all, digest } in &self.going {
            all.0.lock().set(*digest, None);
        }
    }

    /// Lets go of everything, after a commit that is known to have come to nothing; gives the digests of
    /// its own intents, which are there still.
    pub(crate) fn ended(self) -> Vec<[u8; 32]> {
        self.at_work.into_iter().map(AtWork::ended).collect()
    }
}

#[cfg(test)]
mod tests;
