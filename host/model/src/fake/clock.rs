//! A clock that stands still until told otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::seam::clock::Clock;

/// Stands at the given time.
#[derive(Default)]
pub struct FakeClock(AtomicU64);

impl FakeClock {
    /// A clock at this time, in milliseconds since the epoch.
    #[must_use]
    pub fn at_ms(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    /// Moves on by this many seconds.
    pub fn advance_secs(&self, secs: u64) {
        self.advance_ms(secs * 1000);
    }

    /// Moves on by this many milliseconds.
    pub fn advance_ms(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
