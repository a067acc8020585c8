//! Who joins, votes, stops voting and leaves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bulkhead_model::seam::cluster::ClusterError;

use super::*;
use crate::raft::Member;

fn voters(ledger: &RaftLedger) -> Vec<String> {
    ledger.peers().into_iter().filter(|peer| peer.voter).map(|peer| peer.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_listed_with_what_the_leader_knows_of_them() {
    let mut cluster = Cluster::of(3, 40).await;
    let leader = cluster.leader().await;
    let ledger = cluster.ledger(leader);
    cluster.until("all said who they are", || ledger.peers().iter().all(|peer| peer.version == "1.0")).await;
    let peers = ledger.peers();
    assert_eq!(peers.len(), 3);
    for (node, peer) in peers.iter().enumerate() {
        assert_eq!((peer.number, peer.id.as_str()), (number(node), name(node).as_str()));
        assert_eq!(peer.address, format!("sim:{node}"));
        assert_eq!(peer.api_address, format!("https://{}:8200", name(node)));
        assert_eq!(peer.leader, node == leader);
        assert!(peer.voter && peer.contact.unwrap().healthy);
    }
    let state = ledger.autopilot_state().unwrap();
    assert!(state.healthy);
    assert_eq!(state.failure_tolerance, 1);
    let other = cluster.ledger((leader + 1) % 3);
    assert!(other.peers().iter().all(|peer| peer.contact.is_none()));
    assert!(matches!(other.autopilot_state(), Err(ClusterError::Ledger(LedgerError::NotLeader { .. }))));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_demoted_promoted_and_removed_under_load() {
    let mut cluster = Cluster::of(3, 41).await;
    let leader = cluster.leader().await;
    let (other, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let ledger = Arc::clone(cluster.ledger(leader));
    let enough = Arc::new(AtomicBool::new(false));
    let writer = {
        let (ledger, enough) = (Arc::clone(&ledger), Arc::clone(&enough));
        tokio::spawn(async move {
            let mut written = 0;
            while !enough.load(Ordering::Relaxed) {
                let key = format!("load/{written}");
                written += u32::from(ledger.propose(put(&key, &key)).await.is_ok());
            }
            written
        })
    };
    ledger.demote(&name(other)).await.unwrap();
    assert_eq!(voters(&ledger).len(), 2);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(voters(&ledger).len(), 2, "nobody makes it a voter again by itself");
    assert!(ledger.peers()[other].non_voter);
    ledger.promote(&name(other)).await.unwrap();
    assert_eq!(voters(&ledger).len(), 3);
    ledger.remove(&name(third)).await.unwrap();
    assert_eq!(ledger.peers().len(), 2);
    assert!(matches!(ledger.remove("nobody").await, Err(ClusterError::UnknownPeer { .. })));
    ledger.demote(&name(other)).await.unwrap();
    assert!(matches!(ledger.remove(&name(leader)).await, Err(ClusterError::Refused { .. })));
    assert!(matches!(ledger.demote(&name(leader)).await, Err(ClusterError::Refused { .. })));
    ledger.propose(put("still", "here")).await.unwrap();
    // While somebody writes, the nodes do not come to one index.
    enough.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    assert!(written > 20, "{written}");
    cluster.kill(third).await;
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_never_to_vote_gets_a_copy_and_serves_reads() {
    let mut cluster = Cluster::of(3, 42).await;
    cluster.make_room();
    cluster.start(3).await;
    let joining = Joining { non_voter: true, ..cluster.ledger(3).candidate() };
    cluster.join(joining.clone()).await;
    cluster.join(joining).await;
    cluster.put("a", "b").await;
    assert_eq!(read_now(cluster.ledger(3), "a").await.unwrap().as_deref(), Some("b"));
    sleep(Duration::from_millis(300)).await;
    let leader = cluster.leader().await;
    assert_eq!(voters(cluster.ledger(leader)).len(), 3);
    assert_eq!(cluster.ledger(leader).peers().len(), 4);
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_removed_hands_over_first() {
    let mut cluster = Cluster::of(3, 43).await;
    let leader = cluster.leader().await;
    cluster.ledger(leader).remove(&name(leader)).await.unwrap();
    let next = cluster.leader_other_than(leader).await;
    cluster.until("it is gone", || cluster.ledger(next).peers().len() == 2).await;
    cluster.until("it knows that it leads no more", || !cluster.ledger(leader).standing().leader).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_comes_back_as_another_under_its_name() {
    let mut cluster = Cluster::of(3, 44).await;
    for n in 0..20 {
        cluster.put(&format!("key/{n}"), "value").await;
    }
    let leader = cluster.leader().await;
    let wiped = (leader + 1) % 3;
    let alive = Joining { number: 999, ..cluster.ledger(wiped).candidate() };
    assert!(
        matches!(cluster.ledger(leader).join(alive).await, Err(ClusterError::Refused { .. })),
        "its name is taken as long as it answers"
    );
    cluster.kill(wiped).await;
    cluster.wipe(wiped);
    let short = AutopilotConfig { last_contact_threshold: Duration::from_millis(500), ..eager() };
    cluster.ledger(leader).set_autopilot(short);
    sleep(Duration::from_millis(700)).await;
    let config = LedgerConfig { fresh_number: 555, ..cluster.config(wiped) };
    let (net, disk) = (Arc::clone(&cluster.net), Arc::clone(&cluster.disks[wiped]));
    let opened = RaftLedger::open_on(config, disk, |number| Ok(net.link(number))).await.unwrap();
    cluster.ledgers[wiped] = Some(opened);
    cluster.ledger(leader).join(cluster.ledger(wiped).candidate()).await.unwrap();
    let ledger = cluster.ledger(leader);
    cluster
        .until("it votes again", || voters(ledger).len() == 3 && ledger.peers().iter().any(|peer| peer.number == 555))
        .await;
    assert_eq!(ledger.peers().len(), 3);
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_does_not_take_a_namesake_for_silent_whom_it_had_no_time_to_hear() {
    let mut cluster = Cluster::of(3, 46).await;
    let leader = cluster.leader().await;
    let (next, third) = ((leader + 1) % 3, (leader + 2) % 3);
    // Two links are cut: the new leader never hears the third, which is alive all the same.
    cluster.net.cut(number(next), number(third));
    let short = AutopilotConfig { last_contact_threshold: Duration::from_secs(3), ..eager() };
    cluster.ledger(next).set_autopilot(short);
    cluster.ledger(leader).step_down(Some(&name(next))).await.unwrap();
    cluster.until("it leads", || cluster.ledger(next).standing().leader).await;
    let began = Instant::now();
    let contact = |ledger: &RaftLedger| ledger.peers()[third].contact.unwrap();
    assert_eq!(contact(cluster.ledger(next)).last, None, "it was not heard");
    let namesake = Joining { number: 999, ..cluster.ledger(third).candidate() };
    let early = cluster.ledger(next).join(namesake.clone()).await;
    assert!(matches!(early, Err(ClusterError::Refused { .. })), "{early:?}");
    cluster.until("it had time", || contact(cluster.ledger(next)).silent > Duration::from_secs(3)).await;
    assert!(began.elapsed() >= Duration::from_millis(2900), "{:?}", began.elapsed());
    cluster.ledger(next).join(namesake).await.unwrap();
    assert!(cluster.ledger(next).peers().iter().all(|peer| peer.number != number(third)));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_are_cleaned_up_if_that_is_wanted() {
    let mut cluster = Cluster::of(5, 45).await;
    let leader = cluster.leader().await;
    let dead = (leader + 1) % 5;
    cluster.kill(dead).await;
    cluster.ledger(leader).set_autopilot(AutopilotConfig {
        cleanup_dead_servers: true,
        min_quorum: 3,
        dead_server_last_contact_threshold: Duration::from_millis(800),
        last_contact_threshold: Duration::from_millis(500),
        ..eager()
    });
    let ledger = cluster.ledger(leader);
    cluster.until("it is gone", || ledger.peers().len() == 4).await;
    assert!(!voters(ledger).contains(&name(dead)));
    assert_eq!(ledger.autopilot_state().unwrap().failure_tolerance, 1);
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_removed_while_it_is_being_changed_stays_removed() {
    let mut cluster = Cluster::of(3, 47).await;
    let leader = cluster.leader().await;
    let gone = (leader + 1) % 3;
    let ledger = Arc::clone(cluster.ledger(leader));
    let moved = Joining { address: "sim:elsewhere".to_owned(), ..cluster.ledger(gone).candidate() };
    // Another change is being made, so that these wait for their turn.
    let turn = ledger.pilot.turn().await;
    let (joins, demotes) = (Arc::clone(&ledger), Arc::clone(&ledger));
    let joining = tokio::spawn(async move { joins.join(moved).await });
    let demoting = tokio::spawn(async move { demotes.demote(&name(gone)).await });
    sleep(Duration::from_millis(300)).await;
    let without = openraft::ChangeMembers::RemoveVoters([number(gone)].into());
    ledger.raft.change_membership(without, false).await.unwrap();
    drop(turn);
    let (joined, demoted) = (joining.await.unwrap(), demoting.await.unwrap());
    assert!(matches!(joined, Err(ClusterError::Refused { .. })), "{joined:?}");
    assert!(matches!(demoted, Err(ClusterError::UnknownPeer { .. })), "{demoted:?}");
    assert!(ledger.peers().iter().all(|peer| peer.number != number(gone)));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_join_under_one_name_at_once_one_becomes_a_member() {
    let mut cluster = Cluster::of(3, 48).await;
    let ledger = Arc::clone(cluster.ledger(cluster.leader().await));
    let twin = |number| Joining { number, id: "twin".into(), address: format!("sim:{number}"), non_voter: true };
    let (first, second) = tokio::join!(ledger.join(twin(77)), ledger.join(twin(78)));
    assert!(first.is_ok() != second.is_ok(), "{first:?}, {second:?}");
    assert_eq!(ledger.peers().iter().filter(|peer| peer.id == "twin").count(), 1);
    cluster.shutdown().await;
}

/// The first half of a change, as a leader leaves it that dies before the second.
async fn half(ledger: &RaftLedger, voters: [&[u64]; 2]) {
    // So that the one before is whole.
    ledger.propose(put("half", "now")).await.unwrap();
    let members = ledger.pilot.members().into_iter();
    let nodes = members.map(|(number, (member, _))| (number, member)).collect::<BTreeMap<_, _>>();
    let voters = voters.map(|voters| voters.iter().copied().collect()).to_vec();
    let joint = openraft::Membership::new(voters, nodes).unwrap();
    ledger.raft.append_membership(joint, openraft::EntryPayload::Blank, []).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_was_cut_in_half_is_carried_out() {
    let mut cluster = Cluster::of(3, 49).await;
    let ledger = Arc::clone(cluster.ledger(cluster.leader().await));
    let gone = (cluster.leader().await + 1) % 3;
    ledger.set_autopilot(eager());
    let all = cluster.numbers();
    let left: Vec<u64> = all.iter().copied().filter(|other| *other != number(gone)).collect();
    half(&ledger, [&all, &left]).await;
    cluster.until("it is gone", || ledger.peers().len() == 2).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(voters(&ledger).len(), 2, "and it does not come back");
    assert!(ledger.others.removed.contains(number(gone)));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_demotion_was_cut_in_half_stays_a_member() {
    let mut cluster = Cluster::of(3, 50).await;
    let ledger = Arc::clone(cluster.ledger(cluster.leader().await));
    let demoted = number((cluster.leader().await + 1) % 3);
    let all = cluster.numbers();
    let left: Vec<u64> = all.iter().copied().filter(|other| *other != demoted).collect();
    let never = Member { non_voter: true, ..ledger.pilot.members()[&demoted].0.clone() };
    let never = openraft::ChangeMembers::SetNodes([(demoted, never)].into());
    ledger.raft.change_membership(never, true).await.unwrap();
    half(&ledger, [&all, &left]).await;
    let is_whole = || ledger.peers().iter().any(|peer| peer.number == demoted && !peer.voter && peer.non_voter);
    cluster.until("it votes no more", || is_whole() && voters(&ledger).len() == 2).await;
    assert_eq!(ledger.peers().len(), 3);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_demoted_hands_over_first() {
    let mut cluster = Cluster::of(3, 51).await;
    let leader = cluster.leader().await;
    let handed = cluster.ledger(leader).demote(&name(leader)).await;
    assert!(matches!(handed, Err(ClusterError::Ledger(LedgerError::NotLeader { .. }))), "{handed:?}");
    let next = cluster.leader_other_than(leader).await;
    while cluster.ledger(next).demote(&name(leader)).await.is_err() {
        // It leads as soon as it is elected, and writes once a majority has heard of it.
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(voters(cluster.ledger(next)).len(), 2);
    cluster.shutdown().await;
}
