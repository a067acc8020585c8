//! A mount that goes: its leases are revoked before it, and one that cannot be keeps only the
//! mount.

use std::time::Duration;

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT, put_token, request};
use super::plugin::{FakePlugin, Manner};
use crate::book::mounts::{self, MountEntry, Table};
use crate::book::{space, tokens};

async fn with_leases(count: usize) -> Kit {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    kit.leases("a/", count).await;
    kit
}

async fn disable(kit: &Kit, path: &str) -> super::kit::Answer {
    kit.ask(Verb::Delete, &format!("sys/mounts/{path}"), ROOT, Value::Null).await
}

async fn is_mounted(kit: &Kit, path: &str) -> bool {
    kit.ask(Verb::Read, &format!("sys/mounts/{path}"), ROOT, Value::Null).await.failed.is_none()
}

#[tokio::test]
async fn a_mount_with_many_leases_goes_when_all_are_revoked() {
    let kit = with_leases(300).await;
    assert_eq!(disable(&kit, "a").await.failed, None);
    assert_eq!(kit.plugin.calls("a/").len(), 300);
    assert!(!is_mounted(&kit, "a").await);
    kit.mount("a/").await;
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn a_mount_that_leaves_is_reached_by_no_request_and_keeps_its_path() {
    let kit = with_leases(300).await;
    kit.dies_after(20);
    assert!(disable(&kit, "a").await.failed.is_some());
    let kit = kit.restarted(true).await;
    assert!(!is_mounted(&kit, "a").await);
    let asked = kit.ask(Verb::Read, "a/creds/one", ROOT, Value::Null).await;
    assert_eq!(asked.kind(), Some(FailureKind::NotFound));
    let again = kit.ask(Verb::Write, "sys/mounts/a", ROOT, json!({ "type": "leaser" })).await;
    assert_eq!(again.kind(), Some(FailureKind::Invalid));
    kit.settle().await;
    kit.is_clean();
    kit.mount("a/").await;
}

#[tokio::test]
async fn a_mount_whose_plugin_hangs_leaves_without_the_request() {
    let kit = with_leases(300).await;
    kit.plugin.behave("a/", Manner::Hangs);
    let asked = request(Verb::Delete, "sys/mounts/a", ROOT, &Value::Null);
    let answer = kit.ask_within(Duration::from_millis(200), asked).await;
    assert_eq!(answer.kind(), Some(FailureKind::Timeout));
    assert!(!is_mounted(&kit, "a").await);
    kit.plugin.behave("a/", Manner::Works);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn a_mount_whose_plugin_refuses_is_tried_again_later() {
    let kit = with_leases(300).await;
    kit.plugin.behave("a/", Manner::Refuses);
    assert!(disable(&kit, "a").await.failed.is_some());
    kit.settle().await;
    let tried = kit.plugin.calls("a/").len();
    assert_eq!(tried, 300, "each once");
    kit.clock.advance_secs(9);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), tried);
    kit.plugin.behave("a/", Manner::Works);
    kit.clock.advance_secs(1);
    kit.settle().await;
    assert_eq!(kit.count_named(space::LEASES), 0);
    kit.clock.advance_secs(60);
    kit.settle().await;
    kit.is_clean();
    kit.mount("a/").await;
}

#[tokio::test]
async fn a_mount_without_its_plugin_goes_with_all_its_leases() {
    let kit = with_leases(3_000).await.restarted(false).await;
    assert_eq!(disable(&kit, "a").await.failed, None);
    kit.settle().await;
    kit.is_clean();
    assert_eq!(kit.plugin.calls("a/"), []);
}

/// A lease that its plugin refuses to revoke.
const STUCK: &str = "a/creds/one/1";

/// A mount with so many leases, of which one cannot be revoked; it is disabled as far as
/// that goes.
async fn stuck(count: usize) -> Kit {
    let kit = with_leases(count).await;
    kit.plugin.behave(STUCK, Manner::Refuses);
    let refused = disable(&kit, "a").await.failed.expect("it cannot go");
    assert_eq!(refused.kind, FailureKind::Invalid);
    let text = &refused.errors[0];
    assert!(text.starts_with("failed to revoke \"a/creds/one/1\", one of 1 leases left of this mount;"), "{text}");
    assert!(text.ends_with("write to sys/leases/revoke-force/a"), "{text}");
    kit
}

fn tries(kit: &Kit) -> usize {
    kit.plugin.calls("a/").iter().filter(|called| called.about == STUCK).count()
}

#[tokio::test]
async fn one_lease_that_cannot_be_revoked_keeps_no_other() {
    for count in [3, 300] {
        let kit = stuck(count).await;
        assert_eq!(kit.plugin.calls("a/").len(), count, "each once");
        assert_eq!(kit.count_named(space::LEASES), 1);
        assert!(!is_mounted(&kit, "a").await);
        let asked = kit.ask(Verb::Read, "a/creds/one", ROOT, Value::Null).await;
        assert_eq!(asked.kind(), Some(FailureKind::NotFound));
    }
}

#[tokio::test]
async fn a_lease_that_keeps_its_mount_is_tried_later_and_later_and_the_mount_goes_after_it() {
    let kit = stuck(3).await;
    for (before, wait_secs) in (1..).zip([10, 20, 40, 80]) {
        kit.clock.advance_secs(wait_secs - 1);
        kit.settle().await;
        assert_eq!(tries(&kit), before);
        kit.clock.advance_secs(1);
        kit.settle().await;
        assert_eq!(tries(&kit), before + 1);
    }
    let renewed = kit.ask(Verb::Write, "sys/leases/renew", ROOT, json!({ "lease_id": STUCK })).await;
    assert_eq!(renewed.failed.expect("it is over").errors, ["lease expired"]);
    kit.plugin.behave(STUCK, Manner::Works);
    kit.clock.advance_secs(160);
    kit.settle().await;
    kit.clock.advance_secs(60);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 2 + 6);
    kit.is_clean();
    kit.mount("a/").await;
}

#[tokio::test]
async fn a_mount_that_leaves_is_tried_again_at_once_when_it_is_disabled_again() {
    let kit = stuck(3).await;
    for _ in 0..3 {
        assert!(disable(&kit, "a").await.failed.is_some());
    }
    assert_eq!(tries(&kit), 4);
    kit.settle().await;
    kit.clock.advance_secs(60);
    kit.settle().await;
    assert_eq!(kit.count(space::DUE), 2, "the lease, and the mount once");
    kit.plugin.behave(STUCK, Manner::Works);
    assert_eq!(disable(&kit, "a").await.failed, None);
    kit.mount("a/").await;
    kit.clock.advance_secs(60);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn a_mount_whose_leases_were_given_up_goes() {
    let kit = stuck(300).await;
    assert_eq!(kit.ask(Verb::Write, "sys/leases/revoke-force/a", ROOT, Value::Null).await.failed, None);
    assert_eq!(disable(&kit, "a").await.failed, None);
    kit.mount("a/").await;
    kit.clock.advance_secs(60);
    kit.settle().await;
    assert_eq!(tries(&kit), 1);
    kit.is_clean();
}

#[tokio::test]
async fn a_lease_whose_plugin_hangs_keeps_no_other() {
    let kit = with_leases(300).await;
    kit.plugin.behave(STUCK, Manner::Hangs);
    let asked = request(Verb::Delete, "sys/mounts/a", ROOT, &Value::Null);
    assert_eq!(kit.ask_within(Duration::from_secs(1), asked).await.kind(), Some(FailureKind::Timeout));
    assert!(kit.plugin.calls("a/").len() > 1, "others were revoked meanwhile");
    assert_eq!(kit.count_named(space::LEASES), 300 - (kit.plugin.calls("a/").len() - 1));
}

#[tokio::test]
async fn a_mount_goes_on_where_a_dead_node_was() {
    let kit = with_leases(1_000).await;
    kit.plugin.behave("a/", Manner::Refuses);
    kit.dies_after(70);
    assert!(disable(&kit, "a").await.failed.is_some());
    let tried = kit.plugin.calls("a/").len();
    let kit = kit.restarted(true).await;
    kit.settle().await;
    let again = kit.plugin.calls("a/").len() - 1_000;
    assert!(tried > 64 && again <= 32, "{again} of {tried} were tried twice");
}

async fn moved(kit: &Kit, from: &str, to: &str) {
    let moved = kit.ask(Verb::Write, "sys/remount", ROOT, json!({ "from": from, "to": to })).await;
    assert_eq!(moved.failed, None);
}

/// The mount of [`STUCK`], which was moved from `a/` to `b/` and `c/`, and a new one at `a/`.
async fn stuck_and_moved() -> Kit {
    let kit = with_leases(3).await;
    kit.plugin.behave(STUCK, Manner::Refuses);
    moved(&kit, "a", "b").await;
    kit.settle().await;
    moved(&kit, "b", "c").await;
    kit.mount("a/").await;
    assert_eq!(kit.count_named(space::LEASES), 1);
    kit
}

#[tokio::test]
async fn a_moved_mount_waits_for_leases_of_its_former_paths() {
    let kit = stuck_and_moved().await;
    let other = kit.lease("a/", ROOT).await;
    let refused = disable(&kit, "c").await.failed.expect("it cannot go");
    let text = &refused.errors[0];
    assert!(text.starts_with("failed to revoke \"a/creds/one/1\", one of 1 leases left of this mount;"), "{text}");
    assert!(text.ends_with("write to sys/leases/revoke-force/a/creds/one/1"), "{text}");
    kit.plugin.behave(STUCK, Manner::Works);
    assert_eq!(disable(&kit, "c").await.failed, None);
    assert_eq!(kit.plugin.calls("c/").iter().filter(|called| called.about == STUCK).count(), 2);
    kit.mount("c/").await;
    assert_eq!(kit.plugin.calls("a/"), [], "of the other mount");
    let looked_up = kit.ask(Verb::Write, "sys/leases/lookup", ROOT, json!({ "lease_id": other })).await;
    assert_eq!(looked_up.failed, None);
}

#[tokio::test]
async fn a_mount_does_not_wait_for_leases_of_the_one_before_it() {
    let kit = stuck_and_moved().await;
    let before = kit.plugin.calls("c/").len();
    kit.lease("a/", ROOT).await;
    assert_eq!(disable(&kit, "a").await.failed, None);
    assert_eq!((kit.plugin.calls("a/").len(), kit.plugin.calls("c/").len()), (1, before));
    kit.mount("a/").await;
    assert_eq!(kit.count_named(space::LEASES), 1, "the other's is kept");
}

#[tokio::test]
async fn a_mount_without_its_plugin_takes_no_leases_of_the_one_before_it_along() {
    let kit = stuck_and_moved().await;
    for _ in 0..3 {
        kit.lease("a/", ROOT).await;
    }
    let kit = kit.restarted(false).await;
    assert_eq!(disable(&kit, "a").await.failed, None);
    assert!(!is_mounted(&kit, "a").await);
    assert_eq!(kit.count_named(space::LEASES), 1);
}

#[tokio::test]
async fn a_node_without_the_plugin_gives_up_no_leases_unless_it_is_asked_to() {
    for asked in [false, true] {
        let kit = stuck(3).await.restarted(false).await;
        for _ in 0..5 {
            kit.clock.advance_secs(60);
            kit.settle().await;
        }
        assert_eq!((kit.count_named(space::LEASES), tries(&kit)), (1, 1));
        if asked {
            assert_eq!(disable(&kit, "a").await.failed, None);
            kit.clock.advance_secs(86_400);
            kit.settle().await;
            assert_eq!(tries(&kit), 1);
            kit.is_clean();
            continue;
        }
        let kit = kit.restarted(true).await;
        kit.plugin.behave(STUCK, Manner::Works);
        for _ in 0..2 {
            kit.clock.advance_secs(86_400);
            kit.settle().await;
        }
        assert_eq!(tries(&kit), 2);
        kit.is_clean();
    }
}

/// An auth method at `auth/old/` with so many logins, each with a token below it.
async fn with_logins(count: usize) -> Kit {
    let kit = Kit::new().await;
    let mut tx = kit.open().begin().expect("memory has views");
    let config = kit.open().config(&mut tx).expect("the mounts can be read");
    let like = config.mounts.at("auth/token/").expect("it is always there").entry.clone();
    let (path, accessor) = ("old/".to_owned(), "auth_old_1".to_owned());
    let (uuid, space, kind) = ("old".to_owned(), "07".repeat(16), "old".to_owned());
    let entry = MountEntry { uuid, space, kind, path, accessor, table: Table::Auth, ..like };
    kit.write(|tx, _| mounts::save(tx, &entry).expect("a mount can be written")).await;
    for n in 0..count {
        kit.write(|tx, open| {
            let hash = put_token(tx, open, &format!("login-{n}"), None);
            let mut record = tokens::get(tx, &hash).expect("readable").expect("just written");
            record.mount_accessor.clone_from(&entry.accessor);
            tokens::update(tx, &hash, &record).expect("a token can be written");
            put_token(tx, open, &format!("below-{n}"), Some(&format!("login-{n}")));
        })
        .await;
    }
    kit
}

#[tokio::test]
async fn an_auth_method_takes_its_tokens_along_with_all_below_them() {
    let kit = with_logins(1_500).await;
    assert!(kit.is_valid("login-7").await && kit.is_valid("below-7").await);
    let gone = kit.ask(Verb::Delete, "sys/auth/old", ROOT, Value::Null).await;
    assert_eq!(gone.failed, None);
    assert_eq!(kit.count(space::TOKENS), 1, "the answer comes when they are ended");
    assert!(kit.is_valid(ROOT).await);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn tokens_of_a_disabled_auth_method_end_at_once_and_those_below_them_where_a_dead_node_was() {
    for changes in [1, 2, 3] {
        let kit = with_logins(1_500).await;
        kit.dies_after(changes);
        let asked = kit.ask(Verb::Delete, "sys/auth/old", ROOT, Value::Null).await;
        assert!(asked.failed.is_some());
        assert!(kit.count(space::TOKENS) > 1, "the test must stop in the middle");
        let kit = kit.restarted(true).await;
        for n in 0..1_500 {
            assert!(!kit.is_valid(&format!("login-{n}")).await);
        }
        kit.settle().await;
        kit.is_clean();
    }
}

/// A mount of a plugin that does things outside, with one that is to be undone and cannot be; it is disabled.
async fn with_intent_alone() -> Kit {
    let kit = Kit::with(FakePlugin::new().with_drivers()).await;
    kit.mount("a/").await;
    assert!(kit.ask(Verb::Read, "a/intend/user", ROOT, Value::Null).await.failed.is_some());
    kit.plugin.behave("user", Manner::Refuses);
    assert_eq!(disable(&kit, "a").await.failed, None);
    kit
}

fn undoings(kit: &Kit) -> usize {
    kit.plugin.calls("a/").iter().filter(|called| called.what == "rollback").count()
}

#[tokio::test]
async fn a_mount_of_which_only_intents_are_left_gives_its_path_back() {
    let kit = with_intent_alone().await;
    kit.clock.advance_secs(180);
    kit.settle().await;
    assert_eq!((undoings(&kit), kit.count(space::INTENTS)), (1, 1));
    // Its own limits go with its path, those of the next one stay.
    kit.mount("a/").await;
    let quota = json!({ "path": "a/", "rate": 1_000 });
    assert_eq!(kit.ask(Verb::Write, "sys/quotas/rate-limit/q", ROOT, quota).await.failed, None);
    let lease = kit.lease("a/", ROOT).await;
    kit.plugin.behave("user", Manner::Works);
    kit.clock.advance_secs(100);
    kit.settle().await;
    assert_eq!((undoings(&kit), kit.count(space::INTENTS)), (2, 0));
    kit.clock.advance_secs(60);
    kit.settle().await;
    assert_eq!(kit.ask(Verb::Read, "sys/quotas/rate-limit/q", ROOT, Value::Null).await.failed, None);
    assert!(is_mounted(&kit, "a").await);
    assert!(kit.plugin.calls("a/").iter().all(|called| called.about != lease), "the lease is the next mount's");
    assert_eq!(
        kit.open().known_config().map(|config| config.mounts.with_leaving().filter(|m| m.entry.leaving).count()),
        Some(0)
    );
}

#[tokio::test]
async fn a_mount_that_has_given_its_path_back_has_given_it_back_after_a_restart() {
    let kit = with_intent_alone().await.restarted(true).await;
    kit.mount("a/").await;
    kit.plugin.behave("user", Manner::Works);
    kit.clock.advance_secs(240);
    kit.settle().await;
    assert_eq!((undoings(&kit), kit.count(space::INTENTS)), (1, 0));
    assert_eq!(disable(&kit, "a").await.failed, None);
    kit.clock.advance_secs(60);
    kit.settle().await;
    kit.is_clean();
}
