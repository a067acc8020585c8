//! Reads: on any node, never stale, cheap if the client allows it.

use super::super::history::{Event, Op, unexplained};
use super::*;
use crate::peer::wire::Request;
use crate::planted::Bug;
use crate::reads::is_for;

/// Each node shows what was written just before, so often.
async fn every_node_shows_the_newest(nodes: usize, seed: u64, rounds: u32) {
    let mut cluster = Cluster::of(nodes, seed).await;
    for round in 0..rounds {
        let value = round.to_string();
        cluster.put("a", &value).await;
        for (_, ledger) in cluster.alive() {
            assert_eq!(read_now(ledger, "a").await.unwrap(), Some(value.clone()));
        }
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_shows_what_was_acknowledged_before() {
    every_node_shows_the_newest(3, 1, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_share_a_round() {
    let mut cluster = Cluster::of(3, 2).await;
    cluster.net.weather(Weather { delay_us_max: 20_000, ..Weather::default() });
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.put("a", "b").await;
    let began = Instant::now();
    let mut reading = tokio::task::JoinSet::new();
    for _ in 0..2000 {
        let ledger = Arc::clone(cluster.ledger(follower));
        reading.spawn(async move { read_now(&ledger, "a").await.unwrap() });
    }
    let seen = reading.join_all().await;
    assert!(seen.iter().all(|seen| seen.as_deref() == Some("b")));
    // A call for each, in order over one lane, would take 2000 × 10 ms.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_does_not_read_unless_an_old_answer_will_do() {
    let mut cluster = Cluster::of(3, 3).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.put("a", "old").await;
    assert_eq!(read_now(cluster.ledger(follower), "a").await.unwrap().as_deref(), Some("old"));
    cluster.net.isolate(number(follower), &cluster.numbers());
    cluster.put("a", "new").await;
    let cut = cluster.ledger(follower);
    cut.fresh_within(Duration::from_secs(60)).await.unwrap();
    assert_eq!(read(cut, "a").as_deref(), Some("old"), "a minute old is what was asked for");
    assert!(matches!(cut.fresh_within(Duration::ZERO).await, Err(LedgerError::Timeout)));
    assert!(matches!(cut.linearizable().await, Err(LedgerError::Timeout)));
    cluster.net.heal();
    assert_eq!(read_now(cluster.ledger(follower), "a").await.unwrap().as_deref(), Some("new"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_replaced_unawares_does_not_read() {
    let mut cluster = Cluster::of(3, 4).await;
    let old = cluster.leader().await;
    cluster.put("a", "old").await;
    cluster.net.isolate(number(old), &cluster.numbers());
    let new = cluster.leader_other_than(old).await;
    while cluster.ledger(new).propose(put("a", "new")).await.is_err() {
        // It leads as soon as it is elected, and writes once a majority has heard of it.
        sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(cluster.ledger(old).linearizable().await, Err(LedgerError::Timeout)));
    cluster.net.heal();
    assert_eq!(read_now(cluster.ledger(old), "a").await.unwrap().as_deref(), Some("new"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_without_asking_the_leader_is_found_out() {
    let mut cluster = Cluster::of(3, 5).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.ledger(follower).rounds.planted().plant(Bug::StaleReads);
    cluster.put("a", "1").await;
    let cut = cluster.ledger(follower);
    cluster.until("the first write has reached the follower", || read(cut, "a").is_some()).await;
    cluster.net.isolate(number(follower), &cluster.numbers());
    cluster.put("a", "2").await;
    let seen = read_now(cluster.ledger(follower), "a").await.unwrap().map(|text| text.parse().unwrap());
    let event = |op, called| Event { key: 0, op, called, returned: Some(called + 1) };
    let events = [event(Op::Write(1), 1), event(Op::Write(2), 3), event(Op::Read(seen), 5)];
    assert_eq!(unexplained(&events), Some(0), "the history with {seen:?} read last has no explanation");
    cluster.net.heal();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_lead_says_who_does() {
    let mut cluster = Cluster::of(3, 6).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let ledger = cluster.ledger(follower);
    cluster.until("the follower knows", || ledger.leader().is_some_and(|known| !known.api_address.is_empty())).await;
    let Err(LedgerError::NotLeader { leader: Some(known) }) = ledger.propose(put("a", "b")).await else { panic!() };
    assert_eq!(known.id, name(leader));
    assert_eq!(known.api_address, format!("https://{}:8200", name(leader)));
    assert_eq!(known.cluster_address, format!("sim:{leader}"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_can_be_waited_for() {
    let mut cluster = Cluster::of(3, 7).await;
    let leader = cluster.leader().await;
    let Verdict::Committed(index) = cluster.ledger(leader).propose(put("a", "b")).await.unwrap() else { panic!() };
    for (_, ledger) in cluster.alive() {
        ledger.reached(index, Duration::from_secs(5)).await.unwrap();
        assert_eq!(read(ledger, "a").as_deref(), Some("b"));
        let never = ledger.reached(index + 1000, Duration::from_millis(20)).await;
        assert!(matches!(never, Err(LedgerError::Timeout)));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_seconds_whom_its_vote_is_for_and_nobody_else() {
    let mut cluster = Cluster::of(3, 8).await;
    let old = cluster.leader().await;
    let others = [(old + 1) % 3, (old + 2) % 3];
    cluster.put("a", "b").await;
    for other in others {
        let ledger = cluster.ledger(other);
        let question = ledger.rounds.oracle().question(number(old)).await.unwrap();
        assert!(matches!(question, Request::ReadIndexSeconded));
        assert!(is_for(&ledger.raft, number(old)).await.unwrap());
    }
    cluster.net.isolate(number(old), &cluster.numbers());
    let new = cluster.leader_other_than(old).await;
    for other in others {
        let ledger = cluster.ledger(other);
        // It could still be asked: what it says then is not the vote that it gave up.
        assert!(matches!(ledger.rounds.oracle().question(number(old)).await.unwrap(), Request::ReadIndex));
        assert!(is_for(&ledger.raft, number(new)).await.unwrap());
        assert!(!is_for(&ledger.raft, number(old)).await.unwrap());
    }
    cluster.net.heal();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_reads_on_with_one_other_whichever_is_gone() {
    let mut cluster = Cluster::of(3, 9).await;
    let leader = cluster.leader().await;
    cluster.put("a", "b").await;
    for gone in [(leader + 1) % 3, (leader + 2) % 3] {
        cluster.net.isolate(number(gone), &cluster.numbers());
        for _ in 0..20 {
            assert_eq!(read_now(cluster.ledger(leader), "a").await.unwrap().as_deref(), Some("b"));
        }
        cluster.net.heal();
    }
    assert_eq!(cluster.leader().await, leader, "it led all the time");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_read_as_three_do() {
    every_node_shows_the_newest(5, 10, 10).await;
}
