//! Time, as an argument. The system's clock is read in the server room only.

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Whole seconds since the Unix epoch.
    fn now_secs(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// Milliseconds since some moment of this process, by a clock that nobody sets: for how long ago
    /// something was. It means nothing to other nodes, nor after a start.
    fn steady_ms(&self) -> u64;
}
