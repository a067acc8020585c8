//! Bugs put in on purpose, one at a time, so that whoever looks for bugs can be seen to find
//! them. They exist in tests, and in programs built with the feature `planted-bugs`, which no
//! release is.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long a write is waited for before it is called done, by [`Bug::EarlyAnswers`].
const HASTE: Duration = Duration::from_millis(1);

/// What is wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Bug {
    /// A node reads what it has, and asks nobody whether there is more.
    StaleReads = 1,
    /// A write is acknowledged before it is known to be committed.
    EarlyAnswers = 2,
}

/// The bug that a node has, if it has one.
#[derive(Default)]
pub(crate) struct Planted(AtomicU8);

impl Planted {
    /// The one that `BULKHEAD_PLANTED_BUG` names, in a program built for it.
    ///
    /// # Panics
    /// It names none: a run that was to find a bug would find nothing.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn new() -> Self {
        let planted = Self::default();
        match std::env::var("BULKHEAD_PLANTED_BUG").as_deref() {
            Err(_) => {}
            Ok("stale-reads") => planted.plant(Bug::StaleReads),
            Ok("early-answers") => planted.plant(Bug::EarlyAnswers),
            Ok(other) => panic!("BULKHEAD_PLANTED_BUG: no bug is called {other:?}"),
        }
        planted
    }

    /// None.
    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// From now on the node has this one.
    pub(crate) fn plant(&self, bug: Bug) {
        self.0.store(bug as u8, Ordering::SeqCst);
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.0.load(Ordering::SeqCst) == bug as u8
    }

    /// How long a write is waited for.
    pub(crate) fn within(&self, within: Duration) -> Duration {
        if self.has(Bug::EarlyAnswers) { HASTE } else { within }
    }
}
