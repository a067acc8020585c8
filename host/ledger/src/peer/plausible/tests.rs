use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;

use super::*;
use crate::raft::{Entry, Member, Membership, StoredMembership, VoteRequest, log_id};

const FROM: u64 = 7;

fn append(term: u64, previous: Option<LogId>, entries: &[LogId]) -> AppendRequest {
    let entries = entries.iter().map(|id| Entry { log_id: *id, payload: EntryPayload::Blank }).collect();
    AppendRequest { vote: Vote::new_committed(term, FROM), prev_log_id: previous, entries, leader_commit: None }
}

#[test]
fn entries_of_a_leader_follow_one_another_up_to_its_term() {
    let fine = [
        append(3, None, &[]),
        append(3, None, &[log_id(1, 2, 0), log_id(3, FROM, 1)]),
        append(3, Some(log_id(1, 9, 4)), &[log_id(1, 9, 5), log_id(2, 1, 6)]),
    ];
    assert!(fine.into_iter().all(|request| append_is_fine(&request)));
    let wrong = [
        append(3, None, &[log_id(1, 2, 1)]),
        append(3, Some(log_id(1, 9, 4)), &[log_id(1, 9, 6)]),
        append(3, Some(log_id(2, 9, 4)), &[log_id(1, 9, 5)]),
        append(3, Some(log_id(1, 9, 4)), &[log_id(4, 9, 5)]),
        append(3, Some(log_id(4, 9, 4)), &[]),
        append(3, Some(log_id(3, 9, u64::MAX)), &[]),
        AppendRequest { vote: Vote::new(3, FROM), ..append(3, None, &[]) },
        AppendRequest { leader_commit: Some(log_id(4, 1, 1)), ..append(3, None, &[]) },
    ];
    assert!(wrong.into_iter().all(|request| !append_is_fine(&request)));
}

fn append_is_fine(request: &AppendRequest) -> bool {
    super::append(request).is_ok()
}

#[test]
fn no_term_is_taken_up_that_is_too_far_ahead_in_a_request_or_an_answer() {
    let missed = TERMS_MISSED_MAX;
    for (own, term, expected) in [
        (None, TERM_MAX, true),
        (None, TERM_MAX + 1, false),
        (None, u64::MAX, false),
        (Some(5), 5 + missed, true),
        (Some(5), 6 + missed, false),
        (Some(TERM_MAX - 1), TERM_MAX, true),
        (Some(TERM_MAX - 1), TERM_MAX + 1, false),
    ] {
        let latest = latest_after(own);
        let asked = VoteRequest::new(Vote::new(term, FROM), None);
        assert_eq!(request(&Request::Vote(asked.clone()), latest).is_ok(), expected);
        assert_eq!(request(&Request::PreVote(asked), latest).is_ok(), expected);
        assert_eq!(request(&Request::Append(append(term, None, &[])), latest).is_ok(), expected);
        let told = Response::Append(AppendResponse::HigherVote(Vote::new(term, FROM)));
        assert_eq!(response(&told, own).is_ok(), expected);
    }
}

fn meta(last: Option<LogId>, members_at: Option<LogId>, voters: &[u64]) -> SnapshotMeta {
    let nodes: BTreeMap<u64, Member> = voters.iter().map(|number| (*number, Member::default())).collect();
    let voters: BTreeSet<u64> = voters.iter().copied().collect();
    let membership =
        if voters.is_empty() { Membership::default() } else { Membership::new(vec![voters], nodes).unwrap() };
    SnapshotMeta { last_log_id: last, last_membership: StoredMembership::new(members_at, membership) }
}

#[test]
fn a_snapshot_is_of_its_leaders_time_and_has_members() {
    let vote = Vote::new_committed(3, FROM);
    let last = Some(log_id(3, FROM, 90));
    assert!(snapshot(&vote, &meta(last, Some(log_id(1, 1, 2)), &[1, 2])).is_ok());
    for wrong in [
        meta(None, None, &[1]),
        meta(Some(log_id(4, FROM, 90)), Some(log_id(1, 1, 2)), &[1]),
        meta(last, Some(log_id(3, FROM, 91)), &[1]),
        meta(last, None, &[1]),
        meta(last, Some(log_id(1, 1, 2)), &[]),
    ] {
        assert!(snapshot(&vote, &wrong).is_err(), "{wrong:?}");
    }
    assert!(snapshot(&Vote::new(3, FROM), &meta(last, Some(log_id(1, 1, 2)), &[1])).is_err());
}

#[test]
fn a_snapshot_takes_nothing_back_that_is_committed() {
    let of = |term, index| meta(Some(log_id(term, FROM, index)), None, &[1]);
    let committed = Some(log_id(2, 1, 50));
    assert!(follows(&of(3, 51), committed).is_ok() && follows(&of(3, 1), None).is_ok());
    assert!(follows(&of(1, 10), committed).is_ok(), "an old one is passed over");
    assert!(follows(&of(3, 50), committed).is_err() && follows(&of(3, 10), committed).is_err());
}
