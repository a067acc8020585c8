//! One request's effects, as the ledger sees them: what must still be true, and what
//! is written if it is. Keys and values are ciphertext here; the ledger never knows more.

use serde::{Deserialize, Serialize};

/// A record's version: the log index of the entry that wrote it.
pub type Version = u64;

/// A key that was read, and what was found: the change commits only if it still holds.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ReadCheck {
    /// The ledger key.
    pub key: Vec<u8>,
    /// The version found; `None`: there was no record.
    pub version: Option<Version>,
}

/// A stretch of keys that was listed: the change commits only if the same keys are there.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RangeCheck {
    /// First key of the stretch, inclusive.
    pub from: Vec<u8>,
    /// End of the stretch, exclusive.
    pub end: Vec<u8>,
    /// At most this many keys were looked at.
    pub limit: u32,
    /// SHA-256 over the keys found, by [`keys_digest`].
    pub digest: [u8; 32],
}

/// One record to write; without a value the record is removed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Write {
    /// The ledger key.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete.
    pub value: Option<Vec<u8>>,
}

/// All effects of one request: committed together or not at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Change {
    /// Keys whose versions must be unchanged.
    pub reads: Vec<ReadCheck>,
    /// Stretches whose keys must be unchanged.
    pub ranges: Vec<RangeCheck>,
    /// Applied in order when every check holds.
    pub writes: Vec<Write>,
}

impl Change {
    /// Size on the wire, roughly, in bytes: what `CHANGE_BYTES_MAX` is held against.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let reads: usize = self.reads.iter().map(|r| r.key.len() + 10).sum();
        let ranges: usize = self.ranges.iter().map(|r| r.from.len() + r.end.len() + 40).sum();
        let writes: usize = self.writes.iter().map(|w| w.key.len() + w.value.as_ref().map_or(1, Vec::len) + 8).sum();
        reads + ranges + writes
    }
}

/// What became of a proposed change.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub enum Verdict {
    /// On a majority's disk and applied; the log index it was applied at.
    Committed(Version),
    /// A check did not hold; nothing was written.
    Conflict,
}

/// The digest of a listed stretch: SHA-256 over each key's length (8 bytes, big
/// endian) and bytes, so that no two lists of keys share one.
#[must_use]
pub fn keys_digest<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for key in keys {
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
    }
    hash.finalize().into()
}
