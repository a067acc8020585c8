//! `chaos --simulate`: the ledger's own tests of clusters, which run in one process, with as
//! many seeds as one likes and several at the same time. A seed that fails is told, with how to
//! repeat it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shell::{Done, Failed, Tried, cargo, read, say};
use crate::workspace;

/// The tests that take turns, seed by seed.
const TESTS: [&str; 4] = [
    "three_nodes_lose_nothing_and_show_nothing_stale",
    "wherever_the_power_goes_nothing_acknowledged_is_lost",
    "five_nodes_lose_nothing_and_show_nothing_stale",
    "seven_nodes_lose_nothing_and_show_nothing_stale",
];

/// Where they are.
const MODULE: &str = "node::tests::cluster::nemesis";

/// Runs at the same time, for each processor. Why: most of their time they wait.
const AT_ONCE: usize = 6;

/// Longest one run may take. It takes ten seconds.
const RUN_MAX: Duration = Duration::from_secs(300);

/// How often it is told how far it is.
const TELL_EVERY: u64 = 50;

/// Runs that many seeds, from this one on.
///
/// # Errors
/// A seed failed.
pub(super) fn run(first: u64, seeds: u64) -> Done {
    let tests = build()?;
    let logs = workspace::root().join("target/chaos/simulated");
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs).tried(format_args!("creating {}", logs.display()))?;
    let at_once = AT_ONCE * thread::available_parallelism().map_or(2, std::num::NonZero::get);
    say(format_args!("{seeds} seeds from {first} on, {at_once} at a time"));
    let (next, failed, began) = (AtomicU64::new(0), Mutex::new(Vec::new()), Instant::now());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= seeds {
                        return;
                    }
                    if let Err(why) = one(&tests, &logs, first + nth) {
                        say(format_args!("FAILED: {why}"));
                        failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(first + nth);
                    }
                    if (nth + 1) % TELL_EVERY == 0 {
                        say(format_args!("{} seeds after {} s", nth + 1, began.elapsed().as_secs()));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.sort_unstable();
    say(format_args!("{seeds} seeds in {} s, {} failed", began.elapsed().as_secs(), failed.len()));
    if failed.is_empty() { Ok(()) } else { Err(Failed::new(format!("seeds that failed: {failed:?}"))) }
}

/// Builds the ledger's tests, and gives the program.
fn build() -> Done<PathBuf> {
    let mut build = cargo();
    build.args(["test", "--locked", "-p", "bulkhead-ledger", "--lib", "--no-run", "--message-format=json"]);
    let messages = read(&mut build)?;
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = parsed.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from));
    programs.next_back().ok_or_else(|| Failed::new("cargo says nothing of the ledger's tests"))
}

/// Runs one seed. What it printed is kept only if it failed.
fn one(tests: &Path, logs: &Path, seed: u64) -> Done {
    let test = TESTS[(seed % TESTS.len() as u64) as usize];
    let path = logs.join(format!("seed-{seed}.log"));
    let log = fs::File::create(&path).tried(format_args!("creating {}", path.display()))?;
    let errors = log.try_clone().tried("opening a log twice")?;
    let mut command = Command::new(tests);
    command.args(["--exact", &format!("{MODULE}::{test}"), "--nocapture"]).env("BULKHEAD_SEED", seed.to_string());
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let mut child = command.spawn().tried("starting the ledger's tests")?;
    let until = Instant::now() + RUN_MAX;
    let ended = loop {
        match child.try_wait().tried("waiting for the ledger's tests")? {
            Some(status) => break Some(status),
            None if Instant::now() >= until => {
                // It fails only if it has ended by now.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => thread::sleep(Duration::from_millis(50)),
        }
    };
    let ran = fs::read_to_string(&path).is_ok_and(|text| text.contains("1 passed"));
    if ended.is_some_and(|status| status.success()) && ran {
        return fs::remove_file(&path).tried(format_args!("removing {}", path.display()));
    }
    let how = if ended.is_some() { "" } else { ", which did not end" };
    Err(Failed::new(format!(
        "seed {seed}{how}: {}; again: BULKHEAD_SEED={seed} cargo test -p bulkhead-ledger --lib {MODULE}::{test} -- --nocapture",
        path.display()
    )))
}
