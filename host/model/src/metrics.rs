//! Numbers about a node: counted where things happen, gathered into a sheet when somebody
//! asks, written in the forms that monitoring systems read. A number is found through a
//! pointer at hand and is one atomic; what it is called is said only when it is told.

mod interval;
mod prometheus;
mod sheet;
mod statsd;
mod times;

use std::sync::atomic::{AtomicU64, Ordering};

pub use interval::Interval;
pub use prometheus::prometheus;
pub use sheet::{Kind, Labels, Sheet, Value};
pub use statsd::{Dialect, packets};
pub use times::{Timer, Times};

/// How often intervals end, in seconds. Source: go-metrics, which Vault counts with.
pub const INTERVAL_SECS: u64 = 10;

/// How often something has happened since the process began.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Once more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So often more.
    pub fn add(&self, times: u64) {
        self.0.fetch_add(times, Ordering::Relaxed);
    }

    /// How often so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are just now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// So many.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
