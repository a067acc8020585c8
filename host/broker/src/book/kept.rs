//! Records as they are stored. Secrets inside them: what an engine or auth method wants back is wiped wherever a
//! record was decoded, and so is every buffer it is encoded into.

use std::fmt;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::reply::HiddenJson;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// JSON text in a record. It is stored as bytes are, and never printed.
pub(crate) struct Kept(Hidden<Vec<u8>>);

impl Kept {
    /// A copy of text that may hold secrets.
    pub(crate) fn of(json: &HiddenJson) -> Self {
        Self(json.duplicate())
    }

    /// A hidden copy, for whoever gets it back.
    pub(crate) fn duplicate(&self) -> HiddenJson {
        self.0.duplicate()
    }

    /// The text itself, taken out.
    pub(crate) fn into_hidden(self) -> HiddenJson {
        self.0
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.expose().len()
    }
}

impl From<HiddenJson> for Kept {
    fn from(json: HiddenJson) -> Self {
        Self(json)
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self(Hidden::new(Vec::new()))
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Kept;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Kept, E> {
                Ok(Kept(Hidden::new(bytes.to_vec())))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Kept, E> {
                Ok(Kept(Hidden::new(bytes)))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Room for most records, so that few have to grow. Source: ours.
const FIRST_BYTES: usize = 512;

/// A record as it is stored, behind these first bytes.
pub(crate) fn encoded(first: &[u8], record: &impl Serialize) -> Hidden<Vec<u8>> {
    let mut buffer = HiddenBuffer::with_capacity(FIRST_BYTES);
    buffer.push(first);
    postcard::to_extend(record, buffer).expect("a record is plain data").into_hidden()
}

/// A record that was stored behind its format's number.
///
/// # Errors
/// [`StoreError::Damaged`] if it is of another format, or does not decode.
pub(crate) fn decoded<T: DeserializeOwned>(
    bytes: &Hidden<Vec<u8>>,
    format: u8,
    (space, what): (SpaceId, &'static str),
) -> Result<T, StoreError> {
    let record = bytes.expose().split_first().filter(|(first, _)| **first == format);
    record.and_then(|(_, record)| postcard::from_bytes(record).ok()).ok_or(super::damaged(space, what))
}

/// First byte of records that were never of another form, so that a later one can be told apart.
const FORMAT: u8 = 1;

/// The record that was found, where [`write`] left it.
///
/// # Errors
/// [`StoreError::Damaged`] if it is of another format, or does not decode.
pub(crate) fn read<T: DeserializeOwned>(
    found: Option<Hidden<Vec<u8>>>,
    of: (SpaceId, &'static str),
) -> Result<Option<T>, StoreError> {
    found.map(|bytes| decoded(&bytes, FORMAT, of)).transpose()
}

/// Writes a record that has had no other form yet.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn write<T: Serialize>(tx: &mut Transaction, key: &Key, record: &T) -> Result<(), StoreError> {
    tx.put(key, encoded(&[FORMAT], record).expose())
}

/// What is stored of a record whose last field is an empty text: nothing of that, so that who does
/// not know the field reads it.
pub(crate) fn shortened(mut stored: Hidden<Vec<u8>>) -> Hidden<Vec<u8>> {
    stored.expose_mut().pop();
    stored
}

/// A record that was [`shortened`], or was stored before there was that field.
pub(crate) fn lengthened(stored: &Hidden<Vec<u8>>) -> Hidden<Vec<u8>> {
    let mut bytes = Vec::with_capacity(stored.expose().len() + 1);
    bytes.extend_from_slice(stored.expose());
    bytes.push(0);
    Hidden::new(bytes)
}

#[cfg(test)]
mod tests;
