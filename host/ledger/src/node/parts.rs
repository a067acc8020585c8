//! What a ledger is made of, opened in the one order that is right, and what openraft is
//! told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::ledger::LedgerError;
use openraft::SnapshotPolicy;
use parking_lot::Mutex;

use super::abreast;
use crate::config::LedgerConfig;
use crate::fault::{Health, as_io, storage};
use crate::files::{Files, RealFiles, make_dir};
use crate::gate::Gate;
use crate::identity::{Lock, lock, number};
use crate::log::LogStore;
use crate::log::writer::Setup;
use crate::machine::Machine;
use crate::machine::state::{FoundState, Meta, State};
use crate::removed::Removed;
use crate::snapshot::Snapshots;

/// A follower that lacks more entries than the log keeps is sent a snapshot; one that
/// lacks fewer is sent entries.
const LAG_BEFORE_SNAPSHOT: u64 = 10_000;

/// What openraft is started with.
pub(super) struct Parts {
    pub(super) config: LedgerConfig,
    pub(super) lock: Arc<Lock>,
    pub(super) number: u64,
    pub(super) log: LogStore,
    pub(super) machine: Machine,
    pub(super) state: Arc<State>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) gate: Arc<Gate>,
    pub(super) removed: Arc<Removed>,
    pub(super) health: Arc<Health>,
}

impl Parts {
    pub(super) fn open(config: LedgerConfig, files: Arc<dyn Files>) -> Result<Self, LedgerError> {
        let directory = config.directory.as_path();
        make_dir(directory).map_err(|e| storage("making the data directory", &e))?;
        let lock = Arc::new(lock(directory)?);
        let number = number(directory, config.fresh_number)?;
        let (gate, removed, health) = (Arc::new(Gate::default()), Arc::default(), Arc::new(Health::default()));
        let known = ["log", "state", "snapshots"].iter().all(|name| directory.join(name).is_dir());
        // The log first: if it is damaged, nothing else is touched.
        let opened = make_dir(&directory.join("log"));
        opened.map_err(|e| storage("making the log's directory", &e))?;
        let (state_cell, before_drop) = sync_before_drop();
        let setup = Setup {
            files,
            directory: directory.join("log"),
            node: number,
            segment_bytes: config.segment_bytes,
            make_ahead: true,
            before_drop,
            lock: Some(Arc::clone(&lock)),
        };
        let (log, found) = open_both(setup, directory.join("state"), &health, &gate)?;
        let made = found.and_then(|found| made_from(directory, number, &log, (found, &state_cell)));
        let (state, meta, snapshots) = made.inspect_err(|_| log.close())?;
        // Where there is something in the log, this was done before that was.
        if !known || log.is_new() {
            sync_parent(directory).inspect_err(|_| log.close())?;
        }
        let machine = Machine::new(
            (Arc::clone(&state), meta),
            Arc::clone(&snapshots),
            (Arc::clone(&gate), Arc::clone(&removed)),
            Arc::clone(&health),
            number,
        );
        Ok(Self { config, lock, number, log, machine, state, snapshots, gate, removed, health })
    }
}

/// Opens the log, and beside that looks at the state: a start waits for the longer of the two.
/// What to make of the state is for after the log.
fn open_both(
    setup: Setup,
    state: PathBuf,
    health: &Arc<Health>,
    gate: &Arc<Gate>,
) -> Result<(LogStore, Result<FoundState, LedgerError>), LedgerError> {
    std::thread::scope(|scope| {
        let looking = std::thread::Builder::new().name("ledger-state".into());
        let looking = looking.spawn_scoped(scope, || FoundState::look(state));
        let looking = looking.map_err(|e| storage("starting a thread that opens the state", &e))?;
        let log = LogStore::open(setup, Arc::clone(health), Arc::clone(gate))?;
        let found = looking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((log, found))
    })
}

type Made = (Arc<State>, Meta, Arc<Snapshots>);

/// Opens what is made from the log, and brings it abreast of it. The log's writer holds
/// the directory: whoever calls this ends it if this fails, so that the next start finds
/// the directory free.
fn made_from(
    directory: &Path,
    number: u64,
    log: &LogStore,
    (found, cell): (FoundState, &StateCell),
) -> Result<Made, LedgerError> {
    let (state, meta) = State::open(found)?;
    *cell.lock() = Some(Arc::clone(&state));
    let snapshots = Arc::new(Snapshots::open(directory.join("snapshots"))?);
    if log.is_new() && (meta.applied.is_some() || snapshots.current()?.is_some()) {
        // What was made from it may lack what was acknowledged last, and knows no vote.
        let what = format!(
            "the log in {} is gone, but there is what was made from it, a state or a snapshot; this node must not \
             start: restore it from a snapshot, or remove it from the cluster and join it as a new node",
            directory.join("log").display()
        );
        return Err(LedgerError::Damaged { what });
    }
    abreast::bring((directory, number), log, (&state, &meta), &snapshots)?;
    Ok((state, meta, snapshots))
}

type StateCell = Arc<Mutex<Option<Arc<State>>>>;
type BeforeDrop = Box<dyn Fn(u64) -> std::io::Result<()> + Send>;

/// What the log calls before it drops segments. The log is opened before the state, so
/// the state is put in later; no segment is dropped before that.
fn sync_before_drop() -> (StateCell, BeforeDrop) {
    let cell = StateCell::default();
    let seen = Arc::clone(&cell);
    let before_drop = move |index| {
        let state = seen.lock().clone();
        let state = state.ok_or_else(|| std::io::Error::other("the state is not open yet"))?;
        state.sync_upto(index).map_err(|e| as_io(&e))
    };
    (cell, Box::new(before_drop))
}

/// Makes the names of new directories durable.
fn sync_parent(directory: &Path) -> Result<(), LedgerError> {
    let syncing = |e: std::io::Error| storage("syncing the data directory", &e);
    RealFiles.sync_dir(directory).map_err(syncing)?;
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => RealFiles.sync_dir(parent).map_err(syncing),
        None => Ok(()),
    }
}

/// What openraft is told.
pub(super) fn settings(config: &LedgerConfig) -> Result<openraft::Config, LedgerError> {
    let millis = |duration: Duration| duration.as_millis() as u64;
    let settings = openraft::Config {
        cluster_name: "bulkhead".to_owned(),
        heartbeat_interval: millis(config.timings.heartbeat),
        election_timeout_min: millis(config.timings.election_min),
        election_timeout_max: millis(config.timings.election_max),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every_entries),
        // [`crate::retain`] drops what can go.
        max_in_snapshot_log_to_keep: u64::MAX,
        install_snapshot_timeout: 60_000,
        replication_lag_threshold: LAG_BEFORE_SNAPSHOT,
        enable_pre_vote: Some(true),
        // A leader that was restarted does not know what it had acknowledged: entries past
        // the last commit it wrote down may be. Only leading anew tells it.
        enable_leader_restore: Some(false),
        ..Default::default()
    };
    settings.validate().map_err(|e| LedgerError::Stopped { cause: format!("the ledger's timings: {e}") })
}
