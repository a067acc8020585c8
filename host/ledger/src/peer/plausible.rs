//! Whether what a peer says can be. openraft believes its peers: it takes up any term, and
//! stops over a log or a snapshot that no leader could have.

use super::wire::{Request, Response};
use crate::raft::{AppendRequest, AppendResponse, LogId, SnapshotMeta, Vote};

/// Latest term believed. Source: ours. Why: whoever took up the last there is could never be
/// followed by another leader.
const TERM_MAX: u64 = 1 << 62;

/// Last index believed.
const INDEX_MAX: u64 = 1 << 62;

/// Why something is refused.
pub(super) type Doubt = &'static str;

/// Whether a request can be one of a node that keeps to the protocol.
pub(super) fn request(request: &Request) -> Result<(), Doubt> {
    match request {
        Request::Append(request) => append(request),
        Request::Vote(request) | Request::PreVote(request) => {
            vote(&request.vote)?;
            ids(&request.vote, request.last_log_id.iter())
        }
        Request::TransferLeader(request) => {
            leads(request.from_leader())?;
            ids(request.from_leader(), request.last_log_id().into_iter())
        }
        Request::SnapshotEnd { vote, meta } => snapshot(vote, meta),
        _ => Ok(()),
    }
}

/// Whether an answer can be.
pub(super) fn response(response: &Response) -> Result<(), Doubt> {
    match response {
        Response::Append(AppendResponse::HigherVote(other)) => vote(other),
        Response::Vote(response) => vote(&response.vote),
        Response::SnapshotInstalled(response) => vote(&response.vote),
        _ => Ok(()),
    }
}

/// Whether a snapshot fits to what is committed here. It replaces that.
pub(super) fn follows(meta: &SnapshotMeta, committed: Option<LogId>) -> Result<(), Doubt> {
    let (Some(last), Some(committed)) = (meta.last_log_id, committed) else { return Ok(()) };
    if last > committed && last.index <= committed.index {
        return Err("the snapshot contradicts what is committed");
    }
    Ok(())
}

fn vote(vote: &Vote) -> Result<(), Doubt> {
    if vote.leader_id.term > TERM_MAX { Err("its term is later than any") } else { Ok(()) }
}

/// The vote of one that says that it leads.
fn leads(asserted: &Vote) -> Result<(), Doubt> {
    if !asserted.committed {
        return Err("it was not elected");
    }
    vote(asserted)
}

/// Whether entries with these ids can be in the log of who has this vote.
fn ids<'a>(vote: &Vote, mut ids: impl Iterator<Item = &'a LogId>) -> Result<(), Doubt> {
    if ids.all(|id| id.leader_id <= vote.leader_id && id.index <= INDEX_MAX) {
        return Ok(());
    }
    Err("an entry is of a later term than the one who has it")
}

fn append(request: &AppendRequest) -> Result<(), Doubt> {
    leads(&request.vote)?;
    ids(&request.vote, request.prev_log_id.iter().chain(&request.leader_commit))?;
    let mut before = request.prev_log_id;
    for entry in &request.entries {
        let next = before.map_or(0, |id| id.index + 1);
        if entry.log_id.index != next || before.is_some_and(|id| id.leader_id > entry.log_id.leader_id) {
            return Err("its entries do not follow one another");
        }
        before = Some(entry.log_id);
    }
    ids(&request.vote, before.iter())
}

fn snapshot(vote: &Vote, meta: &SnapshotMeta) -> Result<(), Doubt> {
    leads(vote)?;
    let last = meta.last_log_id.ok_or("the snapshot holds nothing")?;
    ids(vote, [&last].into_iter())?;
    let membership = &meta.last_membership;
    if membership.log_id().is_none_or(|id| id > last) || membership.membership().voter_ids().next().is_none() {
        return Err("the snapshot has no members of its own time");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
