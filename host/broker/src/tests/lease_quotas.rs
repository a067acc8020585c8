//! Quotas of leases: as many as there may be, whoever asks and whatever happens meanwhile.

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Answer, Kit, ROOT};
use super::plugin::Manner;
use crate::step::count;

async fn quota(kit: &Kit, name: &str, path: &str, max: u64) {
    let body = json!({ "path": path, "max_leases": max });
    let answer = kit.ask(Verb::Write, &format!("sys/quotas/lease-count/{name}"), ROOT, body).await;
    assert_eq!(answer.failed, None);
    looked(kit).await;
}

/// What works in the background would have counted by now.
async fn looked(kit: &Kit) {
    count::look(&kit.open()).await.expect("leases can be counted");
}

async fn counter(kit: &Kit, name: &str) -> u64 {
    let answer = kit.ask(Verb::Read, &format!("sys/quotas/lease-count/{name}"), ROOT, Value::Null).await;
    assert_eq!(answer.failed, None);
    answer.data()["counter"].as_u64().expect("a quota tells how many there are")
}

async fn creds(kit: &Kit, mount: &str) -> Answer {
    kit.ask(Verb::Read, &format!("{mount}creds/one"), ROOT, Value::Null).await
}

fn is_full(answer: &Answer, path: &str) {
    let failure = answer.failed.as_ref().expect("it is refused");
    assert_eq!(failure.kind, FailureKind::Limited);
    assert_eq!(failure.errors, [format!("request path {path:?}: lease count quota exceeded")]);
}

async fn token(kit: &Kit, body: Value) -> Answer {
    kit.ask(Verb::Write, "auth/token/create", ROOT, body).await
}

#[tokio::test]
async fn leases_of_a_mount_are_given_until_there_are_so_many_and_again_when_one_has_ended() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit.mount("b/").await;
    quota(&kit, "q", "a", 2).await;
    let first = kit.lease("a/", ROOT).await;
    kit.lease("a/", ROOT).await;
    is_full(&creds(&kit, "a/").await, "a/creds/one");
    kit.lease("b/", ROOT).await;
    assert_eq!(counter(&kit, "q").await, 2);
    let revoked = kit.ask(Verb::Write, "sys/leases/revoke", ROOT, json!({ "lease_id": first, "sync": true })).await;
    assert_eq!(revoked.failed, None);
    assert_eq!(counter(&kit, "q").await, 1);
    kit.lease("a/", ROOT).await;
    is_full(&creds(&kit, "a/").await, "a/creds/one");
}

#[tokio::test]
async fn what_there_was_before_the_quota_counts_and_all_ends_make_room() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit.leases("a/", 2_500).await;
    quota(&kit, "q", "a", 2_000).await;
    assert_eq!(counter(&kit, "q").await, 2_500);
    is_full(&creds(&kit, "a/").await, "a/creds/one");
    let forced = kit.ask(Verb::Write, "sys/leases/revoke-force/a", ROOT, Value::Null).await;
    assert_eq!(forced.failed, None);
    assert_eq!(counter(&kit, "q").await, 0);
    for _ in 0..3 {
        kit.lease("a/", ROOT).await;
    }
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-prefix/a", ROOT, Value::Null).await.failed, None);
    kit.settle().await;
    assert_eq!(counter(&kit, "q").await, 0);
    kit.lease("a/", ROOT).await;
    // The lease's time is over.
    kit.clock.advance_secs(4_000);
    kit.settle().await;
    assert_eq!(counter(&kit, "q").await, 0);
}

#[tokio::test]
async fn tokens_count_but_neither_roots_nor_batch_tokens_and_those_are_not_made_where_it_is_full() {
    let kit = Kit::new().await;
    quota(&kit, "q", "auth/token", 2).await;
    for body in [json!({ "policies": ["root"], "ttl": "1h" }), json!({ "policies": ["root"] })] {
        assert_eq!(token(&kit, body).await.failed, None);
    }
    let batch = || json!({ "policies": ["default"], "type": "batch", "ttl": "1h" });
    assert_eq!(token(&kit, batch()).await.failed, None);
    assert_eq!(counter(&kit, "q").await, 0);
    let parent = token(&kit, json!({ "policies": ["default"] })).await.token();
    token(&kit, json!({ "policies": ["default"] })).await.token();
    is_full(&token(&kit, json!({ "policies": ["default"] })).await, "auth/token/create");
    is_full(&token(&kit, batch()).await, "auth/token/create");
    assert_eq!(token(&kit, json!({ "policies": ["root"], "ttl": "1h" })).await.failed, None);
    let revoked = kit.ask(Verb::Write, "auth/token/revoke", ROOT, json!({ "token": parent })).await;
    assert_eq!(revoked.failed, None);
    assert_eq!(counter(&kit, "q").await, 1);
}

#[tokio::test]
async fn the_nearest_quota_counts_and_none_of_the_others() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "all", "", 1).await;
    quota(&kit, "mount", "a", 2).await;
    quota(&kit, "path", "a/creds/one", 1).await;
    kit.lease("a/", ROOT).await;
    is_full(&creds(&kit, "a/").await, "a/creds/one");
    for _ in 0..2 {
        assert_eq!(kit.ask(Verb::Read, "a/creds/two", ROOT, Value::Null).await.failed, None);
    }
    is_full(&kit.ask(Verb::Read, "a/creds/two", ROOT, Value::Null).await, "a/creds/two");
    token(&kit, json!({ "policies": ["default"] })).await.token();
    is_full(&token(&kit, json!({ "policies": ["default"] })).await, "auth/token/create");
    for (name, count) in [("all", 1), ("mount", 2), ("path", 1)] {
        assert_eq!(counter(&kit, name).await, count, "{name}");
    }
}

#[tokio::test]
async fn what_is_over_the_quota_is_refused_before_the_outside_is_touched() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 1).await;
    kit.lease("a/", ROOT).await;
    let intents = kit.count(crate::book::space::INTENTS);
    is_full(&kit.ask(Verb::Read, "a/intend/one", ROOT, Value::Null).await, "a/intend/one");
    assert_eq!(kit.count(crate::book::space::INTENTS), intents);
}

#[tokio::test]
async fn a_restart_forgets_no_lease_and_none_is_given_before_they_are_counted() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 3).await;
    for _ in 0..2 {
        kit.lease("a/", ROOT).await;
    }
    let kit = kit.restarted(true).await;
    let time = std::time::Duration::from_millis(300);
    let asked = super::kit::request(Verb::Read, "a/creds/one", ROOT, &Value::Null);
    assert_eq!(kit.ask_within(time, asked).await.kind(), Some(FailureKind::Unavailable));
    looked(&kit).await;
    assert_eq!(counter(&kit, "q").await, 2);
    kit.lease("a/", ROOT).await;
    is_full(&creds(&kit, "a/").await, "a/creds/one");
}

#[tokio::test]
async fn a_node_that_leads_again_counts_what_the_other_has_made() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 3).await;
    kit.lease("a/", ROOT).await;
    kit.is_in_term(2);
    kit.leases("a/", 1).await;
    looked(&kit).await;
    assert_eq!(counter(&kit, "q").await, 2);
}

#[tokio::test]
async fn many_at_once_get_no_more_than_there_may_be() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 7).await;
    for round in 0..3 {
        let all = futures::future::join_all((0..40).map(|_| creds(&kit, "a/"))).await;
        let given: Vec<_> = all.into_iter().filter(|answer| answer.failed.is_none()).collect();
        assert_eq!(given.len(), if round == 0 { 7 } else { 3 }, "round {round}");
        assert_eq!(counter(&kit, "q").await, 7);
        let ids = given.iter().take(3).map(|answer| answer.envelope.lease.as_ref().expect("a lease").id.clone());
        let ended =
            ids.map(|id| kit.ask(Verb::Write, "sys/leases/revoke", ROOT, json!({ "lease_id": id, "sync": true })));
        for answer in futures::future::join_all(ended.collect::<Vec<_>>()).await {
            assert_eq!(answer.failed, None);
        }
    }
}

#[tokio::test]
async fn a_seat_whose_request_failed_is_free_again() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 1).await;
    // The plugin traps.
    assert_eq!(kit.ask(Verb::Read, "a/intend/one", ROOT, Value::Null).await.kind(), Some(FailureKind::Internal));
    assert_eq!(counter(&kit, "q").await, 0);
    // What grants nothing gives its seat back.
    assert_eq!(kit.ask(Verb::Read, "a/keep/one", ROOT, Value::Null).await.failed, None);
    assert_eq!(counter(&kit, "q").await, 0);
    kit.lease("a/", ROOT).await;
}

#[tokio::test]
async fn a_quota_follows_its_mount_with_what_was_counted_and_ends_with_it() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 2).await;
    kit.plugin.behave("a/", Manner::Refuses);
    kit.lease("a/", ROOT).await;
    let moved = kit.ask(Verb::Write, "sys/remount", ROOT, json!({ "from": "a", "to": "b" })).await;
    assert_eq!(moved.failed, None);
    kit.plugin.behave("b/", Manner::Refuses);
    looked(&kit).await;
    assert_eq!(counter(&kit, "q").await, 1, "it could not be revoked yet");
    kit.lease("b/", ROOT).await;
    is_full(&creds(&kit, "b/").await, "b/creds/one");
    kit.plugin.behave("b/", Manner::Works);
    assert_eq!(kit.ask(Verb::Delete, "sys/mounts/b", ROOT, Value::Null).await.failed, None);
    let gone = kit.ask(Verb::Read, "sys/quotas/lease-count/q", ROOT, Value::Null).await;
    assert_eq!(gone.kind(), Some(FailureKind::NotFound));
}

#[tokio::test]
async fn what_is_wrapped_needs_room_for_the_token_it_is_wrapped_with() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    quota(&kit, "q", "a", 1).await;
    let asked = || {
        let mut request = super::kit::request(Verb::Read, "a/creds/one", ROOT, &Value::Null);
        request.wrap_ttl_secs = Some(60);
        kit.ask_within(std::time::Duration::from_secs(5), request)
    };
    is_full(&asked().await, "a/creds/one");
    assert_eq!(counter(&kit, "q").await, 0);
    quota(&kit, "q", "a", 2).await;
    assert_eq!(asked().await.failed, None);
    assert_eq!(counter(&kit, "q").await, 2);
}

#[tokio::test]
async fn what_is_no_quota_is_refused() {
    let kit = Kit::new().await;
    for (body, text) in [
        (json!({}), "'max_leases' is invalid"),
        (json!({ "max_leases": -1 }), "'max_leases' is invalid"),
        (json!({ "max_leases": 1, "path": "none" }), "invalid mount path \"none/\""),
        (
            json!({ "max_leases": 1, "path": "auth/token", "inheritable": true }),
            "'inheritable' is for quotas of a namespace, and \"auth/token/\" is none",
        ),
    ] {
        let answer = kit.ask(Verb::Write, "sys/quotas/lease-count/q", ROOT, body).await;
        assert_eq!(answer.failed.expect("it is refused").errors, [text]);
    }
}
