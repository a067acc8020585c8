//! `bench`: our release binary and the peer's, side by side on this machine. Both run
//! the same configuration with Raft storage on one disk; the phases alternate between
//! them, so that whatever else the machine does hits both alike. `--cluster` measures three
//! nodes of each instead (`cluster`).

mod breadth;
mod cluster;
mod creds;
mod lanes;
mod leases;
mod load;
mod process;
mod refused;
mod server;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::peer;
use crate::shell::{Done, Failed, Tried, say};
use crate::workspace::{self, Profile};
use load::Tally;
use server::{Server, Startup};

/// How long an answer may take. Why: a server that hangs must end the run.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// What `cargo xtask bench` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Whom to compare with
    #[arg(long)]
    vs: Opponent,
    /// How long each phase runs on each server, in seconds, over all rounds
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// In how many turns a phase is cut
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Keep-alive connections
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Switch a file audit device on, on both
    #[arg(long)]
    audit: bool,
    /// Three nodes of each: failover, step-down, reads and writes over all nodes
    #[arg(long)]
    cluster: bool,
    #[command(flatten)]
    of_cluster: OfCluster,
    #[command(flatten)]
    instead: Instead,
    /// Our binary (to measure another build, or the peer against itself)
    #[arg(long, value_name = "FILE")]
    ours: Option<PathBuf>,
    /// The peer's binary; without it, it is installed into target/peer
    #[arg(long, value_name = "FILE")]
    bao: Option<PathBuf>,
    /// Where the two data directories go; both on one disk
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// What is measured in place of the usual phases.
#[derive(clap::Args)]
struct Instead {
    /// With ten policies and ten namespaces, and with ten thousand and a thousand: memory, and what
    /// a request costs
    #[arg(long)]
    breadth: bool,
    /// So many requests that are refused (denied, malformed, without a token): what becomes of the
    /// memory
    #[arg(long, default_value_t = 0, value_name = "REQUESTS")]
    refused: u64,
    /// Users of a PostgreSQL, which is started for it
    #[arg(long)]
    creds: bool,
    /// With none and with so many leases: start, unsealing, memory, other requests, and many
    /// leases that end at once; with --cluster: failover
    #[arg(long, default_value_t = 0, value_name = "LEASES")]
    leases: u64,
}

/// What `--cluster` can be told besides.
#[derive(clap::Args)]
struct OfCluster {
    /// With --cluster: how often a leader is killed
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// With --cluster: how often a leader is told to step down
    #[arg(long, default_value_t = 20)]
    step_downs: u32,
    /// With --cluster: measure failover again with so many tokens stored
    #[arg(long, default_value_t = 0)]
    tokens: u64,
}

/// A server to compare with.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Opponent {
    /// OpenBao
    Bao,
}

/// Everything measured on one server.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) binary_bytes: u64,
    pub(crate) first: Startup,
    pub(crate) again: Startup,
    pub(crate) rss_rest_kib: u64,
    pub(crate) rss_loaded_kib: u64,
    pub(crate) phases: Vec<Phase>,
}

/// One phase on one server.
#[derive(Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    /// A request's CPU time on the node that leads, and on all.
    pub(crate) leader_cpu_us: f64,
    pub(crate) server_cpu_us: f64,
    pub(crate) generator_cpu_us: f64,
}

/// Runs the command.
///
/// # Errors
/// A server does not start or does not do what the plan asks.
pub(crate) fn run(options: &Options) -> Done {
    let ours = options.ours.clone().unwrap_or_else(|| Profile::Release.binary("bulkhead"));
    if !ours.is_file() {
        return Err(Failed::new(format!("{} is missing; first: cargo xtask build", ours.display())));
    }
    let Opponent::Bao = options.vs;
    let bao = options.bao.clone().map_or_else(|| peer::ensure().map(|peer| peer.program), Ok)?;
    let parent = options.scratch.clone().unwrap_or_else(|| workspace::root().join("target/bench"));
    std::fs::create_dir_all(&parent).tried(format_args!("creating {}", parent.display()))?;
    let scratch = tempfile::tempdir_in(&parent).tried(format_args!("creating a folder in {}", parent.display()))?;

    let (name, table) = if options.cluster {
        let (measured, table) = cluster::run(options, [ours, bao], scratch.path())?;
        (save("bench-cluster.json", &measured)?, table)
    } else if options.instead.leases > 0 {
        let (measured, table) = leases::run(options, [ours, bao], scratch.path())?;
        print!("{table}");
        (save("bench-leases.json", &measured)?, table)
    } else {
        let mut servers = [
            Server::start("bulkhead", ours, scratch.path(), options.audit)?,
            Server::start("bao", bao, scratch.path(), options.audit)?,
        ];
        if options.instead.breadth {
            let (measured, table) = breadth::run(&mut servers, options)?;
            print!("{table}");
            (save("bench-breadth.json", &measured)?, table)
        } else if options.instead.creds {
            let (measured, table) = creds::run(&mut servers, options)?;
            print!("{table}");
            (save("bench-creds.json", &measured)?, table)
        } else if options.instead.refused > 0 {
            let (measured, table) = refused::run(&mut servers, options)?;
            print!("{table}");
            (save("bench-refused.json", &measured)?, table)
        } else {
            let measured = measure(&mut servers, options)?;
            let table = table::render(&measured, options);
            print!("{table}");
            (save("bench.json", &measured)?, table)
        }
    };
    println!("\n  {}", name.display());
    if table::misses(&table) { Err(Failed::new("a bar was missed: see above")) } else { Ok(()) }
}

fn save(name: &str, measured: &impl Serialize) -> Done<PathBuf> {
    let path = workspace::root().join("target").join(name);
    let json = serde_json::to_vec_pretty(measured).tried("writing the results as JSON")?;
    std::fs::write(&path, json).tried(format_args!("writing {}", path.display()))?;
    Ok(path)
}

fn measure(servers: &mut [Server; 2], options: &Options) -> Done<[Measured; 2]> {
    let mut first = Vec::new();
    for server in servers.iter_mut() {
        say(format_args!("initialising {}", server.name));
        first.push(server.initialise()?);
    }
    // At rest: what start-up left behind has been freed, and nothing was asked yet.
    std::thread::sleep(Duration::from_secs(3));
    let rest = [servers[0].rss_kib()?, servers[1].rss_kib()?];
    for server in servers.iter_mut() {
        load::seed(&server.asked())?;
        server.enable_logins()?;
    }
    let mut phases = [Vec::new(), Vec::new()];
    for plan in load::PLANS {
        say(format_args!("{}: {} s on each server, in {} rounds", plan.name(), options.seconds, options.rounds));
        let made = [0, 1].map(|place: usize| load::requests(&servers[place].asked(), plan));
        let tallies = alternate(servers, &made, options)?;
        for (place, tally) in tallies.into_iter().enumerate() {
            phases[place].push(tally.phase(plan.name()));
        }
    }
    let loaded = [servers[0].rss_kib()?, servers[1].rss_kib()?];
    let again = [servers[0].restart()?, servers[1].restart()?];
    let [ours, theirs] = phases;
    let [a, b] = [&servers[0], &servers[1]];
    let result = |server: &Server, place: usize, phases| -> Done<Measured> {
        Ok(Measured {
            name: server.name,
            version: server.version()?,
            binary_bytes: server.binary_bytes()?,
            first: first[place],
            again: again[place],
            rss_rest_kib: rest[place],
            rss_loaded_kib: loaded[place],
            phases,
        })
    };
    Ok([result(a, 0, ours)?, result(b, 1, theirs)?])
}

/// One phase on both servers, a turn each at a time, with the requests that each is asked.
fn alternate(servers: &[Server; 2], requests: &[Vec<Vec<u8>>; 2], options: &Options) -> Done<[Tally; 2]> {
    let turn = Duration::from_secs(options.seconds) / options.rounds.max(1);
    let mut tallies = [Tally::default(), Tally::default()];
    for round in 0..options.rounds.max(1) {
        // Who begins changes with the round, so that neither always meets a warm disk.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for place in order {
            let asked = servers[place].asked();
            tallies[place].add(load::drive(&asked, &requests[place], options.connections, turn)?);
        }
    }
    Ok(tallies)
}
