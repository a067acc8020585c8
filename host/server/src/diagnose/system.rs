//! The machine, as the process sees it: limits, swap, clock, user.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bulkhead_api::CONNECTIONS_MAX;
use bulkhead_model::seam::clock::Clock;
use rustix::process::{Resource, Rlimit, getrlimit};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::report::Check;
use crate::clock::SystemClock;
use crate::config::{Config, Storage};
use crate::error::{ServerError, chain};
use crate::version::BUILT;

/// Files beside those of connections: the store's, audit devices', peers'. Source: ours.
const FILES_BESIDE: u64 = 1024;

/// How far files may be ahead of the clock before it is the clock that is wrong. Source: ours.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// How long after its making a program is run at most. Source: ours. Why: a clock that far ahead
/// would end every lease and certificate.
const AGE_MAX_MS: u64 = 20 * 365 * 24 * 3600 * 1000;

/// The limits that the process was started with: it changes them for itself.
pub(super) struct Limits {
    files: Rlimit,
    space: Rlimit,
}

impl Limits {
    pub(super) fn of_process() -> Self {
        Self { files: getrlimit(Resource::Nofile), space: getrlimit(Resource::As) }
    }
}

pub(super) fn examine(limits: &Limits, hardened: &Result<(), ServerError>, config: Option<&Config>) -> Vec<Check> {
    let directory = config.and_then(|config| match &config.storage {
        Storage::Raft { path, .. } => Some(path.as_path()),
        Storage::InMemory => None,
    });
    vec![files(limits), address_space(limits), core_dumps(hardened), swap(), clock(directory)]
}

fn files(limits: &Limits) -> Check {
    let wanted = CONNECTIONS_MAX as u64 + FILES_BESIDE;
    match limits.files.maximum {
        Some(most) if most < wanted => {
            let message = format!("at most {most}: with as many clients as the node serves it needs {wanted}");
            Check::warning("open files", message, format!("raise the hard limit: LimitNOFILE={wanted} in a unit"))
        }
        Some(most) => Check::ok("open files", format!("at most {most}, which a server takes for itself")),
        None => Check::ok("open files", "no limit"),
    }
}

fn address_space(limits: &Limits) -> Check {
    match limits.space.current {
        Some(bytes) => {
            let message =
                format!("at most {} MiB: the sandbox reserves gigabytes, most of them never used", bytes >> 20);
            Check::warning("address space", message, "lift the limit (ulimit -v unlimited), and limit memory by cgroup")
        }
        None => Check::ok("address space", "no limit"),
    }
}

/// Tried as a server does it, for this process.
fn core_dumps(hardened: &Result<(), ServerError>) -> Check {
    match hardened {
        Ok(()) => Check::ok("core dumps", "a server forbids its own, which works here"),
        Err(error) => Check::failure("core dumps", chain(error), "a server ends with this error: see what forbids it"),
    }
}

/// Source: `/proc/swaps`, proc(5).
fn swap() -> Check {
    let Ok(text) = fs::read_to_string("/proc/swaps") else {
        return Check::skipped("swap", "this system does not say whether there is any");
    };
    match swapped_to(&text).as_slice() {
        [] => Check::ok("swap", "off"),
        on => {
            let message = format!("is on ({}): secrets may be written to it", on.join(", "));
            let advice =
                "swapoff -a, or MemorySwapMax=0 in the unit; memory is not locked, whatever disable_mlock says";
            Check::warning("swap", message, advice)
        }
    }
}

/// What is swapped to, but for memory.
fn swapped_to(text: &str) -> Vec<&str> {
    let names = text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().next());
    names.filter(|name| !name.starts_with("/dev/zram")).collect()
}

fn clock(directory: Option<&Path>) -> Check {
    let now_ms = SystemClock.now_ms();
    let told = i64::try_from(now_ms / 1000).ok().and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
    let told = told.and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default();
    let advice = "set the clock, and keep it right (NTP): leases, tokens and certificates end by it";
    let built =
        OffsetDateTime::parse(BUILT, &Rfc3339).ok().and_then(|built| u64::try_from(built.unix_timestamp()).ok());
    let built_ms = built.unwrap_or(0).saturating_mul(1000);
    if now_ms < built_ms {
        return Check::failure("clock", format!("it is {told}, before this program was made ({BUILT})"), advice);
    }
    if built_ms > 0 && now_ms - built_ms > AGE_MAX_MS {
        return Check::warning("clock", format!("it is {told}, twenty years after this program was made"), advice);
    }
    let newest = directory.and_then(newest);
    let ahead = newest.filter(|newest| *newest > Duration::from_millis(now_ms) + AHEAD_MAX);
    match ahead {
        Some(_) => {
            let message = format!("it is {told}, before files in the data directory were written last");
            Check::warning("clock", message, advice)
        }
        None => Check::ok("clock", format!("it is {told}")),
    }
}

/// When a file of the directory, or of its log, was written last.
fn newest(directory: &Path) -> Option<Duration> {
    let folders = [directory.to_owned(), directory.join("log")];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flat_map(Iterator::flatten);
    let written = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    written.max()
}

#[cfg(test)]
mod tests {
    use super::swapped_to;

    #[test]
    fn swap_that_is_memory_is_none() {
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(swapped_to(head).is_empty());
        let both = format!("{head}/dev/zram0  partition 1 0 100\n/dev/sda2  partition\t8388604\t\t0\t\t-2\n");
        assert_eq!(swapped_to(&both), ["/dev/sda2"]);
    }
}
