//! What a node can still do that was removed, and what a member cannot that does not keep to
//! the protocol.

use bulkhead_model::seam::cluster::ClusterError;

use super::*;
use crate::peer::wire::{self, Request, Response};
use crate::peer::{Lane, Target};
use crate::raft::{AppendRequest, SnapshotMeta, StoredMembership, Vote, VoteRequest, log_id};
use crate::snapshot::{self, Contents, archive};

impl Cluster {
    /// What a node answers to another, which may say whatever it likes.
    async fn told(&self, from: u64, to: usize, request: &Request) -> Option<Response> {
        let target = Target { number: number(to), address: String::new() };
        let answer = self.net.link(from).call(&target, Lane::Talk, wire::encode(request)).await;
        wire::response(&answer.ok()?)
    }

    async fn refuses(&self, from: u64, to: usize, request: &Request) -> bool {
        matches!(self.told(from, to, request).await, Some(Response::Refused(_)))
    }

    /// Waits until a node does not hear another any more.
    async fn until_deaf(&self, to: usize, from: u64) {
        let began = Instant::now();
        while !self.refuses(from, to, &Request::Greet(wire::About::default())).await {
            assert!(began.elapsed() < Duration::from_secs(20), "node {to} hears {from} still");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn terms(&self) -> Vec<(usize, u64)> {
        self.alive().map(|(node, ledger)| (node, ledger.standing().term)).collect()
    }
}

/// Everything by which a node could take the lead.
fn claims(from: u64, term: u64) -> [Request; 4] {
    let (vote, last) = (Vote::new(term, from), Some(log_id(term, from, 1 << 40)));
    [
        Request::Append(AppendRequest {
            vote: Vote::new_committed(term, from),
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: None,
        }),
        Request::Vote(VoteRequest::new(vote, last)),
        Request::PreVote(VoteRequest::new(vote, last)),
        Request::SnapshotBegin { bytes: 1 },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_is_not_heard_by_any_node_after_restarts_and_snapshots_either() {
    let mut cluster = Cluster::of(4, 70).await;
    let leader = cluster.leader().await;
    let gone = (leader + 1) % 4;
    cluster.ledger(leader).remove(&name(gone)).await.unwrap();
    cluster.kill(gone).await;
    for n in 0..500 {
        cluster.put(&format!("key/{n}"), &"v".repeat(2000)).await;
    }
    // One that comes later hears of it by a snapshot.
    cluster.make_room();
    cluster.start(4).await;
    let leader = cluster.leader().await;
    cluster.ledger(leader).join(cluster.ledger(4).candidate()).await.unwrap();
    cluster.agree().await;
    let restarted = (leader + 2) % 4;
    cluster.kill(restarted).await;
    cluster.start(restarted).await;
    cluster.agree().await;
    let (leader, before) = (cluster.leader().await, cluster.terms());
    for (node, _) in cluster.alive() {
        cluster.until_deaf(node, number(gone)).await;
        for claim in claims(number(gone), 1000) {
            assert!(cluster.refuses(number(gone), node, &claim).await, "node {node}");
        }
    }
    assert_eq!((cluster.leader().await, cluster.terms()), (leader, before));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_node_that_is_started_again_disturbs_nobody_and_its_number_is_not_taken_again() {
    let mut cluster = Cluster::of(4, 71).await;
    let leader = cluster.leader().await;
    let gone = (leader + 1) % 4;
    // It does not hear of it, and thinks that it votes.
    cluster.net.isolate(number(gone), &cluster.numbers());
    cluster.ledger(leader).remove(&name(gone)).await.unwrap();
    cluster.kill(gone).await;
    cluster.put("after", "it").await;
    for (node, _) in cluster.alive() {
        cluster.until_deaf(node, number(gone)).await;
    }
    let (leader, before) = (cluster.leader().await, cluster.terms());
    cluster.start(gone).await;
    sleep(Duration::from_secs(3)).await;
    let after: Vec<_> = cluster.terms().into_iter().filter(|(node, _)| *node != gone).collect();
    assert_eq!((cluster.leader_other_than(gone).await, after), (leader, before));
    assert!(!cluster.ledger(gone).standing().leader);
    assert!(read_now(cluster.ledger(gone), "after").await.is_err(), "nobody tells it how far the cluster is");
    let again = cluster.ledger(leader).join(cluster.ledger(gone).candidate()).await;
    let Err(ClusterError::Refused { why }) = again else { panic!("{again:?}") };
    assert!(why.contains("wipe its data directory"), "{why}");
    cluster.kill(gone).await;
    cluster.wipe(gone);
    let (net, disk) = (Arc::clone(&cluster.net), Arc::clone(&cluster.disks[gone]));
    let config = LedgerConfig { fresh_number: 777, ..cluster.config(gone) };
    let opened = RaftLedger::open_on(config, disk, |number| Ok(net.link(number))).await.unwrap();
    cluster.ledgers[gone] = Some(opened);
    cluster.ledger(leader).join(cluster.ledger(gone).candidate()).await.unwrap();
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_cannot_use_up_the_terms_there_are() {
    let mut cluster = Cluster::of(3, 72).await;
    let (leader, before) = (cluster.leader().await, cluster.terms());
    let bad = number((leader + 1) % 3);
    for term in [1 << 33, 1 << 62, (1 << 62) + 1, u64::MAX] {
        for claim in claims(bad, term).into_iter().take(3) {
            assert!(cluster.refuses(bad, leader, &claim).await, "{term}");
        }
    }
    assert_eq!(cluster.terms(), before);
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_what_was_said_of_it_or_is_refused() {
    let mut cluster = Cluster::of(3, 73).await;
    cluster.put("a", "b").await;
    let leader = cluster.leader().await;
    let (bad, victim) = (number((leader + 1) % 3), (leader + 2) % 3);
    let saved = cluster.ledger(leader).save_snapshot(&<[u8]>::to_vec).await.unwrap();
    let mut bytes = Vec::new();
    archive::unpack(saved.stream, |state| {
        state.read_to_end(&mut bytes).unwrap();
        snapshot::check(&bytes[..], |_, _| ())
    })
    .unwrap();
    let note = Contents::of(&bytes[..]).unwrap().note().clone();
    let last = note.applied.unwrap();
    let later = Some(log_id(last.leader_id.term, last.leader_id.node_id, last.index + 1000));
    let members = |at| StoredMembership::new(at, note.membership.membership().clone());
    let wrong = [
        (later, note.membership.clone()),
        (later, members(later)),
        (note.applied, members(note.applied)),
        (Some(log_id(900, bad, 0)), members(Some(log_id(900, bad, 0)))),
        (None, note.membership.clone()),
    ];
    let before = cluster.terms();
    for (last_log_id, last_membership) in wrong {
        let content = crate::raft::Payload(bytes.clone().into());
        for part in [
            Request::SnapshotBegin { bytes: bytes.len() as u64 },
            Request::SnapshotChunk { offset: 0, crc: crc32c::crc32c(&bytes), content },
        ] {
            assert!(matches!(cluster.told(bad, victim, &part).await, Some(Response::SnapshotTaken)));
        }
        let meta = SnapshotMeta { last_log_id, last_membership };
        let end = Request::SnapshotEnd { vote: Vote::new_committed(1000, bad), meta: meta.clone() };
        assert!(cluster.refuses(bad, victim, &end).await, "{meta:?}");
    }
    assert_eq!(cluster.terms(), before);
    cluster.agree().await;
    cluster.shutdown().await;
}
