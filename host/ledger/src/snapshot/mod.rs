//! Snapshots: the whole state in one file, in a format of our own. [`format`] is the
//! stream, [`archive`] what operators keep; here are the files: written beside, synced,
//! renamed, and only the newest kept.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_model::seam::cluster::SnapshotInfo;
use bulkhead_model::seam::ledger::LedgerError;

pub(crate) use self::format::{Contents, End};
use self::format::{Sink, read_header};
use crate::disk::Slice;
use crate::fault::storage;
use crate::files::{Files, RealFiles, make_dir};
use crate::machine::state::{Meta, record_of};
use crate::raft::{LogId, Snapshot, SnapshotMeta};

pub(crate) mod archive;
mod format;

/// A snapshot's open file. It stays readable when a newer snapshot takes its place.
#[derive(Debug)]
pub(crate) struct SnapshotFile(pub(crate) File);

/// The directory snapshots are kept in.
pub(crate) struct Snapshots {
    directory: PathBuf,
    /// How many scratch files there were, to name the next.
    scratches: AtomicU64,
}

impl Snapshots {
    /// Opens the directory and clears what a crash left half written.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, LedgerError> {
        let failed = |e: io::Error| storage("opening the snapshots' directory", &e);
        make_dir(&directory).map_err(failed)?;
        let mut leftovers = Vec::new();
        for path in RealFiles.list(&directory).map_err(failed)? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                // Removed while it is open, it takes up its room until it is closed.
                leftovers.extend(File::open(&path));
                RealFiles.remove(&path).map_err(failed)?;
            }
        }
        if !leftovers.is_empty() {
            // To give back the room of a snapshot takes a disk some time, which a start need not wait
            // for. Without a thread it is given back here.
            let closing = std::thread::Builder::new().name("ledger-leftovers".into()).spawn(move || drop(leftovers));
            drop(closing);
        }
        Ok(Self { directory, scratches: AtomicU64::new(0) })
    }

    /// Index of the newest snapshot, 0 if there is none.
    pub(crate) fn last_index(&self) -> u64 {
        self.newest().ok().flatten().and_then(|path| index_of(&path)).unwrap_or(0)
    }

    /// The newest snapshot. One whose header is damaged counts as none: the state is on
    /// the disk up to its index, and a new one will be written.
    pub(crate) fn current(&self) -> Result<Option<Snapshot>, LedgerError> {
        let failed = |e: io::Error| storage("opening a snapshot", &e);
        let (path, file) = loop {
            let Some(path) = self.newest().map_err(failed)? else { return Ok(None) };
            match File::open(&path) {
                Ok(file) => break (path, file),
                // A newer one has just taken its place.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e)),
            }
        };
        match read_header(&file) {
            Ok(meta) => Ok(Some(snapshot(&meta, file))),
            Err(LedgerError::Damaged { what }) => {
                tracing::error!(what, path = %path.display(), "a snapshot is damaged");
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Writes a snapshot of these records.
    pub(crate) fn write(
        &self,
        meta: &Meta,
        records: impl Iterator<Item = Result<(Slice, Slice), LedgerError>>,
    ) -> Result<Snapshot, LedgerError> {
        let temporary = self.directory.join(format!("{}.tmp", name(meta.applied)));
        let failed = |e: io::Error| storage("writing a snapshot", &e);
        let mut sink = Sink::create(&temporary, meta).map_err(failed)?;
        for record in records {
            let (key, value) = record?;
            sink.put(&key, &value).map_err(failed)?;
        }
        sink.finish().map_err(failed)?;
        let path = self.adopt(&temporary, meta.applied).map_err(failed)?;
        Ok(snapshot(meta, File::open(path).map_err(failed)?))
    }

    /// An empty file that is gone once it is closed, or this process ends.
    pub(crate) fn scratch(&self) -> io::Result<File> {
        let number = self.scratches.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("scratch-{number}.tmp"));
        let file = format::create(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }

    /// Writes a snapshot that is not one of the log's: to be read once, from its beginning.
    pub(crate) fn write_apart(
        &self,
        meta: &Meta,
        records: impl Iterator<Item = Result<(Slice, Slice), LedgerError>>,
    ) -> Result<(File, End), LedgerError> {
        let failed = |e: io::Error| storage("writing a snapshot", &e);
        let mut sink = self.scratch().and_then(|file| Sink::over(file, meta)).map_err(failed)?;
        for record in records {
            let (key, value) = record?;
            sink.put(&key, &value).map_err(failed)?;
        }
        let (mut file, end) = sink.finish().map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok((file, end))
    }

    /// Makes a copy of a received snapshot the current one and returns its file.
    pub(crate) fn keep(&self, received: &SnapshotFile, id: Option<LogId>) -> Result<File, LedgerError> {
        let failed = |e: io::Error| storage("keeping a received snapshot", &e);
        let path = self.directory.join(format!("{}.bks", name(id)));
        if path.exists() {
            return File::open(path).map_err(failed);
        }
        let temporary = self.directory.join(format!("{}.tmp", name(id)));
        format::copy(&received.0, &temporary).map_err(failed)?;
        let path = self.adopt(&temporary, id).map_err(failed)?;
        File::open(path).map_err(failed)
    }

    /// Gives a finished file its name and removes older ones.
    fn adopt(&self, temporary: &Path, id: Option<LogId>) -> io::Result<PathBuf> {
        let path = self.directory.join(format!("{}.bks", name(id)));
        RealFiles.rename(temporary, &path)?;
        RealFiles.sync_dir(&self.directory)?;
        for other in RealFiles.list(&self.directory)? {
            if other != path && other.extension().is_some_and(|extension| extension == "bks") {
                RealFiles.remove(&other)?;
            }
        }
        Ok(path)
    }

    fn newest(&self) -> io::Result<Option<PathBuf>> {
        let mut paths = RealFiles.list(&self.directory)?;
        paths.retain(|path| index_of(path).is_some());
        Ok(paths.into_iter().max())
    }
}

/// Reads a snapshot's stream to its end, checking all of it, and shows each record's key and
/// value.
pub(crate) fn check<R: Read>(stream: R, mut show: impl FnMut(&[u8], &[u8])) -> Result<SnapshotInfo, LedgerError> {
    let mut contents = Contents::of(stream)?;
    while let Some(chunk) = contents.next_chunk()? {
        for (key, value) in &chunk {
            if let Some((key, value)) = record_of(key, value) {
                show(key, value);
            }
        }
    }
    let end = contents.end().expect("the last chunk was read");
    Ok(info(contents.note().applied, end))
}

/// Reads a snapshot that an operator keeps to its end and says what it holds, if all of it is
/// as it was written. Shows the key of each record, and the length of its value in bytes.
///
/// # Errors
/// [`LedgerError::Damaged`], and [`LedgerError::Storage`] if reading fails.
pub fn inspect_snapshot(archive: impl Read, mut show: impl FnMut(&[u8], usize)) -> Result<SnapshotInfo, LedgerError> {
    let read = |state: &mut dyn Read| check(state, |key, value| show(key, value.len()));
    archive::unpack(archive, read).map(|unpacked| unpacked.info)
}

/// What there is to say of a snapshot.
pub(crate) fn info(applied: Option<LogId>, end: End) -> SnapshotInfo {
    SnapshotInfo {
        index: applied.map_or(0, |id| id.index),
        term: applied.map_or(0, |id| id.leader_id.term),
        records: end.records,
        bytes: end.bytes,
        digest: end.digest,
    }
}

/// Names sort as their indexes do.
fn name(id: Option<LogId>) -> String {
    let (term, index) = id.map_or((0, 0), |id| (id.leader_id.term, id.index));
    format!("snapshot-{index:020}-{term:020}")
}

fn index_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_prefix("snapshot-")?.strip_suffix(".bks")?;
    name.split('-').next()?.parse().ok()
}

fn snapshot(meta: &Meta, file: File) -> Snapshot {
    let meta = SnapshotMeta { last_log_id: meta.applied, last_membership: meta.membership.clone() };
    Snapshot { meta, snapshot: SnapshotFile(file) }
}

#[cfg(test)]
mod tests;
