//! Namespaces: what each has is its own, tokens reach down and never up or aside, and one that is
//! deleted goes with all it had, however often the node dies meanwhile.

use std::time::Duration;

use bulkhead_barrier::Realm;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Request, Verb};
use serde_json::{Value, json};

use super::kit::{Answer, Kit, ROOT, request};
use crate::book::space;
use crate::sys::table::HostRoute;

const ALL: &str =
    r#"path "*" { capabilities = ["create", "read", "update", "list", "delete", "sudo", "scan", "patch"] }"#;

/// Asks in a namespace, by the header.
async fn within(kit: &Kit, namespace: &str, asked: (Verb, &str), token: &str, body: Value) -> Answer {
    let mut request = request(asked.0, asked.1, token, &body);
    namespace.clone_into(&mut request.namespace);
    kit.ask_within(Duration::from_secs(30), request).await
}

/// `a`, `a/b` and `o`, each with a mount `m` and a policy `all`.
async fn furnished() -> Kit {
    let kit = Kit::new().await;
    for (above, name) in [("", "a"), ("a", "b"), ("", "o")] {
        let made = within(&kit, above, (Verb::Write, &format!("sys/namespaces/{name}")), ROOT, Value::Null).await;
        assert_eq!(made.failed, None);
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        let mounted = within(&kit, &path, (Verb::Write, "sys/mounts/m"), ROOT, json!({ "type": "leaser" })).await;
        assert_eq!(mounted.failed, None);
        let policy = json!({ "policy": ALL });
        let written = within(&kit, &path, (Verb::Write, "sys/policies/acl/all"), ROOT, policy).await;
        assert_eq!(written.failed, None);
    }
    kit
}

async fn token_in(kit: &Kit, namespace: &str) -> String {
    let made = within(kit, namespace, (Verb::Write, "auth/token/create"), ROOT, json!({ "policies": ["all"] })).await;
    assert_eq!(made.failed, None);
    made.token()
}

async fn lease_in(kit: &Kit, namespace: &str, token: &str) -> String {
    let answer = within(kit, namespace, (Verb::Read, "m/creds/one"), token, Value::Null).await;
    assert_eq!(answer.failed, None);
    answer.envelope.lease.expect("a lease was granted").id
}

#[tokio::test]
async fn a_token_reaches_down_and_never_up_or_aside() {
    let kit = furnished().await;
    let token = token_in(&kit, "a").await;
    for (namespace, reaches) in [("a", true), ("a/b", true), ("", false), ("o", false)] {
        let answer = within(&kit, namespace, (Verb::Read, "sys/mounts"), &token, Value::Null).await;
        assert_eq!(answer.failed.is_none(), reaches, "{namespace:?}");
        assert_eq!(answer.kind(), (!reaches).then_some(FailureKind::Denied), "{namespace:?}");
    }
    let written = kit.ask(Verb::Read, "a/b/sys/mounts", &token, Value::Null).await;
    assert_eq!(written.failed, None, "header and path say the same");
    let below = token_in(&kit, "a/b").await;
    let up = within(&kit, "a", (Verb::Read, "sys/mounts"), &below, Value::Null).await;
    assert_eq!(up.kind(), Some(FailureKind::Denied));
}

// R-03: no name of a policy leads to one of another namespace, parsed before or not.
#[tokio::test]
async fn a_policy_of_the_same_name_is_another_in_each_namespace() {
    let kit = furnished().await;
    let narrow = json!({ "policy": r#"path "sys/mounts" { capabilities = ["read"] }"# });
    assert_eq!(within(&kit, "o", (Verb::Write, "sys/policies/acl/all"), ROOT, narrow).await.failed, None);
    let (of_a, of_o) = (token_in(&kit, "a").await, token_in(&kit, "o").await);
    assert_eq!(within(&kit, "a", (Verb::Read, "sys/auth"), &of_a, Value::Null).await.failed, None);
    assert!(within(&kit, "o", (Verb::Read, "sys/auth"), &of_o, Value::Null).await.failed.is_some());
    assert_eq!(within(&kit, "o", (Verb::Read, "sys/mounts"), &of_o, Value::Null).await.failed, None);
    let absent = within(&kit, "", (Verb::Read, "sys/policies/acl/all"), ROOT, Value::Null).await;
    assert_eq!(absent.kind(), Some(FailureKind::NotFound));
}

// R-11: nor is a lease revoked, whichever way its id is written.
#[tokio::test]
async fn a_lease_or_accessor_of_one_namespace_is_unknown_in_every_other() {
    let kit = furnished().await;
    let token = token_in(&kit, "a").await;
    let lease = lease_in(&kit, "a", &token).await;
    let looked = |namespace: &'static str, id: String| {
        let (kit, body) = (&kit, json!({ "lease_id": id }));
        async move { within(kit, namespace, (Verb::Write, "sys/leases/lookup"), ROOT, body).await }
    };
    assert_eq!(looked("a", lease.clone()).await.failed, None);
    let bare = lease.rsplit_once('.').expect("it is marked").0.to_owned();
    for (namespace, id) in
        [("", lease.clone()), ("a/b", lease.clone()), ("o", lease.clone()), ("", format!("a/{bare}")), ("a", bare)]
    {
        let answer = looked(namespace, id.clone()).await;
        assert_eq!(answer.kind(), Some(FailureKind::Invalid), "{id} in {namespace:?}");
        let revoked =
            within(&kit, namespace, (Verb::Write, "sys/leases/revoke"), ROOT, json!({ "lease_id": id })).await;
        assert_eq!(revoked.failed, None);
    }
    assert_eq!(looked("a", lease).await.failed, None, "nothing of it was revoked elsewhere");
    let told = within(&kit, "a", (Verb::Read, "auth/token/lookup-self"), &token, Value::Null).await.data();
    let accessor = json!({ "accessor": told["accessor"] });
    for (namespace, known) in [("a", true), ("", false), ("a/b", false), ("o", false)] {
        let path = "auth/token/lookup-accessor";
        let answer = within(&kit, namespace, (Verb::Write, path), ROOT, accessor.clone()).await;
        assert_eq!(answer.failed.is_none(), known, "{namespace:?}");
    }
}

/// An id of the same form that nobody has.
fn nobodys(id: &str) -> String {
    let at = id.rfind('.').unwrap_or(id.len()) - 1;
    let other = if id[at..].starts_with('0') { "1" } else { "0" };
    [&id[..at], other, &id[at + 1..]].concat()
}

/// Whether a route of every namespace is about something that is named, rather than about who asks, or about the
/// namespace as a whole, which would not answer any more.
fn asks_about_others(route: &HostRoute) -> bool {
    route.each && !route.pattern.ends_with("-self") && !route.pattern.starts_with("namespaces/api-lock")
}

/// How a request is answered in a namespace: its refusal, without the id that it was about, or whether there is data.
async fn told_in(kit: &Kit, namespace: &str, asked: Request, id: &str) -> Result<bool, (FailureKind, String)> {
    let asked = Request { namespace: namespace.to_owned(), ..asked };
    match kit.node.handle_within(asked, Duration::from_secs(30)).await.into_reply() {
        Reply::Failed(failed) => Err((failed.kind, failed.errors.join("|").replace(id, "the id"))),
        Reply::Envelope(envelope) => Ok(envelope.data.is_some()),
        _ => Ok(true),
    }
}

// R-11: what is known by an id in one namespace is as good as nobody's in another, on every route that there is:
// a new one is among them.
// R-12: so is the accessor of a token.
// R-23: so are entities and groups.
#[tokio::test]
async fn r11_no_route_tells_an_id_of_another_namespace_from_one_that_nobody_has() {
    let kit = furnished().await;
    let token = token_in(&kit, "a").await;
    let lease = lease_in(&kit, "a", &token).await;
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let told = within(&kit, "a", (Verb::Read, "auth/token/lookup-self"), &token, Value::Null).await.data();
    let mut ids = vec![lease, text(&told["accessor"])];
    for path in ["identity/entity", "identity/group"] {
        ids.push(text(&within(&kit, "a", (Verb::Write, path), ROOT, json!({ "name": "one" })).await.data()["id"]));
    }
    let admin = token_in(&kit, "o").await;
    let tables = [
        ("sys/", crate::sys::routes()),
        ("identity/", crate::sys::identity::routes()),
        ("auth/token/", crate::token::routes()),
    ];
    let mut asked = 0;
    for id in &ids {
        for (mount, route) in tables.iter().flat_map(|(mount, table)| table.all().map(move |route| (mount, route))) {
            for verb in route.verbs.iter().filter(|_| asks_about_others(route)) {
                let mut answers = Vec::new();
                for id in [id, &nobodys(id)] {
                    let named = |segment: &str| if segment.starts_with('{') { id.clone() } else { segment.to_owned() };
                    let below: Vec<String> = route.pattern.split('/').map(named).collect();
                    let fields = route.fields.unwrap_or_default().iter();
                    let body: serde_json::Map<String, Value> =
                        fields.map(|field| ((*field).to_owned(), json!(id))).collect();
                    let path = format!("{mount}{}", below.join("/"));
                    answers.push(told_in(&kit, "o", request(*verb, &path, &admin, &body.into()), id).await);
                }
                assert_eq!(answers[0], answers[1], "{verb:?} {mount}{} {id}", route.pattern);
                asked += 1;
            }
        }
    }
    assert!(asked > 300, "{asked} questions");
    let known = within(&kit, "a", (Verb::Write, "sys/leases/lookup"), ROOT, json!({ "lease_id": ids[0] })).await;
    assert_eq!((known.failed, kit.is_valid(&token).await), (None, true), "nothing of it has changed");
}

#[tokio::test]
async fn leases_are_revoked_by_prefix_within_their_namespace_alone() {
    let kit = furnished().await;
    for namespace in ["a", "a/b"] {
        let token = token_in(&kit, namespace).await;
        lease_in(&kit, namespace, &token).await;
    }
    for (namespace, prefix) in [("", "a"), ("", "a/m"), ("a", "b"), ("o", "m")] {
        let path = format!("sys/leases/revoke-prefix/{prefix}");
        assert_eq!(within(&kit, namespace, (Verb::Write, &path), ROOT, Value::Null).await.failed, None);
    }
    kit.settle().await;
    assert_eq!(kit.count_named(space::LEASES), 2);
    assert_eq!(within(&kit, "a", (Verb::Write, "sys/leases/revoke-prefix/m"), ROOT, Value::Null).await.failed, None);
    kit.settle().await;
    assert_eq!(kit.count_named(space::LEASES), 1);
    let listed = within(&kit, "a", (Verb::List, "sys/leases/lookup"), ROOT, Value::Null).await;
    assert_eq!(listed.kind(), Some(FailureKind::NotFound), "leases below are not listed above");
}

// R-14: nothing of a deleted namespace stays, no record and no lease, wherever the node died.
#[tokio::test]
async fn a_deleted_namespace_goes_with_all_it_had_however_often_the_node_dies() {
    let mut kit = furnished().await;
    let token = token_in(&kit, "a/b").await;
    for _ in 0..3 {
        lease_in(&kit, "a/b", &token).await;
    }
    // One of a token that lives on.
    lease_in(&kit, "a/b", ROOT).await;
    let realm = {
        let mut tx = kit.open().begin().expect("memory has views");
        let config = kit.open().config(&mut tx).expect("it can be read");
        config.namespaces.at("a/b/").expect("it is there").realm()
    };
    let refused = within(&kit, "", (Verb::Delete, "sys/namespaces/a"), ROOT, Value::Null).await;
    assert_eq!(refused.kind(), Some(FailureKind::Invalid), "those below go first");
    assert_eq!(within(&kit, "a", (Verb::Delete, "sys/namespaces/b"), ROOT, Value::Null).await.failed, None);
    let gone = within(&kit, "a/b", (Verb::Read, "sys/mounts"), ROOT, Value::Null).await;
    assert_eq!(gone.kind(), Some(FailureKind::NotFound));
    assert!(!kit.is_valid(&token).await);
    let taken = within(&kit, "a", (Verb::Write, "sys/namespaces/b"), ROOT, Value::Null).await;
    assert_eq!(taken.kind(), Some(FailureKind::Invalid), "not before the old one is gone");
    for round in 0..20 {
        kit.dies_after(round % 3 + 1);
        // A dead node tries for ever.
        let _ = tokio::time::timeout(Duration::from_millis(50), kit.settle()).await;
        kit = kit.restarted(true).await;
        kit.clock.advance_secs(60);
    }
    kit.settle().await;
    assert!(kit.plugin.calls("m/").len() >= 4, "each lease was revoked");
    assert_eq!(kit.count_named(space::LEASES), 0);
    assert_eq!(kit.count(space::DUE), 0);
    for book in space::OF_EACH {
        let place = realm.place(book);
        assert_ne!(realm, Realm::ROOT);
        assert_eq!(kit.count(place) + kit.count_named(place), 0, "a book is left");
    }
    assert_eq!(within(&kit, "a", (Verb::Write, "sys/namespaces/b"), ROOT, Value::Null).await.failed, None);
    let anew = within(&kit, "a/b", (Verb::Read, "sys/policies/acl/all"), ROOT, Value::Null).await;
    assert_eq!(anew.kind(), Some(FailureKind::NotFound), "a new one of the same name has nothing of the old");
}

#[tokio::test]
async fn a_namespace_goes_as_soon_as_its_mounts_have() {
    let kit = furnished().await;
    lease_in(&kit, "a/b", ROOT).await;
    assert_eq!(within(&kit, "a", (Verb::Delete, "sys/namespaces/b"), ROOT, Value::Null).await.failed, None);
    for _ in 0..3 {
        kit.settle().await;
        kit.clock.advance_secs(1);
    }
    kit.settle().await;
    assert_eq!(within(&kit, "a", (Verb::Write, "sys/namespaces/b"), ROOT, Value::Null).await.failed, None);
}

#[tokio::test]
async fn a_locked_namespace_is_closed_with_all_below_until_it_is_unlocked() {
    let kit = furnished().await;
    let locked = within(&kit, "", (Verb::Write, "sys/namespaces/api-lock/lock/a"), ROOT, Value::Null).await;
    let key = locked.data()["unlock_key"].clone();
    for namespace in ["a", "a/b"] {
        let answer = within(&kit, namespace, (Verb::Read, "sys/mounts"), ROOT, Value::Null).await;
        assert_eq!(answer.kind(), Some(FailureKind::Unavailable), "{namespace}");
    }
    assert_eq!(within(&kit, "o", (Verb::Read, "sys/mounts"), ROOT, Value::Null).await.failed, None);
    let unlock = "sys/namespaces/api-lock/unlock/a";
    let wrong = within(&kit, "", (Verb::Write, unlock), ROOT, json!({ "unlock_key": "none" })).await;
    assert_eq!(wrong.kind(), Some(FailureKind::Invalid));
    assert_eq!(within(&kit, "", (Verb::Write, unlock), ROOT, json!({ "unlock_key": key })).await.failed, None);
    assert_eq!(within(&kit, "a/b", (Verb::Read, "sys/mounts"), ROOT, Value::Null).await.failed, None);
}

#[tokio::test]
async fn what_a_token_keeps_in_its_cubbyhole_is_of_one_namespace() {
    let kit = furnished().await;
    let token = token_in(&kit, "a").await;
    let write = |namespace: &'static str, value: &'static str| {
        let (kit, token) = (&kit, &token);
        async move { within(kit, namespace, (Verb::Write, "cubbyhole/x"), token, json!({ "v": value })).await }
    };
    assert_eq!(write("a", "above").await.failed, None);
    let below = within(&kit, "a/b", (Verb::Read, "cubbyhole/x"), &token, Value::Null).await;
    assert_eq!(below.kind(), Some(FailureKind::NotFound));
    assert_eq!(write("a/b", "below").await.failed, None);
    for (namespace, value) in [("a", "above"), ("a/b", "below")] {
        let read = within(&kit, namespace, (Verb::Read, "cubbyhole/x"), &token, Value::Null).await;
        assert_eq!(read.data()["v"], value);
        let listed = within(&kit, namespace, (Verb::List, "cubbyhole"), &token, Value::Null).await;
        assert_eq!(listed.data()["keys"], json!(["x"]));
    }
    assert_eq!(within(&kit, "a", (Verb::Write, "auth/token/revoke-self"), &token, Value::Null).await.failed, None);
    assert_eq!(kit.count_named(space::CUBBYHOLE), 0, "all of it goes with the token");
}

// R-13: no route about the whole server is reached through a namespace: a new one is the root's until it is said
// otherwise.
#[tokio::test]
async fn what_is_the_roots_alone_is_refused_in_a_namespace() {
    let kit = furnished().await;
    // What tells of the node is told anywhere.
    let is_told = |pattern: &str| matches!(pattern, "seal-status" | "leader");
    let own = crate::sys::routes().all().filter(|route| !route.each && !route.verbs.is_empty());
    for route in own.filter(|route| !is_told(route.pattern)) {
        let path = format!("sys/{}", route.pattern.replace("...}", "").replace(['{', '}'], ""));
        let answer = within(&kit, "a", (route.verbs[0], &path), ROOT, Value::Null).await;
        let failure = answer.failed.unwrap_or_else(|| panic!("{path} was answered"));
        let is_refused = failure.errors.iter().any(|text| text.contains("namespace"));
        assert!(is_refused, "{path}: {:?}", failure.errors);
    }
}

#[tokio::test]
async fn nothing_is_mounted_into_a_namespace_from_outside_or_named_like_one() {
    let kit = furnished().await;
    for path in ["a", "a/kv", "a/b/kv", "o"] {
        let answer = kit.ask(Verb::Write, &format!("sys/mounts/{path}"), ROOT, json!({ "type": "leaser" })).await;
        assert_eq!(answer.kind(), Some(FailureKind::Invalid), "{path}");
        assert!(kit.ask(Verb::Delete, &format!("sys/mounts/{path}"), ROOT, Value::Null).await.failed.is_none());
    }
    kit.mount("taken").await;
    for name in ["taken", "root", "sys", "auth", "identity", "cubbyhole", "audit", "x y", "x*", "+", "a/c", "{{x}}"] {
        let answer = kit.ask(Verb::Write, &format!("sys/namespaces/{name}"), ROOT, Value::Null).await;
        assert_eq!(answer.kind(), Some(FailureKind::Invalid), "{name}");
    }
    let still = within(&kit, "a", (Verb::Read, "sys/mounts/m"), ROOT, Value::Null).await;
    assert_eq!(still.failed, None);
}

#[tokio::test]
async fn a_policys_name_gives_nothing_in_another_namespace() {
    let kit = furnished().await;
    let weak = json!({ "policy": r#"path "b/auth/token/create" { capabilities = ["update"] }"# });
    assert_eq!(within(&kit, "a", (Verb::Write, "sys/policies/acl/weak"), ROOT, weak).await.failed, None);
    let strong = json!({ "policy": ALL });
    assert_eq!(within(&kit, "a/b", (Verb::Write, "sys/policies/acl/weak"), ROOT, strong).await.failed, None);
    let made = within(&kit, "a", (Verb::Write, "auth/token/create"), ROOT, json!({ "policies": ["weak"] })).await;
    let token = made.token();
    let asked = json!({ "policies": ["weak"] });
    let refused = within(&kit, "a/b", (Verb::Write, "auth/token/create"), &token, asked).await;
    assert_eq!(refused.kind(), Some(FailureKind::Invalid));
    let made = within(&kit, "a/b", (Verb::Write, "auth/token/create"), &token, Value::Null).await;
    assert_eq!(made.envelope.auth.as_ref().expect("a token was made").token_policies, ["default"]);
    let below = made.token();
    assert!(within(&kit, "a/b", (Verb::Read, "sys/mounts"), &below, Value::Null).await.failed.is_some());
    assert_eq!(within(&kit, "", (Verb::Write, "auth/token/revoke-self"), &token, Value::Null).await.failed, None);
    assert!(!kit.is_valid(&below).await, "it ends with its parent, whatever its namespace");
}

#[tokio::test]
async fn who_tokens_are_said_to_come_from_is_set_for_one_namespace() {
    let kit = furnished().await;
    let issuer = json!({ "issuer": "https://a.example" });
    assert_eq!(within(&kit, "a", (Verb::Write, "identity/oidc/config"), ROOT, issuer).await.failed, None);
    for (namespace, expected) in [("a", "https://a.example"), ("", ""), ("a/b", "")] {
        let read = within(&kit, namespace, (Verb::Read, "identity/oidc/config"), ROOT, Value::Null).await;
        assert_eq!(read.data()["issuer"], expected, "{namespace:?}");
    }
}

#[tokio::test]
async fn batch_tokens_are_of_their_namespace_and_have_one_spelling() {
    let kit = furnished().await;
    let asked = json!({ "policies": ["all"], "type": "batch", "ttl": "1h" });
    let token = within(&kit, "a", (Verb::Write, "auth/token/create"), ROOT, asked).await.token();
    assert_eq!(within(&kit, "a", (Verb::Read, "sys/mounts"), &token, Value::Null).await.failed, None);
    for namespace in ["", "o"] {
        let answer = within(&kit, namespace, (Verb::Read, "sys/mounts"), &token, Value::Null).await;
        assert_eq!(answer.kind(), Some(FailureKind::Denied), "{namespace:?}");
    }
    let (bare, id) = token.rsplit_once('.').expect("it is marked");
    for other in [bare.to_owned(), format!("{bare}.{}", "x".repeat(id.len())), format!("{token}.{id}")] {
        let answer = within(&kit, "a", (Verb::Read, "sys/mounts"), &other, Value::Null).await;
        assert_eq!(answer.kind(), Some(FailureKind::Denied), "{other}");
    }
}

#[tokio::test]
async fn a_child_is_bound_to_its_parents_networks() {
    let kit = Kit::new().await;
    let role = json!({ "token_bound_cidrs": ["127.0.0.0/8"] });
    assert_eq!(kit.ask(Verb::Write, "auth/token/roles/near", ROOT, role).await.failed, None);
    let parent = kit.ask(Verb::Write, "auth/token/create/near", ROOT, json!({ "ttl": "1h" })).await;
    let parent = parent.token();
    // A token may make others only as far as its policies say: the root one's do.
    let child = kit.ask(Verb::Write, "auth/token/create", &parent, json!({ "ttl": "1h" })).await;
    let told = kit.ask(Verb::Write, "auth/token/lookup", ROOT, json!({ "token": child.token() })).await;
    assert_eq!(told.data()["bound_cidrs"], json!(["127.0.0.0/8"]));
}

#[tokio::test]
async fn where_leases_of_a_moved_mount_are_left_no_namespace_is_made() {
    let kit = furnished().await;
    kit.mount("db").await;
    kit.lease("db/", ROOT).await;
    kit.plugin.behave("db2/", super::plugin::Manner::Refuses);
    let moved = kit.ask(Verb::Write, "sys/remount", ROOT, json!({ "from": "db", "to": "db2" })).await;
    assert_eq!(moved.failed, None);
    kit.settle().await;
    let refused = kit.ask(Verb::Write, "sys/namespaces/db", ROOT, Value::Null).await;
    assert_eq!(refused.kind(), Some(FailureKind::Invalid));
}

#[tokio::test]
async fn leases_that_keep_a_namespace_from_going_are_given_up_from_above() {
    let kit = furnished().await;
    let token = token_in(&kit, "o").await;
    lease_in(&kit, "o", &token).await;
    kit.plugin.behave("m/", super::plugin::Manner::Refuses);
    assert_eq!(within(&kit, "", (Verb::Delete, "sys/namespaces/o"), ROOT, Value::Null).await.failed, None);
    kit.settle().await;
    let left = kit.ask(Verb::Read, "sys/namespaces/o", ROOT, Value::Null).await;
    assert_eq!(left.data()["tainted"], true);
    let forced = kit.ask(Verb::Write, "sys/leases/revoke-force/o/m", ROOT, Value::Null).await;
    assert_eq!(forced.failed, None);
    for _ in 0..3 {
        kit.clock.advance_secs(120);
        kit.settle().await;
    }
    let gone = kit.ask(Verb::Read, "sys/namespaces/o", ROOT, Value::Null).await;
    assert_eq!(gone.kind(), Some(FailureKind::NotFound));
}

#[tokio::test]
async fn what_is_done_with_a_token_is_done_where_it_is() {
    let kit = furnished().await;
    let (of_a, of_o) = (token_in(&kit, "a").await, token_in(&kit, "o").await);
    for path in ["lookup", "renew", "revoke-orphan", "revoke"] {
        let path = format!("auth/token/{path}");
        let refused = within(&kit, "o", (Verb::Write, &path), &of_o, json!({ "token": of_a })).await;
        assert_eq!(refused.kind(), Some(FailureKind::Denied), "{path}");
    }
    assert!(kit.is_valid(&of_a).await);
    let above = within(&kit, "o", (Verb::Write, "auth/token/lookup"), ROOT, json!({ "token": of_a })).await;
    assert_eq!(above.data()["namespace_path"], "a/");
    let chosen = within(&kit, "a", (Verb::Write, "auth/token/create"), ROOT, json!({ "id": "mine" })).await;
    assert_eq!(chosen.kind(), Some(FailureKind::Invalid));
}
