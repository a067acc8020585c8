//! `bench --cluster`: three nodes of either program on loopback, measured in turns: how long
//! nobody can write after a leader dies or steps down, and what all nodes do together.

mod gaps;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use self::gaps::{Ended, Gaps};
use super::load::{self, Asked, Plan, Tally};
use super::table::{self, Bar, Line};
use super::{Options, Phase, leases};
use crate::cluster::{Cluster, Node, Program, Setup};
use crate::http::request;
use crate::shell::{Done, Failed, read, say};

/// Nodes of each.
const NODES: usize = 3;

/// Longest that nobody may be able to write, half of the times and but for one in a hundred.
const FAILOVER_MS_MAX: [f64; 2] = [1500.0, 3000.0];
const STEP_DOWN_MS_MAX: [f64; 2] = [300.0, 300.0];

/// Most tokens stored in the peer. Why: each of its nodes holds about 16 KiB of memory for one.
const PEER_TOKENS_MAX: u64 = 50_000;

/// Everything measured on three nodes of one program.
#[derive(Serialize)]
pub(crate) struct Measured {
    name: &'static str,
    version: String,
    /// After a SIGKILL of the leader.
    failover: Gaps,
    step_down: Gaps,
    /// As `failover`, with tokens or leases stored; `None`: not asked for.
    failover_full: Option<Gaps>,
    /// All requests to the leader.
    read_leader: Phase,
    /// A third of the requests to each node.
    read_all: Phase,
    write_all: Phase,
}

/// One program's nodes.
struct Side {
    name: &'static str,
    binary: PathBuf,
    cluster: Cluster,
}

/// Measures both, prints the table, and gives the numbers.
///
/// # Errors
/// A cluster does not start, or does not recover.
pub(super) fn run(options: &Options, [ours, bao]: [PathBuf; 2], scratch: &Path) -> Done<([Measured; 2], String)> {
    let mut sides = [start("bulkhead", ours, scratch, options)?, start("bao", bao, scratch, options)?];
    for side in &mut sides {
        load::seed(&side.asked(true)?)?;
    }
    let read_leader = alternate(&mut sides, ("kv read, one node", Plan::Read, false), options)?;
    let read_all = alternate(&mut sides, ("kv read, all nodes", Plan::Read, true), options)?;
    let write_all = alternate(&mut sides, ("kv write, all nodes", Plan::Write, true), options)?;
    let step_down = end_often(&mut sides, Ended::SteppedDown, options.of_cluster.step_downs)?;
    let failover = end_often(&mut sides, Ended::Killed, options.of_cluster.kills)?;
    let failover_full = if Stored::of(options).count == 0 {
        [None, None]
    } else {
        fill(&mut sides, options)?;
        end_often(&mut sides, Ended::Killed, options.of_cluster.kills)?.map(Some)
    };
    let versions = [version(&sides[0])?, version(&sides[1])?];
    let each = versions.into_iter().zip(["bulkhead", "bao"]);
    let numbers = failover.into_iter().zip(step_down).zip(failover_full);
    let phases = read_leader.into_iter().zip(read_all).zip(write_all);
    let measured: Vec<Measured> = each
        .zip(numbers.zip(phases))
        .map(|((version, name), (((failover, step_down), failover_full), ((read_leader, read_all), write_all)))| {
            Measured { name, version, failover, step_down, failover_full, read_leader, read_all, write_all }
        })
        .collect();
    let measured: [Measured; 2] = measured.try_into().map_err(|_| Failed::new("there are two sides"))?;
    let lines = lines(&measured, options);
    let table = table::render_lines([&measured[0].version, &measured[1].version], &lines, options);
    print!("{table}");
    Ok((measured, table))
}

fn start(name: &'static str, binary: PathBuf, scratch: &Path, options: &Options) -> Done<Side> {
    say(format_args!("starting {NODES} nodes of {name}"));
    let folder = scratch.join(name);
    let program = Program { binary: binary.clone(), bug: None };
    let setup = Setup { program, folder: &folder, nodes: NODES, breakable: false, audit: options.audit };
    let cluster = Cluster::start(setup)?;
    Ok(Side { name, binary, cluster })
}

fn version(side: &Side) -> Done<String> {
    let printed = read(Command::new(&side.binary).arg("version"))?;
    Ok(printed.lines().next().unwrap_or_default().to_owned())
}

impl Side {
    /// Whom a phase asks: all nodes, or the one that leads.
    fn asked(&mut self, all: bool) -> Done<Asked> {
        let leader = self.cluster.until_led()?;
        let order = (0..NODES).map(|step| (leader + step) % NODES);
        let nodes: Vec<usize> = if all { order.collect() } else { vec![leader] };
        let mut pids = self.cluster.nodes.iter().filter_map(Node::pid).collect::<Vec<_>>();
        pids.rotate_left(leader);
        Ok(Asked {
            name: self.name,
            addresses: nodes.into_iter().map(|at| self.cluster.nodes[at].api).collect(),
            token: self.cluster.token.clone(),
            mount: "kv",
            pids,
            role_id: String::new(),
            secret_id: String::new(),
        })
    }
}

/// One phase on both clusters, a turn each at a time.
fn alternate(
    sides: &mut [Side; 2],
    (name, plan, all): (&'static str, Plan, bool),
    options: &Options,
) -> Done<[Phase; 2]> {
    say(format_args!("{name}: {} s on each cluster, in {} rounds", options.seconds, options.rounds));
    let turn = Duration::from_secs(options.seconds) / options.rounds.max(1);
    let mut tallies = [Tally::default(), Tally::default()];
    for round in 0..options.rounds.max(1) {
        // Who begins changes with the round, so that neither always meets a warm disk.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for place in order {
            let asked = sides[place].asked(all)?;
            let requests = load::requests(&asked, plan);
            tallies[place].add(load::drive(&asked, &requests, options.connections, turn)?);
        }
    }
    Ok(tallies.map(|tally| tally.phase(name)))
}

/// Ends the leadership of either cluster's leader so often, in turns.
fn end_often(sides: &mut [Side; 2], how: Ended, times: u32) -> Done<[Gaps; 2]> {
    let mut gaps = [Vec::new(), Vec::new()];
    for round in 0..times {
        for (place, side) in sides.iter_mut().enumerate() {
            let gap = gaps::after(&mut side.cluster, how)?;
            say(format_args!("{} {how:?} {}/{times}: {} ms", side.name, round + 1, gap.as_millis()));
            gaps[place].push(gap);
        }
    }
    Ok(gaps.map(Gaps::of))
}

/// What is stored before failover is measured again.
struct Stored {
    count: u64,
    what: &'static str,
}

impl Stored {
    fn of(options: &Options) -> Self {
        match options.instead.leases {
            0 => Self { count: options.of_cluster.tokens, what: "tokens" },
            leases => Self { count: leases, what: "leases" },
        }
    }
}

/// Stores so many tokens in both, in the peer so many as the machine has memory for; or leases of an
/// engine in ours, which the peer has none of.
fn fill(sides: &mut [Side; 2], options: &Options) -> Done {
    let Stored { count, what } = Stored::of(options);
    let body = json!({"policies": ["default"], "ttl": "768h", "no_parent": true}).to_string();
    for (place, side) in sides.iter_mut().enumerate() {
        let asked = side.asked(true)?;
        let is_ours = place == 0;
        let (one, count) = if is_ours && what == "leases" {
            leases::enable_engine(&asked)?;
            (leases::code(&asked, "long"), count)
        } else {
            let count = if is_ours { count } else { count.min(PEER_TOKENS_MAX) };
            (request("POST", "auth/token/create", &asked.token, &body), count)
        };
        say(format_args!("storing {count} {} in {}", if is_ours { what } else { "tokens" }, side.name));
        load::repeat(&asked, one, count, options.connections)?;
    }
    Ok(())
}

fn lines([ours, theirs]: &[Measured; 2], options: &Options) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut put = |label: &str, value: &dyn Fn(&Measured) -> f64, decimals: usize, bar: Bar| {
        lines.push(Line { label: label.to_owned(), ours: value(ours), theirs: value(theirs), decimals, bar });
    };
    put("read, leader alone, /s", &|m| m.read_leader.per_second, 0, Bar::None);
    put("read, all nodes, /s", &|m| m.read_all.per_second, 0, Bar::None);
    put("  p99 µs", &|m| f64::from(m.read_all.p99_us), 0, Bar::None);
    put("  CPU µs, leader alone", &|m| m.read_leader.server_cpu_us, 1, Bar::None);
    put("  CPU µs, all nodes", &|m| m.read_all.server_cpu_us, 1, Bar::None);
    let by_leader = |m: &Measured| m.read_leader.leader_cpu_us / m.read_all.leader_cpu_us.max(f64::EPSILON);
    put("reads per CPU of the leader, x", &by_leader, 2, Bar::OursAtLeast(2.0));
    put("write, all nodes, /s", &|m| m.write_all.per_second, 0, Bar::AtLeast(3.0));
    put("  p99 µs", &|m| f64::from(m.write_all.p99_us), 0, Bar::None);
    put("  CPU µs, all nodes", &|m| m.write_all.server_cpu_us, 1, Bar::None);
    let errors = |m: &Measured| (m.read_leader.errors + m.read_all.errors + m.write_all.errors) as f64;
    if errors(ours) + errors(theirs) > 0.0 {
        put("ERRORS", &errors, 0, Bar::None);
    }
    for (label, gaps, [p50, p99]) in [
        ("step-down", (|m: &Measured| Some(&m.step_down)) as fn(&Measured) -> Option<&Gaps>, STEP_DOWN_MS_MAX),
        ("failover", |m| Some(&m.failover), FAILOVER_MS_MAX),
        ("failover, full", |m| m.failover_full.as_ref(), FAILOVER_MS_MAX),
    ] {
        if gaps(ours).is_none_or(|gaps| gaps.count == 0) {
            continue;
        }
        let ms = |one: fn(&Gaps) -> f64| move |m: &Measured| gaps(m).map_or(0.0, one);
        put(&format!("{label} p50, ms"), &ms(|gaps| gaps.p50_ms), 0, Bar::OursAtMost(p50));
        put(&format!("{label} p99, ms"), &ms(|gaps| gaps.p99_ms), 0, Bar::OursAtMost(p99));
        put(&format!("{label} max, ms"), &ms(|gaps| gaps.max_ms), 0, Bar::None);
    }
    let Stored { count, what } = Stored::of(options);
    if count > 0 {
        let grown = |m: &Measured| {
            m.failover_full.as_ref().map_or(0.0, |full| full.p50_ms / m.failover.p50_ms.max(f64::EPSILON))
        };
        put(&format!("failover p50, {count} {what}, x"), &grown, 2, Bar::OursAtMost(1.2));
    }
    lines
}
