//! The system's clock. The only place that reads it for the node.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bulkhead_model::seam::clock::Clock;

/// When the steady clock was asked for the first time.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn steady_ms(&self) -> u64 {
        u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
