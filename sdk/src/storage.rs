//! Records: where a type lives in the mount's storage, and how it becomes bytes.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// A record of a mount. `#[derive(Stored)]` with `#[stored("role/{name}")]` implements
/// it over serde as JSON, which tolerates new members; a record that is read on every
/// call may implement it by hand over [`crate::wire`].
pub trait Stored: Sized {
    /// The key's fixed part: `role/` for `role/{name}`, the whole key without a name.
    const FOLDER: &'static str;

    /// The record as bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written down.
    fn encode(&self) -> Result<Vec<u8>>;

    /// The record from bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the bytes are no such record.
    fn decode(bytes: &[u8]) -> Result<Self>;

    /// The key of the record with this name.
    #[must_use]
    fn key(name: &str) -> String {
        let mut key = String::with_capacity(Self::FOLDER.len() + name.len());
        key.push_str(Self::FOLDER);
        key.push_str(name);
        key
    }
}

/// A serde type as stored JSON; what `#[derive(Stored)]` calls.
///
/// # Errors
/// [`Error::Internal`].
pub fn encode_json<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|error| Error::internal(format!("encoding a record: {error}")))
}

/// A serde type from stored JSON; what `#[derive(Stored)]` calls.
///
/// # Errors
/// [`Error::Internal`].
pub fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::internal(format!("decoding a record: {error}")))
}
