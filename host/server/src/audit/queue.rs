//! Every device but `discard`: a thread of its own carries lines away, so that no thread of
//! the runtime is blocked, and no request holds up others while it waits. What waits is
//! bounded, in number, in bytes and in time.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::audit::AuditSink;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::named;

/// Small lines that may wait for a device. Source: ours. Why: each is a request that waits.
const LINES_MAX: usize = 1024;
/// Longest small line, in bytes. Longer ones are bounded by their bytes instead. Source: ours.
/// Why: a few that are as large as a body should not keep all the others from the device.
const SMALL_BYTES_MAX: usize = 32 * 1024;
/// Bytes of large lines that may wait for a device; one that is longer waits there with no
/// other large one. Source: ours. Why: a line is as large as the body of its request, or the
/// answer to it.
const LARGE_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Orders that may wait: as many as lines, each by itself.
const ORDERS_MAX: usize = LINES_MAX + LARGE_BYTES_MAX as usize / SMALL_BYTES_MAX;
/// How long lines are gathered before they are handed over. Source: ours. Why: whoever is
/// to do that may be kept from it by what else its thread of the runtime has to do.
const GATHER_MAX: Duration = Duration::from_micros(200);
/// Lines that are carried together at most. Source: ours. Why: the first waits for the last.
const TOGETHER_MAX: usize = 64;

/// How long a device that failed is left alone. Source: ours. Why: while it is down,
/// requests that other devices take need not wait for it, each for its whole timeout.
const REST: Duration = Duration::from_secs(1);

/// What brings one line after the other to its place.
pub(super) trait Carrier: Send + 'static {
    /// How long a device that failed is left alone, if that did not take longer itself.
    const REST_MIN: Duration = REST;

    /// Brings a line there. At the deadline it gives up.
    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()>;

    /// Brings some of these there, from the first on, where that costs less than one after
    /// the other; says how many, which is at least one. An error is about the first.
    fn carry_some(&mut self, lines: &[&[u8]], deadline: Instant) -> io::Result<usize> {
        lines.first().map_or(Ok(()), |line| self.carry(line, deadline)).map(|()| 1)
    }

    /// Ends the connection, if there is one; the next line begins another.
    fn close(&mut self);

    /// Opens the target anew, because the operator said so.
    fn reopen(&mut self) -> io::Result<()> {
        self.close();
        Ok(())
    }
}

enum Order {
    Lines(Vec<Waiting>),
    Reopen(oneshot::Sender<Result<(), String>>),
}

/// A line, and who wants to know what became of it.
struct Waiting {
    line: Hidden<Vec<u8>>,
    taken: oneshot::Sender<Result<(), String>>,
    /// Given back once the line is at its place, or is given up.
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    fn answer(self, result: Result<(), String>) {
        // Whoever asked may have given up; the line is where it belongs all the same.
        let _ = self.taken.send(result);
    }
}

/// How long the thread is at what it does, for both sides.
struct Load {
    made: Instant,
    /// When the thread began what it is at, in milliseconds since `made`, plus one; 0: it waits.
    began_ms: AtomicU64,
}

impl Load {
    fn none() -> Arc<Self> {
        Arc::new(Self { made: Instant::now(), began_ms: AtomicU64::new(0) })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn begin(&self) {
        self.began_ms.store(self.now_ms().saturating_add(1), Ordering::Relaxed);
    }

    fn end(&self) {
        self.began_ms.store(0, Ordering::Relaxed);
    }

    /// How long the thread is at one thing already.
    fn busy_for(&self) -> Duration {
        match self.began_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => Duration::from_millis(self.now_ms().saturating_sub(began - 1)),
        }
    }
}

/// Lines that are handed over together.
#[derive(Default)]
struct Gathered {
    lines: Vec<Waiting>,
    /// When the first one came.
    since: Option<Instant>,
}

/// A device behind a queue. Its thread ends when it is dropped, after what waits by then.
pub(super) struct Queue {
    /// For errors: `socket 127.0.0.1:9090`.
    name: String,
    orders: SyncSender<Order>,
    gathered: Mutex<Gathered>,
    /// Room for small lines, one a permit, and for large ones, a byte a permit.
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    load: Arc<Load>,
    timeout: Duration,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn start(name: String, timeout: Duration, carrier: impl Carrier) -> Result<Arc<dyn AuditSink>, String> {
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let load = Load::none();
        let worker = Worker { carrier, timeout, load: Arc::clone(&load), resting: None };
        let thread = named("audit device").spawn(move || worker.run(&taken));
        thread.map_err(|error| format!("starting a thread: {error}"))?;
        let [small, large] = [LINES_MAX, LARGE_BYTES_MAX as usize].map(|room| Arc::new(Semaphore::new(room)));
        Ok(Arc::new(Self { name, orders, gathered: Mutex::default(), small, large, load, timeout }))
    }

    /// Room for a line of so many bytes. A large one waits for it behind other large ones, as
    /// long as a device may take.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, String> {
        if bytes <= SMALL_BYTES_MAX {
            return Arc::clone(&self.small).try_acquire_owned().map_err(|_| self.full());
        }
        let bytes = u32::try_from(bytes).map_or(LARGE_BYTES_MAX, |bytes| bytes.min(LARGE_BYTES_MAX));
        let room = timeout(self.timeout, Arc::clone(&self.large).acquire_many_owned(bytes)).await;
        room.ok().and_then(Result::ok).ok_or_else(|| self.full())
    }

    /// Adds a line to those that are handed over together; says who does that, and when.
    fn gather(&self, line: Waiting) -> Turn<'_> {
        let mut gathered = self.gathered.lock();
        gathered.lines.push(line);
        if gathered.lines.len() == 1 {
            gathered.since = Some(Instant::now());
            return Turn::Soon(Handover(self));
        }
        match gathered.since {
            Some(since) if since.elapsed() < GATHER_MAX => Turn::NotMine,
            _ => Turn::Now(Handover(self)),
        }
    }

    fn full(&self) -> String {
        format!("too many lines wait for {}", self.name)
    }

    /// Waits as long as a device may take.
    async fn told(&self, answer: oneshot::Receiver<Result<(), String>>) -> Result<(), String> {
        match timeout(self.timeout, answer).await {
            Ok(Ok(result)) => result.map_err(|error| format!("{}: {error}", self.name)),
            Ok(Err(_)) => Err(format!("{} has ended", self.name)),
            Err(_) => Err(format!("{} did not answer in time", self.name)),
        }
    }
}

#[async_trait]
impl AuditSink for Queue {
    async fn write(&self, line: &[u8]) -> Result<(), String> {
        // What is handed over now would not be answered in time either.
        if self.load.busy_for() > self.timeout {
            return Err(format!("{} hangs", self.name));
        }
        let room = self.room(line.len()).await?;
        let (taken, answer) = oneshot::channel();
        match self.gather(Waiting { line: Hidden::new(line.to_vec()), taken, _room: room }) {
            // Waking the thread costs more than writing a line. Others that are about to
            // bring one do so first.
            Turn::Soon(handover) => {
                tokio::task::yield_now().await;
                drop(handover);
            }
            Turn::Now(handover) => drop(handover),
            Turn::NotMine => {}
        }
        self.told(answer).await
    }

    async fn reopen(&self) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        self.orders.try_send(Order::Reopen(done)).map_err(|_| self.full())?;
        self.told(answer).await
    }
}

/// Who hands over what was gathered.
enum Turn<'a> {
    /// Whoever brought the first line, once others had their turn.
    Soon(Handover<'a>),
    /// Whoever came when that took too long.
    Now(Handover<'a>),
    NotMine,
}

/// Hands over what was gathered when it ends, and be it that the request is given up.
struct Handover<'a>(&'a Queue);

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.0.gathered.lock().lines);
        if !lines.is_empty() {
            // As it fails, the lines are dropped, which tells those who wait.
            let _ = self.0.orders.try_send(Order::Lines(lines));
        }
    }
}

struct Worker<C> {
    carrier: C,
    timeout: Duration,
    load: Arc<Load>,
    /// Until when, and why.
    resting: Option<(Instant, String)>,
}

impl<C: Carrier> Worker<C> {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut waiting = VecDeque::with_capacity(TOGETHER_MAX);
        while let Ok(first) = orders.recv() {
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Lines(lines) => waiting.extend(lines),
                    Order::Reopen(done) => {
                        self.deliver(&mut waiting);
                        let _ = done.send(self.reopen());
                    }
                }
                next = if waiting.len() < TOGETHER_MAX { orders.try_recv().ok() } else { None };
            }
            self.deliver(&mut waiting);
        }
    }

    /// Carries them all, and says of each what became of it.
    fn deliver(&mut self, waiting: &mut VecDeque<Waiting>) {
        while !waiting.is_empty() {
            let lines: Vec<&[u8]> = waiting.iter().take(TOGETHER_MAX).map(|one| one.line.expose().as_slice()).collect();
            let result = self.carry(&lines);
            let count = result.as_ref().map_or(1, |count| *count);
            waiting.drain(..count).for_each(|one| one.answer(result.clone().map(drop)));
        }
    }

    fn carry(&mut self, lines: &[&[u8]]) -> Result<usize, String> {
        let began = Instant::now();
        if let Some((until, why)) = &self.resting
            && began < *until
        {
            return Err(format!("{why} (a moment ago)"));
        }
        self.load.begin();
        let result = self.carrier.carry_some(lines, began + self.timeout);
        self.load.end();
        let rest = C::REST_MIN.max(began.elapsed().min(REST));
        self.resting = result.as_ref().err().map(|error| (Instant::now() + rest, error.to_string()));
        if result.is_err() {
            self.carrier.close();
        }
        result.map_err(|error| error.to_string())
    }

    fn reopen(&mut self) -> Result<(), String> {
        self.resting = None;
        self.load.begin();
        let result = self.carrier.reopen();
        self.load.end();
        result.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
