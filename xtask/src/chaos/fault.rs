//! What is done to the cluster, one thing at a time.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::chance::Chance;
use super::load::Load;
use super::plugins;
use crate::cluster::Cluster;
use crate::cluster::shim::Knob;
use crate::shell::Done;

/// A way to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// SIGKILL to the node that leads.
    KillLeader,
    /// SIGKILL to one that does not.
    KillFollower,
    /// SIGKILL to all nodes.
    KillAll,
    /// It comes back as if no time had passed, and may still think that it leads.
    PauseLeader,
    /// The same of one that does not lead.
    PauseFollower,
    /// The leader and the others do not hear each other.
    CutOffLeader,
    /// The same of one that does not lead.
    CutOffFollower,
    /// The leader is heard, but hears nobody.
    LeaderDeaf,
    /// The leader hears, but is not heard.
    LeaderMute,
    /// One direction between two nodes.
    OneWay,
    /// A node is cut off and heard again every 200 ms.
    Flapping,
    /// `sys/step-down`.
    StepDown,
    /// `sys/seal`.
    SealLeader,
    /// Each in turn, by SIGTERM, as in an upgrade.
    RollingRestart,
    /// A follower loses its disk and joins anew.
    WipedFollower,
    /// One is taken out of the cluster by the operator, and joins anew.
    RemovedFollower,
    /// The same of the one that leads.
    RemovedLeader,
    /// One is away until the log no longer has what it lacks.
    LaggingFollower,
    /// One comes back sealed, and without it there is no majority.
    SealedFollower,
    /// The leader's disk has no room for its data.
    FullDiskLeader,
    /// The same of one that does not lead.
    FullDiskFollower,
    /// The leader cannot write its audit log.
    FullAuditLeader,
    /// The same of one that does not lead.
    FullAuditFollower,
    /// Each sync of the leader's disk takes 150 ms longer.
    SlowDisk,
    /// A node's wall clock is an hour off.
    ClockJump,
    /// A plugin crashes at each call, on all nodes.
    CrashLoop,
}

/// How far a clock jumps, in seconds.
const JUMP_SECS: i64 = 3600;

/// How much longer a sync takes on a slow disk, in milliseconds.
const DRAG_MS: i64 = 150;

/// Writes after which the log no longer has what was there before: several times what it keeps.
const WRITES_AWAY: u64 = 900;

/// Longest a node is away for that, or a cluster may take for a few writes.
const WRITES_WITHIN: Duration = Duration::from_secs(15);

/// All of them. Those that need an election come more often.
const ALL: [Fault; 31] = [
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::KillFollower,
    Fault::KillAll,
    Fault::PauseLeader,
    Fault::PauseFollower,
    Fault::CutOffLeader,
    Fault::CutOffLeader,
    Fault::CutOffFollower,
    Fault::LeaderDeaf,
    Fault::LeaderMute,
    Fault::OneWay,
    Fault::Flapping,
    Fault::StepDown,
    Fault::SealLeader,
    Fault::RollingRestart,
    Fault::WipedFollower,
    Fault::RemovedFollower,
    Fault::RemovedLeader,
    Fault::LaggingFollower,
    Fault::SealedFollower,
    Fault::FullDiskLeader,
    Fault::FullDiskFollower,
    Fault::FullAuditLeader,
    Fault::FullAuditFollower,
    Fault::SlowDisk,
    Fault::ClockJump,
    Fault::CrashLoop,
];

impl Fault {
    /// The next one, of these or, if there are none, of all.
    pub(crate) fn any(chance: &mut Chance, only: &[Self]) -> Self {
        chance.among(if only.is_empty() { &ALL } else { only })
    }

    /// Whether nodes that run cannot hear each other.
    pub(crate) fn is_partition(self) -> bool {
        use Fault::{CutOffFollower, CutOffLeader, Flapping, LeaderDeaf, LeaderMute, OneWay};
        matches!(self, CutOffLeader | CutOffFollower | LeaderDeaf | LeaderMute | OneWay | Flapping)
    }

    /// Why it cannot be done here, if it cannot.
    pub(crate) fn obstacle(self, cluster: &Cluster) -> Option<&str> {
        use Fault::{ClockJump, FullAuditFollower, FullAuditLeader, FullDiskFollower, FullDiskLeader, SlowDisk};
        match self {
            FullDiskLeader | FullDiskFollower | FullAuditLeader | FullAuditFollower | SlowDisk | ClockJump => {
                cluster.shim.missing()
            }
            _ => None,
        }
    }

    /// Does it, leaves it so for a while, and mends everything.
    ///
    /// # Errors
    /// The cluster does not recover.
    pub(crate) fn inflict(self, cluster: &mut Cluster, load: &Load, chance: &mut Chance) -> Done {
        let count = cluster.nodes.len();
        let Some(leader) = cluster.leader() else { return cluster.mend() };
        let follower = (leader + 1 + chance.below(count - 1)) % count;
        let others: Vec<usize> = (0..count).filter(|at| *at != leader).collect();
        match self {
            Self::KillLeader => cluster.kill(leader)?,
            Self::KillFollower => cluster.kill(follower)?,
            Self::KillAll => (0..count).try_for_each(|at| cluster.kill(at))?,
            Self::PauseLeader => cluster.pause(leader, true)?,
            Self::PauseFollower => cluster.pause(follower, true)?,
            Self::CutOffLeader => cluster.links.set_around(leader, true),
            Self::CutOffFollower => cluster.links.set_around(follower, true),
            Self::LeaderDeaf => others.iter().for_each(|other| cluster.links.set((*other, leader), true)),
            Self::LeaderMute => others.iter().for_each(|other| cluster.links.set((leader, *other), true)),
            Self::OneWay => cluster.links.set((follower, (follower + 1 + chance.below(count - 1)) % count), true),
            Self::Flapping => return flap(cluster, if chance.below(2) == 0 { leader } else { follower }),
            // It may be asked of one that leads no more: then nothing is done.
            Self::StepDown => drop(cluster.ask(follower, "PUT", "sys/step-down", &Value::Null)),
            Self::SealLeader => drop(cluster.ask(leader, "PUT", "sys/seal", &Value::Null)),
            Self::RollingRestart => return rolling(cluster),
            Self::WipedFollower => {
                cluster.kill(follower)?;
                cluster.wipe(follower)?;
            }
            Self::RemovedFollower => remove(cluster, follower)?,
            Self::RemovedLeader => remove(cluster, leader)?,
            Self::LaggingFollower => {
                cluster.kill(follower)?;
                // On a slow machine it lacks less, which is a fault too.
                load.has_written(WRITES_AWAY, WRITES_WITHIN);
                return cluster.mend();
            }
            Self::SealedFollower => return with_a_sealed_one(cluster, load, (leader, follower)),
            Self::FullDiskLeader => cluster.turn(leader, Knob::DataFull, 1)?,
            Self::FullDiskFollower => cluster.turn(follower, Knob::DataFull, 1)?,
            Self::FullAuditLeader => cluster.turn(leader, Knob::AuditFull, 1)?,
            Self::FullAuditFollower => cluster.turn(follower, Knob::AuditFull, 1)?,
            Self::SlowDisk => cluster.turn(leader, Knob::SyncMs, DRAG_MS)?,
            Self::ClockJump => {
                cluster.turn(chance.below(count), Knob::ClockSecs, chance.among(&[JUMP_SECS, -JUMP_SECS]))?;
            }
            Self::CrashLoop => return plugins::crash_loop(cluster, load),
        }
        thread::sleep(Duration::from_millis(500 + chance.below(2500) as u64));
        cluster.mend()
    }
}

fn flap(cluster: &mut Cluster, node: usize) -> Done {
    for _ in 0..10 {
        for stopped in [true, false] {
            cluster.links.set_around(node, stopped);
            thread::sleep(Duration::from_millis(200));
        }
    }
    cluster.mend()
}

fn rolling(cluster: &mut Cluster) -> Done {
    for at in 0..cluster.nodes.len() {
        cluster.terminate(at)?;
        cluster.mend()?;
    }
    Ok(())
}

/// Whoever leads by now takes it out, and it loses its disk.
fn remove(cluster: &mut Cluster, node: usize) -> Done {
    let body = json!({"server_id": format!("node{node}")});
    cluster.until("a node is removed", |cluster| {
        let others = (0..cluster.nodes.len()).filter(|other| *other != node);
        others.into_iter().any(|other| cluster.ask(other, "PUT", "sys/storage/raft/remove-peer", &body).is_ok())
    })?;
    cluster.kill(node)?;
    cluster.wipe(node)
}

/// A node that was started again holds its copy and votes before anybody gives it shares: with
/// it as the last of a majority, writes go on.
fn with_a_sealed_one(cluster: &mut Cluster, load: &Load, (leader, sealed): (usize, usize)) -> Done {
    cluster.terminate(sealed)?;
    cluster.spawn(sealed)?;
    cluster.until("a node answers", |cluster| cluster.nodes[sealed].health().is_some())?;
    thread::sleep(Duration::from_secs(1));
    let count = cluster.nodes.len();
    let others = (0..count).filter(|other| ![leader, sealed].contains(other));
    others.skip(count / 2 - 1).try_for_each(|other| cluster.kill(other))?;
    if !load.has_written(20, WRITES_WITHIN) {
        load.breaks("a node that is sealed was no part of a majority".to_owned());
    }
    cluster.mend()
}

/// What was done so far, and when.
#[derive(Default)]
pub(crate) struct Inflicted(Vec<(Fault, Instant)>);

impl Inflicted {
    /// Notes one that is about to be done.
    pub(crate) fn note(&mut self, fault: Fault) {
        self.0.push((fault, Instant::now()));
    }

    /// How often each was done.
    pub(crate) fn counts(&self) -> BTreeMap<Fault, u64> {
        let mut counts = BTreeMap::new();
        self.0.iter().for_each(|(fault, _)| *counts.entry(*fault).or_default() += 1);
        counts
    }

    /// How many were done.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn leaders_killed(&self) -> usize {
        self.0.iter().filter(|(fault, _)| matches!(fault, Fault::KillLeader | Fault::KillAll)).count()
    }

    pub(crate) fn partitions(&self) -> usize {
        self.0.iter().filter(|(fault, _)| fault.is_partition()).count()
    }

    /// For each time this was done the longest while without an acknowledged write until the
    /// next fault, in milliseconds, shortest first.
    pub(crate) fn gaps_ms(&self, fault: Fault, acknowledged: &[Instant]) -> Vec<u64> {
        let mut gaps = Vec::new();
        for (at, (_, done)) in self.0.iter().enumerate().filter(|(_, (done, _))| *done == fault) {
            let next = self.0.get(at + 1).map(|(_, next)| *next);
            let first = acknowledged.partition_point(|moment| moment < done).saturating_sub(1);
            let pairs = acknowledged[first..].windows(2).take_while(|pair| next.is_none_or(|next| pair[0] < next));
            let longest = pairs.map(|pair| next.map_or(pair[1], |next| next.min(pair[1])) - pair[0]).max();
            gaps.extend(longest.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX)));
        }
        gaps.sort_unstable();
        gaps
    }
}
