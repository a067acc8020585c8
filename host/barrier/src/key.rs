//! Where a record is, in plaintext. Checked once, when made; nothing here encrypts.

use std::fmt;

use bulkhead_model::limits::KEY_BYTES_MAX;
use bulkhead_model::seam::entropy::{Entropy, random};

/// Which mount or book a key belongs to: random for a mount, fixed for the host's own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub [u8; 16]);

impl SpaceId {
    /// The barrier's own: seal configuration, wrapped keys.
    pub const BARRIER: Self = Self([0; 16]);

    /// One of the host's books. Fifteen zero bytes in front keep them apart from every
    /// random space.
    ///
    /// # Panics
    /// On 0, which is the barrier's own.
    #[must_use]
    pub const fn host(book: u8) -> Self {
        assert!(book != 0, "space 0 is the barrier's own");
        let mut id = [0; 16];
        id[15] = book;
        Self(id)
    }

    /// One of the books that every namespace has for itself. Which namespace's it is, the
    /// transaction knows ([`Realm`]): whoever works within one cannot name another's.
    ///
    /// # Panics
    /// On 0, as [`host`](Self::host).
    #[must_use]
    pub const fn of_each(book: u8) -> Self {
        let mut id = Self::host(book).0;
        id[EACH_AT] = 1;
        Self(id)
    }

    /// A new space, for a mount.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }
}

/// Where the mark of a book that every namespace has for itself is; in front of it are zeros.
const EACH_AT: usize = 14;

/// Which namespace's books a transaction is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Realm([u8; 15]);

impl Realm {
    /// The root namespace: its books are the host's own.
    pub const ROOT: Self = Self([0; 15]);

    /// Of a new namespace.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }

    /// The realm that these bytes are, which [`bytes`](Self::bytes) gave.
    #[must_use]
    pub fn of(bytes: [u8; 15]) -> Self {
        Self(bytes)
    }

    /// What it is stored as.
    #[must_use]
    pub fn bytes(self) -> [u8; 15] {
        self.0
    }

    /// The space of a book in this realm; any other space is what it is.
    #[must_use]
    pub fn place(self, space: SpaceId) -> SpaceId {
        match space.0 {
            [front @ .., 1, book] if front == [0; EACH_AT] => {
                let mut id = [0; 16];
                id[..15].copy_from_slice(&self.0);
                id[15] = book;
                SpaceId(id)
            }
            _ => space,
        }
    }
}

impl fmt::Debug for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text or a row of bytes is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing, or nothing between two slashes, or a slash at either end.
    #[error("key has an empty segment")]
    Empty,
    /// `.` or `..`.
    #[error("key has a \".\" or \"..\" segment")]
    Dots,
    /// A NUL byte: names are padded with them.
    #[error("key contains a NUL byte")]
    Nul,
    /// Over `KEY_BYTES_MAX`, or so many segments that its ledger key would be too long.
    #[error("key is too long")]
    Length,
    /// A folder that does not end in a slash.
    #[error("folder does not end in a slash")]
    NotFolder,
}

/// The place of one record.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) space: SpaceId,
    pub(crate) place: Place,
}

/// How the key's bytes are treated.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Encrypted segment by segment.
    Name(Box<str>),
    /// Kept as is.
    Opaque(Box<[u8]>),
}

impl Key {
    /// A named record: segments with a slash between them.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn leaf(space: SpaceId, path: &str) -> Result<Self, KeyError> {
        check_path(path)?;
        Ok(Self { space, place: Place::Name(path.into()) })
    }

    /// A key whose bytes say nothing already (an HMAC, an index over such): stored as
    /// it is, so that these keys have an order.
    ///
    /// # Errors
    /// [`KeyError::Empty`] or [`KeyError::Length`].
    pub fn opaque(space: SpaceId, bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.len() {
            0 => Err(KeyError::Empty),
            1..=KEY_BYTES_MAX => Ok(Self { space, place: Place::Opaque(bytes.into()) }),
            _ => Err(KeyError::Length),
        }
    }

    /// Which space it is in.
    #[must_use]
    pub fn space(&self) -> SpaceId {
        self.space
    }
}

/// Only the space: a key's name is a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}/..)", self.space)
    }
}

/// A folder of named records: the space's root, or a path with a slash at its end.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Folder {
    pub(crate) space: SpaceId,
    pub(crate) path: Box<str>,
}

impl Folder {
    /// The folder at this path; the empty path is the root.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(space: SpaceId, path: &str) -> Result<Self, KeyError> {
        if !path.is_empty() {
            check_path(path.strip_suffix('/').ok_or(KeyError::NotFolder)?)?;
        }
        Ok(Self { space, path: path.into() })
    }

    /// The root of a space.
    #[must_use]
    pub fn root(space: SpaceId) -> Self {
        Self { space, path: Box::default() }
    }
}

/// Only the space: a folder's name is a secret.
impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({:?}/..)", self.space)
    }
}

fn check_path(path: &str) -> Result<(), KeyError> {
    if path.len() > KEY_BYTES_MAX {
        return Err(KeyError::Length);
    }
    if path.as_bytes().contains(&0) {
        return Err(KeyError::Nul);
    }
    path.split('/').try_for_each(|segment| match segment {
        "" => Err(KeyError::Empty),
        "." | ".." => Err(KeyError::Dots),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests;
