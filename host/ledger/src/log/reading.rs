//! A segment's sectors, one after the other, and how damage in one is told to operators.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use super::record::{Checkpoint, Found, GROUP_HEADER_BYTES, GroupHeader};
use super::sector::{SECTOR_BYTES, Sector, inspect};
use crate::fault::storage;
use crate::files::DiskFile;

/// A segment being read from its start to its end, a window at a time: most of the newest
/// one is blank, and a start should not cost the memory of a whole segment.
pub(super) struct Reading {
    pub(super) path: PathBuf,
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) length: usize,
    window: Vec<u8>,
    window_at: usize,
    /// How much is read at once.
    window_bytes: usize,
}

/// Bytes read at once. Why: they stay in the processor's cache until they are looked at.
const WINDOW_BYTES: usize = 256 * 1024;

/// How a segment begins.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Its first group.
    pub(super) group: u64,
    pub(super) checkpoint: Checkpoint,
}

impl Head {
    fn parse(group: u64, content: &[u8]) -> Option<Self> {
        GroupHeader::parse(content).filter(|header| header.group == group)?;
        let checkpoint = Found::at(content.get(GROUP_HEADER_BYTES..)?).ok()?.checkpoint()?;
        Some(Self { group, checkpoint })
    }
}

impl Reading {
    pub(super) fn new(path: PathBuf, number: u64, file: Arc<dyn DiskFile>) -> Result<Self, LedgerError> {
        let length = file.len().map_err(|e| storage("reading a segment of the log", &e))? as usize;
        let reading = Self { path, number, file, length, window: Vec::new(), window_at: 0, window_bytes: WINDOW_BYTES };
        if length == 0 { Err(reading.damaged(0, "the file is empty")) } else { Ok(reading) }
    }

    pub(super) fn damaged(&self, offset: usize, why: &str) -> LedgerError {
        damaged(&self.path, offset as u64, why)
    }

    /// How the segment begins, if its first sector is whole.
    pub(super) fn head(&mut self) -> Result<Option<Head>, LedgerError> {
        self.window_bytes = SECTOR_BYTES;
        let head = self.sector(0).map(|sector| match sector {
            Some(Sector::Whole { group, part: 0, content }) => Head::parse(group, content),
            _ => None,
        });
        self.window_bytes = WINDOW_BYTES;
        head
    }

    /// The sector at an offset; `None` if the file ends before its end.
    pub(super) fn sector(&mut self, offset: usize) -> Result<Option<Sector<'_>>, LedgerError> {
        if offset + SECTOR_BYTES > self.length {
            return Ok(None);
        }
        let held = self.window_at..self.window_at + self.window.len();
        if offset < held.start || offset + SECTOR_BYTES > held.end {
            self.window.resize(self.window_bytes.min(self.length - offset), 0);
            self.window_at = offset;
            let read = self.file.read_at(&mut self.window, offset as u64);
            read.map_err(|e| storage("reading a segment of the log", &e))?;
        }
        let at = offset - self.window_at;
        Ok(Some(inspect(&self.window[at..at + SECTOR_BYTES])))
    }
}

/// What stops a start.
pub(super) fn damaged(path: &Path, offset: u64, why: &str) -> LedgerError {
    LedgerError::Damaged {
        what: format!(
            "the log is damaged at {} offset {offset}: {why}; this node must not start: restore it from a snapshot, \
             or remove it from the cluster and join it as a new node",
            path.display()
        ),
    }
}
