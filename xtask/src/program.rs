//! `build`: the host's program with every official guest inside.

use std::path::PathBuf;
use std::time::Instant;

use crate::shell::{Done, Tried, say};
use crate::workspace::{Profile, build_program};
use crate::{plugins, wasm_target};

/// What `cargo xtask build` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build target/debug/bulkhead in the dev profile instead
    #[arg(long)]
    dev: bool,
}

/// Runs the command.
///
/// # Errors
/// Something does not build.
pub(crate) fn run(options: &Options) -> Done {
    let started = Instant::now();
    let profile = if options.dev { Profile::Dev } else { Profile::Release };
    let binary = build(profile)?;
    let size = std::fs::metadata(&binary).tried(format_args!("reading {}", binary.display()))?.len();
    let took = started.elapsed().as_secs();
    say(format_args!(
        "{}  {:.1} MiB  in {} min {} s",
        binary.display(),
        size as f64 / 1_048_576.0,
        took / 60,
        took % 60
    ));
    Ok(())
}

/// Builds everything in order and gives the program's place.
///
/// # Errors
/// Something does not build.
pub(crate) fn build(profile: Profile) -> Done<PathBuf> {
    wasm_target::ensure()?;
    plugins::build(profile)?;
    say("building bulkhead");
    build_program(profile, "bulkhead")?;
    Ok(profile.binary("bulkhead"))
}
