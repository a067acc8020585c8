//! What an active node tells its plugins of by itself, and what an operator has it tell:
//! mounts do not wait for each other, and what has no meaning any more ends.

use std::time::Duration;

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Answer, Kit, ROOT, request};
use super::plugin::Manner;
use crate::step::duties;

const MOUNTS: [&str; 6] = ["a/", "b/", "c/", "d/", "e/", "f/"];
const RELOAD: &str = "sys/plugins/reload/backend";

async fn with_mounts() -> Kit {
    let kit = Kit::new().await;
    for path in MOUNTS {
        kit.mount(path).await;
    }
    kit
}

/// What the mount was told since it was enabled.
fn told(kit: &Kit, mount: &str) -> Vec<String> {
    kit.plugin.told(mount).into_iter().skip(1).map(|told| told.about).collect()
}

/// Waits until this holds.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it never got there");
}

async fn reload(kit: &Kit, body: Value) -> Answer {
    kit.ask(Verb::Write, RELOAD, ROOT, body).await
}

/// Has the mount keep something in memory; tells whether it was there already.
async fn keeps(kit: &Kit, mount: &str) -> bool {
    let answer = kit.ask(Verb::Read, &format!("{mount}keep/one"), ROOT, Value::Null).await;
    answer.data()["kept"] == json!(true)
}

#[tokio::test]
async fn plugins_that_hang_do_not_keep_the_others_from_being_told() {
    let kit = with_mounts().await;
    for path in ["a/", "c/", "e/"] {
        kit.plugin.behave(path, Manner::Hangs);
    }
    let running = tokio::spawn(duties::run(kit.open()));
    until(|| MOUNTS.iter().all(|path| told(&kit, path) == ["Unsealed"])).await;
    running.abort();
}

#[tokio::test]
async fn a_plugin_that_cannot_prepare_itself_is_told_again_in_a_minute_and_no_other_is() {
    let kit = with_mounts().await;
    kit.plugin.behave("a/", Manner::Refuses);
    kit.plugin.behave("b/", Manner::Hangs);
    let running = tokio::spawn(duties::run(kit.open()));
    until(|| MOUNTS.iter().all(|path| told(&kit, path) == ["Unsealed"])).await;
    kit.clock.advance_secs(60);
    until(|| told(&kit, "a/") == ["Unsealed", "Unsealed"]).await;
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(60);
    until(|| told(&kit, "a/").len() == 3).await;
    for path in &MOUNTS[1..] {
        assert_eq!(told(&kit, path), ["Unsealed"], "{path}");
    }
    running.abort();
}

#[tokio::test]
async fn a_node_that_does_not_lead_any_more_waits_for_no_plugin() {
    let kit = with_mounts().await;
    for path in MOUNTS {
        kit.plugin.behave(path, Manner::Hangs);
    }
    let running = tokio::spawn(duties::run(kit.open()));
    until(|| MOUNTS.iter().all(|path| told(&kit, path) == ["Unsealed"])).await;
    kit.leads(false);
    until(|| kit.plugin.hanging() == 0).await;
    kit.leads(true);
    until(|| MOUNTS.iter().all(|path| told(&kit, path) == ["Unsealed", "BecameActive"])).await;
    running.abort();
}

#[tokio::test]
async fn a_mount_that_cannot_start_afresh_is_named_and_keeps_no_other_from_it() {
    let kit = with_mounts().await;
    for path in MOUNTS {
        assert!(!keeps(&kit, path).await && keeps(&kit, path).await);
    }
    kit.plugin.behave("c/", Manner::Refuses);
    let refused = reload(&kit, json!({ "plugin": "leaser" })).await.failed.expect("it is refused");
    assert_eq!(refused.kind, FailureKind::Invalid);
    let text = "1 error occurred:\n\t* cannot reload plugin on \"c/\": the outside is not there\n\n";
    assert_eq!(refused.errors, [text]);
    for path in MOUNTS {
        assert_eq!(told(&kit, path), ["Reloaded"], "it must find its cache empty");
        assert_eq!(keeps(&kit, path).await, path == "c/", "{path}");
    }
}

#[tokio::test]
async fn a_mount_whose_plugin_hangs_keeps_no_other_from_starting_afresh() {
    let kit = with_mounts().await;
    for path in MOUNTS {
        keeps(&kit, path).await;
    }
    kit.plugin.behave("a/", Manner::Hangs);
    let asked = request(Verb::Write, RELOAD, ROOT, &json!({ "mounts": MOUNTS }));
    assert_eq!(kit.ask_within(Duration::from_millis(200), asked).await.kind(), Some(FailureKind::Timeout));
    for path in MOUNTS {
        assert_eq!(keeps(&kit, path).await, path == "a/", "{path}");
    }
}

#[tokio::test]
async fn what_starts_afresh_without_anything_to_write_writes_nothing() {
    let kit = with_mounts().await;
    let before = kit.open().ledger().standing().applied_index;
    assert!(reload(&kit, json!({ "mounts": ["a", "a/", "b/below"] })).await.data()["reload_id"].is_string());
    assert_eq!(kit.open().ledger().standing().applied_index, before);
    assert_eq!((told(&kit, "a/"), told(&kit, "b/")), (vec!["Reloaded".into()], vec!["Reloaded".into()]));
}

#[tokio::test]
async fn what_cannot_be_reloaded_is_refused_in_openbaos_words() {
    let kit = with_mounts().await;
    let singleton = |name: &str| format!("singleton plugin cannot be reloaded: {name:?}");
    for (body, text) in [
        (json!({}), "plugin or mounts must be provided".into()),
        (json!({ "mounts": [] }), "plugin or mounts must be provided".into()),
        (json!({ "plugin": "leaser", "mounts": ["a"] }), "plugin and mounts cannot be set at the same time".into()),
        (json!({ "plugin": "zork", "scope": "local" }), "scope must be unset or \"global\"".into()),
        (json!({ "plugin": "zork" }), "plugin not found in the catalog: \"zork\"".into()),
        (json!({ "plugin": "system" }), singleton("system")),
        (
            json!({ "mounts": ["sys", "zork", "auth/token"] }),
            format!(
                "3 errors occurred:\n\t* cannot reload plugin on \"sys/\": {}\n\t* cannot fetch mount entry on \
                 \"zork/\"\n\t* cannot reload plugin on \"auth/token/\": {}\n\n",
                singleton("system"),
                singleton("token")
            ),
        ),
    ] {
        let refused = reload(&kit, body).await.failed.expect("it is refused");
        assert_eq!((refused.kind, refused.errors), (FailureKind::Invalid, vec![text]));
    }
    // As there, what is wrong with one mount does not keep another.
    assert!(reload(&kit, json!({ "mounts": ["zork", "a"], "scope": "global" })).await.failed.is_some());
    assert_eq!(told(&kit, "a/"), ["Reloaded"]);
}
