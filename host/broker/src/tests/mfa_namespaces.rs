//! Second factors in namespaces: what is demanded above of a type of auth method is demanded below, and all
//! else is each namespace's own.

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Answer, request};
use super::mfa::{Factors, refused};
use crate::book::identity::parse_id;
use crate::book::mfa::secrets;
use crate::book::space;

/// A namespace `a` with the same auth method.
async fn furnished() -> Factors {
    let factors = Factors::new().await;
    factors.ok(Verb::Write, "sys/namespaces/a", Value::Null).await;
    factors.ok(Verb::Write, "a/sys/auth/fake", json!({ "type": "fake" })).await;
    factors
}

async fn login(factors: &Factors, namespace: &str) -> Answer {
    factors.send(request(Verb::Write, &format!("{namespace}auth/fake/login/ann"), "", &json!({}))).await
}

async fn validate(factors: &Factors, namespace: &str, (id, method, code): (&str, &str, &str)) -> Answer {
    let body = json!({ "mfa_request_id": id, "mfa_payload": { method: [code] } });
    factors.send(request(Verb::Write, &format!("{namespace}sys/mfa/validate"), "", &body)).await
}

/// What Ann's app shows, who is enrolled in `a`.
async fn enrolled(factors: &Factors, method: &str) -> String {
    let accessor = factors.ok(Verb::Read, "a/sys/auth", Value::Null).await["fake/"]["accessor"].clone();
    let known = json!({ "alias_name": "ann", "alias_mount_accessor": accessor });
    let entity = factors.ok(Verb::Write, "a/identity/lookup/entity", known).await["id"].clone();
    let entity = entity.as_str().expect("Ann has logged in").to_owned();
    let generate = json!({ "method_id": method, "entity_id": entity });
    factors.ok(Verb::Write, "a/identity/mfa/method/totp/admin-generate", generate).await;
    let open = factors.kit.open();
    let mut tx = open.begin().expect("memory has views");
    let realm = open.config(&mut tx).expect("it can be read").namespaces.at("a/").expect("it is there").realm();
    tx.enter(realm);
    let ids = (parse_id(method).expect("an id"), parse_id(&entity).expect("an id"));
    let found = secrets::get(&mut tx, &ids.0, &ids.1).expect("it can be read").expect("it has a secret");
    let step = found.scheme.step_at(open.parts.clock.now_ms());
    found.scheme.code(found.secret.duplicate().expose(), step).expose().clone()
}

#[tokio::test]
async fn what_the_root_demands_of_a_type_is_demanded_below_and_a_login_goes_on_where_it_is() {
    let factors = furnished().await;
    login(&factors, "a/").await.token();
    let code = enrolled(&factors, &factors.method).await;
    factors.demand("all", json!({ "auth_method_types": ["fake"] })).await;
    let waits = login(&factors, "a/").await.envelope.mfa.expect("it waits");
    assert_eq!(waits.mfa_constraints[0].any[0].id, factors.method);
    let sent = (waits.mfa_request_id.as_str(), factors.method.as_str(), code.as_str());
    refused(&validate(&factors, "", sent).await, FailureKind::Invalid, "invalid request ID");
    let answer = validate(&factors, "a/", sent).await;
    let token = answer.token();
    let own = factors.kit.ask(Verb::Read, "a/auth/token/lookup-self", &token, Value::Null).await;
    assert_eq!(own.failed, None);
}

#[tokio::test]
async fn what_a_namespace_demands_is_of_itself_alone_and_its_methods_too() {
    let factors = furnished().await;
    let made = factors.ok(Verb::Write, "a/identity/mfa/method/totp", json!({ "issuer": "I" })).await;
    let method = made["method_id"].as_str().expect("an id").to_owned();
    login(&factors, "a/").await.token();
    let code = enrolled(&factors, &method).await;
    let demand = json!({ "mfa_method_ids": [method], "auth_method_types": ["fake"] });
    factors.ok(Verb::Write, "a/identity/mfa/login-enforcement/all", demand.clone()).await;
    assert!(login(&factors, "").await.envelope.auth.is_some(), "the root demands nothing");
    let absent = factors.ask(Verb::Read, &format!("identity/mfa/method/{method}"), Value::Null).await;
    assert_eq!(absent.kind(), Some(FailureKind::NotFound));
    let foreign = factors.ask(Verb::Write, "identity/mfa/login-enforcement/all", demand).await;
    refused(&foreign, FailureKind::Invalid, "one of the provided method ids doesn't exist");
    let id = login(&factors, "a/").await.envelope.mfa.expect("it waits").mfa_request_id;
    validate(&factors, "a/", (&id, &method, &code)).await.token();
    // The secrets of its methods go as those of the root's do.
    factors.ok(Verb::Delete, "a/identity/mfa/login-enforcement/all", Value::Null).await;
    factors.ok(Verb::Delete, &format!("a/identity/mfa/method/totp/{method}"), Value::Null).await;
    factors.kit.settle().await;
    let open = factors.kit.open();
    let mut tx = open.begin().expect("memory has views");
    let realm = open.config(&mut tx).expect("it can be read").namespaces.at("a/").expect("it is there").realm();
    tx.enter(realm);
    let left = tx.opaque_range(space::MFA, &[0], &[0xff; 80], u32::MAX).expect("the book can be read").len();
    assert_eq!(left, 1, "but that something was demanded once");
}
