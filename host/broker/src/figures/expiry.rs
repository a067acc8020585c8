//! Leases and tokens that end by themselves: how many there are, and how it goes with ending
//! them.

use std::collections::BTreeMap;

use bulkhead_model::metrics::{Counter, Gauge, Sheet};
use parking_lot::Mutex;

/// Most leases that are remembered as failing. Source: ours. Why: each is remembered until it
/// is ended; what is over is in the log.
const FAILING_MAX: usize = 10_000;

/// A lease that failed this often is told as irrevocable. Source: Vault, 6 attempts.
pub(crate) const IRREVOCABLE_FAILURES: u32 = 6;

/// Longest times left that are counted together, in milliseconds, and what they are called.
const LEFT: [(u64, &str); 7] = [
    (60_000, "1m"),
    (600_000, "10m"),
    (3_600_000, "1h"),
    (86_400_000, "1d"),
    (604_800_000, "7d"),
    (2_592_000_000, "30d"),
    (u64::MAX, "+Inf"),
];

/// What was counted of the list of what falls due.
#[derive(Clone, Default)]
pub(crate) struct Census {
    leases: [u64; LEFT.len()],
    tokens: [u64; LEFT.len()],
    due: u64,
}

impl Census {
    /// Counts a lease, or a token, that ends then.
    pub(crate) fn count(&mut self, is_lease: bool, at_ms: u64, now_ms: u64) {
        let Some(left_ms) = at_ms.checked_sub(now_ms).filter(|left| *left > 0) else {
            self.due += 1;
            return;
        };
        let place = LEFT.iter().position(|(longest, _)| left_ms <= *longest).unwrap_or_default();
        let counts = if is_lease { &mut self.leases } else { &mut self.tokens };
        counts[place] += 1;
    }

    fn live(&self) -> u64 {
        self.leases.iter().chain(&self.tokens).sum()
    }
}

/// A lease that could not be revoked yet.
struct Failing {
    failures: u32,
    /// Whether it was met since the count began.
    seen: bool,
}

/// What this node knows since it leads.
#[derive(Default)]
struct Known {
    census: Option<(u64, Census)>,
    failing: BTreeMap<[u8; 32], Failing>,
}

/// The numbers of what ends by itself.
#[derive(Default)]
pub(crate) struct Expiry {
    /// Things that were ended.
    pub ended: Counter,
    /// Attempts that failed.
    pub failed: Counter,
    /// Things read, and waiting for their turn.
    pub waiting: Gauge,
    /// Things being ended.
    pub at_work: Gauge,
    known: Mutex<Known>,
}

impl Expiry {
    /// A lease could not be revoked, for so many times in a row.
    pub(crate) fn lease_failed(&self, id: [u8; 32], failures: u32) {
        let mut known = self.known.lock();
        if known.failing.len() < FAILING_MAX || known.failing.contains_key(&id) {
            known.failing.insert(id, Failing { failures, seen: true });
        }
    }

    /// A lease is gone.
    pub(crate) fn lease_ended(&self, id: &[u8; 32]) {
        self.known.lock().failing.remove(id);
    }

    /// A count begins.
    pub(crate) fn begin(&self) {
        self.known.lock().failing.values_mut().for_each(|failing| failing.seen = false);
    }

    /// These leases are there still.
    pub(crate) fn met<'a>(&self, ids: impl Iterator<Item = &'a [u8; 32]>) {
        let mut known = self.known.lock();
        if known.failing.is_empty() {
            return;
        }
        for id in ids {
            if let Some(failing) = known.failing.get_mut(id) {
                failing.seen = true;
            }
        }
    }

    /// A count has come to its end.
    pub(crate) fn finish(&self, now_ms: u64, census: Census) {
        let mut known = self.known.lock();
        known.failing.retain(|_, failing| failing.seen);
        known.census = Some((now_ms, census));
    }

    /// This node does not lead, and knows nothing.
    pub(crate) fn forget(&self) {
        *self.known.lock() = Known::default();
        self.waiting.set(0);
        self.at_work.set(0);
    }

    pub(super) fn tell(&self, sheet: &mut Sheet) {
        let ended = "Leases, tokens and other things that were ended when they were due.";
        sheet.counter("vault.expire.lease_expiration", ended, &[], self.ended.read() as f64);
        let failed = "Attempts to end what is due that failed; each is made again.";
        sheet.counter("vault.expire.lease_expiration.error", failed, &[], self.failed.read() as f64);
        let queue = "Things that are due and wait for their turn, as far as they were read.";
        sheet.gauge("vault.expire.job_manager.queue_length", queue, &[], self.waiting.read() as f64);
        let jobs = "Things being ended just now.";
        sheet.gauge("vault.expire.job_manager.total_jobs", jobs, &[], self.at_work.read() as f64);
        self.known.lock().tell(sheet);
    }
}

impl Known {
    /// Tells nothing before the first count, as a number that is not known is not zero.
    fn tell(&self, sheet: &mut Sheet) {
        let Some((counted_ms, census)) = &self.census else { return };
        let (failing, stuck): (Vec<_>, Vec<_>) =
            self.failing.values().partition(|failing| failing.failures < IRREVOCABLE_FAILURES);
        let (failing, stuck) = (failing.len() as f64, stuck.len() as f64);
        let total = (census.live() + census.due) as f64;
        sheet.gauge("vault.expire.num_leases", "Leases, and tokens that have an end.", &[], total);
        let tokens = census.tokens.iter().sum::<u64>() as f64;
        sheet.gauge("vault.token.count", "Tokens that have an end and are not due.", &[], tokens);
        let irrevocable = "Leases that could not be revoked in six attempts, as far as this leader made them.";
        sheet.gauge("vault.expire.num_irrevocable_leases", irrevocable, &[], stuck);
        // One that failed is put off, and so counted among those with time left.
        let live = (census.live() as f64 - failing - stuck).max(0.0);
        for (state, count) in [("live", live), ("due", census.due as f64), ("failing", failing), ("irrevocable", stuck)]
        {
            let help = "Leases, and tokens that have an end, by what becomes of them.";
            sheet.gauge("bulkhead.expire.leases_by_state", help, &[("state", state)], count);
        }
        for (kind, counts) in [("lease", &census.leases), ("token", &census.tokens)] {
            for (count, (_, left)) in counts.iter().zip(LEFT) {
                let help = "Leases and tokens by the longest time they have left.";
                sheet.gauge(
                    "bulkhead.expire.leases_by_time_left",
                    help,
                    &[("kind", kind), ("left", left)],
                    *count as f64,
                );
            }
        }
        let counted = "When leases were counted last, in seconds since 1970.";
        sheet.gauge("bulkhead.expire.counted_at", counted, &[], (*counted_ms / 1000) as f64);
    }
}
