//! `fuzz`: libFuzzer on the pinned stable compiler. Coverage instrumentation is an
//! ordinary LLVM pass; only the flag that names it is held back on stable, so the
//! build sets RUSTC_BOOTSTRAP, for fuzz/ and nothing else.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{Done, Failed, Tried, cargo, read, say};
use crate::workspace;

/// What `cargo xtask fuzz` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Only this target: path, json, hcl, record or shares
    target: Option<String>,
}

/// The instrumentation that libFuzzer reads: edges, comparisons, and a table of
/// counters that need no call per edge.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
    "--cfg=fuzzing",
];

/// Longest input, in bytes. Why: hostile structure fits in it, and longer inputs cost
/// runs per second.
const INPUT_BYTES_MAX: usize = 8192;

/// Runs the command.
///
/// # Errors
/// The targets do not build, or one found a crash.
pub(crate) fn run(options: &Options) -> Done {
    let all = targets()?;
    let Some(wanted) = &options.target else { return run_all(options.seconds) };
    if !all.contains(wanted) {
        return Err(Failed::new(format!("no fuzz target {wanted}; there are: {}", all.join(", "))));
    }
    build()?;
    run_target(wanted, options.seconds)
}

/// Builds and runs every target.
///
/// # Errors
/// The targets do not build, or one found a crash.
pub(crate) fn run_all(seconds: u64) -> Done {
    let all = targets()?;
    build()?;
    all.iter().try_for_each(|target| run_target(target, seconds))
}

/// One target a file in fuzz/targets.
fn targets() -> Done<Vec<String>> {
    let folder = workspace::root().join("fuzz/targets");
    let files = workspace::files_below(&folder);
    let names: Vec<String> = files.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
    if names.is_empty() { Err(Failed::new("no target in fuzz/targets")) } else { Ok(names) }
}

fn folder() -> PathBuf {
    workspace::root().join("target/fuzz")
}

/// The host's own target has to be named: only then do the flags spare build scripts
/// and macros, which have no libFuzzer to report to.
fn host() -> Done<String> {
    let text = read(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| Failed::new("rustc -vV names no host"))
}

fn build() -> Done {
    say("building the fuzz targets");
    crate::shell::run(&mut instrumented("build")?)
}

/// Lints the targets, as they are built: so nothing is compiled for it that running them
/// would not need as well.
///
/// # Errors
/// There is a warning.
pub(crate) fn lint() -> Done {
    crate::shell::run(instrumented("clippy")?.args(["--", "-D", "warnings"]))
}

fn instrumented(verb: &str) -> Done<Command> {
    let mut command = cargo();
    command.args([verb, "--locked", "--release", "--manifest-path", "fuzz/Cargo.toml", "--bins"]);
    command.arg("--target").arg(host()?).arg("--target-dir").arg(folder());
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(command)
}

fn run_target(target: &str, seconds: u64) -> Done {
    say(format_args!("fuzzing {target} for {seconds} s"));
    let corpus = folder().join("corpus").join(target);
    let crashes = folder().join("crashes").join(target);
    for folder in [&corpus, &crashes] {
        std::fs::create_dir_all(folder).tried(format_args!("creating {}", folder.display()))?;
    }
    let program = folder().join(host()?).join("release").join(target);
    let mut command = Command::new(program);
    // What it learns goes to the first folder; the seeds in the repository are read only.
    command.arg(&corpus);
    let seeds = workspace::root().join("fuzz/seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    command.arg(format!("-artifact_prefix={}/", crashes.display()));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0", "-close_fd_mask=1"]);
    crate::shell::run(&mut command).map_err(|failed| {
        Failed::new(format!("{failed}\nfuzz target {target} found a crash: the input is in {}", crashes.display()))
    })
}
