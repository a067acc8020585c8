//! Snapshots that operators keep: saved, received, and put in the place of the state.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::change::Verdict;
use bulkhead_model::seam::cluster::{ClusterError, ReceivedSnapshot, RestoreStep, SavedSnapshot, SnapshotSeal};
use bulkhead_model::seam::ledger::{Ledger, LedgerError};

use super::RaftLedger;
use super::cluster::{joined, refused};
use crate::codec::Raw;
use crate::codec::restore::{self, RestoreId, Step};
use crate::fault::storage;
use crate::machine::state;
use crate::raft::Payload;
use crate::snapshot::{self, Contents, archive};

/// Bytes of records that go through the log at once when a snapshot is restored.
const RESTORE_BYTES: usize = 1024 * 1024;

/// Longest the records of a snapshot take to be put in place, on a majority. Source: ours.
/// Why: all of them are written anew.
const IN_PLACE_WITHIN: Duration = Duration::from_secs(30 * 60);

pub(super) async fn save(ledger: &RaftLedger, seal: &SnapshotSeal<'_>) -> Result<SavedSnapshot, ClusterError> {
    ledger.linearizable().await?;
    let (view, meta) = ledger.moment().await?;
    let snapshots = Arc::clone(&ledger.snapshots);
    // Written down first, so that whoever reads it slowly holds a file and not the state.
    let writing = tokio::task::spawn_blocking(move || {
        let (file, end) = snapshots.write_apart(&meta, state::records(&view))?;
        Ok((file, end, snapshot::info(meta.applied, end)))
    });
    let (file, end, info) = joined(writing.await)?;
    let stream = Box::new(archive::Packed::new(&info, end, file, seal));
    Ok(SavedSnapshot { info, stream })
}

pub(super) async fn receive(
    ledger: &RaftLedger,
    stream: Box<dyn Read + Send>,
    bytes_max: u64,
    keep: Vec<Vec<u8>>,
) -> Result<ReceivedSnapshot, ClusterError> {
    let snapshots = Arc::clone(&ledger.snapshots);
    let receiving = tokio::task::spawn_blocking(move || {
        let failed = |e: io::Error| storage("laying a snapshot on the disk", &e);
        let mut file = snapshots.scratch().map_err(failed)?;
        let mut kept = BTreeMap::new();
        let mut bounded = Bounded { input: stream, left: bytes_max, over: false };
        let unpacked = archive::unpack(&mut bounded, |state| {
            let mut laid = Laid { input: state, file: &mut file, fault: None };
            let checked = snapshot::check(&mut laid, |key, value| {
                if keep.iter().any(|kept| kept == key) {
                    kept.insert(key.to_vec(), value.to_vec());
                }
            });
            laid.fault.map_or(checked, |e| Err(failed(e)))
        });
        if bounded.over {
            let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            return Err(LedgerError::TooLarge { what: "a snapshot", bytes: limit.saturating_add(1), limit });
        }
        let unpacked = unpacked?;
        let mut id = [0; 16];
        id.copy_from_slice(&unpacked.info.digest[..16]);
        let steps =
            Steps { contents: Contents::open(&file)?, id, keep, made: VecDeque::new(), records: 0, ended: false };
        let archive::Unpacked { info, sums, seal } = unpacked;
        Ok(ReceivedSnapshot { info, sums, seal, kept, steps: Box::new(steps) })
    });
    Ok(joined(receiving.await)?)
}

pub(super) async fn step(ledger: &RaftLedger, step: RestoreStep) -> Result<u64, ClusterError> {
    let ends = match restore::decode(&step.bytes) {
        None => return Err(refused("it is no step of a restoring")),
        Some(Step::End { .. }) => true,
        Some(Step::Records { .. }) => false,
    };
    if ends != step.is_last {
        return Err(refused("it is another step than it is said to be"));
    }
    let within = if ends { IN_PLACE_WITHIN } else { ledger.timings.answer };
    match ledger.write_within(Payload(step.bytes.into()), within).await? {
        Verdict::Committed(index) => Ok(index),
        Verdict::Conflict => Err(refused("another snapshot was restored meanwhile")),
    }
}

/// A stream that ends too early, and says so, where it is longer than it may be.
struct Bounded {
    input: Box<dyn Read + Send>,
    left: u64,
    over: bool,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.over = true;
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a snapshot is over its limit"));
            }
        }
        Ok(count)
    }
}

/// Writes what is read to a file as well.
struct Laid<'a> {
    input: &'a mut dyn Read,
    file: &'a mut File,
    fault: Option<io::Error>,
}

impl Read for Laid<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.file.write_all(&buffer[..count]).inspect_err(|e| self.fault = Some(io::Error::from(e.kind())))?;
        Ok(count)
    }
}

/// A snapshot that was checked, as steps of some size.
struct Steps {
    contents: Contents<File>,
    id: RestoreId,
    keep: Vec<Vec<u8>>,
    made: VecDeque<Vec<u8>>,
    records: u64,
    ended: bool,
}

impl Steps {
    /// Steps of the next records; `None`, once there are no more.
    fn make(&mut self) -> Result<Option<()>, LedgerError> {
        let Some(chunk) = self.contents.next_chunk()? else { return Ok(None) };
        let records = chunk.iter().filter_map(|(key, value)| state::record_of(key, value));
        let records: Vec<_> = records.map(|(key, value)| (Raw(key), Raw(value))).collect();
        self.records += records.len() as u64;
        let mut rest = &records[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take_while(|(key, value)| {
                let first = bytes == 0;
                bytes += key.0.len() + value.0.len() + 16;
                first || bytes <= RESTORE_BYTES
            });
            let (now, later) = rest.split_at(fitting.count());
            self.made.push_back(restore::encode(&Step::Records { id: self.id, records: now.to_vec() }).into());
            rest = later;
        }
        Ok(Some(()))
    }

    fn end(&self) -> Vec<u8> {
        let keep = self.keep.iter().map(|key| Raw(key)).collect();
        restore::encode(&Step::End { id: self.id, records: self.records, keep }).into()
    }
}

impl Iterator for Steps {
    type Item = Result<RestoreStep, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.made.is_empty() && !self.ended {
            match self.make() {
                Ok(Some(())) => {}
                Ok(None) => {
                    self.ended = true;
                    return Some(Ok(RestoreStep { bytes: self.end(), is_last: true }));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        self.made.pop_front().map(|bytes| Ok(RestoreStep { bytes, is_last: false }))
    }
}
