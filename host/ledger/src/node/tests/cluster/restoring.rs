//! Restorings that are cut off, given up, or meet another: what is laid apart does not stay, and
//! whoever is refused knows that nothing was changed.

use std::io::Cursor;

use bulkhead_model::seam::cluster::{ClusterError, Restoration, RestoreStep, RestoreSteps};

use super::*;
use crate::codec::restore::{End, Step, encode};
use crate::machine::restore::lies_apart;
use crate::raft::Payload;

/// A restoring of a snapshot of two records, called by this number.
async fn restoring(ledger: &RaftLedger, attempt: u8) -> RestoreSteps {
    let saved = ledger.save_snapshot(&<[u8]>::to_vec).await.unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut { saved.stream }, &mut bytes).unwrap();
    let received = ledger.receive_snapshot(Box::new(Cursor::new(bytes)), 1 << 30, Vec::new()).await.unwrap();
    (received.steps)(Restoration { attempt: [attempt; 16], ..Restoration::default() })
}

fn next(of: &mut RestoreSteps) -> RestoreStep {
    of.steps.next().unwrap().unwrap()
}

async fn is_clear(ledger: &RaftLedger) -> bool {
    !lies_apart(&ledger.moment().await.unwrap().0).unwrap()
}

async fn until_clear(cluster: &Cluster) {
    let began = Instant::now();
    for (node, ledger) in cluster.alive() {
        while !is_clear(ledger).await {
            assert!(began.elapsed() < Duration::from_secs(20), "something lies apart on node {node} still");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_gone_from_every_node() {
    let mut cluster = Cluster::of(3, 80).await;
    cluster.put("here", "then").await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    let mut begun = restoring(ledger, 1).await;
    ledger.restore_step(next(&mut begun)).await.unwrap();
    ledger.restore_step(next(&mut begun)).await.unwrap();
    cluster.put("here", "now").await;
    assert!(!is_clear(ledger).await);
    let RestoreSteps { mut steps, abandon } = begun;
    ledger.restore_step(abandon).await.unwrap();
    cluster.agree().await;
    for (_, ledger) in cluster.alive() {
        assert!(is_clear(ledger).await);
        assert_eq!(read(ledger, "here").as_deref(), Some("now"));
    }
    let late = cluster.ledger(leader).restore_step(steps.next().unwrap().unwrap()).await;
    let Err(ClusterError::Refused { why }) = late else { panic!("{late:?}") };
    assert!(why.contains("nothing was changed"), "{why}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_leader_had_in_hand_is_given_up_by_the_next() {
    let mut cluster = Cluster::of(3, 81).await;
    cluster.put("here", "then").await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    let mut begun = restoring(ledger, 1).await;
    ledger.restore_step(next(&mut begun)).await.unwrap();
    ledger.restore_step(next(&mut begun)).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert!(!is_clear(ledger).await, "whoever has it in hand is not disturbed");
    cluster.kill(leader).await;
    cluster.leader_other_than(leader).await;
    cluster.start(leader).await;
    until_clear(&cluster).await;
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_restorings_one_is_refused_and_says_so() {
    let mut cluster = Cluster::of(3, 82).await;
    cluster.put("here", "then").await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    let (mut first, mut second) = (restoring(ledger, 1).await, restoring(ledger, 2).await);
    cluster.put("here", "now").await;
    ledger.restore_step(next(&mut first)).await.unwrap();
    let refused = ledger.restore_step(next(&mut second)).await;
    let Err(ClusterError::Busy { why }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("another snapshot is being restored"), "{why}");
    assert!(matches!(ledger.restore_step(second.abandon).await, Err(ClusterError::Busy { .. })));
    for step in first.steps {
        ledger.restore_step(step.unwrap()).await.unwrap();
    }
    assert_eq!(read(ledger, "here").as_deref(), Some("then"));
    let mut third = restoring(ledger, 3).await;
    ledger.restore_step(next(&mut third)).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restoring_that_another_took_the_place_of_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::of(1, 83).await;
    cluster.put("here", "then").await;
    let ledger = cluster.ledger(0);
    let mut first = restoring(ledger, 1).await;
    cluster.put("here", "now").await;
    ledger.restore_step(next(&mut first)).await.unwrap();
    ledger.write(Payload(encode(&Step::Begin { id: [2; 16] }))).await.unwrap();
    let mut refused = Vec::new();
    for step in first.steps {
        refused.push(ledger.restore_step(step.unwrap()).await);
    }
    assert!(refused.iter().all(|told| matches!(told, Err(ClusterError::Refused { .. }))), "{refused:?}");
    assert_eq!(read(ledger, "here").as_deref(), Some("now"));
    until_clear(&cluster).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_lacks_records_or_finds_more_members_is_refused_for_certain() {
    let mut cluster = Cluster::of(2, 84).await;
    cluster.put("here", "now").await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    let ends = [(true, 0, "another node has joined"), (false, 7, "not all records")];
    for (alone, records, why_refused) in ends {
        let id = [records as u8; 16];
        let begin = RestoreStep { bytes: encode(&Step::Begin { id }).into(), is_last: false };
        ledger.restore_step(begin).await.unwrap();
        let end = encode(&Step::End(End { id, records, keep: Vec::new(), put: Vec::new(), alone }));
        let refused = ledger.restore_step(RestoreStep { bytes: end.into(), is_last: true }).await;
        let Err(ClusterError::Refused { why }) = refused else { panic!("{refused:?}") };
        assert!(why.contains(why_refused) && why.contains("nothing was changed"), "{why}");
        assert_eq!(read(ledger, "here").as_deref(), Some("now"));
    }
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_from_before_a_restoring_had_a_beginning_has_the_effect_it_had() {
    let mut cluster = Cluster::of(3, 85).await;
    cluster.put("here", "now").await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    let write = async |bytes: Vec<u8>| ledger.write(Payload(bytes.into())).await;
    // The first byte, the kind, the name; then the records, or how many.
    let laid = |id: u8, key: &[u8; 3]| [&[2, 0][..], &[id; 16], &[1, 3], key, &[5], b"value"].concat();
    let end = |id: u8, records: u8, rest: &[u8]| [&[2, 1][..], &[id; 16], &[records], rest].concat();
    write(laid(7, b"old")).await.unwrap();
    assert_eq!(read(ledger, "old"), None);
    assert!(write(end(7, 2, &[])).await.is_err(), "one of two is there");
    assert_eq!(read(ledger, "here").as_deref(), Some("now"));
    write(end(7, 1, &[1, 4, b'h', b'e', b'r', b'e'])).await.unwrap();
    assert_eq!([read(ledger, "old").as_deref(), read(ledger, "here").as_deref()], [Some("value"), Some("now")]);
    write(laid(8, b"two")).await.unwrap();
    write(end(8, 1, &[])).await.unwrap();
    assert_eq!([read(ledger, "two").as_deref(), read(ledger, "here").as_deref()], [Some("value"), None]);
    cluster.agree().await;
    // What was left of one goes when another begins, and that one as it ends.
    let ledger = cluster.ledger(leader);
    ledger.write(Payload(laid(9, b"lay").into())).await.unwrap();
    let mut begun = restoring(ledger, 1).await;
    ledger.restore_step(next(&mut begun)).await.unwrap();
    let apart = crate::machine::state::records_and_apart(&ledger.moment().await.unwrap().0).count();
    assert_eq!(apart, crate::machine::state::records(&ledger.moment().await.unwrap().0).count() + 1);
    for step in begun.steps {
        ledger.restore_step(step.unwrap()).await.unwrap();
    }
    assert!(is_clear(ledger).await);
    cluster.agree().await;
    cluster.shutdown().await;
}
