//! Whether what a peer says can be. openraft believes its peers: it takes up any term, and
//! stops over a log or a snapshot that no leader could have.

use super::wire::{Request, Response};
use crate::raft::{AppendRequest, AppendResponse, LogId, SnapshotMeta, Vote};

/// Latest term believed. Source: ours. Why: whoever took up the last there is could never be
/// followed by another leader.
const TERM_MAX: u64 = 1 << 62;

/// Terms that may have gone by unseen. Source: ours. Why: an election a second for half a year,
/// and so few that a member who claims one term after the other does not come to the last before
/// its certificate ends.
const TERMS_MISSED_MAX: u64 = 1 << 24;

/// Last index believed.
const INDEX_MAX: u64 = 1 << 62;

/// Why something is refused.
pub(super) type Doubt = &'static str;

/// The latest term that a node in this one believes; in none, it joins a cluster of any.
pub(super) fn latest_after(term: Option<u64>) -> u64 {
    term.map_or(TERM_MAX, |term| term.saturating_add(TERMS_MISSED_MAX).min(TERM_MAX))
}

/// The vote that a request asserts.
pub(super) fn vote_of(request: &Request) -> Option<&Vote> {
    match request {
        Request::Append(request) => Some(&request.vote),
        Request::Vote(request) | Request::PreVote(request) => Some(&request.vote),
        Request::TransferLeader(request) => Some(request.from_leader()),
        Request::SnapshotEnd { vote, .. } => Some(vote),
        _ => None,
    }
}

/// Whether a request can be one of a node that keeps to the protocol, in the latest term at most.
pub(super) fn request(request: &Request, latest: u64) -> Result<(), Doubt> {
    vote_of(request).map_or(Ok(()), |vote| term(vote, latest))?;
    match request {
        Request::Append(request) => append(request),
        Request::Vote(request) | Request::PreVote(request) => ids(&request.vote, request.last_log_id.iter()),
        Request::TransferLeader(request) => {
            leads(request.from_leader())?;
            ids(request.from_leader(), request.last_log_id().into_iter())
        }
        Request::SnapshotEnd { vote, meta } => snapshot(vote, meta),
        _ => Ok(()),
    }
}

/// Whether an answer can be, to one who asked in the term of `asked`.
pub(super) fn response(response: &Response, asked: Option<u64>) -> Result<(), Doubt> {
    let vote = match response {
        Response::Append(AppendResponse::HigherVote(other)) => other,
        Response::Vote(response) => &response.vote,
        Response::SnapshotInstalled(response) => &response.vote,
        _ => return Ok(()),
    };
    term(vote, latest_after(asked))
}

/// Whether a snapshot fits to what is committed here. It replaces that.
pub(super) fn follows(meta: &SnapshotMeta, committed: Option<LogId>) -> Result<(), Doubt> {
    let (Some(last), Some(committed)) = (meta.last_log_id, committed) else { return Ok(()) };
    if last > committed && last.index <= committed.index {
        return Err("the snapshot contradicts what is committed");
    }
    Ok(())
}

fn term(vote: &Vote, latest: u64) -> Result<(), Doubt> {
    if vote.leader_id.term > latest { Err("its term is too late to be one") } else { Ok(()) }
}

/// The vote of one that says that it leads.
fn leads(asserted: &Vote) -> Result<(), Doubt> {
    if asserted.committed { Ok(()) } else { Err("it was not elected") }
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
