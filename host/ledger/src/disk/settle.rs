//! Brings the map's newest writes into sorted files in one thread, and merges those in another,
//! which gives way to all others; and knows which moments are still being looked at, whose
//! records must stay.

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

/// Files that may wait to be merged; then new ones wait. Why: a look-up may have to look into each of
/// them. Source: ours, three times what makes a merge due.
const UNMERGED_MAX: usize = 12;

/// How much the merging thread gives way to others. Why: a large state is merged for seconds on end, beside
/// which requests must not feel it. Source: ours; it gets a tenth of a processor that others want.
const MERGING_NICE: i32 = 10;

/// Bytes of a file that merges write. Why: the first level holds four of them and is written anew with every
/// merge into it; and more files would make the start of a node with a large state slower.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

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

/// The threads, and what is said to them. Dropping it ends them; what is not settled
/// by then stays in the log.
pub(super) struct Settling {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
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
    /// How often there was a file more, and how often that was when files were last looked at to be merged.
    files: u64,
    merged: u64,
    stop: bool,
    /// Nothing more is written after a fault: what the disk holds is unknown.
    fault: Option<LedgerError>,
}

impl Orders {
    /// Nothing more is done for the disk.
    fn ended(&self) -> bool {
        self.stop || self.fault.is_some()
    }
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
        let mut settling = Self { shared: Arc::default(), threads: Vec::new() };
        settling.spawn("ledger-state", &map, settle_all)?;
        settling.spawn("ledger-merge", &map, merge_all)?;
        Ok(settling)
    }

    fn spawn(&mut self, name: &str, map: &Arc<Map>, work: fn(&Shared, &Map)) -> Result<(), LedgerError> {
        let (shared, map) = (Arc::clone(&self.shared), Arc::clone(map));
        let work = move || {
            let _watch = Watch(&shared);
            work(&shared, &map);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        self.threads.push(thread.map_err(|e| crate::fault::storage("starting the state's threads", &e))?);
        Ok(())
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
        self.shared.settle(map)
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.shared.orders.lock().stop = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
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
        // There is a file more; whether to merge is for the other thread to see.
        self.orders.lock().files += 1;
        self.changed.notify_all();
        settled
    }

    fn fail(&self, fault: &LedgerError) {
        self.orders.lock().fault.get_or_insert_with(|| fault.clone());
        self.changed.notify_all();
    }
}

/// Tells writers when a thread ends by a panic, or they would wait for it.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&LedgerError::Stopped { cause: "settling the state panicked".to_owned() });
        }
    }
}

fn settle_all(shared: &Shared, map: &Map) {
    loop {
        let mut orders = shared.orders.lock();
        while !orders.ended() && (!orders.asked || must_wait(&orders, map)) {
            shared.changed.wait(&mut orders);
        }
        if orders.ended() {
            return;
        }
        orders.asked = false;
        drop(orders);
        // Its failure was noted.
        drop(shared.settle(map));
    }
}

/// Whether too many files wait to be merged, and that is under way.
fn must_wait(orders: &Orders, map: &Map) -> bool {
    orders.merged < orders.files && map.tree.l0_run_count() >= UNMERGED_MAX
}

fn merge_all(shared: &Shared, map: &Map) {
    if let Err(error) = rustix::process::setpriority_process(None, MERGING_NICE) {
        tracing::warn!(%error, "merging the state's files does not give way to other threads");
    }
    loop {
        let mut orders = shared.orders.lock();
        while !orders.ended() && orders.merged == orders.files {
            shared.changed.wait(&mut orders);
        }
        if orders.ended() {
            return;
        }
        let files = orders.files;
        drop(orders);
        if let Err(error) = merge(map) {
            // The files are as they were; the next round tries again.
            tracing::warn!(error = %failure("merging the state", &error), "the state's files were not merged");
        }
        shared.orders.lock().merged = files;
        shared.changed.notify_all();
    }
}

/// Merges files as long as there are too many.
fn merge(map: &Map) -> lsm_tree::Result<()> {
    let strategy = Arc::new(Leveled::default().with_table_target_size(FILE_BYTES));
    for _ in 0..MERGES_MAX {
        let before = map.tree.current_version().id();
        map.tree.compact(Arc::clone(&strategy) as _, map.snapshots.unseen())?;
        if map.tree.current_version().id() == before {
            break;
        }
    }
    Ok(())
}
