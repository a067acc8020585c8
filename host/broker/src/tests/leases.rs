//! Many leases at once, and the tokens of logins: ended by prefix, by force, by a move.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::bench::Bench;
use super::kit::{Kit, ROOT, request};
use super::plugin::Manner;
use crate::book::space;

async fn with_leases(count: usize) -> Kit {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit.leases("a/", count).await;
    kit
}

#[tokio::test]
async fn any_number_of_leases_falls_due_by_prefix() {
    let kit = with_leases(3_000).await;
    kit.mount("b/").await;
    let other = kit.lease("b/", ROOT).await;
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-prefix/a", ROOT, Value::Null).await.failed, None);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 3_000);
    assert_eq!(kit.plugin.calls("b/"), []);
    let looked_up = kit.ask(Verb::Write, "sys/leases/lookup", ROOT, json!({ "lease_id": other })).await;
    assert_eq!(looked_up.failed, None);
    assert_eq!(kit.count_named(space::LEASES), 1);
    assert_eq!(kit.count(space::DUE), 1);
}

#[tokio::test]
async fn any_number_of_leases_is_forgotten_by_force() {
    let kit = with_leases(3_000).await;
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-force/a", ROOT, Value::Null).await.failed, None);
    kit.is_clean();
    assert_eq!(kit.plugin.calls("a/"), []);
}

#[tokio::test]
async fn leases_that_a_dead_node_began_to_end_are_ended() {
    for changes in [1, 2] {
        let kit = with_leases(3_000).await;
        kit.dies_after(changes);
        assert!(kit.ask(Verb::Write, "sys/leases/revoke-prefix/a", ROOT, Value::Null).await.failed.is_some());
        let kit = kit.restarted(true).await;
        kit.settle().await;
        assert_eq!(kit.plugin.calls("a/").len(), 3_000);
        kit.is_clean();
    }
}

#[tokio::test]
async fn a_move_ends_any_number_of_leases() {
    let kit = with_leases(1_200).await;
    let moved = kit.ask(Verb::Write, "sys/remount", ROOT, json!({ "from": "a", "to": "b" })).await;
    assert_eq!(moved.failed, None);
    kit.mount("a/").await;
    kit.lease("a/", ROOT).await;
    kit.settle().await;
    assert_eq!(kit.plugin.calls("b/").len(), 1_200);
    assert_eq!(kit.count_named(space::LEASES), 1);
}

#[tokio::test]
async fn no_more_than_the_last_hundred_moves_of_a_day_are_told_of() {
    let kit = with_leases(0).await;
    let before = kit.count(space::HOST);
    let (mut from, mut to) = ("a", "b");
    let mut ids = Vec::new();
    for _ in 0..105 {
        let moved = kit.ask(Verb::Write, "sys/remount", ROOT, json!({ "from": from, "to": to })).await;
        ids.push(moved.data()["migration_id"].as_str().expect("a move has an id").to_owned());
        (from, to) = (to, from);
        kit.clock.advance_secs(1);
    }
    assert_eq!(kit.count(space::HOST), before + 100);
    let status = |id: &str| format!("sys/remount/status/{id}");
    assert!(kit.ask(Verb::Read, &status(&ids[4]), ROOT, Value::Null).await.failed.is_some());
    let told = kit.ask(Verb::Read, &status(&ids[104]), ROOT, Value::Null).await.data();
    let info = json!({ "source_mount": "a/", "target_mount": "b/", "status": "success" });
    assert_eq!(told["migration_info"], info);
    kit.clock.advance_secs(86_401);
    kit.ask(Verb::Write, "sys/remount", ROOT, json!({ "from": "b", "to": "a" })).await;
    assert_eq!(kit.count(space::HOST), before + 1);
}

#[tokio::test]
async fn leases_that_cannot_be_revoked_are_counted_among_many() {
    let kit = with_leases(2_500).await;
    kit.mount("b/").await;
    kit.plugin.behave("b/", Manner::Refuses);
    let id = kit.lease("b/", ROOT).await;
    kit.ask(Verb::Write, "sys/leases/revoke", ROOT, json!({ "lease_id": id })).await;
    // The waits up to the sixth attempt: 10 s, doubled each time.
    for wait_secs in [0, 10, 20, 40, 80, 160] {
        kit.clock.advance_secs(wait_secs);
        kit.settle().await;
    }
    let count = kit.node.handle(request(Verb::Read, "sys/leases/count", ROOT, &json!({ "type": "irrevocable" })));
    assert!(matches!(count.await.into_reply(), bulkhead_model::reply::Reply::Envelope(_)));
    let told = kit.ask(Verb::Read, "sys/leases", ROOT, json!({ "type": "irrevocable" })).await.data();
    assert_eq!(told["lease_count"], 1);
    assert_eq!(told["leases"][0]["lease_id"], id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_holder_keeps_a_token_from_its_end_by_renewing_it() {
    let bench = Arc::new(Bench::new().await);
    let mut holders = Vec::new();
    for number in 0..40 {
        let token = bench.login(&format!("n{number}")).await.token();
        let bench = Arc::clone(&bench);
        holders.push(tokio::spawn(async move {
            while bench.write("auth/token/renew-self", &token, json!({})).await.status != 403 {
                tokio::task::yield_now().await;
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let ended = bench.write("sys/leases/revoke-prefix/auth", ROOT, Value::Null);
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it comes to an end");
    assert_eq!(ended.status, 204, "{:?}", ended.errors);
    for holder in holders {
        tokio::time::timeout(Duration::from_secs(30), holder).await.expect("its token ends").expect("no panic");
    }
    assert_eq!(bench.read("auth/token/lookup-self", ROOT).await.status, 200);
}

#[tokio::test]
async fn a_login_in_capitals_ends_by_the_name_it_is_for() {
    let bench = Bench::new().await;
    let (shouted, other) = (bench.login("ANN").await.token(), bench.login("anna").await.token());
    assert_eq!(bench.write("sys/leases/revoke-prefix/auth/fake/login/Ann", ROOT, Value::Null).await.status, 204);
    assert_eq!(bench.read("auth/token/lookup-self", &shouted).await.status, 403);
    assert_eq!(bench.read("auth/token/lookup-self", &other).await.status, 200);
}
