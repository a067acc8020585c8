//! A change as bytes of the log: one format byte, then postcard of
//! [`bulkhead_model::change::Change`], read without copying. Limits are checked here,
//! both before a change is proposed and again when it is applied.

use bulkhead_model::change::Change;
use bulkhead_model::limits::{CHANGE_BYTES_MAX, CHANGE_RECORDS_MAX, LEDGER_KEY_BYTES_MAX, LEDGER_VALUE_BYTES_MAX};
use bulkhead_model::seam::ledger::LedgerError;
use bytes::Bytes;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) mod restore;

/// First byte of every encoded change.
const FORMAT: u8 = 1;

/// Bytes that serialize as one run; postcard writes a `Vec<u8>` the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadLine<'a> {
    #[serde(borrow)]
    pub(crate) key: Raw<'a>,
    pub(crate) version: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RangeLine<'a> {
    #[serde(borrow)]
    pub(crate) from: Raw<'a>,
    #[serde(borrow)]
    pub(crate) end: Raw<'a>,
    pub(crate) limit: u32,
    pub(crate) digest: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WriteLine<'a> {
    #[serde(borrow)]
    pub(crate) key: Raw<'a>,
    #[serde(borrow)]
    pub(crate) value: Option<Raw<'a>>,
}

/// A change whose bytes belong to someone else.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangeLines<'a> {
    #[serde(borrow)]
    pub(crate) reads: Vec<ReadLine<'a>>,
    #[serde(borrow)]
    pub(crate) ranges: Vec<RangeLine<'a>>,
    #[serde(borrow)]
    pub(crate) writes: Vec<WriteLine<'a>>,
}

/// Encodes a change within its limits.
///
/// # Errors
/// [`LedgerError::TooLarge`].
pub(crate) fn encode(change: &Change) -> Result<Bytes, LedgerError> {
    let lines = ChangeLines::of(change);
    lines.check()?;
    let mut bytes = Vec::with_capacity(change.bytes() + 64);
    bytes.push(FORMAT);
    let bytes = postcard::to_extend(&lines, bytes).expect("a change has no value postcard can't write");
    Ok(Bytes::from(bytes))
}

/// Decodes a change; `None` if it is no change of a format we know, or over a limit.
/// The answer is the same on every node, whatever the bytes.
pub(crate) fn decode(bytes: &[u8]) -> Option<ChangeLines<'_>> {
    let (format, rest) = bytes.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let (lines, left) = postcard::take_from_bytes::<ChangeLines<'_>>(rest).ok()?;
    (left.is_empty() && lines.check().is_ok()).then_some(lines)
}

impl<'a> ChangeLines<'a> {
    fn of(change: &'a Change) -> Self {
        let reads = change.reads.iter().map(|read| ReadLine { key: Raw(&read.key), version: read.version });
        let ranges = change.ranges.iter().map(|range| RangeLine {
            from: Raw(&range.from),
            end: Raw(&range.end),
            limit: range.limit,
            digest: range.digest,
        });
        let writes = change
            .writes
            .iter()
            .map(|write| WriteLine { key: Raw(&write.key), value: write.value.as_deref().map(Raw) });
        Self { reads: reads.collect(), ranges: ranges.collect(), writes: writes.collect() }
    }

    fn check(&self) -> Result<(), LedgerError> {
        let mut bytes = 0;
        for read in &self.reads {
            bytes += read.key.0.len() + 10;
            within("ledger key", read.key.0.len(), LEDGER_KEY_BYTES_MAX)?;
        }
        for range in &self.ranges {
            bytes += range.from.0.len() + range.end.0.len() + 40;
            within("ledger key", range.from.0.len().max(range.end.0.len()), LEDGER_KEY_BYTES_MAX)?;
        }
        for write in &self.writes {
            let value_bytes = write.value.map_or(0, |value| value.0.len());
            bytes += write.key.0.len() + write.value.map_or(1, |value| value.0.len()) + 8;
            within("ledger key", write.key.0.len(), LEDGER_KEY_BYTES_MAX)?;
            within("ledger value", value_bytes, LEDGER_VALUE_BYTES_MAX)?;
        }
        within("change", bytes, CHANGE_BYTES_MAX)?;
        let records = self.reads.len() + self.ranges.len() + self.writes.len();
        within("number of records in a change", records, CHANGE_RECORDS_MAX)
    }
}

fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), LedgerError> {
    if bytes > limit { Err(LedgerError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("borrowed bytes")
            }

            fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Raw(bytes))
            }

            fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Self::Value, E> {
                Err(E::custom("bytes that can't be borrowed"))
            }
        }
        deserializer.deserialize_bytes(Borrowed).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
