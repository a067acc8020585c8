//! Whether the tree's list of its files is the one it wrote. The tree keeps a checksum of the
//! list and does not look at it: of one flipped bit it makes fewer files, removes the others,
//! and has fewer records than it had. So it is looked at here, before the tree is opened.
//!
//! ```text
//! current      u64 the number N of the list in use, u128 its XXH3, u8 0; little-endian
//! vN           the list
//! ```
//! Source: lsm-tree 3.1.10, `version/persist.rs`.

use std::fs;
use std::io;
use std::path::Path;

use bulkhead_model::seam::ledger::LedgerError;
use xxhash_rust::xxh3::xxh3_128;

/// What kind of checksum the last byte of `current` says it is.
const XXH3: u8 = 0;

/// Checks the list in a directory, if there is a tree at all.
///
/// # Errors
/// [`LedgerError::Damaged`], naming the file; [`LedgerError::Storage`] if it cannot be read.
pub(super) fn check(directory: &Path) -> Result<(), LedgerError> {
    let files = match fs::read_dir(directory) {
        Ok(entries) => entries.count(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(e) => return Err(super::io_failure("looking for the state", &e)),
    };
    if files == 0 {
        return Ok(());
    }
    let damaged = |file: &str, why: &str| LedgerError::Damaged {
        what: format!("the state, in {}: {why}", directory.join(file).display()),
    };
    let read = |file: &str| match fs::read(directory.join(file)) {
        Ok(bytes) => Ok(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(damaged(file, "it is gone")),
        Err(e) => Err(super::io_failure("reading the list of the state's files", &e)),
    };
    let current = read("current")?;
    let (number, checksum) = parsed(&current).ok_or_else(|| damaged("current", "it is not what was written"))?;
    let list = format!("v{number}");
    if xxh3_128(&read(&list)?) != checksum {
        return Err(damaged(&list, "it fails its checksum"));
    }
    Ok(())
}

fn parsed(current: &[u8]) -> Option<(u64, u128)> {
    let (number, rest) = current.split_first_chunk()?;
    let (checksum, kind) = rest.split_first_chunk()?;
    (kind == [XXH3]).then(|| (u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}
