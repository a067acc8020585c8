//! A disk in memory that keeps apart what was written and what was synced, and can be told
//! to fail or to lose its power at any operation.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::files::{DiskFile, Files};

const SECTOR: usize = 512;

/// What goes wrong at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The power goes; nothing works any more.
    Power,
    /// The operation reports an I/O error. A write may have happened in part.
    Eio,
    /// The disk is full from here on; a write happens by half.
    Full,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    next: u64,
    operations: u64,
    plan: Option<(u64, Failure)>,
    off: bool,
    forgetful: bool,
}

/// The disk.
#[derive(Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

struct SimFile {
    id: u64,
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// A disk with the same bytes, all of them synced.
    pub(crate) fn copy(&self) -> Arc<Self> {
        let state = self.0.lock();
        let copy = State { plan: None, off: false, operations: 0, ..state.clone() };
        Arc::new(Self(Arc::new(Mutex::new(copy))))
    }

    /// Makes the n-th operation from now fail.
    pub(crate) fn fail_at(&self, nth: u64, failure: Failure) {
        let mut state = self.0.lock();
        state.plan = Some((state.operations + nth, failure));
    }

    /// The power goes now.
    pub(crate) fn lose_power(&self) {
        self.0.lock().off = true;
    }

    /// From now on nothing is synced, as if nobody asked for it: the bug that the tests of power
    /// cuts must find.
    pub(crate) fn forget_syncs(&self) {
        self.0.lock().forgetful = true;
    }

    pub(crate) fn is_forgetful(&self) -> bool {
        self.0.lock().forgetful
    }

    /// Whether the planned failure has happened.
    pub(crate) fn has_failed(&self) -> bool {
        let state = self.0.lock();
        state.plan.is_some_and(|(at, _)| state.operations >= at)
    }

    /// Cuts the power: of what was not synced, `survives` says which sectors, and whether
    /// the names, are there afterwards. The disk works again.
    pub(crate) fn crash(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.0.lock();
        if !survives() {
            state.names = state.synced_names.clone();
        }
        for content in state.files.values_mut() {
            let mut left = content.synced.clone();
            for sector in std::mem::take(&mut content.dirty) {
                let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(content.now.len()));
                if from < to && survives() {
                    left.resize(left.len().max(to), 0);
                    left[from..to].copy_from_slice(&content.now[from..to]);
                }
            }
            (content.now, content.synced) = (left.clone(), left);
        }
        state.synced_names = state.names.clone();
        (state.plan, state.off) = (None, false);
    }

    /// The process ends, the machine does not: what was written is there.
    pub(crate) fn restart_process(&self) {
        self.crash(|| true);
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// Changes a file's bytes behind everyone's back.
    pub(crate) fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        let id = state.names[path];
        let content = state.files.get_mut(&id).unwrap();
        change(&mut content.now);
        content.synced = content.now.clone();
    }

    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock();
        state.files[&state.names[path]].now.clone()
    }

    pub(crate) fn delete(&self, path: &Path) {
        let mut state = self.0.lock();
        state.names.remove(path);
        state.synced_names.remove(path);
    }
}

/// Counts an operation; the failure that it meets.
fn step(state: &mut State) -> Result<Option<Failure>, io::Error> {
    if state.off {
        return Err(io::Error::other("no power"));
    }
    state.operations += 1;
    let Some((at, failure)) = state.plan else { return Ok(None) };
    match failure {
        Failure::Power if state.operations >= at => {
            state.off = true;
            Ok(Some(failure))
        }
        Failure::Eio if state.operations == at => Ok(Some(failure)),
        Failure::Full if state.operations >= at => Ok(Some(failure)),
        _ => Ok(None),
    }
}

fn error_of(failure: Failure) -> io::Error {
    match failure {
        Failure::Power => io::Error::other("no power"),
        Failure::Eio => io::Error::from_raw_os_error(5),
        Failure::Full => io::Error::from_raw_os_error(28),
    }
}

fn refuse(state: &mut State) -> io::Result<()> {
    step(state)?.map_or(Ok(()), |failure| Err(error_of(failure)))
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().files[&self.id].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state.lock();
        let bytes = state.files[&self.id].now.get(offset as usize..offset as usize + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        let failure = step(&mut state)?;
        // Writes are short now and then anyway, and by half when they fail.
        let whole =
            if failure.is_none() && !state.operations.is_multiple_of(5) { bytes.len() } else { bytes.len() / 2 };
        let length = if failure.is_none() { whole.max(1).min(bytes.len()) } else { whole };
        let content = state.files.get_mut(&self.id).unwrap();
        let (from, to) = (offset as usize, offset as usize + length);
        content.now.resize(content.now.len().max(to), 0);
        content.now[from..to].copy_from_slice(&bytes[..length]);
        content.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
        failure.map_or(Ok(length), |failure| Err(error_of(failure)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        refuse(&mut state)?;
        if state.forgetful {
            return Ok(());
        }
        let content = state.files.get_mut(&self.id).unwrap();
        let Content { now, synced, dirty } = content;
        synced.resize(now.len(), 0);
        for sector in std::mem::take(dirty) {
            // Sector by sector: a cluster's log is synced a thousand times.
            let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(now.len()));
            synced[from..to].copy_from_slice(&now[from..to]);
        }
        Ok(())
    }
}

impl SimDisk {
    fn file(&self, id: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { id, state: Arc::clone(&self.0) })
    }
}

impl Files for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.0.lock();
        let id = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(self.file(id))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        refuse(&mut state)?;
        let id = state.next;
        state.next += 1;
        state.files.insert(id, Content::default());
        state.names.insert(path.into(), id);
        drop(state);
        Ok(self.file(id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        refuse(&mut state)?;
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.into(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        refuse(&mut state)?;
        state.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.0.lock();
        Ok(state.names.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        refuse(&mut state)?;
        if !state.forgetful {
            state.synced_names = state.names.clone();
        }
        Ok(())
    }
}
