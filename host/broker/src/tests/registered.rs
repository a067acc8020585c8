//! Plugins that operators register: who may be one, which version serves a mount, and what a node
//! does that has not compiled it yet.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Answer, Kit, ROOT};
use super::plugin::{FakePlugin, Manner};
use crate::book::space;
use crate::components;

const OLD: &[u8] = b"one component";
const NEW: &[u8] = b"another component";

fn path(name: &str) -> String {
    format!("sys/plugins/catalog/secret/{name}")
}

fn body(component: &[u8]) -> Value {
    json!({ "component": STANDARD.encode(component) })
}

async fn register(kit: &Kit, name: &str, component: &[u8]) -> Answer {
    kit.ask(Verb::Write, &path(name), ROOT, body(component)).await
}

async fn forget(kit: &Kit, name: &str, version: &str) -> Answer {
    kit.ask(Verb::Delete, &path(name), ROOT, json!({ "version": version })).await
}

async fn enable(kit: &Kit, version: &str) -> Answer {
    let body = json!({ "type": "lodger", "config": { "plugin_version": version } });
    kit.ask(Verb::Write, "sys/mounts/m", ROOT, body).await
}

async fn tune(kit: &Kit, version: &str) -> Answer {
    kit.ask(Verb::Write, "sys/mounts/m/tune", ROOT, json!({ "plugin_version": version })).await
}

async fn use_it(kit: &Kit) -> Answer {
    kit.ask(Verb::Read, "m/creds/one", ROOT, Value::Null).await
}

/// Which version serves the mount, and which an operator chose.
async fn running(kit: &Kit) -> (Value, Value) {
    let data = kit.ask(Verb::Read, "sys/mounts", ROOT, Value::Null).await.data();
    (data["m/"]["running_plugin_version"].clone(), data["m/"]["plugin_version"].clone())
}

fn errors(answer: &Answer) -> String {
    answer.failed.as_ref().expect("it is refused").errors.join("; ")
}

/// A kit that knows two versions of a plugin, both registered.
async fn with_two() -> (Kit, Arc<FakePlugin>, Arc<FakePlugin>) {
    let kit = Kit::new().await;
    let old = kit.compiler.knows(OLD, FakePlugin::new().named("lodger").versioned("1.0.0"));
    let new = kit.compiler.knows(NEW, FakePlugin::new().named("lodger").versioned("1.1.0"));
    assert_eq!(register(&kit, "lodger", OLD).await.failed, None);
    assert_eq!(register(&kit, "lodger", NEW).await.failed, None);
    (kit, old, new)
}

fn told(plugin: &FakePlugin) -> Vec<String> {
    plugin.told("m/").into_iter().map(|told| told.about).collect()
}

#[tokio::test]
async fn a_registered_plugin_is_listed_with_its_versions() {
    let (kit, _, _) = with_two().await;
    let all = kit.ask(Verb::Read, "sys/plugins/catalog", ROOT, Value::Null).await.data();
    assert_eq!(all["secret"], json!(["leaser", "lodger"]));
    let versions: Vec<_> = all["detailed"].as_array().into_iter().flatten().map(|one| one["version"].clone()).collect();
    assert_eq!(versions, ["v1.0.0", "v1.0.0", "v1.1.0"]);
    let newest = kit.ask(Verb::Read, &path("lodger"), ROOT, Value::Null).await.data();
    let sha256 = hex::encode(digest(&SHA256, NEW).as_ref());
    assert_eq!(
        (&newest["version"], &newest["sha256"], &newest["builtin"]),
        (&json!("v1.1.0"), &json!(sha256), &json!(false))
    );
    let old = kit.ask(Verb::Read, &path("lodger"), ROOT, json!({ "version": "1.0.0" })).await;
    assert_eq!((&old.data()["version"], &old.envelope.warnings), (&json!("v1.0.0"), &Vec::new()));
}

#[tokio::test]
async fn a_mount_goes_to_another_version_and_back_and_each_is_told() {
    let (kit, old, new) = with_two().await;
    assert_eq!(enable(&kit, "v1.0.0").await.failed, None);
    assert_eq!((told(&old), told(&new)), (vec!["Mounted".to_owned()], vec![]));
    assert_eq!(running(&kit).await, (json!("v1.0.0"), json!("v1.0.0")));
    assert_eq!(tune(&kit, "1.1.0").await.failed, None);
    assert_eq!((told(&old).len(), told(&new)), (1, vec!["Upgraded".to_owned()]));
    assert_eq!(running(&kit).await, (json!("v1.1.0"), json!("v1.1.0")));
    assert_eq!(use_it(&kit).await.failed, None);
    assert_eq!(tune(&kit, "v1.0.0").await.failed, None);
    assert_eq!((told(&old), told(&new).len()), (vec!["Mounted".to_owned(), "Upgraded".to_owned()], 1));
    assert_eq!(use_it(&kit).await.failed, None);
}

#[tokio::test]
async fn without_a_version_a_mount_gets_the_newest() {
    let (kit, _, new) = with_two().await;
    assert_eq!(enable(&kit, "").await.failed, None);
    assert_eq!(told(&new), ["Mounted"]);
    let unknown = tune(&kit, "2.0.0").await;
    assert!(errors(&unknown).contains("which has v1.0.0, v1.1.0"), "{}", errors(&unknown));
}

#[tokio::test]
async fn a_version_that_does_not_want_the_mount_does_not_get_it() {
    let (kit, old, new) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    new.behave("m/", Manner::Refuses);
    assert!(errors(&tune(&kit, "1.1.0").await).contains("the outside is not there"));
    assert_eq!(running(&kit).await.0, "v1.0.0");
    assert_eq!((use_it(&kit).await.failed, told(&old).len()), (None, 1));
}

#[tokio::test]
async fn what_a_version_keeps_in_memory_another_does_not_get() {
    let (kit, _, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    let kept = async || kit.ask(Verb::Read, "m/keep/one", ROOT, Value::Null).await.data()["kept"].clone();
    assert_eq!((kept().await, kept().await), (json!(false), json!(true)));
    assert_eq!(tune(&kit, "1.1.0").await.failed, None);
    assert_eq!((kept().await, kept().await), (json!(false), json!(true)));
}

#[tokio::test]
async fn a_version_that_mounts_have_is_not_forgotten() {
    let (kit, _, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    let refused = forget(&kit, "lodger", "1.0.0").await;
    assert!(errors(&refused).contains("v1.0.0 of the secret plugin \"lodger\" serves m/"), "{}", errors(&refused));
    assert!(errors(&forget(&kit, "lodger", "").await).contains("say which"));
    assert_eq!(forget(&kit, "lodger", "1.1.0").await.failed, None);
    assert!(tune(&kit, "1.1.0").await.failed.is_some());
    assert_eq!(kit.ask(Verb::Delete, "sys/mounts/m", ROOT, Value::Null).await.failed, None);
    assert_eq!(forget(&kit, "lodger", "").await.failed, None);
    assert_eq!(kit.ask(Verb::Read, &path("lodger"), ROOT, Value::Null).await.kind(), Some(FailureKind::NotFound));
    assert_eq!(kit.count_named(crate::book::space::COMPONENTS), 0);
    // What is not there need not be forgotten.
    assert_eq!(forget(&kit, "lodger", "").await.failed, None);
}

#[tokio::test]
async fn a_mount_whose_version_is_not_registered_says_so_with_503() {
    let (kit, _, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    kit.write(|tx, open| {
        let config = open.config(tx).expect("the config can be read");
        let registered = config.registry.all()[0].clone();
        crate::book::registry::remove(tx, &registered).expect("it can be removed");
    })
    .await;
    let answer = use_it(&kit).await;
    assert_eq!(answer.kind(), Some(FailureKind::Unavailable));
    assert!(errors(&answer).starts_with("version v1.0.0 of the plugin \"lodger\" of this mount is not registered"));
    assert_eq!(tune(&kit, "1.1.0").await.failed, None);
    assert_eq!(use_it(&kit).await.failed, None);
}

#[tokio::test]
async fn what_does_not_fit_is_not_registered() {
    let kit = Kit::new().await;
    kit.compiler.knows(OLD, FakePlugin::new().named("lodger").versioned("1.0.0"));
    kit.compiler.knows(NEW, FakePlugin::new().named("lodger").versioned("1.0.0"));
    kit.compiler.knows(b"brought", FakePlugin::new());
    kit.compiler.knows(b"system", FakePlugin::new().named("system"));
    kit.compiler.knows(b"odd", FakePlugin::new().named("odd").versioned("one"));
    assert_eq!(register(&kit, "lodger", OLD).await.failed, None);
    let with = |component: &[u8], more: Value| {
        let mut body = body(component);
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    let table = [
        ("secret/lodger", with(NEW, json!({})), "is registered with other bytes"),
        ("secret/lodger", with(OLD, json!({"sha256": "00"})), "the component's SHA-256 is"),
        ("secret/lodger", with(OLD, json!({"version": "1.2.3"})), "says that it is version 1.0.0, not 1.2.3"),
        ("secret/other", with(OLD, json!({})), "says that it is \"lodger\""),
        ("auth/lodger", with(OLD, json!({})), "the component is a secrets engine"),
        ("database/lodger", with(OLD, json!({})), "the component is a secrets engine"),
        ("kms/lodger", with(OLD, json!({})), "\"kms\" is not a supported plugin type"),
        ("secret/leaser", with(b"brought", json!({})), "is the one that this server brings"),
        ("secret/system", with(b"system", json!({})), "is a part of the server itself"),
        ("secret/odd", with(b"odd", json!({})), "is no semantic version"),
        ("secret/lodger", with(b"noise", json!({})), "the component is refused: it is no component"),
        ("other", with(OLD, json!({})), "says that it is \"lodger\""),
        ("leaser", with(b"brought", json!({})), "is the one that this server brings"),
        ("system", with(b"system", json!({})), "is a part of the server itself"),
        ("lodger", json!({"command": "lodger", "sha256": "00"}), "not programs"),
        ("secret/lodger", json!({"component": "!"}), "component is no base64"),
        ("secret/lodger", json!({"component": "A".repeat(10 << 20)}), "the component is larger than"),
        ("secret/lodger", json!({"command": "lodger", "sha256": "00"}), "not programs"),
        ("secret/lodger", json!({}), "component is required"),
    ];
    for (whom, body, why) in table {
        let answer = kit.ask(Verb::Write, &format!("sys/plugins/catalog/{whom}"), ROOT, body).await;
        assert!(errors(&answer).contains(why), "{whom}: {} instead of {why}", errors(&answer));
        assert_eq!(answer.kind(), Some(FailureKind::Invalid), "{why}");
    }
    let all = kit.ask(Verb::Read, "sys/plugins/catalog", ROOT, Value::Null).await.data();
    assert_eq!(all["secret"], json!(["leaser", "lodger"]));
}

#[tokio::test]
async fn without_a_type_in_the_path_a_plugin_has_that_of_its_component() {
    let kit = Kit::new().await;
    let _ = kit.compiler.knows(OLD, FakePlugin::new().named("lodger").versioned("1.0.0"));
    let answer = kit.ask(Verb::Write, "sys/plugins/catalog/lodger", ROOT, body(OLD)).await;
    assert_eq!(answer.failed, None);
    let found = kit.ask(Verb::Read, &path("lodger"), ROOT, Value::Null).await.data();
    assert_eq!((&found["type"], &found["version"]), (&json!("secret"), &json!("v1.0.0")));
    // Another type by the same name, or the same again, is what it is with a type.
    assert_eq!(register(&kit, "lodger", OLD).await.failed, None);
    for verb in [Verb::Read, Verb::Delete] {
        let answer = kit.ask(verb, "sys/plugins/catalog/lodger", ROOT, Value::Null).await;
        assert!(answer.failed.is_some(), "{verb:?} takes no name without a type");
    }
}

#[tokio::test]
async fn registering_the_same_again_changes_nothing() {
    let (kit, _, _) = with_two().await;
    let (asked, pieces) = (kit.compiler.asked(), kit.count_named(crate::book::space::COMPONENTS));
    assert_eq!(register(&kit, "lodger", OLD).await.failed, None);
    assert_eq!((kit.compiler.asked(), kit.count_named(crate::book::space::COMPONENTS)), (asked, pieces));
}

#[tokio::test]
async fn a_component_of_many_pieces_comes_back_whole() {
    let kit = Kit::new().await;
    let large: Vec<u8> = (0..2_000_000_u32).map(|n| (n / 7) as u8).collect();
    kit.compiler.knows(&large, FakePlugin::new().named("lodger").versioned("1.0.0"));
    assert_eq!(register(&kit, "lodger", &large).await.failed, None);
    assert_eq!(kit.count_named(crate::book::space::COMPONENTS), 4);
    assert_eq!(enable(&kit, "").await.failed, None);
    let kit = kit.restarted(true).await;
    assert_eq!(use_it(&kit).await.failed, None);
}

#[tokio::test]
async fn a_node_that_started_compiles_at_the_first_request_and_once() {
    let (kit, _, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    let kit = kit.restarted(true).await;
    let before = kit.compiler.asked();
    let (one, other) = tokio::join!(use_it(&kit), use_it(&kit));
    assert_eq!((one.failed, other.failed), (None, None));
    assert_eq!(use_it(&kit).await.failed, None);
    assert_eq!(kit.compiler.asked() - before, 1);
}

#[tokio::test]
async fn a_node_compiles_what_its_mounts_need_before_anybody_asks_and_nothing_else() {
    let (kit, _, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    let kit = kit.restarted(true).await;
    let before = kit.compiler.asked();
    let running = tokio::spawn(components::run(kit.open()));
    let waiting = async {
        while kit.compiler.asked() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it compiles");
    assert_eq!(use_it(&kit).await.failed, None);
    assert_eq!(kit.compiler.asked() - before, 1);
    running.abort();
}

#[tokio::test]
async fn a_lease_ends_although_its_plugin_was_not_compiled_yet() {
    let (kit, old, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    assert!(use_it(&kit).await.envelope.lease.is_some());
    let kit = kit.restarted(true).await;
    kit.clock.advance_secs(3_601);
    kit.settle().await;
    kit.settle().await;
    assert_eq!(old.calls("m/").iter().filter(|called| called.what == "revoke").count(), 1);
}

#[tokio::test]
async fn where_a_component_does_not_compile_its_mounts_say_so_and_others_serve() {
    let (kit, _, _) = with_two().await;
    kit.mount("other/").await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    kit.compiler.forgets();
    let kit = kit.restarted(true).await;
    let before = kit.compiler.asked();
    for _ in 0..3 {
        let answer = use_it(&kit).await;
        assert_eq!(answer.kind(), Some(FailureKind::Unavailable));
        assert!(errors(&answer).contains("does not compile on this server: it is no component"), "{}", errors(&answer));
    }
    assert_eq!(kit.compiler.asked() - before, 1);
    kit.lease("other/", ROOT).await;
}

#[tokio::test]
async fn a_mount_that_leaves_goes_where_a_node_has_not_compiled_its_plugin_yet() {
    let (kit, old, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    for _ in 0..120 {
        assert!(use_it(&kit).await.envelope.lease.is_some());
    }
    old.behave("m/", Manner::Refuses);
    assert!(kit.ask(Verb::Delete, "sys/mounts/m", ROOT, Value::Null).await.failed.is_some());
    let kit = kit.restarted(true).await;
    old.behave("m/", Manner::Works);
    kit.clock.advance_secs(60);
    kit.settle().await;
    kit.settle().await;
    assert_eq!(kit.count_named(space::LEASES), 0);
}

#[tokio::test]
async fn the_leases_of_a_mount_stay_where_its_plugin_could_not_be_compiled() {
    let (kit, _, _) = with_two().await;
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    assert!(use_it(&kit).await.envelope.lease.is_some());
    kit.compiler.forgets();
    let kit = kit.restarted(true).await;
    assert_eq!(use_it(&kit).await.kind(), Some(FailureKind::Unavailable));
    assert!(kit.ask(Verb::Delete, "sys/mounts/m", ROOT, Value::Null).await.failed.is_some());
    kit.settle().await;
    assert_eq!(kit.count_named(space::LEASES), 1, "another node may have it");
}

#[tokio::test]
async fn while_data_is_brought_to_another_layout_the_version_stays() {
    let kit = Kit::new().await;
    kit.compiler.knows(OLD, FakePlugin::new().named("lodger").versioned("1.0.0"));
    kit.compiler.knows(NEW, FakePlugin::next().named("lodger").versioned("1.1.0"));
    for component in [OLD, NEW] {
        assert_eq!(register(&kit, "lodger", component).await.failed, None);
    }
    assert_eq!(enable(&kit, "1.0.0").await.failed, None);
    assert_eq!(tune(&kit, "1.1.0").await.failed, None);
    let begun = kit.ask(Verb::Write, "sys/plugins/finalize/secret/lodger", ROOT, Value::Null).await;
    assert_eq!(begun.data()["upgrading"], json!(["m/"]));
    let refused = tune(&kit, "1.0.0").await;
    assert!(errors(&refused).contains("is being brought to another layout"), "{}", errors(&refused));
    kit.settle().await;
    let refused = tune(&kit, "1.0.0").await;
    assert!(errors(&refused).contains("reads data of layouts"), "{}", errors(&refused));
}
