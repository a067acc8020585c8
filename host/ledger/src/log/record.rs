//! What the log's groups hold: records, each with checksums of its header and its payload
//! and a digest chained over all records before it. How a group lies on the disk is
//! [`super::sector`]; what is believed after a crash, [`super::recover`].
//!
//! ```text
//! group    magic 4 · records 4 · content bytes 8 · group 8 · has committed 1, 7 zero
//!          · committed index, term, node 24 · CRC32C 4, 4 zero
//! record   magic 4 · kind 1, 3 zero · payload bytes 4 · index 8 · term 8 · node 8
//!          · CRC32C 4 · payload · CRC32C 4 · chained digest 16
//! ```

use bytes::Bytes;
use openraft::EntryPayload;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sector::array;
use crate::raft::{Entry, LogId, Membership, Payload, Vote, log_id};

/// The first half of SHA-256 over the digest before, the record's header and its payload.
pub(crate) type Chain = [u8; 16];

pub(crate) const GROUP_HEADER_BYTES: usize = 64;
pub(crate) const RECORD_HEADER_BYTES: usize = 40;
pub(crate) const RECORD_TRAILER_BYTES: usize = 20;

const GROUP_MAGIC: u32 = u32::from_le_bytes(*b"BkGr");
const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"BkRc");

/// What the first record of every segment says: all that dropping older ones would lose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) format: u32,
    /// The node whose log this is; a segment of another one is not read.
    pub(crate) node: u64,
    pub(crate) segment: u64,
    /// Length of the segment's file; it never changes.
    pub(crate) segment_bytes: u64,
    /// Digest of the record before this one.
    pub(crate) chain: Chain,
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogId>,
    /// The last entry before this segment.
    pub(crate) last: Option<LogId>,
    /// The first entry of each leader whose first entry lies in the segment before. `None`: that is
    /// not known, or entries were taken back in it. Last, and missing in logs of before it was kept.
    pub(crate) turns: Option<Vec<LogId>>,
}

impl Checkpoint {
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let without_turns = || postcard::from_bytes(&[bytes, &[0]].concat());
        postcard::from_bytes(bytes).or_else(|_| without_turns()).ok()
    }
}

/// One thing that happened to the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Entry(Entry),
    Vote(Vote),
    /// Entries after this one are gone; `None`: all of them.
    TruncatedAfter(Option<LogId>),
    Purged(LogId),
    Checkpoint(Checkpoint),
}

const BLANK: u8 = 1;
const NORMAL: u8 = 2;
const MEMBERSHIP: u8 = 3;
const VOTE: u8 = 4;
const TRUNCATED: u8 = 5;
const PURGED: u8 = 6;
const CHECKPOINT: u8 = 7;
const EMPTIED: u8 = 8;

/// What a group says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) records: u32,
    pub(crate) content_bytes: u64,
    pub(crate) group: u64,
    /// The last committed entry known when the group was made.
    pub(crate) committed: Option<LogId>,
}

impl GroupHeader {
    /// Fills in the header of a group whose content is otherwise complete.
    pub(crate) fn seal(&self, content: &mut [u8]) {
        let header = &mut content[..GROUP_HEADER_BYTES];
        header.fill(0);
        header[0..4].copy_from_slice(&GROUP_MAGIC.to_le_bytes());
        header[4..8].copy_from_slice(&self.records.to_le_bytes());
        header[8..16].copy_from_slice(&self.content_bytes.to_le_bytes());
        header[16..24].copy_from_slice(&self.group.to_le_bytes());
        if let Some(id) = self.committed {
            header[24] = 1;
            header[32..40].copy_from_slice(&id.index.to_le_bytes());
            header[40..48].copy_from_slice(&id.leader_id.term.to_le_bytes());
            header[48..56].copy_from_slice(&id.leader_id.node_id.to_le_bytes());
        }
        let crc = crc32c::crc32c(&header[..56]);
        header[56..60].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header at the start of a group's content.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let header = content.get(..GROUP_HEADER_BYTES)?;
        let crc = u32::from_le_bytes(array(&header[56..60]));
        if crc32c::crc32c(&header[..56]) != crc || header[0..4] != GROUP_MAGIC.to_le_bytes() {
            return None;
        }
        let word = |at: usize| u64::from_le_bytes(array(&header[at..at + 8]));
        Some(Self {
            records: u32::from_le_bytes(array(&header[4..8])),
            content_bytes: word(8),
            group: word(16),
            committed: (header[24] == 1).then(|| log_id(word(40), word(48), word(32))),
        })
    }
}

/// Appends a record to a group's content and moves the chain on.
pub(crate) fn push(record: &Record, content: &mut Vec<u8>, chain: &mut Chain) {
    match record {
        Record::Entry(entry) => push_entry(entry, content, chain),
        Record::Vote(vote) => push_encoded(VOTE, vote, content, chain),
        Record::TruncatedAfter(Some(id)) => push_parts(TRUNCATED, id, &[], content, chain),
        Record::TruncatedAfter(None) => push_parts(EMPTIED, &log_id(0, 0, 0), &[], content, chain),
        Record::Purged(id) => push_parts(PURGED, id, &[], content, chain),
        Record::Checkpoint(checkpoint) => push_encoded(CHECKPOINT, checkpoint, content, chain),
    }
}

fn push_entry(entry: &Entry, content: &mut Vec<u8>, chain: &mut Chain) {
    match &entry.payload {
        EntryPayload::Blank => push_parts(BLANK, &entry.log_id, &[], content, chain),
        EntryPayload::Normal(payload) => push_parts(NORMAL, &entry.log_id, &payload.0, content, chain),
        EntryPayload::Membership(membership) => {
            let bytes = postcard::to_stdvec(&membership).expect("a membership is plain data");
            push_parts(MEMBERSHIP, &entry.log_id, &bytes, content, chain);
        }
    }
}

fn push_encoded(kind: u8, value: &impl Serialize, content: &mut Vec<u8>, chain: &mut Chain) {
    let bytes = postcard::to_stdvec(value).expect("the log's own records are plain data");
    push_parts(kind, &log_id(0, 0, 0), &bytes, content, chain);
}

fn push_parts(kind: u8, id: &LogId, payload: &[u8], content: &mut Vec<u8>, chain: &mut Chain) {
    let bytes = u32::try_from(payload.len()).expect("a payload is under 16 MiB");
    let start = content.len();
    content.extend_from_slice(&RECORD_MAGIC.to_le_bytes());
    content.extend_from_slice(&[kind, 0, 0, 0]);
    content.extend_from_slice(&bytes.to_le_bytes());
    content.extend_from_slice(&id.index.to_le_bytes());
    content.extend_from_slice(&id.leader_id.term.to_le_bytes());
    content.extend_from_slice(&id.leader_id.node_id.to_le_bytes());
    let crc = crc32c::crc32c(&content[start..]);
    content.extend_from_slice(&crc.to_le_bytes());
    content.extend_from_slice(payload);
    content.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    *chain = next_chain(chain, &content[start..start + RECORD_HEADER_BYTES], payload);
    content.extend_from_slice(chain);
}

fn next_chain(chain: &Chain, header: &[u8], payload: &[u8]) -> Chain {
    let digest = Sha256::new().chain_update(chain).chain_update(header).chain_update(payload).finalize();
    array(&digest[..16])
}

/// Whether the record that these bytes hold, as [`Found::at`] found it, follows on `chain`;
/// moves the chain on.
pub(crate) fn follows(record: &[u8], chain: &mut Chain) -> bool {
    let (header, rest) = record.split_at(RECORD_HEADER_BYTES);
    let (payload, trailer) = rest.split_at(rest.len() - RECORD_TRAILER_BYTES);
    *chain = next_chain(chain, header, payload);
    chain[..] == trailer[4..]
}

/// A record as found in a group's content.
pub(crate) struct Found<'a> {
    kind: u8,
    pub(crate) id: LogId,
    payload: &'a [u8],
    /// The digest after it, as it says itself.
    pub(crate) chain: Chain,
    /// Bytes it takes in the content.
    pub(crate) bytes: usize,
}

impl<'a> Found<'a> {
    /// Finds the record at the start of `content`; the text says what is wrong with it.
    pub(crate) fn at(content: &'a [u8]) -> Result<Self, &'static str> {
        let header = content.get(..RECORD_HEADER_BYTES).ok_or("a record's header is cut off")?;
        let crc = u32::from_le_bytes(array(&header[36..40]));
        if crc32c::crc32c(&header[..36]) != crc || header[..4] != RECORD_MAGIC.to_le_bytes() {
            return Err("a record's header fails its checksum");
        }
        let word = |at: usize| u64::from_le_bytes(array(&header[at..at + 8]));
        let payload_bytes = u32::from_le_bytes(array(&header[8..12])) as usize;
        let bytes = RECORD_HEADER_BYTES + payload_bytes + RECORD_TRAILER_BYTES;
        let rest = content.get(RECORD_HEADER_BYTES..bytes).ok_or("a record's payload is cut off")?;
        let (payload, trailer) = rest.split_at(payload_bytes);
        if crc32c::crc32c(payload) != u32::from_le_bytes(array(&trailer[..4])) {
            return Err("a record's payload fails its checksum");
        }
        let id = log_id(word(20), word(28), word(12));
        Ok(Self { kind: header[4], id, payload, chain: array(&trailer[4..]), bytes })
    }

    /// Whether it is an entry of which nothing has to be decoded to know its place.
    pub(crate) fn is_plain_entry(&self) -> bool {
        matches!(self.kind, BLANK | NORMAL)
    }

    /// Starts the chain anew from a segment's checkpoint.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        (self.kind == CHECKPOINT).then(|| Checkpoint::from_bytes(self.payload)).flatten()
    }

    /// Decodes the record.
    pub(crate) fn decode(&self) -> Result<Record, &'static str> {
        let entry = |payload| Ok(Record::Entry(Entry { log_id: self.id, payload }));
        match self.kind {
            BLANK => entry(EntryPayload::Blank),
            NORMAL => entry(EntryPayload::Normal(Payload(Bytes::copy_from_slice(self.payload)))),
            MEMBERSHIP => {
                let membership: Membership = self.plain()?;
                entry(EntryPayload::Membership(membership))
            }
            VOTE => Ok(Record::Vote(self.plain()?)),
            TRUNCATED => Ok(Record::TruncatedAfter(Some(self.id))),
            EMPTIED => Ok(Record::TruncatedAfter(None)),
            PURGED => Ok(Record::Purged(self.id)),
            CHECKPOINT => {
                Checkpoint::from_bytes(self.payload).map(Record::Checkpoint).ok_or("a record can't be decoded")
            }
            _ => Err("a record is of a kind this version does not know"),
        }
    }

    fn plain<T: Deserialize<'a>>(&self) -> Result<T, &'static str> {
        postcard::from_bytes(self.payload).map_err(|_| "a record can't be decoded")
    }
}
