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
    // One that was given its id, as a development server's is, was made below auth/token/create.
    assert_eq!(bench.read("auth/token/lookup-self", ROOT).await.status, 403);
}

#[tokio::test]
async fn a_login_in_capitals_ends_by_the_name_it_is_for() {
    let bench = Bench::new().await;
    let (shouted, other) = (bench.login("ANN").await.token(), bench.login("anna").await.token());
    assert_eq!(bench.write("sys/leases/revoke-prefix/auth/fake/login/Ann", ROOT, Value::Null).await.status, 204);
    assert_eq!(bench.read("auth/token/lookup-self", &shouted).await.status, 403);
    assert_eq!(bench.read("auth/token/lookup-self", &other).await.status, 200);
}

/// What is told of a lease to who may look it up.
async fn looked_up(kit: &Kit, token: &str, lease: &str) -> Value {
    kit.ask(Verb::Write, "sys/leases/lookup", token, json!({ "lease_id": lease })).await.data()
}

#[tokio::test]
async fn why_a_lease_could_not_be_revoked_is_told_to_operators_until_it_is_gone() {
    let kit = with_leases(0).await;
    let policy = json!({ "policy": r#"path "sys/leases/lookup" { capabilities = ["update"] }"# });
    assert_eq!(kit.ask(Verb::Write, "sys/policies/acl/look", ROOT, policy).await.failed, None);
    let made = kit.ask(Verb::Write, "auth/token/create", ROOT, json!({ "policies": ["look"], "ttl": "20h" })).await;
    let (lease, looker) = (kit.lease("a/", ROOT).await, made.token());
    assert_eq!(looked_up(&kit, ROOT, &lease).await.get("last_error"), None);
    kit.plugin.behave("a/", Manner::Refuses);
    kit.clock.advance_secs(3_600);
    kit.settle().await;
    let told = looked_up(&kit, ROOT, &lease).await;
    assert_eq!(told["failed_revocations"], 1);
    assert_eq!(told["last_error"], "revoking a lease failed: the outside is not there");
    assert_eq!(told["last_error_time"], "1970-01-12T14:46:40Z");
    assert_eq!(told["next_revocation"], "1970-01-12T14:46:50Z");
    // A plugin's words are for who has sudo.
    let told = looked_up(&kit, &looker, &lease).await;
    assert_eq!((&told["failed_revocations"], told.get("last_error")), (&json!(1), None));
    let irrevocable = async || kit.ask(Verb::Read, "sys/leases", ROOT, json!({ "type": "irrevocable" })).await.data();
    assert_eq!(irrevocable().await["lease_count"], 0);
    for _ in 0..5 {
        kit.clock.advance_secs(3_600);
        kit.settle().await;
    }
    let told = irrevocable().await;
    assert_eq!((&told["lease_count"], &told["leases"][0]["lease_id"]), (&json!(1), &json!(lease)));
    let error = told["leases"][0]["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("failed 6 times") && error.ends_with(": the outside is not there"), "{error}");
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(36_000);
    kit.settle().await;
    kit.clock.advance_secs(72_000);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn why_leases_of_a_mount_that_goes_could_not_be_revoked_is_told_as_well() {
    let kit = with_leases(0).await;
    let lease = kit.lease("a/", ROOT).await;
    kit.plugin.behave("a/", Manner::Refuses);
    assert!(kit.ask(Verb::Delete, "sys/mounts/a", ROOT, Value::Null).await.failed.is_some());
    let told = looked_up(&kit, ROOT, &lease).await;
    assert_eq!(told["last_error"], "revoking a lease failed: the outside is not there");
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-force/a", ROOT, Value::Null).await.failed, None);
    assert_eq!(kit.count(space::LEASE_REFUSALS), 0);
}

#[tokio::test]
async fn who_waits_for_the_end_of_a_lease_hears_why_it_failed() {
    let kit = with_leases(0).await;
    let lease = kit.lease("a/", ROOT).await;
    kit.plugin.behave("a/", Manner::Refuses);
    let body = json!({ "lease_id": lease, "sync": true });
    let refused = kit.ask(Verb::Write, "sys/leases/revoke", ROOT, body).await.failed.expect("it cannot be revoked");
    assert_eq!(refused.errors, ["revoking a lease failed: the outside is not there"]);
}

#[tokio::test]
async fn who_waits_for_the_end_of_leases_by_prefix_is_answered_when_they_are_gone_or_stay() {
    let kit = with_leases(700).await;
    kit.mount("b/").await;
    kit.leases("b/", 3).await;
    let ending = tokio::spawn(crate::step::expire::run(kit.open()));
    let count = async |prefix: &str| {
        kit.ask(Verb::Read, "sys/leases/count", ROOT, json!({ "prefix": prefix })).await.data()["lease_count"].clone()
    };
    assert_eq!((count("a").await, count("a/creds").await, count("a/cre").await), (json!(700), json!(700), json!(0)));
    let sync = json!({ "sync": true });
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-prefix/a", ROOT, sync.clone()).await.failed, None);
    assert_eq!((count("a").await, kit.plugin.calls("a/").len()), (json!(0), 700));
    kit.plugin.behave("b/", Manner::Refuses);
    let refused = kit.ask(Verb::Write, "sys/leases/revoke-prefix/b", ROOT, sync).await.failed.expect("they stay");
    assert!(refused.errors[0].starts_with("3 leases could not be revoked, of which \"b/creds/one/"), "{refused:?}");
    assert_eq!(count("b").await, 3);
    ending.abort();
}

#[tokio::test]
async fn leases_that_fall_due_in_later_changes_than_the_first_are_waited_for_as_well() {
    let kit = with_leases(2_000).await;
    let clock = kit.clock.clone();
    let passing = tokio::spawn(async move {
        for _ in 0..20_000 {
            clock.advance_ms(1);
            tokio::task::yield_now().await;
        }
    });
    let ending = tokio::spawn(crate::step::expire::run(kit.open()));
    let sync = json!({ "sync": true });
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-prefix/a", ROOT, sync).await.failed, None);
    assert_eq!((kit.count_named(space::LEASES), kit.plugin.calls("a/").len()), (0, 2_000));
    passing.abort();
    ending.abort();
}

#[tokio::test]
async fn who_waits_for_the_end_of_leases_hears_that_it_goes_on_when_the_time_is_up() {
    let kit = with_leases(3).await;
    let asked = request(Verb::Write, "sys/leases/revoke-prefix/a", ROOT, &json!({ "sync": true }));
    let late = kit.ask_within(Duration::from_secs(2), asked).await.failed.expect("nobody ends them here");
    assert!(late.errors[0].ends_with("and goes on"), "{late:?}");
    kit.settle().await;
    kit.is_clean();
}

// Else a client that renews at once is told of a second that it did not use.
#[tokio::test]
async fn what_is_left_of_a_lease_is_counted_by_the_seconds_of_the_clock() {
    let bench = Bench::new().await;
    assert_eq!(bench.write("sys/mounts/fake/tune", ROOT, json!({ "max_lease_ttl": "100s" })).await.status, 204);
    bench.clock.advance_ms(400);
    let lease = bench.read("fake/lease", ROOT).await.lease;
    for (later_ms, renewed_secs, left_secs) in [(0, 100, 100), (500, 100, 99), (200, 99, 99), (900, 98, 98)] {
        bench.clock.advance_ms(later_ms);
        let renewed = bench.write("sys/leases/renew", ROOT, json!({ "lease_id": lease, "increment": "1h" })).await;
        assert_eq!(renewed.lease_secs, renewed_secs, "{later_ms}");
        let told = bench.write("sys/leases/lookup", ROOT, json!({ "lease_id": lease })).await;
        assert_eq!(told.data["ttl"], left_secs, "{later_ms}: {}", told.data);
    }
}
