//! Where a node lays down snapshots that nobody asked for. Kept by the server room, which
//! knows the one directory that the operator allows.

use std::io::Read;

/// A directory for snapshots, and those below it.
pub trait SnapshotShelf: Send + Sync {
    /// Whether snapshots may be laid down there: in the directory itself, or below.
    ///
    /// # Errors
    /// A sentence for whoever asks.
    fn check(&self, path_prefix: &str) -> Result<(), String>;

    /// Lays a snapshot down, and removes the oldest of the same prefixes, so that no more than
    /// `retain` are there. It is there whole or not at all, and on the disk when this returns.
    /// Blocks. Says where it is, as a URL.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn lay(&self, place: &ShelfPlace, stream: &mut dyn Read) -> Result<String, String>;
}

/// Where a snapshot goes.
pub struct ShelfPlace {
    /// The directory.
    pub path_prefix: String,
    /// How the names of the files begin.
    pub file_prefix: String,
    /// Tells it from others of the prefix, and grows: milliseconds since 1970.
    pub number: u64,
    /// How many of the prefix there are to be.
    pub retain: u64,
}
