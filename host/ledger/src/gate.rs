//! Whether a read may be served without asking anyone, decided from a few atomics.
//!
//! The claim: while this node is the only voter, every change the cluster ever
//! acknowledged shows in its next view. Why it holds:
//!
//! * Another node can acknowledge only as leader of a later term, and no node can lead
//!   without this one's vote, since every quorum is this node. A vote for another is
//!   saved before it is given, and saving it closes the gate ([`Gate::voted`]).
//! * A change of voters takes effect when its entry is appended, here first, because this
//!   node leads. Appending it closes the gate before the entry can reach anyone
//!   ([`Gate::membership_appended`]); only applying a membership of this node alone, with
//!   none newer in the log, opens it again.
//! * What this process acknowledged was applied first. What earlier processes, or earlier
//!   leaders, acknowledged is in the log as it was found at start, or before the entry
//!   that made this node the sole voter; both are applied before the gate opens.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;

/// Indexes are kept plus one, so that 0 means none.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    own_vote: AtomicBool,
    appended: AtomicU64,
    sole_since: AtomicU64,
    applied: AtomicU64,
    found_at_start: AtomicU64,
    /// Tells those who wait for an index, if there are any.
    moved: Notify,
    waiting: AtomicUsize,
}

/// Counts one who waits, as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Gate {
    /// Whether this node's own state answers for the whole cluster.
    pub(crate) fn is_open(&self) -> bool {
        let sole = self.sole_since.load(SeqCst);
        sole != 0
            && sole == self.appended.load(SeqCst)
            && self.own_vote.load(SeqCst)
            && self.applied.load(SeqCst) >= self.found_at_start.load(SeqCst)
    }

    /// Called before a vote is saved.
    pub(crate) fn voted(&self, for_itself: bool) {
        self.own_vote.store(for_itself, SeqCst);
    }

    /// The log as found at start; the gate stays shut until its end is applied.
    pub(crate) fn found(&self, last_index: Option<u64>) {
        self.found_at_start.store(plus_one(last_index), SeqCst);
    }

    /// Called before a membership entry can be read from the log.
    pub(crate) fn membership_appended(&self, index: u64) {
        self.appended.fetch_max(index + 1, SeqCst);
    }

    /// Called after a membership was applied; `sole`: this node is its only voter.
    pub(crate) fn membership_applied(&self, index: u64, sole: bool) {
        self.appended.fetch_max(index + 1, SeqCst);
        self.sole_since.store(if sole { index + 1 } else { 0 }, SeqCst);
    }

    /// Called after entries up to `index` are visible in new views.
    pub(crate) fn applied(&self, index: u64) {
        self.applied.store(index + 1, SeqCst);
        if self.waiting.load(SeqCst) != 0 {
            self.moved.notify_waiters();
        }
    }

    /// Returns once the entry at `index` is visible in new views.
    pub(crate) async fn reached(&self, index: u64) {
        if self.shows(index) {
            return;
        }
        // Counted before looking again: either this sees the index, or whoever applies it
        // sees this.
        self.waiting.fetch_add(1, SeqCst);
        let _counted = Waiting(&self.waiting);
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.shows(index) {
                return;
            }
            moved.await;
        }
    }

    fn shows(&self, index: u64) -> bool {
        self.applied.load(SeqCst) > index
    }

    /// Last applied index.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied.load(SeqCst).saturating_sub(1)
    }
}

fn plus_one(index: Option<u64>) -> u64 {
    index.map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::Gate;

    fn sole() -> Gate {
        let gate = Gate::default();
        gate.voted(true);
        gate.membership_appended(0);
        gate.membership_applied(0, true);
        gate.applied(0);
        gate
    }

    #[test]
    fn a_sole_voter_that_applied_all_it_found_answers_alone() {
        let gate = sole();
        gate.found(Some(5));
        gate.applied(4);
        assert!(!gate.is_open(), "entry 5 may have been acknowledged before the restart");
        gate.applied(5);
        assert!(gate.is_open());
    }

    #[test]
    fn appending_another_membership_shuts_the_gate_before_it_is_committed() {
        let gate = sole();
        assert!(gate.is_open());
        gate.membership_appended(7);
        assert!(!gate.is_open());
        gate.membership_applied(7, false);
        assert!(!gate.is_open());
        gate.membership_applied(9, true);
        assert!(gate.is_open());
    }

    #[test]
    fn a_vote_for_another_node_shuts_the_gate() {
        let gate = sole();
        gate.voted(false);
        assert!(!gate.is_open());
    }

    #[tokio::test]
    async fn whoever_waits_for_an_index_is_told_of_it() {
        let gate = std::sync::Arc::new(sole());
        gate.reached(0).await;
        let waiting = std::sync::Arc::clone(&gate);
        let waiting = tokio::spawn(async move { waiting.reached(3).await });
        for index in 1..=3 {
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            gate.applied(index);
        }
        waiting.await.unwrap();
        assert_eq!(gate.waiting.load(super::SeqCst), 0);
    }

    #[test]
    fn a_node_without_a_cluster_answers_for_nobody() {
        assert!(!Gate::default().is_open());
    }
}
