//! Intents whose calls may be at work still, so that nobody undoes them yet: what were undone while it is
//! being done would be there afterwards, and nobody would know of it. Of its own calls a node knows when they
//! end. Those of leaders before it have ended when it has led for as long as a call may take. No wall clock
//! has a say in this, because a wrong one, on whichever node, would have something undone too soon.

use std::collections::HashMap;
use std::sync::Arc;

use bulkhead_model::seam::ledger::Standing;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// How long a call may be at work outside, in milliseconds. Source: ours, twice the longest call of a
/// plugin. Why: a server outside may go on for a while with what it was asked last.
pub(crate) const CALL_MS_MAX: u64 = 120_000;

/// Intents of one mount that may be, made lately or waiting to be undone. Source: ours. Why: while what it
/// works with is down, each request for it would leave one, and whoever may make such requests would
/// fill the storage.
const OF_MOUNT_MAX: usize = 2_000;

/// What a node knows of intents. Times are those of its steady clock, in milliseconds.
#[derive(Default)]
pub(crate) struct Underway(Mutex<Known>);

#[derive(Default)]
struct Known {
    tenure: Option<Tenure>,
    /// Of this node's own calls, by the digests of their ids.
    own: HashMap<[u8; 32], Own>,
    /// Of each mount, how many there were when they were looked through.
    found: HashMap<[u8; 16], usize>,
}

/// The time for which this node leads.
struct Tenure {
    term: u64,
    since_ms: u64,
    /// When intents were looked through, or it began.
    reviewed_ms: u64,
}

struct Own {
    mount: [u8; 16],
    begun_ms: u64,
    is_at_work: bool,
}

impl Own {
    /// Whether something may still become of its call, whether or not that has ended.
    fn is_recent(&self, now_ms: u64) -> bool {
        self.is_at_work || now_ms.saturating_sub(self.begun_ms) < CALL_MS_MAX
    }
}

impl Underway {
    /// Notes where the node stands now. To be told often: what it does not hear of counts from when it
    /// does.
    pub(crate) fn stands(&self, standing: &Standing, now_ms: u64) {
        let mut known = self.0.lock();
        known.own.retain(|_, own| own.is_recent(now_ms));
        let is_same = known.tenure.as_ref().is_some_and(|tenure| tenure.term == standing.term);
        if !standing.leader {
            known.tenure = None;
        } else if !is_same {
            known.tenure = Some(Tenure { term: standing.term, since_ms: now_ms, reviewed_ms: now_ms });
        }
    }

    /// Notes that a call of this node, for the mount of a space, is about to do something outside, until
    /// what is given back is dropped. `None`: too much of that mount waits to be undone.
    pub(crate) fn begin(self: &Arc<Self>, digest: [u8; 32], mount: [u8; 16], now_ms: u64) -> Option<AtWork> {
        let mut known = self.0.lock();
        let found = known.found.get(&mount).copied().unwrap_or_default();
        let own = known.own.values().filter(|own| own.mount == mount).count();
        if found.saturating_add(own) >= OF_MOUNT_MAX {
            return None;
        }
        known.own.insert(digest, Own { mount, begun_ms: now_ms, is_at_work: true });
        Some(AtWork { all: self.clone(), digest })
    }

    /// In how long an intent may be undone, in milliseconds; `None`: its call is at work, and it is not
    /// known how long that takes, or this node does not lead.
    pub(crate) fn left_ms(&self, digest: &[u8; 32], now_ms: u64) -> Option<u64> {
        let known = self.0.lock();
        let begun_ms = match known.own.get(digest) {
            Some(own) if own.is_at_work => return None,
            Some(own) => own.begun_ms,
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

    /// So many there are of each mount that has any.
    pub(crate) fn found(&self, counts: HashMap<[u8; 16], usize>) {
        self.0.lock().found = counts;
    }
}

/// A call of this node that does something outside.
pub(crate) struct AtWork {
    all: Arc<Underway>,
    digest: [u8; 32],
}

impl AtWork {
    /// The intent is gone, with the commit that made it good; or that commit came to nothing, and its call
    /// has ended, so that nothing can become of it any more.
    fn ended(self) -> [u8; 32] {
        self.all.0.lock().own.remove(&self.digest);
        self.digest
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(own) = self.all.0.lock().own.get_mut(&self.digest) {
            own.is_at_work = false;
        }
    }
}

/// What a call holds until its commit has come to an end, well or not.
#[derive(Default)]
pub(crate) struct Held {
    /// Advisory locks.
    pub locks: Vec<OwnedMutexGuard<()>>,
    /// Of intents that go with the commit.
    pub at_work: Vec<AtWork>,
}

impl Held {
    /// Holds what another call held too.
    pub(crate) fn extend(&mut self, other: Self) {
        self.locks.extend(other.locks);
        self.at_work.extend(other.at_work);
    }

    /// Lets go of everything, after the commit, or after one that is known to have come to nothing; gives the
    /// digests of what went with it.
    pub(crate) fn ended(self) -> Vec<[u8; 32]> {
        self.at_work.into_iter().map(AtWork::ended).collect()
    }
}

#[cfg(test)]
mod tests;
