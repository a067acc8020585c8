//! What a full segment holds, in a file beside it, so that a start need not read the segment: the
//! log grows with the state before a snapshot shortens it, and a start must not.
//!
//! The file is a copy, made once and never needed: where it is missing, torn or of another
//! segment, the segment is read. Where it is believed, the segment's sectors are looked at when
//! their entries are, and all of them soon after the start, by [`super::recheck`].
//!
//! ```text
//! XXH3 of the rest 16 · Contents, in postcard
//! ```

use std::io;
use std::path::{Path, PathBuf};

use openraft::EntryPayload;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::book::Place;
use super::record::{Chain, Record};
use super::sector::SECTOR_BYTES;
use crate::files::Files;
use crate::raft::{LogId, Vote};

/// Version of the file's format.
const FORMAT: u32 = 1;

/// Bytes of the checksum.
const SUM_BYTES: usize = 16;

/// Longest such file that is read, in bytes. Why: some bytes for each of the segment's entries.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a segment holds, but for what its entries say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    format: u32,
    pub(super) node: u64,
    pub(super) segment: u64,
    pub(super) segment_bytes: u64,
    /// The digest before its first record, and after its last.
    pub(super) chain: (Chain, Chain),
    /// The number of its first group, and the one after its last.
    pub(super) groups: (u64, u64),
    /// What its last group said is committed.
    pub(super) committed: Option<LogId>,
    pub(super) steps: Vec<Step>,
}

/// What happened to the log, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Entries of one leader, one after the other.
    Entries {
        first: LogId,
        #[serde(with = "packed")]
        spots: Vec<Spot>,
    },
    /// An entry that says who the members are.
    Membership(LogId, Spot),
    Vote(Vote),
    TruncatedAfter(Option<LogId>),
    Purged(LogId),
}

/// Where an entry lies in its segment, as [`Place`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spot {
    sector: u32,
    at: u32,
    bytes: u32,
}

impl Spot {
    /// The place in this segment.
    pub(super) fn of(self, segment: u64) -> Place {
        Place { segment, sector: self.sector, at: self.at, bytes: self.bytes }
    }
}

/// Spots as bytes, twelve for each: there are a hundred thousand to be read at a start.
mod packed {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Spot;

    const BYTES: usize = 12;

    pub(super) fn serialize<S: Serializer>(spots: &[Spot], to: S) -> Result<S::Ok, S::Error> {
        let words = spots.iter().flat_map(|spot| [spot.sector, spot.at, spot.bytes]);
        to.serialize_bytes(&words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Spot>, D::Error> {
        let bytes = <&[u8]>::deserialize(from)?;
        let (spots, []) = bytes.as_chunks::<BYTES>() else { return Err(de::Error::custom("half a spot")) };
        let word =
            |spot: &[u8; BYTES], at: usize| u32::from_le_bytes([spot[at], spot[at + 1], spot[at + 2], spot[at + 3]]);
        Ok(spots.iter().map(|spot| Spot { sector: word(spot, 0), at: word(spot, 4), bytes: word(spot, 8) }).collect())
    }
}

impl From<Place> for Spot {
    fn from(place: Place) -> Self {
        Self { sector: place.sector, at: place.at, bytes: place.bytes }
    }
}

impl Contents {
    /// Of a segment that begins with this group, after a record with this digest.
    pub(super) fn begin(node: u64, (segment, segment_bytes): (u64, u64), group: u64, chain: Chain) -> Self {
        Self {
            format: FORMAT,
            node,
            segment,
            segment_bytes,
            chain: (chain, chain),
            groups: (group, group),
            committed: None,
            steps: Vec::new(),
        }
    }

    /// A record was written; where, if it is an entry.
    pub(super) fn record(&mut self, record: &Record, place: impl FnOnce() -> Option<Place>) {
        match record {
            Record::Entry(entry) => {
                let Some(place) = place() else { return };
                if let EntryPayload::Membership(_) = entry.payload {
                    self.steps.push(Step::Membership(entry.log_id, place.into()));
                } else {
                    self.entry(entry.log_id, place);
                }
            }
            Record::Vote(vote) => self.steps.push(Step::Vote(*vote)),
            Record::TruncatedAfter(last) => self.steps.push(Step::TruncatedAfter(*last)),
            Record::Purged(id) => self.steps.push(Step::Purged(*id)),
            Record::Checkpoint(_) => {}
        }
    }

    /// An entry lies here that does not say who the members are.
    pub(super) fn entry(&mut self, id: LogId, place: Place) {
        if let Some(Step::Entries { first, spots }) = self.steps.last_mut()
            && first.leader_id == id.leader_id
            && first.index + spots.len() as u64 == id.index
        {
            spots.push(place.into());
        } else {
            self.steps.push(Step::Entries { first: id, spots: vec![place.into()] });
        }
    }

    /// A group is complete: its number, what it says is committed, and the digest after it.
    pub(super) fn group(&mut self, group: u64, committed: Option<LogId>, chain: Chain) {
        self.groups.1 = group + 1;
        self.committed = committed.or(self.committed);
        self.chain.1 = chain;
    }

    /// Writes the file. It need not be on the disk before anything else is.
    ///
    /// # Errors
    /// Of the disk; nothing depends on it.
    pub(super) fn write(&self, files: &dyn Files, directory: &Path) -> io::Result<()> {
        let mut bytes = postcard::to_extend(self, vec![0; SUM_BYTES]).map_err(io::Error::other)?;
        let sum = xxh3_128(&bytes[SUM_BYTES..]).to_le_bytes();
        bytes[..SUM_BYTES].copy_from_slice(&sum);
        let path = path(directory, self.segment);
        let written = files.create(&path).and_then(|file| file.write_all_at(&bytes, 0));
        if written.is_err() {
            // Half of one says nothing, and takes room.
            drop(files.remove(&path));
        }
        written
    }

    /// The contents of a segment, if there is such a file and it is whole.
    pub(super) fn read(files: &dyn Files, directory: &Path, segment: u64) -> Option<Self> {
        let file = files.open(&path(directory, segment)).ok()?;
        let length = file.len().ok().filter(|length| (SUM_BYTES as u64..=FILE_BYTES_MAX).contains(length))?;
        let mut bytes = vec![0; length as usize];
        file.read_at(&mut bytes, 0).ok()?;
        let (sum, rest) = bytes.split_first_chunk::<SUM_BYTES>()?;
        if xxh3_128(rest).to_le_bytes() != *sum {
            return None;
        }
        let found: Self = postcard::from_bytes(rest).ok()?;
        (found.format == FORMAT && found.segment == segment && found.is_plausible()).then_some(found)
    }

    /// Whether every entry lies within the segment, under an index that has a next one.
    fn is_plausible(&self) -> bool {
        let lies_within = |spot: &Spot| {
            let from = u64::from(spot.sector) * SECTOR_BYTES as u64;
            from + u64::from(spot.at) <= self.segment_bytes && u64::from(spot.bytes) <= self.segment_bytes
        };
        let has_next = |id: &LogId| id.index < u64::MAX;
        self.steps.iter().all(|step| match step {
            Step::Entries { first, spots } => {
                first.index.checked_add(spots.len() as u64).is_some() && spots.iter().all(lies_within)
            }
            Step::Membership(id, spot) => has_next(id) && lies_within(spot),
            Step::TruncatedAfter(last) => last.as_ref().is_none_or(has_next),
            Step::Purged(id) => has_next(id),
            Step::Vote(_) => true,
        })
    }
}

/// Removes the files of segments that are gone. One that stays takes room and does nothing else.
pub(super) fn tidy(files: &dyn Files, directory: &Path, segments: &[u64]) {
    let paths = files.list(directory).unwrap_or_default();
    for path in paths.iter().filter(|path| number(path).is_some_and(|number| !segments.contains(&number))) {
        drop(files.remove(path));
    }
}

/// The path of the contents of a segment.
pub(super) fn path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("contents-{segment:016x}.idx"))
}

fn number(path: &Path) -> Option<u64> {
    let hex = path.file_name()?.to_str()?.strip_prefix("contents-")?.strip_suffix(".idx")?;
    u64::from_str_radix(hex, 16).ok()
}
