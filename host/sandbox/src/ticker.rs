//! The clock of the epochs: one thread that ticks while calls run. Guests look at the
//! epoch at each loop and function entry, which is how a call is interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// Time between ticks, in milliseconds. Short enough that a busy guest yields its
/// thread often, long enough that ticking costs nothing one could measure.
pub(crate) const TICK_MS: u64 = 5;

/// Ticks without a call after which the thread sleeps, so that an idle node does not
/// wake up two hundred times a second.
const IDLE_TICKS: u32 = 200;

/// Owns the ticking thread; dropping it ends and joins the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    calls: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// While one of these lives, epochs advance.
pub(crate) struct Ticking<'a>(&'a Ticker);

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            calls: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("guest-ticker".into()).spawn(move || tick(&engine, &ours))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps epochs advancing until the guard is dropped.
    pub(crate) fn begin(&self) -> Ticking<'_> {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        // The thread sets `asleep` before it looks at `calls` a last time, and we raise
        // `calls` before we look at `asleep`: one of the two sees the other.
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.unpark();
        }
        Ticking(self)
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.shared.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // A panic of the ticker has been printed by then; there is nothing to undo.
            let _ = thread.join();
        }
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(Duration::from_millis(TICK_MS));
        engine.increment_epoch();
        idle = if shared.calls.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle >= IDLE_TICKS {
            shared.asleep.store(true, Ordering::SeqCst);
            if shared.calls.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.asleep.store(false, Ordering::SeqCst);
            idle = 0;
        }
    }
}
