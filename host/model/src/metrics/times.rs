//! How long things took: counts in fixed buckets, so that noting one costs two additions
//! and neither a lock nor memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in nanoseconds; one more bucket takes what is longer. Source:
/// ours. Why: a read takes about 0.1 ms, a write waits for disks, a request ends after 90 s.
const BOUNDS_NS: [u64; 14] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];
const BUCKETS: usize = BOUNDS_NS.len() + 1;
const NS_PER_SEC: f64 = 1e9;

/// Notes how long things take.
#[derive(Debug, Default)]
pub struct Timer {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Timer {
    /// Something took so long.
    pub fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS_NS.iter().position(|bound| ns <= *bound).unwrap_or(BOUNDS_NS.len());
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Takes over what was noted elsewhere.
    pub fn add(&self, times: &Times) {
        for (bucket, count) in self.buckets.iter().zip(times.buckets) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(times.sum_ns, Ordering::Relaxed);
    }

    /// What was noted so far.
    #[must_use]
    pub fn read(&self) -> Times {
        let mut buckets = [0; BUCKETS];
        for (count, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        Times { buckets, sum_ns: self.sum_ns.load(Ordering::Relaxed) }
    }
}

/// How long things took, as it stood at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    buckets: [u64; BUCKETS],
    sum_ns: u64,
}

impl Times {
    /// How many things there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long they took together, in seconds.
    #[must_use]
    pub fn sum_secs(&self) -> f64 {
        self.sum_ns as f64 / NS_PER_SEC
    }

    /// These and others.
    pub fn add(&mut self, others: &Times) {
        for (count, more) in self.buckets.iter_mut().zip(others.buckets) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(others.sum_ns);
    }

    /// Those that were not there before.
    #[must_use]
    pub fn since(&self, before: &Times) -> Times {
        let mut later = *self;
        for (count, earlier) in later.buckets.iter_mut().zip(before.buckets) {
            *count = count.saturating_sub(earlier);
        }
        later.sum_ns = later.sum_ns.saturating_sub(before.sum_ns);
        later
    }

    /// Upper bounds in seconds, and how many things took so long at most. The last bound is
    /// infinite.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_NS.iter().map(|bound| *bound as f64 / NS_PER_SEC).chain([f64::INFINITY]);
        bounds.zip(self.buckets).scan(0, |seen, (bound, count)| {
            *seen += count;
            Some((bound, *seen))
        })
    }

    /// What a thing of each bucket took, roughly, in seconds, and how many there were; without
    /// empty buckets.
    pub fn rough(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> {
        (0..BUCKETS).map(|place| (middle_secs(place), self.buckets[place])).filter(|(_, count)| *count > 0)
    }

    /// The time that this part of all things took at most, in seconds; `None` if there were none.
    /// Between the bounds of a bucket it is a guess.
    #[must_use]
    pub fn quantile_secs(&self, part: f64) -> Option<f64> {
        let wanted = self.count() as f64 * part;
        let mut seen = 0.0;
        for (place, count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if seen + count >= wanted {
                let (from, to) = bounds_secs(place);
                return Some(from + (to - from) * ((wanted - seen) / count));
            }
            seen += count;
        }
        None
    }
}

/// Between which times a bucket lies. The last one has no end, so it is taken for a point.
fn bounds_secs(place: usize) -> (f64, f64) {
    let bound = |place: usize| BOUNDS_NS[place] as f64 / NS_PER_SEC;
    let from = if place == 0 { 0.0 } else { bound(place - 1) };
    (from, if place < BOUNDS_NS.len() { bound(place) } else { from })
}

fn middle_secs(place: usize) -> f64 {
    let (from, to) = bounds_secs(place);
    f64::midpoint(from, to)
}
