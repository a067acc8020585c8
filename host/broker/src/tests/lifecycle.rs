//! What plugins are told of a mount's life, jobs that run regularly, and data that is
//! brought to a new layout.

use bulkhead_model::failure::FailureKind;
use bulkhead_model::plugin::Reason;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT};
use super::plugin::{FakePlugin, Manner};
use crate::step::duties;

const FINALISE: &str = "sys/plugins/finalize/secret/leaser";

/// What the mount was told, by word.
fn told(kit: &Kit, what: &str) -> Vec<String> {
    kit.plugin.told("a/").into_iter().filter(|told| told.what == what).map(|told| told.about).collect()
}

async fn mounted() -> Kit {
    let kit = Kit::with(FakePlugin::with_job()).await;
    kit.mount("a/").await;
    kit
}

/// The same cluster on a node with the next version of the plugin.
async fn with_next_version(kit: Kit) -> Kit {
    kit.restarted_with(FakePlugin::next()).await
}

#[tokio::test]
async fn a_plugin_is_told_that_the_node_was_unsealed_or_became_active() {
    let kit = mounted().await;
    duties::tell_all(&kit.open(), Reason::Unsealed).await;
    duties::tell_all(&kit.open(), Reason::BecameActive).await;
    assert_eq!(told(&kit, "initialize"), ["Mounted", "Unsealed", "BecameActive"]);
}

#[tokio::test]
async fn another_version_of_a_plugin_is_told_so_once() {
    let kit = with_next_version(mounted().await).await;
    duties::tell_all(&kit.open(), Reason::Unsealed).await;
    duties::tell_all(&kit.open(), Reason::Unsealed).await;
    assert_eq!(told(&kit, "initialize"), ["Upgraded", "Unsealed"]);
}

#[tokio::test]
async fn a_regular_job_runs_each_time_it_is_due_and_after_a_failure_no_later_than_that() {
    let kit = mounted().await;
    for runs in 1..=3 {
        kit.clock.advance_secs(59);
        kit.settle().await;
        assert_eq!(kit.plugin.calls("a/").len(), runs - 1);
        kit.clock.advance_secs(1);
        kit.settle().await;
        assert_eq!(kit.plugin.calls("a/").len(), runs);
    }
    kit.plugin.behave("a/", Manner::Refuses);
    for _ in 0..10 {
        kit.clock.advance_secs(60);
        kit.settle().await;
    }
    assert_eq!(kit.plugin.calls("a/").len(), 13, "its wait never grows over a minute");
}

#[tokio::test]
async fn a_new_version_brings_its_regular_jobs_and_removing_the_mount_takes_them_away() {
    let kit = with_next_version(mounted().await).await;
    duties::tell_all(&kit.open(), Reason::Unsealed).await;
    kit.clock.advance_secs(60);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 2, "tick, and tock");
    assert_eq!(kit.ask(Verb::Delete, "sys/mounts/a", ROOT, Value::Null).await.failed, None);
    kit.clock.advance_secs(600);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 2);
    kit.is_clean();
}

#[tokio::test]
async fn data_keeps_its_layout_until_the_operator_finalises_and_then_is_upgraded_in_slices() {
    let kit = with_next_version(mounted().await).await;
    kit.clock.advance_secs(600);
    kit.settle().await;
    assert_eq!(told(&kit, "upgrade"), [""; 0]);
    let before = kit.ask(Verb::Read, FINALISE, ROOT, Value::Null).await.data();
    assert_eq!(before["mounts"]["a/"]["data_version"], json!(1));

    let begun = kit.ask(Verb::Write, FINALISE, ROOT, json!({})).await;
    assert_eq!((begun.envelope.status, begun.data()), (Some(202), json!({ "upgrading": ["a/"] })));
    kit.settle().await;
    assert_eq!(told(&kit, "upgrade"), ["1 from the start", "1 from 1", "1 from 2"]);
    assert_eq!(told(&kit, "initialize").last().map(String::as_str), Some("Upgraded"));
    let after = kit.ask(Verb::Read, FINALISE, ROOT, Value::Null).await.data();
    assert_eq!(after["mounts"]["a/"], json!({ "data_version": 2, "writes": 2, "upgrading": false, "failures": 0 }));
    assert_eq!(kit.ask(Verb::Write, FINALISE, ROOT, json!({})).await.data(), json!({ "upgrading": [] }));
}

#[tokio::test]
async fn an_upgrade_that_fails_goes_on_where_it_was() {
    let kit = with_next_version(mounted().await).await;
    kit.plugin.behave("a/", Manner::Refuses);
    kit.ask(Verb::Write, FINALISE, ROOT, json!({})).await;
    kit.settle().await;
    let told_of = kit.ask(Verb::Read, FINALISE, ROOT, Value::Null).await.data();
    assert_eq!(told_of["mounts"]["a/"], json!({ "data_version": 1, "writes": 2, "upgrading": true, "failures": 1 }));
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(10);
    kit.settle().await;
    let after = kit.ask(Verb::Read, FINALISE, ROOT, Value::Null).await.data();
    assert_eq!(after["mounts"]["a/"]["data_version"], json!(2));
}

#[tokio::test]
async fn a_plugin_that_cannot_read_a_mounts_data_does_not_serve_it() {
    let kit = with_next_version(mounted().await).await;
    kit.ask(Verb::Write, FINALISE, ROOT, json!({})).await;
    kit.settle().await;
    // The first version is back.
    let kit = kit.restarted_with(FakePlugin::with_job()).await;
    let refused = kit.ask(Verb::Read, "a/creds/one", ROOT, Value::Null).await;
    assert_eq!(refused.kind(), Some(FailureKind::Unavailable));
    let text = &refused.failed.expect("it is refused").errors[0];
    assert!(text.contains("has layout 2"), "{text}");
}

#[tokio::test]
async fn what_share_holders_began_is_of_the_term_in_which_they_began_it() {
    let kit = Kit::new().await;
    let asked = json!({ "secret_shares": 1, "secret_threshold": 1 });
    let begun = kit.ask(Verb::Write, "sys/rotate/root/init", ROOT, asked).await;
    assert_eq!(begun.failed, None);
    let told =
        || async { kit.ask(Verb::Read, "sys/rotate/root/init", ROOT, Value::Null).await.data()["started"].clone() };
    assert_eq!(told().await, json!(true));
    kit.is_in_term(2);
    assert_eq!(told().await, json!(false));
}
