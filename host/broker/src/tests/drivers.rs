//! Drivers that engines have work, and what a mount is granted for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Answer, Kit, ROOT};
use super::plugin::FakePlugin;

const GRANTS: &str = "sys/plugins/grants/m";

async fn with_driver() -> Kit {
    let kit = Kit::new().await;
    kit.mount("m/").await;
    kit.compiler.knows(b"driver", FakePlugin::new().named("acme").driver());
    let body = json!({ "component": STANDARD.encode(b"driver") });
    let registered = kit.ask(Verb::Write, "sys/plugins/catalog/database/acme", ROOT, body).await;
    assert_eq!(registered.failed, None);
    kit
}

async fn drive(kit: &Kit, driver: &str) -> Answer {
    kit.ask(Verb::Read, &format!("m/drive/{driver}"), ROOT, Value::Null).await
}

async fn grant(kit: &Kit, body: Value) -> Answer {
    kit.ask(Verb::Write, GRANTS, ROOT, body).await
}

async fn granted(kit: &Kit) -> Value {
    kit.ask(Verb::Read, GRANTS, ROOT, Value::Null).await.data()["grants"].clone()
}

#[tokio::test]
async fn a_driver_works_for_a_mount_that_is_granted_it() {
    let kit = with_driver().await;
    let refused = drive(&kit, "acme").await.data()["refused"].clone();
    assert!(refused.as_str().is_some_and(|why| why.contains("not granted \"driver acme\"")), "{refused}");
    assert_eq!(granted(&kit).await, json!([]));
    assert_eq!(grant(&kit, json!({ "add": ["driver acme", "net tcp://db.example:5432"] })).await.failed, None);
    let user = drive(&kit, "acme").await.data()["user"].clone();
    // What it reads and what is granted: nothing of the mount's records, all of its grants.
    assert_eq!(user, "reads nothing, m/, driver acme; net tcp://db.example:5432");
    assert_eq!(drive(&kit, "acme@v1.0.0").await.data()["user"], user);
    assert_eq!(grant(&kit, json!({ "remove": ["driver acme"] })).await.failed, None);
    assert!(drive(&kit, "acme").await.data()["refused"].is_string());
}

#[tokio::test]
async fn a_driver_that_is_not_in_the_catalog_is_told_so() {
    let kit = with_driver().await;
    grant(&kit, json!({ "grants": ["driver acme", "driver nobody"] })).await;
    for name in ["nobody", "acme@2.0.0"] {
        let refused = drive(&kit, name).await.data()["refused"].clone();
        assert_eq!(refused, format!("the driver {name:?} is not in the catalog"));
    }
}

#[tokio::test]
async fn what_touches_the_outside_is_done_by_whoever_leads() {
    let kit = with_driver().await;
    grant(&kit, json!({ "add": ["driver acme"] })).await;
    kit.leads(false);
    assert_eq!(drive(&kit, "acme").await.kind(), Some(FailureKind::Unavailable));
    kit.leads(true);
    assert!(drive(&kit, "acme").await.data()["user"].is_string());
}

#[tokio::test]
async fn grants_are_replaced_added_taken_and_left_as_from_the_start() {
    let kit = with_driver().await;
    let many = json!({ "grants": ["driver *", "insecure-tls", "net tcp://[::1]:5432"] });
    assert_eq!(grant(&kit, many).await.failed, None);
    assert_eq!(granted(&kit).await, json!(["driver *", "insecure-tls", "net tcp://[::1]:5432"]));
    assert_eq!(grant(&kit, json!({ "add": ["keys.export"], "remove": ["driver *"] })).await.failed, None);
    assert_eq!(granted(&kit).await, json!(["insecure-tls", "net tcp://[::1]:5432", "keys.export"]));
    for (body, why) in
        [(json!({ "add": ["net db"] }), "\"net db\" is no grant"), (json!({}), "give \"grants\" to replace them all")]
    {
        let answer = grant(&kit, body).await;
        assert_eq!(answer.kind(), Some(FailureKind::Invalid));
        assert!(answer.failed.is_some_and(|failure| failure.errors.join("").contains(why)), "{why}");
    }
    assert_eq!(kit.ask(Verb::Delete, GRANTS, ROOT, Value::Null).await.failed, None);
    assert_eq!(granted(&kit).await, json!([]));
    let nowhere = kit.ask(Verb::Read, "sys/plugins/grants/nowhere", ROOT, Value::Null).await;
    assert_eq!(nowhere.kind(), Some(FailureKind::Invalid));
}

#[tokio::test]
async fn what_the_server_brings_has_its_further_names_and_its_grants_from_the_start() {
    let kit = Kit::with_other(std::sync::Arc::new(FakePlugin::new().named("outfitted"))).await;
    let grants_of = async |path: &str| {
        kit.ask(Verb::Read, &format!("sys/plugins/grants/{path}"), ROOT, Value::Null).await.data()["grants"].clone()
    };
    assert_eq!(kit.ask(Verb::Write, "sys/namespaces/team", ROOT, Value::Null).await.failed, None);
    for (path, kind) in
        [("a", "outfitted"), ("b", "outfitted-once"), ("c", "leaser"), ("team/sys/mounts/d", "outfitted")]
    {
        let path = if path.contains('/') { path.to_owned() } else { format!("sys/mounts/{path}") };
        assert_eq!(kit.ask(Verb::Write, &path, ROOT, json!({ "type": kind })).await.failed, None, "{path}");
    }
    assert_eq!(grants_of("a").await, json!(["driver *", "net tcp://127.0.0.1:5432"]));
    // Under another name it is another plugin to whoever grants.
    assert_eq!(grants_of("b").await, json!([]));
    assert_eq!(grants_of("c").await, json!([]));
    // The machine itself is for the root namespace's.
    assert_eq!(grants_of("team/d").await, json!(["driver *"]));
}

#[tokio::test]
async fn to_reload_a_driver_is_to_reload_the_mounts_that_may_have_it_work() {
    let engine = std::sync::Arc::new(FakePlugin::new().named("engine").with_drivers());
    let kit = Kit::with_other(engine.clone()).await;
    kit.mount("m/").await;
    for path in ["granted", "not-granted"] {
        let mounted = kit.ask(Verb::Write, &format!("sys/mounts/{path}"), ROOT, json!({ "type": "engine" })).await;
        assert_eq!(mounted.failed, None);
    }
    kit.compiler.knows(b"driver", FakePlugin::new().named("acme").driver());
    let body = json!({ "component": STANDARD.encode(b"driver") });
    assert_eq!(kit.ask(Verb::Write, "sys/plugins/catalog/database/acme", ROOT, body).await.failed, None);
    let body = json!({ "add": ["driver acme"] });
    assert_eq!(kit.ask(Verb::Write, "sys/plugins/grants/granted", ROOT, body).await.failed, None);
    let reload = async |plugin: &str| {
        kit.ask(Verb::Write, "sys/plugins/reload/backend", ROOT, json!({ "plugin": plugin })).await
    };
    assert_eq!(reload("acme").await.failed, None);
    let reloaded = |plugin: &FakePlugin, path: &str| {
        plugin.told(path).iter().filter(|told| told.about.starts_with("Reloaded")).count()
    };
    let counts =
        [(&engine, "granted/"), (&engine, "not-granted/"), (&kit.plugin, "m/")].map(|(one, at)| reloaded(one, at));
    assert_eq!(counts, [1, 0, 0]);
    assert_eq!(reload("nobody").await.kind(), Some(FailureKind::Invalid));
}

#[tokio::test]
async fn who_asks_for_grants_in_a_namespace_is_told_where_to_ask() {
    let kit = with_driver().await;
    assert_eq!(kit.ask(Verb::Write, "sys/namespaces/team", ROOT, Value::Null).await.failed, None);
    let refused = kit.ask(Verb::Read, "team/sys/plugins/grants/m", ROOT, Value::Null).await.failed;
    let text = refused.expect("the root namespace alone has grants").errors.join("");
    assert!(text.ends_with("ask there, with the mount's path from there"), "{text}");
}
