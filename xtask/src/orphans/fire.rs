//! What goes wrong: one thing after the other, and often several at once. Which, when and for how long is by
//! chance, which a seed repeats.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::Scene;
use crate::chaos::chance::Chance;
use crate::cluster::shim::Knob;
use crate::shell::{Done, say};

/// How far a clock goes ahead, in seconds, at least; at most it is three times as much. Why: more than the time
/// after which what did not commit is undone, and less than users live.
const AHEAD_SECS: usize = 300;

/// How often it is told how far it has come.
const TOLD_EACH: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LeaderKilled,
    DatabaseKilled,
    Cut,
    ClockAhead,
}

const FAULTS: [Fault; 4] = [Fault::LeaderKilled, Fault::DatabaseKilled, Fault::Cut, Fault::ClockAhead];

/// What was done to the nodes and the database.
#[derive(Default)]
pub(super) struct Inflicted {
    pub(super) leaders_killed: u32,
    pub(super) databases_killed: u32,
    pub(super) cuts: u32,
    pub(super) clocks_ahead: u32,
    /// Times at which more than one of them held.
    pub(super) overlaps: u32,
}

impl Scene {
    /// Lets things go wrong for as long as somebody asks.
    pub(super) fn inflict(&mut self, chance: &mut Chance) -> Done<Inflicted> {
        let mut inflicted = Inflicted::default();
        let (mut turn, mut told_at) = (chance.below(FAULTS.len()), Instant::now());
        while self.asking.left.load(Ordering::SeqCst) > 0 {
            rest(chance, 200, 800);
            // Each comes in its turn, and by chance some others with it.
            let mut holding = vec![FAULTS[turn % FAULTS.len()]];
            let others = FAULTS.iter().filter(|other| **other != holding[0]);
            let others: Vec<Fault> = others.filter(|_| chance.below(3) == 0).copied().collect();
            holding.extend(others);
            inflicted.overlaps += u32::from(holding.len() > 1);
            for fault in &holding {
                self.begin(*fault, chance, &mut inflicted)?;
                rest(chance, 0, 300);
            }
            while !holding.is_empty() {
                rest(chance, 100, 900);
                self.end(holding.swap_remove(chance.below(holding.len())))?;
            }
            turn += 1;
            if told_at.elapsed() > TOLD_EACH {
                told_at = Instant::now();
                say(self.asking.progress());
            }
        }
        Ok(inflicted)
    }

    fn begin(&mut self, fault: Fault, chance: &mut Chance, inflicted: &mut Inflicted) -> Done {
        match fault {
            Fault::LeaderKilled => {
                if let Some(leader) = self.cluster.leader() {
                    self.cluster.kill(leader)?;
                    inflicted.leaders_killed += 1;
                }
            }
            Fault::DatabaseKilled => {
                self.postgres.kill();
                inflicted.databases_killed += 1;
            }
            Fault::Cut => {
                self.gate.set(false);
                inflicted.cuts += 1;
            }
            Fault::ClockAhead => {
                let (at, secs) = (chance.below(self.cluster.nodes.len()), AHEAD_SECS + chance.below(2 * AHEAD_SECS));
                self.cluster.turn(at, Knob::ClockSecs, i64::try_from(secs).unwrap_or_default())?;
                inflicted.clocks_ahead += 1;
            }
        }
        Ok(())
    }

    fn end(&mut self, fault: Fault) -> Done {
        match fault {
            // This mends clocks too: a node that starts asks for the time.
            Fault::LeaderKilled => self.cluster.mend()?,
            Fault::DatabaseKilled => self.postgres.restart(),
            Fault::Cut => self.gate.set(true),
            Fault::ClockAhead => {
                let all = 0..self.cluster.nodes.len();
                all.into_iter().try_for_each(|at| self.cluster.turn(at, Knob::ClockSecs, 0))?;
            }
        }
        Ok(())
    }
}

fn rest(chance: &mut Chance, least_ms: u64, more_ms: usize) {
    thread::sleep(Duration::from_millis(least_ms + chance.below(more_ms) as u64));
}
