//! `chaos`: real processes that are one cluster are killed, paused, cut off and wiped while
//! clients use them; then what the clients were told is checked. The seed repeats the order of
//! faults and what clients ask; when exactly things happen is the machine's.

pub(crate) mod chance;
mod check;
mod client;
mod digest;
mod fault;
mod history;
mod leases;
mod load;
mod plugins;
mod prove;
mod report;
mod simulate;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cluster::{Cluster, Program, Setup};
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
    /// A program with a bug on purpose must be found out; nothing else is done
    #[arg(long, conflicts_with_all = ["seconds", "kills", "partitions", "writes", "only", "each", "binary"])]
    prove: bool,
    /// So many seeds of the ledger's clusters in one process; nothing else is done
    #[arg(long, value_name = "SEEDS", conflicts_with_all = ["seconds", "kills", "partitions", "writes", "only", "each",
        "binary", "prove", "nodes"])]
    simulate: Option<u64>,
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

/// What is done, and for how long.
#[derive(Default)]
struct Course {
    seed: u64,
    seconds: u64,
    kills: usize,
    partitions: usize,
    writes: u64,
    each: bool,
    only: Vec<Fault>,
}

impl Course {
    /// Faults of which there were not enough yet. Why: left to chance among all, two hundred kills of
    /// leaders take an hour. Every second fault is one of these, whatever the time.
    fn lacking(&self, inflicted: &Inflicted) -> Vec<Fault> {
        let (kills, partitions) = (inflicted.leaders_killed() < self.kills, inflicted.partitions() < self.partitions);
        let lacks = |fault: &Fault| (kills && *fault == Fault::KillLeader) || (partitions && fault.is_partition());
        let all = Fault::value_variants().iter().copied();
        all.filter(|fault| lacks(fault) && (self.only.is_empty() || self.only.contains(fault))).collect()
    }
}

/// The short form: each fault once.
///
/// # Errors
/// As [`run`].
pub(crate) fn each_once(binary: PathBuf) -> Done {
    judged(binary, &Course { seed: 1, each: true, ..Course::default() }, 3)
}

/// Runs the command.
///
/// # Errors
/// The cluster did not recover from a fault, or a client saw what may not be.
pub(crate) fn run(options: &Options) -> Done {
    let nodes = usize::from(options.nodes);
    if options.prove {
        return prove::run(nodes);
    }
    if let Some(seeds) = options.simulate {
        return simulate::run(options.seed.unwrap_or(1), seeds);
    }
    let binary = options.binary.clone().unwrap_or_else(|| Profile::Release.binary("bulkhead"));
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let course = Course {
        seed: options.seed.unwrap_or(clock.as_secs() % 1_000_000),
        seconds: options.seconds,
        kills: options.kills,
        partitions: options.partitions,
        writes: options.writes,
        each: options.each,
        only: options.only.clone(),
    };
    judged(binary, &course, nodes)
}

fn judged(binary: PathBuf, course: &Course, nodes: usize) -> Done {
    if !binary.is_file() {
        return Err(Failed::new(format!("{} is missing; first: cargo xtask build", binary.display())));
    }
    let (report, kept) = torture(Program { binary, bug: None }, course, nodes)?;
    report.print_and_save()?;
    match kept {
        None => Ok(()),
        Some(kept) => {
            Err(Failed::new(format!("seed {}; the nodes' folders are kept: {}", course.seed, kept.display())))
        }
    }
}

/// Runs a cluster, its clients and its faults. What came of it, and where the nodes' folders are
/// kept if somebody saw what may not be.
fn torture(program: Program, course: &Course, nodes: usize) -> Done<(Report, Option<PathBuf>)> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = course.seed;
    let parent = workspace::root().join("target/chaos");
    std::fs::create_dir_all(&parent).tried(format_args!("creating {}", parent.display()))?;
    let scratch = tempfile::tempdir_in(&parent).tried(format_args!("creating a folder in {}", parent.display()))?;

    say(format_args!("{nodes} nodes, seed {seed}"));
    let mut cluster = Cluster::start(Setup { program, folder: scratch.path(), nodes, breakable: true, audit: true })?;
    let apis = cluster.nodes.iter().map(|node| node.api).collect();
    let canary = format!("canary-{:x}", clock.as_nanos());
    plugins::prepare(&mut cluster, &canary)?;
    let load = Load::new(apis, cluster.token.clone(), canary);
    let began = Instant::now();
    let inflicted = thread::scope(|scope| {
        let load = &load;
        for worker in 0..WORKERS {
            scope.spawn(move || load.work(worker, seed));
        }
        scope.spawn(|| load.probe());
        scope.spawn(|| load.take());
        scope.spawn(|| load.revoke());
        scope.spawn(|| load.lease(seed));
        let inflicted = torment(&mut cluster, load, course);
        load.stop();
        inflicted
    })?;
    let took = began.elapsed();
    say("reading every secret and every lease from every node");
    cluster.mend()?;
    let noted = load.last_look();
    let digests = digest::of_all(&mut cluster)?;
    say(format_args!("looking for an order of {} histories", noted.histories.len()));
    let report = Report::of((seed, took), (&load, &inflicted), noted, digests, &cluster);
    let kept = (!report.is_clean()).then(|| cluster.keep());
    Ok((report, kept))
}

/// Breaks and mends the cluster until there was enough of everything.
fn torment(cluster: &mut Cluster, load: &Load, course: &Course) -> Done<Inflicted> {
    let mut chance = Chance::of(course.seed);
    let mut inflicted = Inflicted::default();
    let mut each = Fault::value_variants().iter();
    let end = Instant::now() + Duration::from_secs(course.seconds);
    loop {
        // What is asked in peace is part of the history too.
        thread::sleep(Duration::from_millis(300));
        let written = load.acknowledged.load(Ordering::Relaxed);
        let enough = inflicted.leaders_killed() >= course.kills
            && inflicted.partitions() >= course.partitions
            && written >= course.writes
            && Instant::now() >= end;
        let lacking = course.lacking(&inflicted);
        let next = if course.each {
            each.next().copied()
        } else if inflicted.count() % 2 == 1 && !lacking.is_empty() {
            Some(chance.among(&lacking))
        } else {
            Some(Fault::any(&mut chance, &course.only))
        };
        let Some(fault) = next.filter(|_| !load.is_broken() && (course.each || !enough)) else { return Ok(inflicted) };
        if let Some(obstacle) = fault.obstacle(cluster) {
            if course.each {
                return Err(Failed::new(format!("{fault:?} cannot be done here: {obstacle}")));
            }
            say(format_args!("{fault:?} is left out: {obstacle}"));
            continue;
        }
        cluster.until_led()?;
        say(format_args!("{fault:?} ({written} writes so far)"));
        inflicted.note(fault);
        fault.inflict(cluster, load, &mut chance)?;
    }
}
