//! Files and directories beside the storage's.

use std::fs;
use std::path::Path;

use super::access::{can_fill, can_write};
use super::report::Check;
use crate::config::Paths;

pub(super) fn examine(paths: &Paths) -> Vec<Check> {
    let found = [
        paths.pid_file.as_deref().map(pid_file),
        paths.snapshots.as_deref().map(snapshots),
        paths.plugins.as_deref().map(plugins),
    ];
    let checks: Vec<Check> = found.into_iter().flatten().collect();
    match checks.is_empty() {
        true => vec![Check::skipped("files", "the config names no pid_file, snapshot_directory or plugin_directory")],
        false => checks,
    }
}

fn pid_file(path: &Path) -> Check {
    match can_write(path) {
        Ok(()) => Check::ok("pid_file", format!("{} can be written", path.display())),
        Err(why) => Check::failure("pid_file", why, "make its folder, or let the server's user write there"),
    }
}

fn snapshots(path: &Path) -> Check {
    match can_fill(path) {
        Ok(()) => Check::ok("snapshot_directory", format!("{} can be written", path.display())),
        Err(error) => {
            let advice = "snapshots that are taken regularly fail without it: make it, and let the server's user write";
            Check::failure("snapshot_directory", format!("{}: {error}", path.display()), advice)
        }
    }
}

fn plugins(path: &Path) -> Check {
    match fs::read_dir(path) {
        Ok(_) => Check::ok("plugin_directory", format!("{} is there; nothing is read from it", path.display())),
        Err(error) => Check::warning("plugin_directory", format!("{}: {error}", path.display()), "leave the key out"),
    }
}
