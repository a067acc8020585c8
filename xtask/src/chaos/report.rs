//! What came of a run, for people and as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::check::linearizable;
use super::fault::{Fault, Inflicted};
use super::history::{Operation, Outcome};
use super::load::{Load, Noted};
use crate::cluster::Cluster;
use crate::shell::{Done, Tried};
use crate::workspace;

/// All that is reported.
#[derive(Serialize)]
pub(crate) struct Report {
    seed: u64,
    seconds: u64,
    faults: BTreeMap<Fault, u64>,
    leaders_killed: usize,
    partitions: usize,
    secrets: Secrets,
    #[serde(flatten)]
    tried: Tries,
    broken: Vec<String>,
    /// Files with a name or value in them.
    legible: Vec<String>,
    /// The entry at which all nodes' records were compared, and what each says they are.
    digests: (u64, Vec<String>),
    /// Without an acknowledged write, seen by a client that tries again; by fault.
    gaps_ms: BTreeMap<Fault, Gaps>,
}

/// What was tried besides, and how often.
#[derive(Serialize)]
struct Tries {
    taken_once: u64,
    tokens_revoked: u64,
    leases_revoked: usize,
    leases_kept: usize,
    calls_crashed: u64,
}

/// What was asked of secrets.
#[derive(Serialize)]
struct Secrets {
    /// Whose outcome the client knows.
    operations: usize,
    /// Of these, acknowledged writes.
    writes: u64,
    unknown: usize,
    histories: usize,
    /// Secrets whose history has no order, by number.
    not_linearizable: Vec<usize>,
}

/// How long clients could not write.
#[derive(Serialize)]
struct Gaps {
    times: usize,
    p50: u64,
    p99: u64,
    max: u64,
}

impl Report {
    pub(crate) fn of(
        (seed, took): (u64, Duration),
        (load, inflicted): (&Load, &Inflicted),
        noted: Noted,
        digests: (u64, Vec<String>),
        cluster: &Cluster,
    ) -> Self {
        let faults = inflicted.counts();
        let (leases_kept, leases_revoked) = noted.leases.counts();
        let count = |counted: &AtomicU64| counted.load(Ordering::Relaxed);
        let tried = Tries {
            taken_once: count(&load.taken),
            tokens_revoked: count(&load.revoked),
            leases_revoked,
            leases_kept,
            calls_crashed: count(&load.crashed),
        };
        let gaps = |fault: &Fault| Some((*fault, Gaps::of(*fault, inflicted, &noted.probed)?));
        Self {
            seed,
            seconds: took.as_secs(),
            leaders_killed: inflicted.leaders_killed(),
            partitions: inflicted.partitions(),
            secrets: Secrets::of(&noted.histories, count(&load.acknowledged)),
            tried,
            legible: legible(cluster, load.canary.as_bytes()),
            gaps_ms: faults.keys().filter_map(gaps).collect(),
            broken: noted.broken,
            digests,
            faults,
        }
    }

    /// Whether nobody saw what may not be, and there was something to see.
    pub(crate) fn is_clean(&self) -> bool {
        let Tries { taken_once, tokens_revoked, leases_revoked, .. } = self.tried;
        let tried = [taken_once, tokens_revoked, leases_revoked as u64, self.secrets.writes];
        let held = self.broken.is_empty() && self.are_alike() && !tried.contains(&0);
        self.secrets.not_linearizable.is_empty() && held && self.legible.is_empty()
    }

    /// Secrets whose history has no order, by number.
    pub(crate) fn not_linearizable(&self) -> &[usize] {
        &self.secrets.not_linearizable
    }

    /// Whether all nodes hold the same records.
    fn are_alike(&self) -> bool {
        self.digests.1.windows(2).all(|pair| pair[0] == pair[1])
    }

    pub(crate) fn print_and_save(&self) -> Done {
        println!("\n  seed {}, {} s", self.seed, self.seconds);
        println!("  {:<34} {:>9}", "leaders killed", self.leaders_killed);
        println!("  {:<34} {:>9}", "partitions", self.partitions);
        println!("  {:<34} {:>9}", "operations with a known outcome", self.secrets.operations);
        println!("  {:<34} {:>9}", "acknowledged writes", self.secrets.writes);
        println!("  {:<34} {:>9}", "operations of unknown outcome", self.secrets.unknown);
        let (without, of) = (self.secrets.not_linearizable.len(), self.secrets.histories);
        println!("  {:<34} {without:>9}  of {of}", "histories without an order");
        println!("  {:<34} {:>9}", "things to be taken once", self.tried.taken_once);
        println!("  {:<34} {:>9}", "tokens revoked and tried again", self.tried.tokens_revoked);
        println!("  {:<34} {:>9}", "leases revoked and looked for", self.tried.leases_revoked);
        println!("  {:<34} {:>9}", "leases kept and looked for", self.tried.leases_kept);
        println!("  {:<34} {:>9}", "calls of plugins that crashed", self.tried.calls_crashed);
        println!("  {:<34} {:>9}", "broken rules", self.broken.len());
        println!("  {:<34} {:>9}", "files with a name or value", self.legible.len());
        let (alike, index) = (if self.are_alike() { "one" } else { "several" }, self.digests.0);
        println!("  {:<34} {alike:>9}  at entry {index}", "states of the nodes");
        println!("\n  {:<18} {:>6}  longest time without a write, ms: p50, p99, max", "fault", "times");
        for (fault, times) in &self.faults {
            let gaps = self.gaps_ms.get(fault);
            let gaps = gaps.map_or_else(String::new, |gaps| format!("{:>8} {:>7} {:>7}", gaps.p50, gaps.p99, gaps.max));
            println!("  {:<18} {times:>6}  {gaps}", format!("{fault:?}"));
        }
        self.broken.iter().take(20).for_each(|rule| println!("  BROKEN: {rule}"));
        if !self.are_alike() {
            self.digests.1.iter().enumerate().for_each(|(at, digest)| println!("  NOT ALIKE: node{at} {digest}"));
        }
        self.legible.iter().for_each(|file| println!("  LEGIBLE: {file}"));
        self.secrets.not_linearizable.iter().for_each(|number| println!("  NO ORDER: secret {number}"));
        let path = workspace::root().join("target/chaos.json");
        let json = serde_json::to_vec_pretty(self).tried("writing the report as JSON")?;
        fs::write(&path, json).tried(format_args!("writing {}", path.display()))?;
        println!("\n  {}", path.display());
        Ok(())
    }
}

impl Secrets {
    fn of(histories: &[Vec<Operation>], writes: u64) -> Self {
        let all = || histories.iter().flatten();
        let operations = all().filter(|operation| operation.outcome != Outcome::Unknown).count();
        let without_order = |(_, history): &(usize, &Vec<Operation>)| !linearizable(history);
        Self {
            operations,
            writes,
            unknown: all().count() - operations,
            histories: histories.len(),
            not_linearizable: histories.iter().enumerate().filter(without_order).map(|(number, _)| number).collect(),
        }
    }
}

impl Gaps {
    fn of(fault: Fault, inflicted: &Inflicted, acknowledged: &[Instant]) -> Option<Self> {
        let gaps = inflicted.gaps_ms(fault, acknowledged);
        let at = |share: f64| gaps.get(((gaps.len() as f64 * share) as usize).min(gaps.len() - 1)).copied();
        (!gaps.is_empty()).then_some(())?;
        Some(Self { times: gaps.len(), p50: at(0.5)?, p99: at(0.99)?, max: at(1.0)? })
    }
}

/// Files of the nodes in which these bytes can be read.
fn legible(cluster: &Cluster, canary: &[u8]) -> Vec<String> {
    let holds = |bytes: Vec<u8>| bytes.windows(canary.len()).any(|window| window == canary);
    let files = cluster.files().into_iter();
    // One that cannot be read may hold anything; one that is gone by now holds nothing.
    let legible = |file: &PathBuf| fs::read(file).map_or_else(|e| e.kind() != ErrorKind::NotFound, holds);
    files.filter(legible).map(|file| file.display().to_string()).collect()
}
