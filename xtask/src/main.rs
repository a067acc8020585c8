//! `cargo xtask`: everything one does with this repository, from a fresh clone to a
//! benchmark. The list of commands is here; each command has its own file. Nothing
//! here is part of the product, and nothing here links the sandbox's compiler.

mod bench;
mod chaos;
mod check;
mod cluster;
mod deny;
mod dev;
mod freeze;
mod fuzz;
mod http;
mod orphans;
mod peer;
mod plugins;
mod program;
mod shell;
mod wasm_target;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Build, run, test and measure Bulkhead",
    after_help = "From a fresh clone:\n  cargo xtask dev     a running server to play with\n  cargo xtask test    everything CI checks"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make `--target wasm32-unknown-unknown` work with the active toolchain
    #[command(
        after_help = "Example:\n  cargo xtask wasm-target\n\nDoes nothing where the target is installed; else asks rustup; else builds the\nstandard library from Debian's source package of the same compiler release."
    )]
    WasmTarget,
    /// Build every guest into target/guests, and precompile the official ones
    #[command(
        after_help = "Example:\n  cargo xtask plugins\n  cargo xtask plugins --dev     precompile with the dev profile's compiler"
    )]
    Plugins(plugins::Options),
    /// Build target/release/bulkhead, complete in one file
    #[command(after_help = "Example:\n  cargo xtask build && target/release/bulkhead version")]
    Build(program::Options),
    /// Build everything, run a dev server and say how to use it
    #[command(
        after_help = "Example:\n  cargo xtask dev\n  cargo xtask dev --port 8300 --release\n  BULKHEAD_DEV_ROOT_TOKEN_ID=root cargo xtask dev     instead of a random root token\n\nThe dev profile is the default: its dependencies are optimised, it links in\nseconds after an edit, and `cargo xtask test` uses the same build."
    )]
    Dev(dev::Options),
    /// Check everything that CI checks
    #[command(
        after_help = "Example:\n  cargo xtask test\n  cargo xtask test --only clippy --only tests\n  cargo xtask test --skip deny --keep-going"
    )]
    Test(check::Options),
    /// Fuzz the parsers of hostile input
    #[command(
        after_help = "Example:\n  cargo xtask fuzz                    every target for 20 s\n  cargo xtask fuzz --seconds 600 json"
    )]
    Fuzz(fuzz::Options),
    /// Measure the release binary against OpenBao on this machine
    #[command(
        after_help = "Example:\n  cargo xtask bench --vs bao\n  cargo xtask bench --vs bao --seconds 10 --audit\n  cargo xtask bench --vs bao --cluster --kills 20 --step-downs 20\n  cargo xtask bench --vs bao --cluster --tokens 1000000     failover with a full state, too\n\nBuild first: cargo xtask build. The numbers go to target/bench.json, those of clusters\nto target/bench-cluster.json too."
    )]
    Bench(bench::Options),
    /// Break a cluster on purpose, again and again, and check what its clients saw
    #[command(
        after_help = "Example:\n  cargo xtask chaos                               two minutes, the release binary\n  cargo xtask chaos --kills 200 --partitions 100 --writes 100000\n  cargo xtask chaos --seed 7 --seconds 30 --binary target/debug/bulkhead\n\nBuild first: cargo xtask build. The report goes to target/chaos.json too."
    )]
    Chaos(chaos::Options),
    /// Ask for users of a database, renew and end leases while everything breaks, and look for orphans
    #[command(
        after_help = "Example:\n  cargo xtask orphans                       a thousand users, three nodes, the release binary\n  cargo xtask orphans --nodes 1 --requests 2000 --seed 7\n  cargo xtask orphans --requests 60 --binary target/debug/bulkhead\n\nAfter half of the requests a lease is renewed, after a fifth one is ended. In the end each lease\nthat lives must have its user, who may log in until it ends, and each user its lease.\n\nBuild first: cargo xtask build. PostgreSQL is installed where it is missing."
    )]
    Orphans(orphans::Options),
    /// Install the peer (OpenBao and its Python clients) into target/peer
    #[command(after_help = "Example:\n  cargo xtask peer && target/peer/bin/bao version")]
    Peer,
    /// Pin the WIT of a released version: from then on the tests refuse any change to it
    #[command(after_help = "Example:\n  cargo xtask freeze-wit v1")]
    FreezeWit(freeze::Options),
    /// Prints how to use a dev server once it answers (used by `dev`).
    #[command(hide = true)]
    DevBanner(dev::Banner),
}

fn main() -> std::process::ExitCode {
    let done = match Cli::parse().task {
        Task::WasmTarget => wasm_target::ensure(),
        Task::Plugins(options) => plugins::run(&options),
        Task::Build(options) => program::run(&options),
        Task::Dev(options) => dev::run(&options),
        Task::Test(options) => check::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Chaos(options) => chaos::run(&options),
        Task::Orphans(options) => orphans::run(&options),
        Task::Peer => peer::ensure().map(|_| ()),
        Task::FreezeWit(options) => freeze::run(&options),
        Task::DevBanner(options) => dev::banner(&options),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("\nxtask: {failed}");
            std::process::ExitCode::FAILURE
        }
    }
}
