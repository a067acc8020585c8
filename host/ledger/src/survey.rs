//! What a data directory holds, told from outside: nothing is opened to be written, made or changed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::identity::{LOCK_FILE, NODE_FILE, on_file};

/// What is in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Whether a process works in it.
    pub is_locked: bool,
    /// Which, where the system says so.
    pub holder: Option<u32>,
    /// Whether the log is there.
    pub has_log: bool,
    /// Whether the state is there, which is made from log and snapshots.
    pub has_state: bool,
    /// Whether there is a folder of snapshots.
    pub has_snapshots: bool,
    /// What is wrong with the file of the node's number, if anything is.
    pub number_fault: Option<String>,
}

/// Looks into a data directory.
///
/// # Errors
/// The lock file is there and cannot be read.
pub fn survey(directory: &Path) -> io::Result<Survey> {
    let lock = directory.join(LOCK_FILE);
    let is_locked = is_locked(&lock)?;
    let is_folder = |name: &str| directory.join(name).is_dir();
    let has_log = is_folder("log");
    let number_fault = match on_file(&directory.join(NODE_FILE)) {
        Err(error) => Some(error.to_string()),
        Ok(None) if has_log => Some("it is missing beside a log".to_owned()),
        Ok(_) => None,
    };
    Ok(Survey {
        is_locked,
        holder: is_locked.then(|| holder(&lock)).flatten(),
        has_log,
        has_state: is_folder("state"),
        has_snapshots: is_folder("snapshots"),
        number_fault,
    })
}

/// A lock that others may share too is asked for, and let go at once.
fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The process that has a lock on the whole of a file. Source: `/proc/locks`, proc(5).
fn holder(path: &Path) -> Option<u32> {
    let number = fs::metadata(path).ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let mut of_file = locks.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = words.get(1) == Some(&"FLOCK") && words.get(5)?.rsplit(':').next() == Some(number.as_str());
        // One of another container has no number here.
        is_it.then(|| words.get(4)?.parse().ok().filter(|process| *process > 0)).flatten()
    });
    let first = of_file.next();
    // Files of two file systems may have one number.
    if of_file.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use super::{Survey, survey};
    use crate::identity::{lock, number};

    #[test]
    fn an_empty_directory_holds_nothing_and_stays_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(survey(dir.path()).unwrap(), Survey::default());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_in_use_tells_by_whom_and_no_longer_once_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let seen = survey(dir.path()).unwrap();
        assert!(seen.is_locked);
        assert!(seen.holder.is_none_or(|process| process == std::process::id()), "{seen:?}");
        drop(held);
        assert!(!survey(dir.path()).unwrap().is_locked);
        // And looking did not take it.
        lock(dir.path()).unwrap();
    }

    #[test]
    fn a_number_that_is_missing_beside_a_log_or_damaged_is_told() {
        let dir = tempfile::tempdir().unwrap();
        number(dir.path(), 7).unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        assert_eq!(survey(dir.path()).unwrap(), Survey { has_log: true, ..Survey::default() });
        std::fs::write(dir.path().join("node"), "7").unwrap();
        assert!(survey(dir.path()).unwrap().number_fault.unwrap().contains("checksum"));
        std::fs::remove_file(dir.path().join("node")).unwrap();
        assert!(survey(dir.path()).unwrap().number_fault.unwrap().contains("missing"));
    }
}
