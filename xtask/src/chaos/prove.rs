//! `chaos --prove`: a program with a bug on purpose is given to the suite, which must find it.
//! A suite that finds nothing in a good program says little by itself.

use std::fs;
use std::path::PathBuf;

use super::cluster::Program;
use super::fault::Fault;
use super::{Course, torture};
use crate::shell::{Done, Failed, Tried, cargo, run as run_command, say};
use crate::workspace::{self, Profile, build_program};

/// The bugs, as `BULKHEAD_PLANTED_BUG` names them. That the log is not synced shows only where
/// the power goes: the ledger's own tests have that.
const BUGS: [&str; 2] = ["stale-reads", "early-answers"];

/// Tries for each bug. Why: whether one shows is up to chance.
const TRIES: u64 = 3;

/// How long each try goes on at least, in seconds.
const SECONDS: u64 = 15;

/// Runs the command.
///
/// # Errors
/// A bug was not found.
pub(super) fn run(nodes: usize) -> Done {
    let binary = build()?;
    for bug in BUGS {
        if !is_found(&binary, bug, nodes)? {
            return Err(Failed::new(format!("the program with {bug} passed for a good one")));
        }
    }
    Ok(())
}

/// Builds the program with the bugs in it, where nobody takes it for another.
fn build() -> Done<PathBuf> {
    say("building bulkhead with bugs");
    let mut build = cargo();
    build.args(["build", "--locked", "--workspace", "--bin", "bulkhead", "--features", "bulkhead-ledger/planted-bugs"]);
    run_command(&mut build)?;
    let (built, kept) = (Profile::Dev.binary("bulkhead"), workspace::root().join("target/chaos/bulkhead-with-bugs"));
    // By its name: a copy in place would change the file that both names may share.
    fs::create_dir_all(workspace::root().join("target/chaos")).tried("creating target/chaos")?;
    let _ = fs::remove_file(&kept);
    fs::copy(&built, &kept).tried(format_args!("copying {}", built.display()))?;
    say("building bulkhead without them");
    build_program(Profile::Dev, "bulkhead")?;
    Ok(kept)
}

fn is_found(binary: &std::path::Path, bug: &'static str, nodes: usize) -> Done<bool> {
    for seed in 1..=TRIES {
        let program = Program { binary: binary.to_owned(), bug: Some(bug) };
        let only = vec![Fault::CutOffFollower, Fault::CutOffLeader, Fault::KillLeader];
        let course = Course { seed, seconds: SECONDS, only, ..Course::default() };
        say(format_args!("{bug}, try {seed}"));
        match torture(program, &course, nodes) {
            Ok((report, _)) if !report.not_linearizable().is_empty() => {
                say(format_args!("{bug}: found, in secrets {:?}", report.not_linearizable()));
                return Ok(true);
            }
            Ok(_) => {}
            // A cluster with a bug may not come back from a fault, which proves nothing.
            Err(failed) => say(format_args!("{bug}: {failed}")),
        }
    }
    Ok(false)
}
