//! Who is behind a token, and what follows for what it may do.

use serde_json::json;

use super::bench::{Bench, ROOT};
use crate::book::identity::book::IDS_A_LOOK;
use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::{Alias, id_text, parse_id};

/// A policy that lets its holder list the policies.
async fn listing_policy(bench: &Bench, name: &str) {
    let text = r#"path "sys/tools/hash" { capabilities = ["update"] }
                  path "sys/auth" { capabilities = ["read"] }"#;
    bench.write(&format!("sys/policies/acl/{name}"), ROOT, json!({ "policy": text })).await;
}

async fn group(bench: &Bench, body: serde_json::Value) -> String {
    let made = bench.write("identity/group", ROOT, body).await;
    made.data["id"].as_str().unwrap_or_else(|| panic!("{:?}", made.errors)).to_owned()
}

#[tokio::test]
async fn the_first_login_makes_an_entity_and_the_next_finds_it_in_any_spelling() {
    let bench = Bench::new().await;
    let first = bench.login("ann").await;
    let again = bench.login("Ann").await;
    assert_eq!(first.entity(), again.entity());
    assert_ne!(first.entity(), bench.login("bob").await.entity());
    let told = bench.read(&format!("identity/entity/id/{}", first.entity()), ROOT).await.data;
    assert_eq!((told["aliases"][0]["name"].as_str(), told["aliases"].as_array().map(Vec::len)), (Some("ann"), Some(1)));
}

#[tokio::test]
async fn a_login_whose_networks_are_none_is_the_plugins_fault_and_leaves_nothing() {
    let bench = Bench::new().await;
    let known = bench.list("auth/token/accessors", ROOT).await.data;
    for network in ["10.0.0.0/33", "10.0.0.0/+8", " 127.0.0.1", "here", ""] {
        bench.grant.lock().networks = vec!["127.0.0.0/8", network];
        let refused = bench.login("ann").await;
        assert_eq!((refused.status, &refused.auth), (500, &json!(null)), "{network:?}");
        assert!(refused.errors.iter().all(|error| !error.contains("network")), "{:?}", refused.errors);
    }
    assert_eq!(bench.list("auth/token/accessors", ROOT).await.data, known);
    assert_eq!(bench.list("identity/entity/id", ROOT).await.status, 404);
    bench.grant.lock().networks = vec!["127.0.0.0/8", "::1"];
    let token = bench.login("ann").await.token();
    assert_eq!(bench.read("auth/token/lookup-self", &token).await.data["bound_cidrs"], json!(["127.0.0.0/8", "::1"]));
}

#[tokio::test]
async fn what_the_method_says_of_an_alias_is_as_of_the_last_login() {
    let bench = Bench::new().await;
    let path = format!("identity/entity/id/{}", bench.login("ann").await.entity());
    assert!(bench.read(&path, ROOT).await.data["aliases"][0]["metadata"].is_null());
    bench.grant.lock().metadata = vec![("city".into(), "Oslo".into())];
    bench.login("ann").await;
    assert_eq!(bench.read(&path, ROOT).await.data["aliases"][0]["metadata"], json!({ "city": "Oslo" }));
}

// R-20: who was taken out of a group has nothing of it any more with the next request.
#[tokio::test]
async fn policies_come_through_the_entity_and_its_groups_and_go_with_the_next_request() {
    let bench = Bench::new().await;
    listing_policy(&bench, "lists").await;
    let login = bench.login("ann").await;
    let (token, entity) = (login.token(), login.entity());
    assert_eq!(bench.read("sys/auth", &token).await.status, 403);
    let inner = group(&bench, json!({"name": "inner", "member_entity_ids": [entity]})).await;
    assert_eq!(bench.read("sys/auth", &token).await.status, 403);
    let outer = json!({"name": "outer", "member_group_ids": [inner], "policies": ["lists"]});
    group(&bench, outer).await;
    assert_eq!(bench.read("sys/auth", &token).await.status, 200);
    assert_eq!(bench.login("ann").await.auth["identity_policies"], json!(["lists"]));
    bench.write("identity/group/name/inner", ROOT, json!({"member_entity_ids": []})).await;
    assert_eq!(bench.read("sys/auth", &token).await.status, 403);
    bench.write(&format!("identity/entity/id/{entity}"), ROOT, json!({"policies": ["lists"]})).await;
    assert_eq!(bench.read("sys/auth", &token).await.status, 200);
}

#[tokio::test]
async fn a_disabled_entity_neither_logs_in_nor_uses_its_tokens() {
    let bench = Bench::new().await;
    let login = bench.login("ann").await;
    let path = format!("identity/entity/id/{}", login.entity());
    bench.write(&path, ROOT, json!({"disabled": true})).await;
    assert_eq!(bench.login("ann").await.status, 403);
    assert_eq!(bench.read("auth/token/lookup-self", &login.token()).await.status, 403);
    bench.write(&path, ROOT, json!({"disabled": false})).await;
    assert_eq!(bench.read("auth/token/lookup-self", &login.token()).await.status, 200);
    bench.delete(&path, ROOT).await;
    assert_eq!(bench.read("auth/token/lookup-self", &login.token()).await.status, 403);
}

#[tokio::test]
async fn a_merged_entitys_tokens_go_on_as_those_of_the_one_it_went_into() {
    let bench = Bench::new().await;
    listing_policy(&bench, "lists").await;
    let (ann, bob) =
        (bench.login("ann").await, bench.write("identity/entity", ROOT, json!({"policies": ["lists"]})).await);
    let merge = json!({"from_entity_ids": [ann.entity()], "to_entity_id": bob.data["id"]});
    assert_eq!(bench.write("identity/entity/merge", ROOT, merge).await.status, 204);
    assert_eq!(bench.read("sys/auth", &ann.token()).await.status, 200);
    assert_eq!(bench.login("ann").await.entity(), bob.data["id"]);
}

#[tokio::test]
async fn external_groups_are_joined_and_left_at_login_and_at_renewal() {
    let bench = Bench::new().await;
    let accessor = bench.accessor().await;
    let external = group(&bench, json!({"name": "ops", "type": "external", "policies": ["p"]})).await;
    let alias = json!({"name": "ops-there", "mount_accessor": accessor, "canonical_id": external});
    assert_eq!(bench.write("identity/group-alias", ROOT, alias).await.status, 200);
    bench.grant.lock().groups = vec!["ops-there", "unknown"];
    let login = bench.login("ann").await;
    assert_eq!(login.auth["identity_policies"], json!(["p"]));
    // A group of the operator's is none of the method's.
    group(&bench, json!({"name": "own", "policies": ["q"], "member_entity_ids": [login.entity()]})).await;
    bench.grant.lock().groups.clear();
    let renewed = bench.write("auth/token/renew-self", &login.token(), json!({})).await;
    assert_eq!(renewed.auth["identity_policies"], json!(["q"]), "{:?}", renewed.errors);
    bench.grant.lock().groups = vec!["OPS-there"];
    assert_eq!(bench.login("ann").await.auth["identity_policies"], json!(["p", "q"]));
}

#[tokio::test]
async fn groups_are_never_in_a_circle_and_nest_only_so_deep() {
    let bench = Bench::new().await;
    let mut inner = group(&bench, json!({"name": "g0"})).await;
    let first = inner.clone();
    for level in 1..32 {
        inner = group(&bench, json!({"name": format!("g{level}"), "member_group_ids": [inner]})).await;
    }
    let deeper = bench.write("identity/group", ROOT, json!({"name": "g32", "member_group_ids": [inner]})).await;
    assert_eq!(deeper.status, 400, "{:?}", deeper.errors);
    let circle = bench.write(&format!("identity/group/id/{first}"), ROOT, json!({"member_group_ids": [inner]})).await;
    assert!(circle.errors[0].starts_with("cyclic relationship"), "{:?}", circle.errors);
}

// R-19: neither an entity nor a group gives full power.
#[tokio::test]
async fn no_entity_or_group_makes_root_not_even_one_written_behind_the_api() {
    let bench = Bench::new().await;
    for name in ["root", "ROOT", " Root "] {
        for path in ["identity/entity", "identity/group"] {
            let refused = bench.write(path, ROOT, json!({"name": "x", "policies": ["a", name]})).await;
            assert_eq!(refused.status, 400, "{path} {name:?}");
        }
    }
    let login = bench.login("ann").await;
    let (open, id) = (bench.open(), parse_id(&login.entity()).expect("an id"));
    let mut tx = open.begin().expect("a view");
    let mut entity = ENTITIES.get(&mut tx, &id).expect("readable").expect("an entity");
    let before = entity.clone();
    entity.policies = vec!["root".into()];
    entities::save(&mut tx, &open.names, Some(&before), &entity).expect("a write");
    open.commit(tx).await.expect("no conflict");
    assert_eq!(bench.read("sys/auth", &login.token()).await.status, 403);
}

// R-06: a value in a template stands for itself and widens nothing.
#[tokio::test]
async fn a_templated_policy_is_each_entitys_own() {
    let bench = Bench::new().await;
    let text = r#"path "identity/entity/name/{{identity.entity.metadata.about}}" { capabilities = ["read"] }"#;
    bench.write("sys/policies/acl/own", ROOT, json!({ "policy": text })).await;
    let login = bench.login("ann").await;
    let path = format!("identity/entity/id/{}", login.entity());
    bench.write(&path, ROOT, json!({"name": "ann", "policies": ["own"], "metadata": {"about": "bob"}})).await;
    bench.write("identity/entity/name/bob", ROOT, json!({})).await;
    assert_eq!(bench.read("identity/entity/name/bob", &login.token()).await.status, 200);
    bench.write(&path, ROOT, json!({"metadata": {"about": "ann"}})).await;
    assert_eq!(bench.read("identity/entity/name/bob", &login.token()).await.status, 403);
    // A value that reaches further than its place ends the token's use, whatever else it may.
    bench.write(&path, ROOT, json!({"metadata": {"about": "*"}})).await;
    assert_eq!(bench.read("identity/entity/name/bob", &login.token()).await.status, 403);
    assert_eq!(bench.read("auth/token/lookup-self", &login.token()).await.status, 403);
}

// R-07: an entity has one alias at a mount, so a template can mean no other one.
// R-21: no write of an alias takes it over from whom it belongs to.
#[tokio::test]
async fn an_alias_is_of_one_entity_and_an_entity_has_one_at_a_mount() {
    let bench = Bench::new().await;
    let (ann, accessor) = (bench.login("ann").await.entity(), bench.accessor().await);
    let bob = bench.login("bob").await.entity();
    let second = json!({"name": "annie", "mount_accessor": accessor, "canonical_id": ann});
    assert_eq!(bench.write("identity/entity-alias", ROOT, second).await.status, 400);
    // To write another's alias does not take it over where one has one already (CVE-2021-41802).
    let other = json!({"name": "ANN", "mount_accessor": accessor, "canonical_id": bob});
    assert_eq!(bench.write("identity/entity-alias", ROOT, other).await.status, 400);
    assert_eq!(bench.login("ann").await.entity(), ann);
}

#[tokio::test]
async fn what_leads_to_an_entity_goes_with_it() {
    let bench = Bench::new().await;
    let (ann, accessor) = (bench.login("ann").await.entity(), bench.accessor().await);
    let in_group = group(&bench, json!({"name": "g", "member_entity_ids": [ann]})).await;
    bench.delete(&format!("identity/entity/id/{ann}"), ROOT).await;
    for known in [json!({"id": ann}), json!({"alias_name": "ann", "alias_mount_accessor": accessor})] {
        assert_eq!(bench.write("identity/lookup/entity", ROOT, known).await.status, 204);
    }
    let told = bench.read(&format!("identity/group/id/{in_group}"), ROOT).await.data;
    assert!(told["member_entity_ids"].is_null());
    assert_ne!(bench.login("ann").await.entity(), ann);
}

#[tokio::test]
async fn a_guest_hears_of_entities_and_has_templates_expanded() {
    let bench = Bench::new().await;
    let ann = bench.login("ann").await.entity();
    bench.write(&format!("identity/entity/id/{ann}"), ROOT, json!({"metadata": {"team": "red"}})).await;
    group(&bench, json!({"name": "g", "member_entity_ids": [ann]})).await;
    let told = bench.read(&format!("fake/expand/{ann}"), ROOT).await.data;
    assert_eq!(told, json!({"groups": 1, "team": "red"}));
    let nobody = bench.read("fake/expand/nobody", ROOT).await.data;
    assert_eq!(nobody, json!({"groups": null, "team": null}));
}

#[tokio::test]
async fn lists_hold_all_there_is_whatever_number_of_pages_they_are_read_in() {
    let bench = Bench::new().await;
    let (open, accessor) = (bench.open(), bench.accessor().await);
    let big = group(&bench, json!({"name": "big"})).await;
    let big = parse_id(&big).expect("an id");
    let count = 2 * IDS_A_LOOK + 1;
    for from in (0..count).step_by(500) {
        let mut tx = open.begin().expect("a view");
        for n in from..count.min(from + 500) {
            let id = u128::from(n + 1).to_be_bytes();
            let alias = Alias { id, mount_accessor: accessor.clone(), name: format!("a{n}"), ..Alias::default() };
            let (name, aliases, groups) = (format!("e{n}"), vec![alias], vec![big]);
            let entity = EntityRecord { id, name, aliases, groups, ..EntityRecord::default() };
            entities::save(&mut tx, &open.names, None, &entity).expect("a write");
        }
        open.commit(tx).await.expect("no conflict");
    }
    let count = count as usize;
    for path in ["identity/entity/id", "identity/entity-alias/id"] {
        let told = bench.list(path, ROOT).await.data;
        let keys = told["keys"].as_array().expect("keys");
        assert_eq!(
            (keys.len(), told["key_info"].as_object().map(serde_json::Map::len)),
            (count, Some(count)),
            "{path}"
        );
        assert!(keys.iter().map(|key| key.as_str()).is_sorted(), "{path}");
        assert_eq!(
            told["key_info"][keys[0].as_str().expect("an id")]["mount_path"].is_string(),
            path.contains("alias")
        );
    }
    let names = bench.list("identity/entity/name", ROOT).await.data;
    assert_eq!((names["keys"].as_array().map(Vec::len), &names["keys"][count - 1]), (Some(count), &json!("e2000")));
    let groups = bench.list("identity/group/id", ROOT).await.data;
    assert_eq!(groups["key_info"][id_text(&big)]["num_member_entities"], count);
    let counted = bench.read("sys/internal/counters/entities", ROOT).await.data;
    assert_eq!(counted["counters"]["entities"]["total"], count);
    assert_eq!(bench.list("identity/group-alias/id", ROOT).await.status, 404);
}
