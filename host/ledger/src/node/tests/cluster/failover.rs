//! How long writes are interrupted when leadership moves.

use super::*;

/// Writes on and on, going to whoever leads; the longest time between two acknowledged.
async fn longest_gap(cluster: &Cluster, until: impl AsyncFn()) -> Duration {
    let mut done = std::pin::pin!(until());
    let (mut longest, mut last, mut count) = (Duration::ZERO, Instant::now(), 0);
    loop {
        let writing = async {
            for (_, ledger) in cluster.alive() {
                let attempt = tokio::time::timeout(Duration::from_millis(200), ledger.propose(put("gap", "x"))).await;
                if matches!(attempt, Ok(Ok(_))) {
                    return true;
                }
            }
            sleep(Duration::from_millis(2)).await;
            false
        };
        tokio::select! {
            biased;
            wrote = writing => if wrote {
                longest = longest.max(last.elapsed());
                (last, count) = (Instant::now(), count + 1);
            },
            () = &mut done => break,
        }
        if futures::poll!(&mut done).is_ready() && last.elapsed() < Duration::from_millis(50) {
            break;
        }
    }
    assert!(count > 10, "{count} writes are no measure");
    // Also where nobody leads any more.
    longest.max(last.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_is_replaced_within_three_seconds() {
    let mut gaps = Vec::new();
    for round in 0..3 {
        let mut cluster = Cluster::of(3, 20 + round).await;
        let leader = cluster.leader().await;
        let gap = longest_gap(&cluster, async || {
            sleep(Duration::from_millis(300)).await;
            cluster.net.isolate(number(leader), &cluster.numbers());
            sleep(Duration::from_secs(4)).await;
        })
        .await;
        gaps.push(gap);
        cluster.net.heal();
        cluster.agree().await;
        cluster.shutdown().await;
    }
    println!("gaps after a leader was cut off: {gaps:?}");
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(3)), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_can_write_no_more_is_replaced() {
    let mut cluster = Cluster::of(3, 40).await;
    let leader = cluster.leader().await;
    let gap = longest_gap(&cluster, async || {
        let what = "found beside the work, by nobody who tells Raft".to_owned();
        cluster.ledger(leader).health.fail(LedgerError::Damaged { what });
        sleep(Duration::from_secs(4)).await;
    })
    .await;
    assert!(!cluster.ledger(leader).standing().leader);
    assert!(gap < Duration::from_secs(3), "{gap:?}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stepping_down_interrupts_writes_for_a_moment_only() {
    let mut cluster = Cluster::of(3, 30).await;
    let mut gaps = Vec::new();
    for _ in 0..4 {
        let leader = cluster.leader().await;
        let gap = longest_gap(&cluster, async || {
            sleep(Duration::from_millis(200)).await;
            cluster.ledger(leader).step_down(None).await.unwrap();
            sleep(Duration::from_millis(600)).await;
        })
        .await;
        assert!(!cluster.ledger(leader).standing().leader);
        gaps.push(gap);
    }
    println!("gaps when a leader stepped down: {gaps:?}");
    gaps.sort();
    // Half of them: other tests use this machine's disk as well.
    assert!(gaps[1] < Duration::from_millis(300), "{gaps:?}");
    cluster.agree().await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_to_whom_it_is_handed() {
    let mut cluster = Cluster::of(3, 31).await;
    for _ in 0..3 {
        let leader = cluster.leader().await;
        let heir = (leader + 1) % 3;
        cluster.ledger(leader).step_down(Some(&name(heir))).await.unwrap();
        cluster.until("the heir leads", || cluster.ledger(heir).standing().leader).await;
        cluster.put("a", "b").await;
    }
    let leader = cluster.leader().await;
    assert!(cluster.ledger(leader).step_down(Some("nobody")).await.is_err());
    assert!(cluster.ledger(leader).step_down(Some(&name(leader))).await.is_err());
    assert!(cluster.ledger((leader + 1) % 3).step_down(None).await.is_err(), "it has nothing to hand over");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_does_not_disturb_the_others() {
    let mut cluster = Cluster::of(3, 32).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.net.isolate(number(follower), &cluster.numbers());
    let term = cluster.ledger(leader).standing().term;
    sleep(Duration::from_secs(3)).await;
    cluster.put("a", "b").await;
    cluster.net.heal();
    cluster.agree().await;
    assert_eq!(cluster.ledger(leader).standing().term, term, "it asked before it stood for election");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_was_down_as_a_whole_comes_back_with_everything() {
    let mut cluster = Cluster::of(3, 33).await;
    for n in 0..50 {
        cluster.put(&format!("key/{n}"), &n.to_string()).await;
    }
    cluster.shutdown().await;
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.agree().await;
    for (_, ledger) in cluster.alive() {
        for n in 0..50 {
            assert_eq!(read(ledger, &format!("key/{n}")), Some(n.to_string()));
        }
    }
    cluster.shutdown().await;
}
