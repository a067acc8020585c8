//! What is done to the cluster: each fault is given time to hurt, and heals.

use super::*;

/// A way to break it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Its process ends, without a word to the others.
    LeaderDies,
    LeaderCutOff,
    /// A node hears nobody, or nobody hears it.
    OneDirection,
    /// The leader is cut off and heard again, a few times.
    Flapping,
    StepDown,
    /// A member loses its vote, and gets it back.
    Demoted,
    PowerOfLeader,
    /// … of any one node.
    PowerOfOne,
    PowerOfAll,
}

/// Those of a run that is broken in every way. Some count twice.
const ALL: [Fault; 10] = [
    Fault::LeaderDies,
    Fault::LeaderDies,
    Fault::LeaderCutOff,
    Fault::OneDirection,
    Fault::Flapping,
    Fault::StepDown,
    Fault::Demoted,
    Fault::PowerOfLeader,
    Fault::PowerOfOne,
    Fault::PowerOfAll,
];

impl Fault {
    /// So many, as the seed has it.
    pub(super) fn some(seed: u64, count: usize) -> Vec<Self> {
        let mut dice = Dice::new(seed ^ 0xfa17);
        (0..count).map(|_| ALL[dice.below(ALL.len() as u64) as usize]).collect()
    }

    pub(super) async fn inflict(self, cluster: &mut Cluster, stage: &Stage, dice: &mut Dice) {
        let leader = cluster.leader().await;
        let nodes = cluster.ledgers.len();
        let victim = dice.below(nodes as u64) as usize;
        match self {
            Self::LeaderDies => {
                stage.nodes.lock()[leader] = None;
                cluster.kill(leader).await;
                sleep(Duration::from_millis(200 + dice.below(1200))).await;
                cluster.start(leader).await;
                stage.nodes.lock()[leader] = cluster.ledgers[leader].clone();
            }
            Self::LeaderCutOff => {
                cluster.net.isolate(number(leader), &cluster.numbers());
                sleep(Duration::from_millis(500 + dice.below(1500))).await;
            }
            Self::OneDirection => {
                let mute = dice.below(2) == 0;
                for other in cluster.numbers().into_iter().filter(|other| *other != number(victim)) {
                    let (from, to) = if mute { (number(victim), other) } else { (other, number(victim)) };
                    cluster.net.cut(from, to);
                }
                sleep(Duration::from_millis(500 + dice.below(1500))).await;
            }
            Self::Flapping => flap(cluster, leader, dice).await,
            Self::StepDown => drop(cluster.ledger(leader).step_down(None).await),
            Self::Demoted => demote(cluster, leader, dice).await,
            Self::PowerOfLeader => power(cluster, stage, &[leader], dice).await,
            Self::PowerOfOne => power(cluster, stage, &[victim], dice).await,
            Self::PowerOfAll => power(cluster, stage, &(0..nodes).collect::<Vec<_>>(), dice).await,
        }
        cluster.net.heal();
    }
}

async fn flap(cluster: &Cluster, node: usize, dice: &mut Dice) {
    for _ in 0..4 {
        cluster.net.isolate(number(node), &cluster.numbers());
        sleep(Duration::from_millis(100 + dice.below(250))).await;
        cluster.net.heal();
        sleep(Duration::from_millis(50 + dice.below(150))).await;
    }
}

async fn demote(cluster: &Cluster, leader: usize, dice: &mut Dice) {
    let nodes = cluster.ledgers.len() as u64;
    let other = name((leader + 1 + dice.below(nodes - 1) as usize) % nodes as usize);
    if cluster.ledger(leader).demote(&other).await.is_err() {
        return;
    }
    sleep(Duration::from_millis(dice.below(300))).await;
    for _ in 0..100 {
        let leader = cluster.leader().await;
        if cluster.ledger(leader).promote(&other).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Cuts the power of these, all at once, and gives it back.
async fn power(cluster: &mut Cluster, stage: &Stage, nodes: &[usize], dice: &mut Dice) {
    for node in nodes {
        stage.nodes.lock()[*node] = None;
        cluster.disks[*node].lose_power();
    }
    for node in nodes {
        cluster.cut_power(*node, || dice.below(2) == 0).await;
    }
    sleep(Duration::from_millis(dice.below(1000))).await;
    for node in nodes {
        cluster.start(*node).await;
        stage.nodes.lock()[*node] = cluster.ledgers[*node].clone();
    }
}
