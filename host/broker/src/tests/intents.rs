//! What plugins were about to do outside: when it is undone, by whom, and what no clock may have a say in.

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::kit::{Kit, ROOT, request};
use super::plugin::{Called, Manner};
use crate::book::space;
use crate::step::record::Audited;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

async fn with_mount() -> Kit {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit
}

/// A call makes an intent and traps.
async fn trap(kit: &Kit) {
    assert!(kit.ask(Verb::Read, "a/intend/user", ROOT, Value::Null).await.failed.is_some());
    assert_eq!(kit.count(space::INTENTS), 1);
}

/// What is undone this many seconds later.
async fn undone_after(kit: &Kit, secs: u64) -> Vec<Called> {
    kit.clock.advance_secs(secs);
    kit.settle().await;
    kit.plugin.calls("a/")
}

/// Somebody sets the clock, by so many milliseconds.
fn set_by(kit: &Kit, by_ms: i64) {
    kit.clock.set_ms(kit.open().parts.clock.now_ms().saturating_add_signed(by_ms));
}

#[tokio::test]
async fn an_intent_is_undone_when_its_call_cannot_be_at_work_any_more() {
    let kit = with_mount().await;
    assert!(kit.ask(Verb::Read, "a/intend/user", ROOT, Value::Null).await.failed.is_some());
    assert_eq!(kit.count(space::INTENTS), 1);
    kit.clock.advance_secs(119);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/"), []);
    kit.plugin.behave("a/", Manner::Refuses);
    kit.clock.advance_secs(1);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 1);
    assert_eq!(kit.count(space::INTENTS), 1, "what was not undone must not be forgotten");
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(10);
    kit.settle().await;
    let calls = kit.plugin.calls("a/");
    assert_eq!((calls.len(), calls[1].what, calls[1].about.as_str()), (2, "rollback", "user"));
    assert_eq!(kit.count(space::INTENTS), 0);
    kit.is_clean();
}

#[tokio::test]
async fn an_intent_goes_in_the_commit_that_makes_it_good_and_is_never_undone() {
    let kit = with_mount().await;
    let answer = kit.ask(Verb::Read, "a/attempt/one", ROOT, Value::Null).await;
    assert_eq!(answer.failed, None);
    assert_eq!((kit.count(space::INTENTS), kit.count(space::DUE)), (0, 0));
    kit.clock.advance_secs(600);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/"), []);
}

#[tokio::test]
async fn an_intent_whose_commit_met_another_is_undone_at_once() {
    let kit = with_mount().await;
    // The intent's own change is the first, the call's the second.
    kit.conflicts_after(1);
    let failed = kit.ask(Verb::Read, "a/attempt/user", ROOT, Value::Null).await.failed;
    assert_eq!(failed.map(|failure| failure.kind), Some(FailureKind::Unavailable), "it is not run again");
    assert_eq!(undone_after(&kit, 0).await.len(), 1);
    assert_eq!(kit.count(space::INTENTS), 0);
    kit.is_clean();
}

/// What is there is undone two minutes from now, and not before.
async fn is_undone_in_two_minutes(kit: &Kit) {
    assert_eq!(undone_after(kit, 119).await, []);
    assert_eq!(undone_after(kit, 1).await.len(), 1);
    kit.is_clean();
}

#[tokio::test]
async fn a_clock_that_is_set_has_nothing_undone_sooner() {
    let kit = with_mount().await;
    trap(&kit).await;
    set_by(&kit, DAY_MS);
    is_undone_in_two_minutes(&kit).await;
}

#[tokio::test]
async fn a_new_leader_whose_clock_is_ahead_waits_for_as_long_as_a_call_may_take() {
    let kit = with_mount().await;
    trap(&kit).await;
    kit.clock.advance_secs(100);
    let kit = kit.restarted(true).await;
    set_by(&kit, DAY_MS);
    assert_eq!(undone_after(&kit, 0).await, []);
    is_undone_in_two_minutes(&kit).await;
}

#[tokio::test]
async fn what_a_leader_began_whose_clock_was_ahead_is_undone_as_soon_as_what_any_other_began() {
    let kit = with_mount().await;
    set_by(&kit, DAY_MS);
    trap(&kit).await;
    set_by(&kit, -DAY_MS);
    let kit = kit.restarted(true).await;
    assert_eq!(undone_after(&kit, 0).await, []);
    is_undone_in_two_minutes(&kit).await;
}

#[tokio::test]
async fn what_was_begun_while_the_own_clock_was_ahead_is_undone_once_it_is_set_right() {
    let kit = with_mount().await;
    // Long after it came to lead.
    assert_eq!(undone_after(&kit, 1_000).await, []);
    set_by(&kit, DAY_MS);
    trap(&kit).await;
    set_by(&kit, -DAY_MS);
    assert_eq!(undone_after(&kit, 119).await, []);
    assert_eq!(undone_after(&kit, 120).await.len(), 1);
    kit.is_clean();
}

#[tokio::test]
async fn leadership_that_was_lost_counts_anew() {
    let kit = with_mount().await;
    trap(&kit).await;
    assert_eq!(undone_after(&kit, 60).await, []);
    kit.is_in_term(2);
    assert_eq!(undone_after(&kit, 0).await, []);
    assert_eq!(undone_after(&kit, 119).await, []);
    assert_eq!(undone_after(&kit, 1).await.len(), 1);
}

/// Begins a call that has an intent, and stays at work.
async fn linger(kit: &Kit) -> JoinHandle<Audited> {
    kit.plugin.behave("a/", Manner::Hangs);
    let (node, asked) = (kit.node.clone(), request(Verb::Read, "a/linger/user", ROOT, &Value::Null));
    let asking = tokio::spawn(async move { node.handle(asked).await });
    while kit.plugin.hanging() == 0 {
        tokio::task::yield_now().await;
    }
    asking
}

#[tokio::test]
async fn an_intent_whose_call_is_at_work_is_left_alone_however_long_that_takes() {
    let kit = with_mount().await;
    let asking = linger(&kit).await;
    assert_eq!(kit.count(space::INTENTS), 1);
    kit.plugin.behave("a/", Manner::Works);
    assert_eq!(undone_after(&kit, 100_000).await, []);
    asking.abort();
    assert!(asking.await.is_err());
    assert_eq!(undone_after(&kit, 0).await.len(), 1);
    kit.is_clean();
}

#[tokio::test]
async fn an_intent_is_left_alone_until_the_commit_that_makes_it_good_has_come_to_an_end() {
    let kit = with_mount().await;
    // The intent's own change, and then no answer any more.
    kit.is_silent_after(1);
    let (node, asked) = (kit.node.clone(), request(Verb::Read, "a/attempt/user", ROOT, &Value::Null));
    let asking = tokio::spawn(async move { node.handle(asked).await });
    while kit.count(space::INTENTS) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(undone_after(&kit, 100_000).await, []);
    asking.abort();
}

async fn told(kit: &Kit) -> Value {
    kit.ask(Verb::Read, "sys/plugins/intents", ROOT, Value::Null).await.data()
}

#[tokio::test]
async fn what_a_plugin_was_about_to_do_is_told_until_it_is_undone_and_why_it_is_not() {
    let kit = with_mount().await;
    assert_eq!(told(&kit).await["count"], 0);
    trap(&kit).await;
    let fresh = told(&kit).await["intents"][0].clone();
    let expected = json!({
        "about": "account user", "attempts": 0, "begun_at": "1970-01-12T13:46:40Z", "id": fresh["id"],
        "kind": "user", "last_error": "", "mount": "a/", "next_attempt": "1970-01-12T13:48:40Z",
        "plugin": "leaser",
    });
    assert_eq!(fresh, expected);
    kit.plugin.behave("a/", Manner::Refuses);
    assert_eq!(undone_after(&kit, 120).await.len(), 1);
    let refused = told(&kit).await["intents"][0].clone();
    assert_eq!((&refused["attempts"], &refused["id"]), (&json!(1), &fresh["id"]));
    assert_eq!(refused["last_error"], "undoing an intent failed: the outside is not there");
    assert_eq!(refused["next_attempt"], "1970-01-12T13:48:50Z");
    kit.plugin.behave("a/", Manner::Works);
    assert_eq!(undone_after(&kit, 10).await.len(), 2);
    assert_eq!(told(&kit).await["count"], 0);
}

#[tokio::test]
async fn an_intent_whose_call_is_at_work_has_no_time_at_which_it_is_undone() {
    let kit = with_mount().await;
    let asking = linger(&kit).await;
    let at_work = told(&kit).await["intents"][0].clone();
    assert_eq!((&at_work["next_attempt"], &at_work["about"]), (&Value::Null, &json!("")));
    asking.abort();
}

async fn let_go(kit: &Kit, id: &Value) -> super::kit::Answer {
    let id = id.as_str().expect("it has an id");
    kit.ask(Verb::Delete, &format!("sys/plugins/intents/{id}"), ROOT, Value::Null).await
}

#[tokio::test]
async fn an_intent_that_is_let_go_is_never_undone_and_one_whose_call_may_be_at_work_stays() {
    let kit = with_mount().await;
    kit.plugin.behave("a/", Manner::Refuses);
    trap(&kit).await;
    let id = told(&kit).await["intents"][0]["id"].clone();
    assert_eq!(undone_after(&kit, 1).await.len(), 0);
    let failed = let_go(&kit, &id).await.failed.expect("nobody knows yet whether its call has ended");
    assert_eq!(failed.kind, FailureKind::Invalid);
    assert!(failed.errors[0].ends_with("in 119 seconds at the latest"), "{:?}", failed.errors);
    assert_eq!(undone_after(&kit, 119).await.len(), 1);
    assert_eq!(let_go(&kit, &id).await.failed, None);
    assert_eq!((kit.count(space::INTENTS), kit.count(space::DUE)), (0, 0));
    assert_eq!(undone_after(&kit, 100_000).await.len(), 1);
    kit.is_clean();
    for id in [id, json!("00"), json!("zz")] {
        assert_eq!(let_go(&kit, &id).await.kind(), Some(FailureKind::Invalid), "{id}");
    }
}

#[tokio::test]
async fn an_intent_of_a_call_at_work_cannot_be_let_go() {
    let kit = with_mount().await;
    let asking = linger(&kit).await;
    assert_eq!(undone_after(&kit, 1_000).await, []);
    let id = told(&kit).await["intents"][0]["id"].clone();
    assert_eq!(let_go(&kit, &id).await.kind(), Some(FailureKind::Invalid));
    assert_eq!(kit.count(space::INTENTS), 1);
    asking.abort();
}

#[tokio::test]
async fn an_intent_of_before_there_were_all_fields_is_read() {
    let kit = with_mount().await;
    trap(&kit).await;
    for fields in 0..3 {
        kit.write(|tx, _| {
            let digests = tx.opaque_range(space::INTENTS, &[0; 32], &[0xff; 33], 1).expect("the book can be read");
            let key = crate::book::opaque(space::INTENTS, &digests[0]);
            let bytes = tx.get(&key).expect("readable").expect("it is there");
            // The text goes, which has a byte for its length, then the time, then the count.
            let cut = [1, 5, 1][fields];
            let kept = bytes.expose().len() - cut;
            tx.put(&key, &bytes.expose()[..kept]).expect("within limits");
        })
        .await;
        let intent = told(&kit).await["intents"][0].clone();
        assert_eq!((&intent["attempts"], &intent["last_error"]), (&json!(0), &json!("")), "{fields}");
        assert_eq!(intent["begun_at"].is_null(), fields > 0);
    }
    kit.settle().await;
    assert_eq!(undone_after(&kit, 120).await.len(), 1);
}
