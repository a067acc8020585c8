//! Snapshots that operators keep: saved, received, and put in the place of the state.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::change::Verdict;
use bulkhead_model::seam::cluster::{
    ClusterError, ReceivedSnapshot, Restoration, RestoreStep, RestoreSteps, SavedSnapshot, SnapshotSeal,
};
use bulkhead_model::seam::ledger::{Ledger, LedgerError};

use super::RaftLedger;
use super::cluster::{joined, refused};
use crate::codec::Raw;
use crate::codec::restore::{self, End, Form, Step};
use crate::fault::storage;
use crate::machine::state;
use crate::raft::{Answer, Payload};
use crate::snapshot::{self, Contents, archive};

/// Bytes of records that go through the log at once when a snapshot is restored.
const RESTORE_BYTES: usize = 1024 * 1024;

/// Longest the records of a snapshot take to be put in place, or cleared, on a majority.
/// Source: ours. Why: all of them are written anew.
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
    shown: Vec<Vec<u8>>,
) -> Result<ReceivedSnapshot, ClusterError> {
    let snapshots = Arc::clone(&ledger.snapshots);
    let receiving = tokio::task::spawn_blocking(move || {
        let failed = |e: io::Error| storage("laying a snapshot on the disk", &e);
        let mut file = snapshots.scratch().map_err(failed)?;
        let mut found = BTreeMap::new();
        let mut bounded = Bounded { input: stream, left: bytes_max, over: false };
        let unpacked = archive::unpack(&mut bounded, |state| {
            let mut laid = Laid { input: state, file: &mut file, fault: None };
            let checked = snapshot::check(&mut laid, |key, value| {
                if shown.iter().any(|shown| shown == key) {
                    found.insert(key.to_vec(), value.to_vec());
                }
            });
            laid.fault.map_or(checked, |e| Err(failed(e)))
        });
        if bounded.over {
            let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            return Err(LedgerError::TooLarge { what: "a snapshot", bytes: limit.saturating_add(1), limit });
        }
        let archive::Unpacked { info, sums, seal } = unpacked?;
        let contents = Contents::open(&file)?;
        let steps = Box::new(move |terms: Restoration| RestoreSteps {
            abandon: RestoreStep {
                bytes: restore::encode(&Step::Abandon { id: Some(terms.attempt) }).into(),
                is_last: false,
            },
            steps: Box::new(Steps::of(contents, terms)),
        });
        Ok(ReceivedSnapshot { info, sums, seal, shown: found, steps })
    });
    Ok(joined(receiving.await)?)
}

pub(super) async fn step(ledger: &RaftLedger, step: RestoreStep) -> Result<u64, ClusterError> {
    let no_step = || refused("it is no step of a restoring, or one of another version of this program");
    let Some((Form::Begun, decoded)) = restore::decode(&step.bytes) else { return Err(no_step()) };
    let id = match &decoded {
        Step::Begin { id } | Step::Records { id, .. } | Step::End(End { id, .. }) | Step::Abandon { id: Some(id) } => {
            *id
        }
        Step::Abandon { id: None } => return Err(no_step()),
    };
    let (ends, gives_up) = (matches!(decoded, Step::End(_)), matches!(decoded, Step::Abandon { .. }));
    if ends != step.is_last {
        return Err(refused("it is another step than it is said to be"));
    }
    let is_long = !matches!(decoded, Step::Records { .. });
    let busy = || ClusterError::Busy { why: "another snapshot is being restored; try again".to_owned() };
    let working = ledger.pilot.in_hand().take(id).ok_or_else(busy)?;
    let within = if is_long { IN_PLACE_WITHIN } else { ledger.timings.answer };
    let why = match ledger.write_within(Payload(step.bytes.into()), within).await {
        Ok(Answer::Judged(Verdict::Committed(index))) => {
            if ends || gives_up {
                working.finish();
            }
            return Ok(index);
        }
        Ok(Answer::Judged(Verdict::Conflict)) => {
            "this restoring was given up, since nobody was at it or another node came to lead: nothing was changed; \
             restore the snapshot again"
        }
        Ok(Answer::NotWhole) => "not all records of the snapshot came: nothing was changed; restore the snapshot again",
        Ok(Answer::NotAlone) => "another node has joined meanwhile: nothing was changed",
        Ok(Answer::Nothing | Answer::Refused) => "it is over a limit: nothing was changed",
        Err(error) => {
            if matches!(error, LedgerError::NotLeader { .. }) {
                working.finish();
            }
            return Err(error.into());
        }
    };
    working.finish();
    Err(refused(why))
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
    terms: Restoration,
    made: VecDeque<Vec<u8>>,
    records: u64,
    ended: bool,
}

impl Steps {
    fn of(contents: Contents<File>, terms: Restoration) -> Self {
        let begin = restore::encode(&Step::Begin { id: terms.attempt }).into();
        Self { contents, terms, made: VecDeque::from([begin]), records: 0, ended: false }
    }

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
            let step = Step::Records { id: self.terms.attempt, records: now.to_vec() };
            self.made.push_back(restore::encode(&step).into());
            rest = later;
        }
        Ok(Some(()))
    }

    fn end(&self) -> Vec<u8> {
        let Restoration { attempt, keep, put, alone } = &self.terms;
        restore::encode(&Step::End(End {
            id: *attempt,
            records: self.records,
            keep: keep.iter().map(|key| Raw(key)).collect(),
            put: put.iter().map(|(key, value)| (Raw(key), Raw(value))).collect(),
            alone: *alone,
        }))
        .into()
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
