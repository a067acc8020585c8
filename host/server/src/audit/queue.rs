//! A remote device: a thread of its own carries lines away, so that no request holds up
//! others while it waits. What waits is bounded, in number, in bytes and in time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::audit::AuditSink;
use tokio::sync::oneshot;

/// Lines that may wait for a device. Source: ours. Why: each is a request that waits.
const LINES_MAX: usize = 1024;
/// Bytes of lines that may wait for a device. Source: ours. Why: a line is as large as
/// the body of its request.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a device that failed is left alone. Source: ours. Why: while it is down,
/// requests that other devices take need not wait for it, each for its whole timeout.
const REST: Duration = Duration::from_secs(1);

/// What brings one line after the other to its place.
pub(super) trait Carrier: Send + 'static {
    /// Brings a line there. At the deadline it gives up.
    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()>;

    /// Ends the connection, if there is one; the next line begins another.
    fn close(&mut self);
}

enum Order {
    Line { line: Hidden<Vec<u8>>, taken: oneshot::Sender<Result<(), String>> },
    Reopen,
}

/// A device behind a queue. Its thread ends when it is dropped, after the line at hand.
pub(super) struct Queue {
    /// For errors: `socket 127.0.0.1:9090`.
    name: String,
    orders: SyncSender<Order>,
    waiting_bytes: Arc<AtomicUsize>,
    timeout: Duration,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn start(name: String, timeout: Duration, carrier: impl Carrier) -> Result<Arc<dyn AuditSink>, String> {
        let (orders, taken) = sync_channel(LINES_MAX);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let worker = Worker { carrier, timeout, waiting_bytes: Arc::clone(&waiting_bytes), resting: None };
        let thread = std::thread::Builder::new().name("audit device".to_owned());
        thread.spawn(move || worker.run(&taken)).map_err(|error| format!("starting a thread: {error}"))?;
        Ok(Arc::new(Self { name, orders, waiting_bytes, timeout }))
    }

    fn ended(&self) -> String {
        format!("{} has ended", self.name)
    }
}

#[async_trait]
impl AuditSink for Queue {
    async fn write(&self, line: &[u8]) -> Result<(), String> {
        let bytes = line.len();
        let full = || format!("too many lines wait for {}", self.name);
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > BYTES_MAX {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(full());
        }
        let (taken, answer) = oneshot::channel();
        let order = Order::Line { line: Hidden::new(line.to_vec()), taken };
        if self.orders.try_send(order).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(full());
        }
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(result)) => result.map_err(|error| format!("{}: {error}", self.name)),
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => Err(format!("{} did not take the line in time", self.name)),
        }
    }

    fn reopen(&self) -> Result<(), String> {
        self.orders.try_send(Order::Reopen).map_err(|_| format!("too many lines wait for {}", self.name))
    }
}

struct Worker<C> {
    carrier: C,
    timeout: Duration,
    waiting_bytes: Arc<AtomicUsize>,
    /// Since when, and why.
    resting: Option<(Instant, String)>,
}

impl<C: Carrier> Worker<C> {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Line { line, taken } => {
                    let result = self.carry(line.expose());
                    self.waiting_bytes.fetch_sub(line.expose().len(), Ordering::Relaxed);
                    // Whoever asked may have given up; the line is where it belongs all the same.
                    let _ = taken.send(result);
                }
                Order::Reopen => {
                    self.carrier.close();
                    self.resting = None;
                }
            }
        }
    }

    fn carry(&mut self, line: &[u8]) -> Result<(), String> {
        if let Some((since, why)) = &self.resting
            && since.elapsed() < REST
        {
            return Err(format!("{why} (a moment ago)"));
        }
        let result = self.carrier.carry(line, Instant::now() + self.timeout);
        self.resting = result.as_ref().err().map(|error| (Instant::now(), error.to_string()));
        if result.is_err() {
            self.carrier.close();
        }
        result.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
