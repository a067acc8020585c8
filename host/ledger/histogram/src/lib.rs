//! Stands in for the crate of this name, in which openraft counts its own workings: the
//! sizes of batches, the time between stages. At its first use that one computes tables
//! for every precision it offers: 17 ms of each start, and 26 MiB for as long as the
//! process lives, more than the rest of a node at rest. This one has a single precision
//! and no tables. It offers what openraft calls, and nothing else.
//!
//! Values below eight are counted exactly; above, every power of two is cut in four, so
//! that a percentile is at most a fifth too low.

use std::fmt;
use std::marker::PhantomData;

/// Buckets: eight for the small values, four for each power of two from eight up.
const BUCKETS: usize = 8 + 61 * 4;

/// How often values occurred. The parameter is there because openraft names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Box<[u64; BUCKETS]>,
    kind: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// No value yet.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), kind: PhantomData }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value that occurred several times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        let count = &mut self.counts[bucket(value)];
        *count = count.saturating_add(times);
    }

    /// The usual percentiles, each the lower end of its bucket.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        let samples = self.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let at = |permille: u64| self.at(samples, permille);
        PercentileStats {
            samples,
            p0_1: at(1),
            p1: at(10),
            p5: at(50),
            p10: at(100),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
        }
    }

    /// The value below which this part of all values lies.
    fn at(&self, samples: u64, permille: u64) -> u64 {
        let rank = (u128::from(samples) * u128::from(permille)).div_ceil(1000);
        let mut seen = 0_u128;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if *count > 0 && seen >= rank {
                return lower_end(bucket);
            }
        }
        0
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Histogram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.percentile_stats().fmt(f)
    }
}

fn bucket(value: u64) -> usize {
    if value < 8 {
        return value as usize;
    }
    let power = 63 - value.leading_zeros() as usize;
    8 + (power - 3) * 4 + (value >> (power - 2)) as usize % 4
}

fn lower_end(bucket: usize) -> u64 {
    if bucket < 8 {
        return bucket as u64;
    }
    let (power, quarter) = ((bucket - 8) / 4 + 3, (bucket - 8) % 4);
    (4 + quarter as u64) << (power - 2)
}

/// Percentiles of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values.
    pub samples: u64,
    /// One value in a thousand is lower or equal.
    pub p0_1: u64,
    /// One in a hundred.
    pub p1: u64,
    /// Five in a hundred.
    pub p5: u64,
    /// One in ten.
    pub p10: u64,
    /// Half of them.
    pub p50: u64,
    /// Nine in ten.
    pub p90: u64,
    /// 99 in a hundred.
    pub p99: u64,
    /// 999 in a thousand.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, p99_9, .. } = self;
        write!(f, "{samples} samples, p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}")
    }
}

/// Histograms to print one below the other.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart(Vec<(String, PercentileStats)>);

impl AsciiChart {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one under a name.
    #[must_use]
    pub fn add<T>(mut self, name: impl Into<String>, histogram: Histogram<T>) -> Self {
        self.0.push((name.into(), histogram.percentile_stats()));
        self
    }

    /// What to print.
    #[must_use]
    pub const fn detailed(&self) -> &Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, stats)| writeln!(f, "{name}: {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, bucket, lower_end};

    #[test]
    fn every_value_is_in_the_bucket_that_begins_at_or_below_it() {
        let edges = (0..64).flat_map(|power| [1_u64 << power, (1 << power) - 1, (1 << power) + 1, 3 << power >> 1]);
        for value in edges.chain([u64::MAX, 1_000_003]) {
            let at = bucket(value);
            assert!(lower_end(at) <= value, "{value}");
            assert!(at + 1 == BUCKETS || lower_end(at + 1) > value, "{value}");
        }
    }

    #[test]
    fn percentiles_are_a_fifth_too_low_at_most() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().p99, 0);
        (1..=1000).for_each(|value| histogram.record(value));
        histogram.record_n(1_000_000, 2);
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1002);
        for (found, exact) in [(stats.p50, 501), (stats.p90, 902), (stats.p99, 992), (stats.p99_9, 1_000_000)] {
            assert!(found <= exact && found * 5 >= exact * 4, "{found} for {exact}");
        }
    }
}
