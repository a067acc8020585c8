//! A clock that stands still until told otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::seam::clock::Clock;

/// Stands at the given time.
#[derive(Default)]
pub struct FakeClock {
    now_ms: AtomicU64,
    steady_ms: AtomicU64,
}

impl FakeClock {
    /// A clock at this time, in milliseconds since the epoch.
    #[must_use]
    pub fn at_ms(now_ms: u64) -> Self {
        Self { now_ms: AtomicU64::new(now_ms), steady_ms: AtomicU64::default() }
    }

    /// This many seconds pass.
    pub fn advance_secs(&self, secs: u64) {
        self.advance_ms(secs * 1000);
    }

    /// This many milliseconds pass.
    pub fn advance_ms(&self, millis: u64) {
        self.steady_ms.fetch_add(millis, Ordering::SeqCst);
        self.now_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Somebody sets the clock to this time, in milliseconds since the epoch: no time passes.
    pub fn set_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn steady_ms(&self) -> u64 {
        self.steady_ms.load(Ordering::SeqCst)
    }
}
