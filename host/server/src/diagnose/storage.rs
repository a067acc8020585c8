//! The data directory: whether it is there, ours, writable, free, with room left, and whole.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bulkhead_ledger::{Survey, survey};
use rustix::fs::{Access, access, statvfs};
use rustix::process::geteuid;

use super::access::{can_fill, mode, nearest};
use super::report::Check;
use crate::config::Storage;

/// Below this much room a start may fail, or end soon, in bytes. Source: ours. Why: log files are
/// made ahead, and a snapshot is written beside the state.
const SPACE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// Below this it is time to look after it, in bytes. Source: OpenBao's.
const SPACE_BYTES_LOW: u64 = 1024 * 1024 * 1024;
/// The same for files. Source: ours.
const INODES_MIN: u64 = 100;
const INODES_LOW: u64 = 10_000;

/// Most files looked at. Source: ours. Why: a directory of something else may have millions.
const FILES_MAX: usize = 10_000;

/// What storages of other programs leave.
const OTHERS: [&str; 2] = ["vault.db", "raft"];

pub(super) fn examine(storage: &Storage) -> Vec<Check> {
    let Storage::Raft { path, .. } = storage else {
        let message = "keeps everything in this process: it is gone when the server ends";
        return vec![Check::warning("inmem", message, "use storage \"raft\" for anything that shall last")];
    };
    let about = match fs::metadata(path) {
        Ok(about) if !about.is_dir() => {
            return vec![Check::failure("directory", format!("{} is no directory", path.display()), "correct path")];
        }
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return missing(path),
        Err(error) => {
            let advice = "let the server's user reach it, or correct path";
            return vec![Check::failure("directory", format!("{}: {error}", path.display()), advice)];
        }
    };
    let mut checks = vec![Check::ok("directory", format!("{} is there", path.display()))];
    checks.extend([owner(path, &about), permissions(path, &about), writable(path), space(path), inodes(path)]);
    checks.extend(content(path));
    checks
}

fn missing(path: &Path) -> Vec<Check> {
    let above = nearest(path);
    let directory = match can_fill(&above) {
        Ok(()) => {
            Check::ok("directory", format!("{} is not there; a start makes it in {}", path.display(), above.display()))
        }
        Err(error) => {
            let message =
                format!("{} is not there, and cannot be made in {}: {error}", path.display(), above.display());
            Check::failure("directory", message, "make it, and give it to the server's user with mode 0700")
        }
    };
    vec![directory, space(&above), inodes(&above)]
}

fn owner(path: &Path, about: &Metadata) -> Check {
    let (us, them) = (geteuid().as_raw(), about.uid());
    if us == them {
        return Check::ok("owner", format!("user {them}, as whom this runs"));
    }
    let message = format!("is user {them}'s, and this runs as user {us}");
    let advice = format!(
        "run this, and the server, as user {them}; or give the directory away: chown -R {us} {}",
        path.display()
    );
    // Root can do anything, so that what was found here says little about the server.
    Check::warning("owner", message, advice)
}

fn permissions(path: &Path, about: &Metadata) -> Check {
    let mode = mode(about);
    if mode & 0o077 == 0 {
        return Check::ok("mode", format!("{mode:04o}"));
    }
    let message = format!("{mode:04o}: others than its owner may look into it");
    Check::warning("mode", message, format!("chmod 0700 {}", path.display()))
}

/// Files may be somebody else's though the directory is not: a start as root leaves such.
fn writable(path: &Path) -> Check {
    if let Err(error) = can_fill(path) {
        let message = format!("{} cannot be written: {error}", path.display());
        return Check::failure(
            "writable",
            message,
            "give it to the server's user, and see that it is not mounted read-only",
        );
    }
    let mut left = FILES_MAX;
    match first_closed(path, &mut left) {
        Some((file, why)) => {
            let advice = format!("give all of it to the server's user: chown -R USER {}", path.display());
            Check::failure("writable", format!("{} cannot be written: {why}", file.display()), advice)
        }
        None => Check::ok("writable", "the directory and the files in it"),
    }
}

fn first_closed(folder: &Path, left: &mut usize) -> Option<(PathBuf, String)> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return Some((folder.to_owned(), error.to_string())),
    };
    for entry in entries.flatten() {
        *left = left.checked_sub(1)?;
        let (path, is_folder) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()));
        // The ledger removes files while a server runs.
        match access(&path, Access::READ_OK | Access::WRITE_OK) {
            Err(error) if error != rustix::io::Errno::NOENT => return Some((path, error.to_string())),
            _ => {}
        }
        if is_folder && let Some(closed) = first_closed(&path, left) {
            return Some(closed);
        }
    }
    None
}

fn space(path: &Path) -> Check {
    let advice = "make room, or move the data directory: a full disk stops all writes";
    let bytes = match statvfs(path) {
        Ok(about) => about.f_bavail.saturating_mul(about.f_frsize),
        Err(error) => {
            return Check::failure("space", format!("{}: {error}", path.display()), "see what is mounted there");
        }
    };
    let message = format!("{} MiB are free", bytes / (1024 * 1024));
    match bytes {
        ..SPACE_BYTES_MIN => Check::failure("space", message, advice),
        SPACE_BYTES_MIN..SPACE_BYTES_LOW => Check::warning("space", message, advice),
        _ => Check::ok("space", message),
    }
}

fn inodes(path: &Path) -> Check {
    let advice = "remove files, or move the data directory: without inodes no file can be made";
    match statvfs(path) {
        // Some file systems do not count them.
        Ok(about) if about.f_files == 0 => Check::ok("inodes", "this file system has no fixed number of them"),
        Ok(about) => {
            let message = format!("{} are free", about.f_favail);
            match about.f_favail {
                ..INODES_MIN => Check::failure("inodes", message, advice),
                INODES_MIN..INODES_LOW => Check::warning("inodes", message, advice),
                _ => Check::ok("inodes", message),
            }
        }
        Err(error) => Check::failure("inodes", format!("{}: {error}", path.display()), "see what is mounted there"),
    }
}

fn content(path: &Path) -> Vec<Check> {
    let seen = match survey(path) {
        Ok(seen) => seen,
        Err(error) => {
            let message = format!("the lock file cannot be read: {error}");
            return vec![Check::failure("lock", message, "let the server's user read all of the directory")];
        }
    };
    vec![lock(&seen), number(&seen), parts(path, &seen)]
}

fn lock(seen: &Survey) -> Check {
    if !seen.is_locked {
        return Check::ok("lock", "no other process has it");
    }
    let holder = seen.holder.map_or_else(|| "another process".to_owned(), |process| format!("process {process}"));
    let advice = "if that is this node's own server, all is well: leave these checks out with -skip=storage,listener";
    Check::failure("lock", format!("{holder} works in this directory: a second one does not start"), advice)
}

fn number(seen: &Survey) -> Check {
    let advice = "bring back the whole directory, or remove the node from the cluster and join it anew";
    match &seen.number_fault {
        Some(fault) => Check::failure("node", format!("the file \"node\" with its number: {fault}"), advice),
        None => Check::ok("node", "the file with its number is sound, or not yet due"),
    }
}

fn parts(path: &Path, seen: &Survey) -> Check {
    let all = [("log", seen.has_log), ("state", seen.has_state), ("snapshots", seen.has_snapshots)];
    let named = |there: bool| {
        let names: Vec<&str> = all.iter().filter(|(_, is)| *is == there).map(|(name, _)| *name).collect();
        names.join(" and ")
    };
    match (seen.has_log, named(true).as_str(), named(false).as_str()) {
        (_, "", _) => empty(path),
        (_, _, "") => Check::ok("content", "log, state and snapshots are there"),
        (false, there, _) => {
            let message = format!("the log is gone, beside {there}: what was acknowledged last may be gone with it");
            let advice = "bring the log back; else restore a snapshot, or remove the node and join it anew, empty";
            Check::failure("content", message, advice)
        }
        (true, _, missing) => {
            let message = format!("{missing} not there beside the log: a start makes it again from what is left");
            let advice = "right after a first start that broke off; else bring back the whole directory";
            Check::warning("content", message, advice)
        }
    }
}

fn empty(path: &Path) -> Check {
    match OTHERS.iter().find(|name| path.join(name).exists()) {
        Some(name) => {
            let message =
                format!("there is {name:?}, of another program, which is not read: the node starts without records");
            Check::warning("content", message, "name another directory, and move the records over the API")
        }
        None => Check::ok("content", "empty: initialise the node once it runs, or let it join"),
    }
}
