//! What the kernel says about a process: its CPU time and its memory.

use std::fs;

use crate::shell::{Done, Failed, Tried};

/// Ticks of /proc/PID/stat per second: fixed on Linux for user space (USER_HZ).
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads of a process so far, in microseconds; `self` is a name for
/// this one.
pub(crate) fn cpu_us(pid: &str) -> Done<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).tried(format_args!("reading {path}"))?;
    // The program's name is in brackets and may hold anything, so count from its end:
    // state is field 3, utime 14, stime 15.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: Vec<u64> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let [user, system] = ticks[..] else { return Err(Failed::new(format!("{path} has another form than expected"))) };
    Ok((user + system) * (1_000_000 / TICKS_PER_SECOND))
}

/// Resident memory, in KiB.
pub(crate) fn rss_kib(pid: &str) -> Done<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).tried(format_args!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
    number.ok_or_else(|| Failed::new(format!("{path} names no VmRSS")))
}
