//! Brings the map's newest writes into sorted files, and merges those, in a thread of its
//! own; and knows which moments are still being looked at, whose records must stay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use bulkhead_model::seam::ledger::LedgerError;
use lsm_tree::compaction::Leveled;
use lsm_tree::{AbstractTree, SeqNo};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Map, failure};

/// Full memtables that may wait for the thread; then writers wait. Why: they are memory.
const WAITING_MAX: usize = 4;

/// Merges at most after each new file. One is due once four files have come, so this is
/// never reached; it keeps a fault in the strategy from becoming an endless loop.
const MERGES_MAX: usize = 16;

/// The moments of open views.
pub(super) struct Snapshots(Mutex<Moments>);

struct Moments {
    /// What a view opened now shows: everything with a lower number.
    now: SeqNo,
    /// How many views there are of each moment.
    open: BTreeMap<SeqNo, usize>,
}

impl Snapshots {
    pub(super) fn new(now: SeqNo) -> Self {
        Self(Mutex::new(Moments { now, open: BTreeMap::new() }))
    }

    /// The moment of a view that is closed at once.
    pub(super) fn now(&self) -> SeqNo {
        self.0.lock().now
    }

    /// A new view's moment.
    pub(super) fn open(&self) -> SeqNo {
        let mut moments = self.0.lock();
        let now = moments.now;
        *moments.open.entry(now).or_insert(0) += 1;
        now
    }

    /// A view of this moment has ended.
    pub(super) fn close(&self, moment: SeqNo) {
        let mut moments = self.0.lock();
        let views = moments.open.get_mut(&moment).expect("whoever closes a view has opened it");
        *views -= 1;
        if *views == 0 {
            moments.open.remove(&moment);
        }
    }

    /// Batches with a lower number are complete.
    pub(super) fn publish(&self, now: SeqNo) {
        self.0.lock().now = now;
    }

    /// Below this number, what was overwritten is seen by nobody any more.
    fn unseen(&self) -> SeqNo {
        let moments = self.0.lock();
        let oldest = moments.open.keys().next().copied().unwrap_or(moments.now);
        oldest.min(moments.now).saturating_sub(1)
    }
}

/// The thread, and what is said to it. Dropping it ends the thread; what is not settled
/// by then stays in the log.
pub(super) struct Settling {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    /// An order was given, or carried out.
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    asked: bool,
    stop: bool,
    /// Nothing more is written after a fault: what the disk holds is unknown.
    fault: Option<LedgerError>,
}

/// The right to write. One batch at a time, so that a file always ends between two.
pub(super) struct Turn<'a> {
    orders: MutexGuard<'a, Orders>,
    changed: &'a Condvar,
}

impl Turn<'_> {
    /// A memtable is full and was set aside.
    pub(super) fn ask(&mut self) {
        self.orders.asked = true;
        self.changed.notify_all();
    }
}

impl Settling {
    pub(super) fn start(map: Arc<Map>) -> Result<Self, LedgerError> {
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ledger-state".into()).spawn(move || run(&ours, &map));
        let thread = thread.map_err(|e| crate::fault::storage("starting the state's thread", &e))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until it is one's turn, and until there is memory for more.
    pub(super) fn turn(&self, map: &Map) -> Result<Turn<'_>, LedgerError> {
        let Shared { orders, changed } = &*self.shared;
        let mut orders = orders.lock();
        while orders.fault.is_none() && map.tree.sealed_memtable_count() >= WAITING_MAX {
            changed.wait(&mut orders);
        }
        orders.fault.clone().map_or(Ok(Turn { orders, changed }), Err)
    }

    /// Settles everything there is, and returns once it is on the disk.
    pub(super) fn all(&self, map: &Map) -> Result<(), LedgerError> {
        let orders = self.shared.orders.lock();
        if let Some(fault) = &orders.fault {
            return Err(fault.clone());
        }
        map.tree.rotate_memtable();
        drop(orders);
        self.shared.settle(map)?;
        // There is a file more; whether to merge is for the thread to see.
        self.shared.orders.lock().asked = true;
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.shared.orders.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was noted as the fault.
            drop(thread.join());
        }
    }
}

impl Shared {
    /// Writes what was set aside into a file.
    fn settle(&self, map: &Map) -> Result<(), LedgerError> {
        let flushing = map.tree.get_flush_lock();
        let settled = map.tree.flush(&flushing, map.snapshots.unseen());
        drop(flushing);
        let settled = settled.map(drop).map_err(|e| failure("settling the state", &e));
        if let Err(fault) = &settled {
            self.fail(fault);
        }
        self.changed.notify_all();
        settled
    }

    fn fail(&self, fault: &LedgerError) {
        self.orders.lock().fault.get_or_insert_with(|| fault.clone());
        self.changed.notify_all();
    }
}

/// Tells writers when the thread ends by a panic, or they would wait for it.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&LedgerError::Stopped { cause: "settling the state panicked".to_owned() });
        }
    }
}

fn run(shared: &Shared, map: &Map) {
    let _watch = Watch(shared);
    loop {
        let mut orders = shared.orders.lock();
        while !orders.asked && !orders.stop {
            shared.changed.wait(&mut orders);
        }
        if orders.stop {
            return;
        }
        orders.asked = false;
        drop(orders);
        if shared.settle(map).is_err() {
            return;
        }
        if let Err(error) = merge(map) {
            // The files are as they were; the next round tries again.
            tracing::warn!(error = %failure("merging the state", &error), "the state's files were not merged");
        }
    }
}

/// Merges files as long as there are too many.
fn merge(map: &Map) -> lsm_tree::Result<()> {
    let strategy = Arc::new(Leveled::default());
    for _ in 0..MERGES_MAX {
        let before = map.tree.current_version().id();
        map.tree.compact(Arc::clone(&strategy) as _, map.snapshots.unseen())?;
        if map.tree.current_version().id() == before {
            break;
        }
    }
    Ok(())
}
