//! How much of the log stays though a snapshot has it: some entries for whoever was away for a
//! moment, and all that a node will lack that is being sent a snapshot. Without the latter, a
//! node could be sent one snapshot after the other and never catch up with a busy leader: by the time
//! it has one in place, the entries after it are gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::raft::Raft;

/// How often it is looked what can go.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a node may stand still once a snapshot was sent, before nothing is kept for it any more.
const STILL_MAX: Duration = Duration::from_secs(60);

/// Entries that are kept for such a node at most. Source: ours. Why: they take room on the disk.
const ENTRIES_MAX: u64 = 500_000;

/// What is kept for nodes that are being sent a snapshot, by number.
#[derive(Default)]
pub(crate) struct Holds {
    of: Mutex<BTreeMap<u64, Hold>>,
    sendings: AtomicU64,
}

struct Hold {
    /// Which sending it is for.
    sending: u64,
    /// The last entry in the snapshot, and then the last that the node is known to have.
    after: u64,
    /// `None` while the snapshot is sent and put in place, which has bounds of its own.
    until: Option<Instant>,
}

/// A snapshot is on its way, as long as this lives.
pub(crate) struct Sending {
    holds: Arc<Holds>,
    peer: u64,
    number: u64,
}

impl Drop for Sending {
    fn drop(&mut self) {
        // Another may have begun meanwhile.
        if let Some(hold) = self.holds.of.lock().get_mut(&self.peer).filter(|hold| hold.sending == self.number) {
            hold.until = Some(Instant::now() + STILL_MAX);
        }
    }
}

impl Holds {
    /// A node is sent a snapshot whose last entry this is.
    pub(crate) fn sending(self: &Arc<Self>, peer: u64, after: u64) -> Sending {
        let number = self.sendings.fetch_add(1, Ordering::Relaxed);
        self.of.lock().insert(peer, Hold { sending: number, after, until: None });
        Sending { holds: Arc::clone(self), peer, number }
    }

    /// How much of the log may go by now, of what could; `last` is its last entry. Forgets who needs
    /// nothing any more: what is known of each peer is how far it has the log, or nothing where
    /// this node does not lead.
    fn bound(&self, now: Instant, (could, last): (u64, u64), matched: impl Fn(u64) -> Option<u64>) -> u64 {
        let mut bound = could;
        self.of.lock().retain(|peer, hold| {
            let Some(matched) = matched(*peer) else { return false };
            let comes_nearer = matched > hold.after;
            if comes_nearer {
                hold.after = matched;
                hold.until = hold.until.map(|_| now + STILL_MAX);
            }
            let is_late = hold.until.is_some_and(|until| now >= until);
            let is_near = comes_nearer && matched >= could;
            let waits = !is_late && !is_near && last.saturating_sub(hold.after) <= ENTRIES_MAX;
            if waits {
                bound = bound.min(hold.after);
            }
            waits
        });
        bound
    }
}

/// Drops of the log what can go, until it is dropped itself.
pub(crate) struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Keeps so many entries that a snapshot has, and what is held.
    pub(crate) fn start(raft: Raft, holds: Arc<Holds>, keep: u64) -> Self {
        Self(tokio::spawn(async move {
            while purge(&raft, &holds, keep).await {
                sleep(LOOK_EVERY).await;
            }
        }))
    }
}

/// Whether the node still runs.
async fn purge(raft: &Raft, holds: &Holds, keep: u64) -> bool {
    let (upto, purged) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let could = metrics.snapshot.map_or(0, |id| id.index).saturating_sub(keep);
        let matched = |peer: u64| {
            // One that was just taken in may not be there yet.
            let known = metrics.replication.as_ref()?.get(&peer).copied().flatten();
            Some(known.map_or(0, |id| id.index))
        };
        let last = metrics.last_log_index.unwrap_or_default();
        (holds.bound(Instant::now(), (could, last), matched), metrics.purged.map_or(0, |id| id.index))
    };
    upto <= purged || raft.trigger().purge_log(upto).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_will_lack_stays_until_it_has_it_or_stands_still() {
        let (holds, now) = (Arc::new(Holds::default()), Instant::now());
        let has = |index: u64| move |peer: u64| (peer == 7).then_some(index);
        assert_eq!(holds.bound(now, (100, 150), has(0)), 100);
        let sending = holds.sending(7, 40);
        assert_eq!(holds.bound(now, (30, 50), has(0)), 30, "so much it does not need");
        let later = now + Duration::from_secs(3600);
        assert_eq!(holds.bound(later, (100, 150), has(0)), 40, "it is being sent a snapshot, however long");
        drop(sending);
        assert_eq!(holds.bound(now, (100, 150), has(0)), 40, "it has that in place, and nothing else");
        let nearly = Instant::now() + STILL_MAX - Duration::from_secs(1);
        assert_eq!(holds.bound(nearly, (100, 150), has(60)), 60, "it comes nearer");
        assert_eq!(holds.bound(nearly + STILL_MAX / 2, (100, 150), has(70)), 70, "and nearer");
        assert_eq!(holds.bound(nearly, (100, 150), has(100)), 100, "it has all that could go");
        assert_eq!(holds.bound(nearly, (200, 250), has(100)), 200, "and is forgotten");

        drop(holds.sending(7, 40));
        assert_eq!(holds.bound(now, (100, 41 + ENTRIES_MAX), has(0)), 100, "that would be too many");
        drop(holds.sending(7, 40));
        assert_eq!(holds.bound(Instant::now() + STILL_MAX, (100, 150), has(0)), 100, "it stands still");
        let older = holds.sending(7, 40);
        let _newer = holds.sending(7, 50);
        drop(older);
        assert_eq!(holds.bound(later, (100, 150), has(0)), 50, "another is being sent");
        assert_eq!(holds.bound(now, (100, 150), |_| None), 100, "this node leads no more");
    }
}
