//! Time a call spends on a processor: the sum over the polls of its future, so that
//! waiting for a lock or the log is not charged to the guest.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts for one call. Written by the poll loop, read by the epoch callback on the
/// same thread; atomic only because the store may move between threads.
pub(crate) struct Meter {
    born: Instant,
    spent_ns: AtomicU64,
    resumed_ns: AtomicU64,
    /// When the last poll ended.
    seen_ns: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            spent_ns: AtomicU64::new(0),
            resumed_ns: AtomicU64::new(0),
            seen_ns: AtomicU64::new(0),
        })
    }

    /// Milliseconds on a processor so far, the current poll included.
    pub(crate) fn spent_ms(&self) -> u64 {
        let current = self.elapsed_ns().saturating_sub(self.resumed_ns.load(Ordering::Relaxed));
        (self.spent_ns.load(Ordering::Relaxed) + current) / 1_000_000
    }

    /// How long the call took until the end of its last poll. The clock is not read anew.
    pub(crate) fn took(&self) -> Duration {
        Duration::from_nanos(self.seen_ns.load(Ordering::Relaxed))
    }

    /// Milliseconds since the call began.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.elapsed_ns() / 1_000_000
    }

    /// Runs a future, charging the time of each poll.
    pub(crate) async fn charge<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let resumed = self.elapsed_ns();
            self.resumed_ns.store(resumed, Ordering::Relaxed);
            let poll = future.as_mut().poll(cx);
            let seen = self.elapsed_ns();
            self.spent_ns.fetch_add(seen.saturating_sub(resumed), Ordering::Relaxed);
            self.seen_ns.store(seen, Ordering::Relaxed);
            poll
        })
        .await
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
