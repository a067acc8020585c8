//! What the loss of power leaves: a state that is ahead of its log. Put together by hand, from a
//! log of earlier and a state of later.

use super::*;

/// Has a node lose its log since a copy of its disk was made, and start again with its state.
async fn lose_log_since(cluster: &mut Cluster, node: usize, then: Arc<SimDisk>) {
    cluster.kill(node).await;
    cluster.disks[node] = then;
    cluster.start(node).await;
}

/// The others take what this node has, though it is all they get.
async fn leads_on(cluster: &mut Cluster, node: usize) {
    cluster.agree().await;
    let wiped = (node + 1) % 3;
    cluster.kill(wiped).await;
    std::fs::remove_dir_all(cluster.dir.path().join(name(wiped)).join("state")).unwrap();
    cluster.start(wiped).await;
    cluster.agree().await;
    let leader = cluster.leader().await;
    if leader != node {
        cluster.ledger(leader).step_down(Some(&name(node))).await.unwrap();
    }
    cluster.put("led", "by it").await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_log_lost_what_it_had_applied_goes_on_with_its_state() {
    let mut cluster = Cluster::of(3, 1).await;
    // Beyond a snapshot, and what is kept behind it.
    for n in 0..260 {
        cluster.put(&format!("key/{n}"), "before").await;
    }
    let follower = (cluster.leader().await + 1) % 3;
    let then = cluster.disks[follower].copy();
    for n in 0..40 {
        cluster.put(&format!("key/{n}"), "after").await;
    }
    cluster.agree().await;
    lose_log_since(&mut cluster, follower, then).await;
    assert_eq!(read(cluster.ledger(follower), "key/39").as_deref(), Some("after"));
    leads_on(&mut cluster, follower).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_log_has_others_in_the_place_of_what_it_applied_drops_them() {
    let mut cluster = Cluster::of(3, 2).await;
    cluster.put("key", "before").await;
    cluster.agree().await;
    let old = cluster.leader().await;
    cluster.net.isolate(number(old), &cluster.numbers());
    // Its log gets what no other node has.
    let mut lost = tokio::task::JoinSet::new();
    for n in 0..20 {
        let ledger = Arc::clone(cluster.ledger(old));
        lost.spawn(async move { ledger.propose(put("key", &format!("lost {n}"))).await });
    }
    cluster.leader_other_than(old).await;
    let then = cluster.disks[old].copy();
    while cluster.ledger(cluster.leader_other_than(old).await).propose(put("key", "after")).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    cluster.net.heal();
    cluster.agree().await;
    lost.abort_all();
    lose_log_since(&mut cluster, old, then).await;
    assert_eq!(read(cluster.ledger(old), "key").as_deref(), Some("after"));
    leads_on(&mut cluster, old).await;
    cluster.shutdown().await;
}
