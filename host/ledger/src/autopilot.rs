//! Who is healthy, who is promoted, who is removed: decided from what the leader sees of
//! its members, and nothing else. Nothing is asked or changed here.

use std::time::Duration;

use bulkhead_model::seam::cluster::AutopilotConfig;

/// A member, as the leader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) number: u64,
    pub(crate) leader: bool,
    pub(crate) voter: bool,
    pub(crate) non_voter: bool,
    /// How long ago it answered last; `None`: not since this leader leads.
    pub(crate) last: Option<Duration>,
    /// How long it has been silent: since it answered last, or since this leader leads.
    pub(crate) silent: Duration,
    pub(crate) matched_index: u64,
    pub(crate) behind: u64,
    /// How long it has been healthy; `None`: it is not.
    pub(crate) healthy_for: Option<Duration>,
}

/// A change to the members that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Promote(u64),
    RemoveLearner(u64),
    RemoveVoter(u64),
}

/// Whether a member answers and keeps up.
pub(crate) fn is_healthy(sight: &Sight, config: &AutopilotConfig) -> bool {
    sight.leader
        || (sight.last.is_some_and(|last| last <= config.last_contact_threshold)
            && sight.behind <= config.max_trailing_logs)
}

/// Voters that may fail, of those healthy now, before there is no majority.
pub(crate) fn failure_tolerance(sights: &[Sight]) -> u32 {
    let voters = sights.iter().filter(|sight| sight.voter).count();
    let healthy = sights.iter().filter(|sight| sight.voter && sight.healthy_for.is_some()).count();
    healthy.saturating_sub(voters / 2 + 1) as u32
}

/// Whether a member must be taken for alive: a new leader has not heard everybody yet.
pub(crate) fn is_alive(sight: &Sight, config: &AutopilotConfig) -> bool {
    sight.leader || sight.silent <= config.last_contact_threshold
}

/// The one change that is due first. One at a time: the next is decided on what the
/// cluster is after it.
pub(crate) fn due(sights: &[Sight], config: &AutopilotConfig) -> Option<Step> {
    let stable = |sight: &&Sight| {
        !sight.voter
            && !sight.non_voter
            && sight.healthy_for.is_some_and(|time| time >= config.server_stabilization_time)
    };
    if let Some(ready) = sights.iter().find(stable) {
        return Some(Step::Promote(ready.number));
    }
    if !config.cleanup_dead_servers {
        return None;
    }
    let dead = |sight: &&Sight| !sight.leader && sight.silent > config.dead_server_last_contact_threshold;
    if let Some(learner) = sights.iter().filter(|sight| !sight.voter).find(dead) {
        return Some(Step::RemoveLearner(learner.number));
    }
    let voters = sights.iter().filter(|sight| sight.voter).count();
    let lost: Vec<&Sight> = sights.iter().filter(|sight| sight.voter).filter(dead).collect();
    // Most of them silent says more about this node's network than about theirs.
    let minority = lost.len() * 2 < voters;
    let enough = voters > config.min_quorum as usize;
    lost.first().filter(|_| minority && enough).map(|voter| Step::RemoveVoter(voter.number))
}

#[cfg(test)]
mod tests;
