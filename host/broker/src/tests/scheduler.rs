//! What the scheduler does with what is due: when it tries again, whom it lets wait, and
//! what it must never lose.

use std::time::Duration;

use bulkhead_model::request::Verb;
use serde_json::Value;

use super::kit::{Kit, ROOT};
use super::plugin::Manner;
use crate::book::{leases, space};
use crate::step::expire;

/// A lease of an hour, as the kit grants it.
const LEASE_SECS: u64 = 3_600;

async fn with_mounts(paths: &[&str]) -> Kit {
    let kit = Kit::new().await;
    for path in paths {
        kit.mount(path).await;
    }
    kit
}

/// Lets the scheduler run as it does in a node, until this holds.
async fn run_until(kit: &Kit, holds: impl Fn() -> bool) {
    let running = tokio::spawn(expire::run(kit.open()));
    // It looks again once a second at the latest: turns alone may be over before that.
    let ends = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() && tokio::time::Instant::now() < ends {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(holds(), "the scheduler never got there");
}

#[tokio::test]
async fn a_lease_is_revoked_when_its_time_is_over_and_not_before() {
    let kit = with_mounts(&["a/"]).await;
    let id = kit.lease("a/", ROOT).await;
    kit.clock.advance_secs(LEASE_SECS - 1);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/"), []);
    kit.clock.advance_secs(1);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/")[0].about, id);
    kit.is_clean();
}

#[tokio::test]
async fn a_refused_lease_is_tried_again_after_ten_seconds_doubled_each_time_up_to_a_day() {
    let kit = with_mounts(&["a/"]).await;
    kit.plugin.behave("a/", Manner::Refuses);
    kit.lease("a/", ROOT).await;
    kit.clock.advance_secs(LEASE_SECS);
    kit.settle().await;
    for (failures, wait_secs) in (1..20).zip((0..).map(|n| (10_u64 << n).min(86_400))) {
        assert_eq!(kit.plugin.calls("a/").len(), failures);
        kit.clock.advance_secs(wait_secs - 1);
        kit.settle().await;
        assert_eq!(kit.plugin.calls("a/").len(), failures, "too early after {failures} failures");
        kit.clock.advance_secs(1);
        kit.settle().await;
    }
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(86_400);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn of_one_mount_no_more_than_four_things_are_ended_at_once() {
    let kit = with_mounts(&["a/", "b/"]).await;
    kit.plugin.behave("a/", Manner::Hangs);
    kit.leases("a/", 1_000).await;
    kit.leases("b/", 100).await;
    kit.clock.advance_secs(LEASE_SECS);
    // However long `a/` takes, and though its leases stand before those of `b/`.
    run_until(&kit, || kit.plugin.calls("b/").len() == 100 && kit.count_named(space::LEASES) == 1_000).await;
    assert_eq!(kit.plugin.calls("a/").len(), 4);
}

#[tokio::test]
async fn without_its_plugin_a_lease_is_kept() {
    let kit = with_mounts(&["a/"]).await;
    kit.lease("a/", ROOT).await;
    let kit = kit.restarted(false).await;
    kit.clock.advance_secs(LEASE_SECS);
    kit.settle().await;
    assert_eq!(kit.count_named(space::LEASES), 1);
    let kit = kit.restarted(true).await;
    kit.clock.advance_secs(10);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 1);
    kit.is_clean();
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_is_set_aside_for_a_day_and_kept() {
    let kit = with_mounts(&["a/"]).await;
    let damaged = kit.lease("a/", ROOT).await;
    kit.lease("a/", ROOT).await;
    kit.write(|tx, _| {
        let key = bulkhead_barrier::Key::leaf(space::LEASES, &damaged).expect("an id is a name");
        tx.put(&key, b"\xff damaged").expect("within limits");
    })
    .await;
    kit.clock.advance_secs(LEASE_SECS);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 1);
    assert_eq!(kit.count_named(space::LEASES), 1);
    let mut tx = kit.open().begin().expect("memory has views");
    let now_ms = kit.open().parts.clock.now_ms();
    assert_eq!(leases::due(&mut tx, now_ms + 86_399_999, 10).expect("readable"), []);
    assert_eq!(leases::due(&mut tx, now_ms + 86_400_000, 10).expect("readable").len(), 1);
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_set_aside_for_a_day() {
    let kit = Kit::new().await;
    kit.children(ROOT, "child", 2).await;
    kit.write(|tx, open| {
        let key = crate::book::opaque(space::TOKENS, &open.salt.hash("child-0"));
        tx.put(&key, b"\xff damaged").expect("within limits");
    })
    .await;
    kit.clock.advance_secs(36_000);
    kit.settle().await;
    assert_eq!(kit.count(space::TOKENS), 2);
    assert_eq!(kit.count(space::DUE), 1);
}

#[tokio::test]
async fn a_job_runs_again_when_it_wants_to_and_when_it_failed() {
    let kit = with_mounts(&["a/"]).await;
    let at_ms = kit.open().parts.clock.now_ms() + 60_000;
    kit.plugin.behave("a/", Manner::Again(at_ms));
    assert_eq!(kit.ask(Verb::Read, "a/job/one", ROOT, Value::Null).await.failed, None);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 1);
    kit.clock.advance_secs(59);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 1);
    kit.plugin.behave("a/", Manner::Refuses);
    kit.clock.advance_secs(1);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 2);
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(10);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 3);
    assert_eq!(kit.count(space::JOBS), 0);
    kit.is_clean();
}

#[tokio::test]
async fn a_job_that_a_dead_node_began_runs_on_the_next() {
    let kit = with_mounts(&["a/"]).await;
    assert_eq!(kit.ask(Verb::Read, "a/job/one", ROOT, Value::Null).await.failed, None);
    kit.dies_after(0);
    run_until(&kit, || kit.plugin.calls("a/").len() == 1).await;
    let kit = kit.restarted(true).await;
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 2);
    kit.is_clean();
}

#[tokio::test]
async fn a_large_tree_does_not_keep_other_tokens_from_their_end() {
    let kit = Kit::new().await;
    kit.write(|tx, open| {
        super::kit::put_token(tx, open, "top", None);
    })
    .await;
    kit.clock.advance_secs(1);
    kit.write(|tx, open| {
        super::kit::put_token(tx, open, "other", None);
    })
    .await;
    kit.clock.advance_secs(3_600);
    kit.children("top", "child", 20_000).await;
    kit.clock.advance_secs(36_000 - 3_600);
    let open = kit.open();
    let is_there = || {
        let mut tx = open.begin().expect("memory has views");
        crate::book::tokens::get(&mut tx, &open.salt.hash("other")).expect("readable").is_some()
    };
    run_until(&kit, || !is_there()).await;
    assert!(kit.count(space::TOKENS) > 1_000, "the tree must still be on its way");
}
