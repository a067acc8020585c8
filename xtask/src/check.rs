//! `test`: everything CI checks, as named steps in one order. It builds one profile
//! with one set of features, because the sandbox's compiler costs minutes for each.

mod count;

use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::shell::{self, Done, Failed, cargo, exists, say, watch};
use crate::workspace::{self, Profile};
use crate::{chaos, deny, fuzz, orphans, peer, plugins, program};
use count::Counts;

/// How long each fuzz target runs here, in seconds: long enough to notice a parser
/// that has become fragile, short enough for every commit.
const FUZZ_SECS: u64 = 5;

/// What `cargo xtask test` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only this step (repeatable)
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Leave this step out (repeatable)
    #[arg(long, value_name = "STEP", conflicts_with = "only")]
    skip: Vec<Step>,
    /// Go on after a step has failed
    #[arg(long)]
    keep_going: bool,
}

/// The steps, in their order: what fails fastest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// cargo fmt --check, of the workspace and of fuzz/
    Fmt,
    /// the guests and the program, as the tests use them
    Build,
    /// the laws in tests/tidy
    Tidy,
    /// cargo clippy -D warnings: the host, the guests also for wasm32, the fuzz targets
    Clippy,
    /// every test: units, guests' benches, the system against itself and `bao`
    Tests,
    /// each fault once on three nodes under load, and what their clients saw; orphans of a database
    Chaos,
    /// the examples in the documentation
    Docs,
    /// each fuzz target for five seconds
    Fuzz,
    /// licences, bans, sources, advisories
    Deny,
}

struct Ran {
    step: Step,
    took: Duration,
    outcome: Done<Counts>,
}

/// Runs the command.
///
/// # Errors
/// A step failed.
pub(crate) fn run(options: &Options) -> Done {
    let mut ran = Vec::new();
    for step in Step::value_variants() {
        let chosen = if options.only.is_empty() { !options.skip.contains(step) } else { options.only.contains(step) };
        if !chosen {
            continue;
        }
        say(format_args!("test step: {}", name_of(*step)));
        let started = Instant::now();
        let outcome = run_step(*step);
        let stop = outcome.is_err() && !options.keep_going;
        ran.push(Ran { step: *step, took: started.elapsed(), outcome });
        if stop {
            break;
        }
    }
    report(&ran)
}

fn run_step(step: Step) -> Done<Counts> {
    match step {
        Step::Fmt => format(),
        Step::Build => program::build(Profile::Dev).map(|_| Counts::default()),
        Step::Tidy => counted(cargo().args(["test", "--locked", "--workspace", "--test", "tidy"])),
        Step::Clippy => lint(),
        Step::Tests => tests(),
        Step::Chaos => {
            bulkhead_test_servers::install_missing();
            let burnt = orphans::short(Profile::Dev.binary("bulkhead"))?;
            chaos::each_once(Profile::Dev.binary("bulkhead"))?;
            burnt.hunt().map(|()| Counts::default())
        }
        Step::Docs => watched(cargo().args(["test", "--locked", "--workspace", "--doc"])),
        Step::Fuzz => fuzz::run_all(FUZZ_SECS).map(|()| Counts::default()),
        Step::Deny => deny::check().map(|()| Counts::default()),
    }
}

fn format() -> Done<Counts> {
    shell::run(cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    Ok(Counts::default())
}

fn lint() -> Done<Counts> {
    let mut clippy = cargo();
    clippy.args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::run(&mut clippy)?;
    plugins::lint()?;
    fuzz::lint()?;
    Ok(Counts::default())
}

/// The tests that start processes find the two programs by these variables, and fail
/// rather than skip when one is missing.
fn tests() -> Done<Counts> {
    // One more than there are processors: many tests wait for a time to pass.
    let threads = (std::thread::available_parallelism().map_or(1, usize::from) + 1).to_string();
    let runner: &[&str] = if exists("cargo-nextest") {
        let file = ["--config-file", "xtask/nextest.toml"];
        &["nextest", "run", file[0], file[1], "--locked", "--workspace", "--no-fail-fast", "--test-threads", &threads]
    } else {
        say("cargo-nextest is not installed: using cargo test");
        &["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]
    };
    say("databases for the tests: PostgreSQL, MariaDB, Redis");
    bulkhead_test_servers::install_missing();
    let mut command = cargo();
    command.args(runner);
    command.env("BULKHEAD_BIN", Profile::Dev.binary("bulkhead"));
    command.env("BULKHEAD_GUESTS", workspace::guests_dir());
    if std::env::var_os("BULKHEAD_WITHOUT_PEER").is_some() {
        say("testing Bulkhead alone, as BULKHEAD_WITHOUT_PEER asks");
    } else {
        let bao = peer::ensure()?;
        command.env("BAO_BIN", &bao.program).env("BULKHEAD_TEST_PYTHON", &bao.python);
    }
    counted(&mut command)
}

/// Runs tests, of which there must be some: a filter that matches nothing succeeds, and
/// as a test run that would be a lie.
fn counted(command: &mut Command) -> Done<Counts> {
    let counts = watched(command)?;
    if counts.passed > 0 { Ok(counts) } else { Err(Failed::new(format!("`{}` ran no test", shell::line_of(command)))) }
}

fn watched(command: &mut Command) -> Done<Counts> {
    let (succeeded, output) = watch(command)?;
    let counts = Counts::read(&output);
    if succeeded { Ok(counts) } else { Err(Failed::new(format!("`{}` failed: {counts}", shell::line_of(command)))) }
}

fn name_of(step: Step) -> String {
    step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn report(ran: &[Ran]) -> Done {
    println!("\n  step     time     result");
    let mut total = Counts::default();
    let mut failures = Vec::new();
    for Ran { step, took, outcome } in ran {
        let (name, secs) = (name_of(*step), took.as_secs());
        let result = match outcome {
            Ok(counts) if counts.passed == 0 => "ok".to_owned(),
            Ok(counts) => format!("ok, {counts}"),
            Err(failed) => format!("FAILED: {failed}"),
        };
        println!("  {name:<8} {:>2}:{:02}    {result}", secs / 60, secs % 60);
        match outcome {
            Ok(counts) => total.add(*counts),
            Err(_) => failures.push(name),
        }
    }
    let secs: u64 = ran.iter().map(|ran| ran.took.as_secs()).sum();
    println!("\n  {} in {} min {} s: {total}", if failures.is_empty() { "ok" } else { "FAILED" }, secs / 60, secs % 60);
    if failures.is_empty() { Ok(()) } else { Err(Failed::new(format!("failed: {}", failures.join(", ")))) }
}
