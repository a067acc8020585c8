//! A second witness of how far the log reaches, in a file and a disk block of its own.
//!
//! The last group of a log has no successor that proves it was complete. Once the log has
//! been idle for a moment, at each clean shutdown and at each start, the anchor says so
//! instead: "group N is durable, and this is its digest". It has two slots written in
//! turn, so a torn write leaves the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;
use serde::{Deserialize, Serialize};

use super::record::Chain;
use super::sector::{SECTOR_BYTES, Sector, inspect, lay_out};
use crate::fault::storage;
use crate::files::{DiskFile, Files};

const NAME: &str = "anchor";

/// Slots lie in different blocks of the file system.
const SLOT_STRIDE: u64 = 4096;
const FILE_BYTES: usize = SLOT_STRIDE as usize + SECTOR_BYTES;

/// What the anchor proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// Whose log it is.
    pub(crate) node: u64,
    /// The last group known to be on the disk; `None`: the log is new.
    pub(crate) group: Option<u64>,
    /// The chained digest after that group.
    pub(crate) chain: Chain,
}

/// The open anchor file.
pub(crate) struct Anchor {
    file: Arc<dyn DiskFile>,
    sequence: u64,
    pub(crate) proof: Proof,
}

impl Anchor {
    /// Makes the anchor of a new log.
    pub(crate) fn create(files: &dyn Files, directory: &Path, node: u64) -> Result<Self, LedgerError> {
        let proof = Proof { node, group: None, chain: [0; 16] };
        let mut bytes = encode(0, &proof);
        bytes.resize(FILE_BYTES, 0);
        let path = path(directory);
        crate::files::write_atomically(files, &path, &bytes).map_err(|e| storage("making the log's anchor", &e))?;
        let file = files.open(&path).map_err(|e| storage("opening the log's anchor", &e))?;
        Ok(Self { file, sequence: 0, proof })
    }

    /// Opens the anchor of an existing log.
    pub(crate) fn open(files: &dyn Files, directory: &Path) -> Result<Self, LedgerError> {
        let path = path(directory);
        let damaged = |why: &str| LedgerError::Damaged { what: format!("the log's anchor {}: {why}", path.display()) };
        let file = files.open(&path).map_err(|e| storage("opening the log's anchor", &e))?;
        let length = file.len().map_err(|e| storage("reading the log's anchor", &e))?;
        if length != FILE_BYTES as u64 {
            return Err(damaged("it is not of its length"));
        }
        let mut best: Option<(u64, Proof)> = None;
        for slot in 0..2 {
            let mut sector = [0; SECTOR_BYTES];
            file.read_at(&mut sector, slot * SLOT_STRIDE).map_err(|e| storage("reading the log's anchor", &e))?;
            let Some(found) = decode(&sector) else { continue };
            if best.is_none_or(|(sequence, _)| found.0 > sequence) {
                best = Some(found);
            }
        }
        let (sequence, proof) = best.ok_or_else(|| damaged("neither slot passes its checksum"))?;
        Ok(Self { file, sequence, proof })
    }

    /// Records that a group is durable, in the slot that holds the older proof.
    pub(crate) fn advance(&mut self, group: u64, chain: Chain) -> std::io::Result<()> {
        let proof = Proof { group: Some(group), chain, ..self.proof };
        let sequence = self.sequence + 1;
        self.file.write_all_at(&encode(sequence, &proof), sequence % 2 * SLOT_STRIDE)?;
        self.file.sync()?;
        (self.sequence, self.proof) = (sequence, proof);
        Ok(())
    }
}

/// Whether a log was ever made here.
pub(crate) fn exists(files: &dyn Files, directory: &Path) -> std::io::Result<bool> {
    let path = path(directory);
    Ok(files.list(directory)?.contains(&path))
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

fn encode(sequence: u64, proof: &Proof) -> Vec<u8> {
    let content = postcard::to_stdvec(proof).expect("a proof is plain data");
    let mut out = Vec::new();
    lay_out(sequence, &content, &mut out);
    out
}

fn decode(sector: &[u8]) -> Option<(u64, Proof)> {
    match inspect(sector) {
        Sector::Whole { group: sequence, content, .. } => {
            let (proof, _) = postcard::take_from_bytes(content).ok()?;
            Some((sequence, proof))
        }
        Sector::Unwritten { .. } | Sector::Damaged => None,
    }
}
