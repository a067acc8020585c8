//! `chaos`: real processes that are one cluster are killed, paused, cut off and wiped while
//! clients use them; then what the clients were told is checked. The seed repeats the order of
//! faults and what clients ask; when exactly things happen is the machine's.

mod chance;
mod check;
mod client;
mod fault;
mod history;
mod load;
mod report;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cluster::{Cluster, Setup};
use crate::shell::{Done, Failed, Tried, say};
use crate::workspace::{self, Profile};
use chance::Chance;
use clap::ValueEnum;
use fault::{Fault, Inflicted};
use load::Load;
use report::Report;

/// Clients that read and write secrets.
const WORKERS: usize = 6;

/// What `cargo xtask chaos` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Goes on at least so long
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// … and until the leader was killed so often
    #[arg(long, default_value_t = 0)]
    kills: usize,
    /// … and nodes were cut off from each other so often
    #[arg(long, default_value_t = 0)]
    partitions: usize,
    /// … and so many writes were acknowledged
    #[arg(long, default_value_t = 0)]
    writes: u64,
    /// Each fault once, in the order of this list, and nothing else
    #[arg(long, conflicts_with_all = ["seconds", "kills", "partitions", "writes", "only"])]
    each: bool,
    /// Only this fault (repeatable)
    #[arg(long, value_name = "FAULT")]
    only: Vec<Fault>,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=7))]
    nodes: u8,
    /// Repeats the faults of a run; without it, another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// The program; without it, the release binary
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// The short form: each fault once.
///
/// # Errors
/// As [`run`].
pub(crate) fn each_once(binary: PathBuf) -> Done {
    let (binary, only) = (Some(binary), Vec::new());
    run(&Options { seconds: 0, kills: 0, partitions: 0, writes: 0, each: true, only, nodes: 3, seed: Some(1), binary })
}

/// Runs the command.
///
/// # Errors
/// The cluster did not recover from a fault, or a client saw what may not be.
pub(crate) fn run(options: &Options) -> Done {
    let binary = options.binary.clone().unwrap_or_else(|| Profile::Release.binary("bulkhead"));
    if !binary.is_file() {
        return Err(Failed::new(format!("{} is missing; first: cargo xtask build", binary.display())));
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = options.seed.unwrap_or(clock.as_secs() % 1_000_000);
    let parent = workspace::root().join("target/chaos");
    std::fs::create_dir_all(&parent).tried(format_args!("creating {}", parent.display()))?;
    let scratch = tempfile::tempdir_in(&parent).tried(format_args!("creating a folder in {}", parent.display()))?;

    say(format_args!("{} nodes, seed {seed}", options.nodes));
    let (binary, folder, nodes) = (&*binary, scratch.path(), usize::from(options.nodes));
    let mut cluster = Cluster::start(&Setup { binary, folder, nodes, relayed: true, audit: true })?;
    let apis = cluster.nodes.iter().map(|node| node.api).collect();
    let load = Load::new(apis, cluster.token.clone(), format!("canary-{:x}", clock.as_nanos()));
    let began = Instant::now();
    let inflicted = thread::scope(|scope| {
        let load = &load;
        for worker in 0..WORKERS {
            scope.spawn(move || load.work(worker, seed));
        }
        scope.spawn(|| load.probe());
        scope.spawn(|| load.take());
        scope.spawn(|| load.revoke());
        let inflicted = torment(&mut cluster, load, options, seed);
        load.stop();
        inflicted
    })?;
    let took = began.elapsed();
    say("reading every secret from every node");
    cluster.mend()?;
    let noted = load.last_look();
    say(format_args!("looking for an order of {} histories", noted.histories.len()));
    let report = Report::of((seed, took), &load, &inflicted, noted, &cluster);
    report.print_and_save()?;
    match report.is_clean() {
        true => Ok(()),
        false => Err(Failed::new(format!("seed {seed}; the nodes' folders are kept: {}", cluster.keep().display()))),
    }
}

/// Breaks and mends the cluster until there was enough of everything.
fn torment(cluster: &mut Cluster, load: &Load, options: &Options, seed: u64) -> Done<Inflicted> {
    let mut chance = Chance::of(seed);
    let mut inflicted = Inflicted::default();
    let mut each = Fault::value_variants().iter();
    let end = Instant::now() + Duration::from_secs(options.seconds);
    loop {
        // What is asked in peace is part of the history too.
        thread::sleep(Duration::from_millis(300));
        let written = load.acknowledged.load(Ordering::Relaxed);
        let enough = inflicted.leaders_killed() >= options.kills
            && inflicted.partitions() >= options.partitions
            && written >= options.writes
            && Instant::now() >= end;
        let next = if options.each { each.next().copied() } else { Some(Fault::any(&mut chance, &options.only)) };
        let Some(fault) = next.filter(|_| !load.is_broken() && (options.each || !enough)) else { return Ok(inflicted) };
        say(format_args!("{fault:?} ({written} writes so far)"));
        inflicted.note(fault);
        fault.inflict(cluster, &mut chance)?;
    }
}
