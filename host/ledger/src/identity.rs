//! Who this node is, and that it is alone in its directory. The number is drawn once,
//! when the directory is new, and kept in a file with a checksum: another number over the
//! same log would let one node vote twice in a term.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bulkhead_model::seam::ledger::LedgerError;

use crate::fault::storage;
use crate::files::{RealFiles, write_atomically};

/// The file that a process locks as long as it has the directory.
pub(crate) const LOCK_FILE: &str = "lock";

/// The file of the node's number.
pub(crate) const NODE_FILE: &str = "node";

/// Holds the directory for this process; let go when dropped, or when the process ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "an open file keeps its lock")] File);

/// Takes the directory for this process.
///
/// # Errors
/// [`LedgerError::Storage`] if another process has it.
pub(crate) fn lock(directory: &Path) -> Result<Lock, LedgerError> {
    let path = directory.join(LOCK_FILE);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|e| storage("opening the lock file", &e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => {
            let cause = format!("another process is using {}", directory.display());
            Err(LedgerError::Storage { doing: "locking the data directory", cause })
        }
        Err(TryLockError::Error(e)) => Err(storage("locking the data directory", &e)),
    }
}

/// The node's number: the one on file, or the fresh one, which is then put on file.
pub(crate) fn number(directory: &Path, fresh: u64) -> Result<u64, LedgerError> {
    let path = directory.join(NODE_FILE);
    if let Some(number) = on_file(&path)? {
        return Ok(number);
    }
    if directory.join("log").exists() {
        return Err(damaged(&path, "it is missing beside a log"));
    }
    let made = write_atomically(&RealFiles, &path, print(fresh).as_bytes());
    made.map(|()| fresh).map_err(|e| storage("writing the node's number", &e))
}

/// The number in this file, if it is there.
///
/// # Errors
/// [`LedgerError::Damaged`] or [`LedgerError::Storage`].
pub(crate) fn on_file(path: &Path) -> Result<Option<u64>, LedgerError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).map(Some).ok_or_else(|| damaged(path, "it fails its checksum")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(storage("reading the node's number", &e)),
    }
}

fn print(number: u64) -> String {
    let text = format!("{number:016x}");
    let crc = crc32c::crc32c(text.as_bytes());
    format!("{text} {crc:08x}\n")
}

fn parse(text: &str) -> Option<u64> {
    let number = u64::from_str_radix(text.get(..16)?, 16).ok()?;
    (print(number) == text).then_some(number)
}

fn damaged(path: &Path, why: &str) -> LedgerError {
    LedgerError::Damaged { what: format!("the node's number in {}: {why}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::{lock, number, parse, print};

    #[test]
    fn a_node_keeps_its_first_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(number(dir.path(), 7).unwrap(), 7);
        assert_eq!(number(dir.path(), 8).unwrap(), 7);
    }

    #[test]
    fn a_log_without_its_number_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        assert!(number(dir.path(), 7).is_err());
    }

    #[test]
    fn a_number_changed_anywhere_is_not_read() {
        let text = print(0xabcdef);
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert_eq!(parse(std::str::from_utf8(&bytes).unwrap()), None, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_directory_is_locked_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let refused = lock(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("another process is using"), "{refused}");
        drop(held);
        lock(dir.path()).unwrap();
    }
}
