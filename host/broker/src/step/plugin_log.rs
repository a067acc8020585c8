//! Failures of plugins in the server's log, so many a second at most: who can make a plugin fail
//! without a token could fill the disk with it.

use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_model::seam::plugin::{CallFailure, Stop};

use crate::book::mounts::Mount;

/// Lines a second, of all plugins together. Source: ours. Why: enough to see what fails, and at most
/// some 4 MB a minute of the longest lines.
const LINES_A_SECOND: u64 = 16;

static RATE: Rate = Rate::new();

/// How many lines there were in this second, and how many were left out since the last one.
struct Rate {
    second: AtomicU64,
    lines: AtomicU64,
    left_out: AtomicU64,
}

impl Rate {
    const fn new() -> Self {
        Self { second: AtomicU64::new(0), lines: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// Whether there may be another line, and with how many others left out before it. Calls side
    /// by side at the turn of a second may get a few more.
    fn may_tell(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES_A_SECOND {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Tells that a call of a mount's plugin failed, where that is the plugin's fault.
pub(super) fn tell(mount: &Mount, failure: &CallFailure, now_ms: u64) {
    if matches!(failure, CallFailure::Busy | CallFailure::Stopped(Stop::Conflict | Stop::Forward)) {
        return;
    }
    let Some(left_out) = RATE.may_tell(now_ms / 1000) else { return };
    let (accessor, kind) = (&mount.entry.accessor, &mount.entry.kind);
    match failure {
        CallFailure::Trap(text) => {
            tracing::error!(mount = %accessor, plugin = %kind, left_out, "plugin trapped: {text}");
        }
        CallFailure::Stopped(stop) => {
            tracing::warn!(mount = %accessor, plugin = %kind, left_out, ?stop, "plugin call ended by the host");
        }
        CallFailure::Timeout | CallFailure::Busy => {
            tracing::warn!(mount = %accessor, plugin = %kind, left_out, "plugin ran out of time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_one_tells_what_was_left_out() {
        let rate = Rate::new();
        let told = (0..LINES_A_SECOND + 5).filter(|_| rate.may_tell(7).is_some()).count();
        assert_eq!(told as u64, LINES_A_SECOND);
        assert_eq!(rate.may_tell(8), Some(5));
        assert_eq!(rate.may_tell(8), Some(0));
    }
}
