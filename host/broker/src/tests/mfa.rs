//! Second factors at logins: no token without them, whose logins need them, and what becomes of
//! secrets.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::failure::FailureKind;
use bulkhead_model::limits::REQUEST_MS_MAX;
use bulkhead_model::request::{Request, Verb};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::bench::{self, Grant};
use super::kit::{Answer, Kit, ROOT, request};
use crate::book::identity::{Id, parse_id};
use crate::book::mfa::secrets;
use crate::book::space;

/// A node with an auth method, and a method of MFA.
pub(super) struct Factors {
    pub(super) kit: Kit,
    pub(super) grant: Arc<Mutex<Grant>>,
    /// The method's id.
    pub(super) method: String,
}

impl Factors {
    /// Nobody needs the method yet.
    pub(super) async fn new() -> Self {
        let grant = Arc::<Mutex<Grant>>::default();
        let kit = Kit::with_other(bench::auth_method(&grant)).await;
        let factors = Self { kit, grant, method: String::new() };
        factors.ok(Verb::Write, "sys/auth/fake", json!({ "type": "fake" })).await;
        let method = factors.new_method(json!({ "method_name": "phone" })).await;
        Self { method, ..factors }
    }

    /// All logins of the auth method need it.
    pub(super) async fn demanded() -> Self {
        let factors = Self::new().await;
        factors.demand("all", json!({ "auth_method_types": ["fake"] })).await;
        factors
    }

    /// Another node over the same state, as when leadership moves.
    pub(super) async fn elsewhere(self) -> Self {
        Self { kit: self.kit.restarted(true).await, ..self }
    }

    pub(super) async fn ask(&self, verb: Verb, path: &str, body: Value) -> Answer {
        self.kit.ask(verb, path, ROOT, body).await
    }

    pub(super) async fn ok(&self, verb: Verb, path: &str, body: Value) -> Value {
        let answer = self.ask(verb, path, body).await;
        assert_eq!(answer.failed, None, "{path}");
        answer.data()
    }

    pub(super) async fn new_method(&self, mut settings: Value) -> String {
        settings["issuer"] = "Bulkhead".into();
        let made = self.ok(Verb::Write, "identity/mfa/method/totp", settings).await;
        made["method_id"].as_str().expect("an id").to_owned()
    }

    pub(super) async fn demand(&self, name: &str, mut of: Value) {
        if of["mfa_method_ids"].is_null() {
            of["mfa_method_ids"] = json!([self.method]);
        }
        self.ok(Verb::Write, &format!("identity/mfa/login-enforcement/{name}"), of).await;
    }

    /// The entity of a name, which has a secret from now on.
    pub(super) async fn enrolled(&self, name: &str) -> String {
        let entity = self.entity(name).await;
        let body = json!({ "method_id": self.method, "entity_id": entity });
        let made = self.ok(Verb::Write, "identity/mfa/method/totp/admin-generate", body).await;
        assert!(made["url"].as_str().expect("a URL").starts_with("otpauth://totp/Bulkhead:"));
        entity
    }

    /// The entity of a name in the auth method.
    pub(super) async fn entity(&self, name: &str) -> String {
        let accessor = self.accessor().await;
        let known = json!({ "alias_name": name, "alias_mount_accessor": accessor });
        let found = self.ask(Verb::Write, "identity/lookup/entity", known).await.data();
        if let Some(id) = found["id"].as_str() {
            return id.to_owned();
        }
        let made = self.ok(Verb::Write, "identity/entity", json!({ "name": name })).await;
        let alias = json!({ "name": name, "canonical_id": made["id"], "mount_accessor": accessor });
        self.ok(Verb::Write, "identity/entity-alias", alias).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    pub(super) async fn accessor(&self) -> String {
        let mounts = self.ok(Verb::Read, "sys/auth", Value::Null).await;
        mounts["fake/"]["accessor"].as_str().expect("it is mounted").to_owned()
    }

    /// The code of a method that an entity's app shows so many periods from now.
    pub(super) fn code_of(&self, method: &str, entity: &str, periods: i64) -> String {
        let open = self.kit.open();
        let (method, entity): (Id, Id) = (parse_id(method).expect("an id"), parse_id(entity).expect("an id"));
        let mut tx = open.begin().expect("memory has views");
        let found = secrets::get(&mut tx, &method, &entity).expect("it can be read").expect("it has a secret");
        let step = found.scheme.step_at(open.parts.clock.now_ms()).saturating_add_signed(periods);
        found.scheme.code(found.secret.duplicate().expose(), step).expose().clone()
    }

    pub(super) fn code(&self, entity: &str) -> String {
        self.code_of(&self.method, entity, 0)
    }

    /// Six digits that are no code of the entity's now.
    pub(super) fn wrong(&self, entity: &str, nth: usize) -> String {
        let right = [-1, 0, 1].map(|periods| self.code_of(&self.method, entity, periods));
        let mut others = (0..).map(|n| format!("{n:06}")).filter(|code| !right.contains(code));
        others.nth(nth).expect("there are a million")
    }

    pub(super) async fn send(&self, request: Request) -> Answer {
        self.kit.ask_within(Duration::from_millis(REQUEST_MS_MAX), request).await
    }

    pub(super) async fn login(&self, name: &str) -> Answer {
        self.send(request(Verb::Write, &format!("auth/fake/login/{name}"), "", &json!({}))).await
    }

    /// A login with such a header.
    pub(super) async fn login_with(&self, name: &str, header: &str) -> Answer {
        let mut asked = request(Verb::Write, &format!("auth/fake/login/{name}"), "", &json!({}));
        asked.headers.push(("x-vault-mfa".into(), header.into()));
        self.send(asked).await
    }

    /// The id of a login that waits.
    pub(super) async fn waiting(&self, name: &str) -> String {
        let answer = self.login(name).await;
        assert_eq!(answer.failed, None);
        assert!(answer.envelope.auth.is_none(), "there is a token already");
        answer.envelope.mfa.expect("it waits").mfa_request_id
    }

    pub(super) async fn validate(&self, request_id: &str, passcode: &str) -> Answer {
        self.validate_with(request_id, json!({ &self.method: [passcode] })).await
    }

    pub(super) async fn validate_with(&self, request_id: &str, payload: Value) -> Answer {
        let body = json!({ "mfa_request_id": request_id, "mfa_payload": payload });
        self.send(request(Verb::Write, "sys/mfa/validate", "", &body)).await
    }

    /// Tokens besides root's.
    pub(super) fn tokens(&self) -> usize {
        self.kit.count(space::TOKENS) - 1
    }
}

pub(super) fn refused(answer: &Answer, kind: FailureKind, text: &str) {
    let failed = answer.failed.as_ref().expect("it is refused");
    assert_eq!((failed.kind, failed.errors.join("\n").contains(text)), (kind, true), "{:?}", failed.errors);
    assert!(answer.envelope.auth.is_none());
}

#[tokio::test]
async fn a_login_gets_its_token_after_the_right_code_and_not_before() {
    let factors = Factors::demanded().await;
    let entity = factors.enrolled("ann").await;
    let id = factors.waiting("ann").await;
    assert_eq!((factors.tokens(), factors.kit.count(space::DUE)), (0, 1));
    refused(&factors.validate(&id, &factors.wrong(&entity, 0)).await, FailureKind::Denied, "not supplied or incorrect");
    assert_eq!(factors.tokens(), 0);
    let answer = factors.validate(&id, &factors.code(&entity)).await;
    assert!(factors.kit.is_valid(&answer.token()).await);
    let auth = answer.envelope.auth.as_ref().expect("a token");
    assert_eq!((auth.entity_id.as_str(), auth.lease_duration_secs, factors.tokens()), (entity.as_str(), 600, 1));
    assert_eq!(factors.kit.count(space::MFA_WAITING), 0, "nothing is left of it");
    refused(&factors.validate(&id, &factors.code(&entity)).await, FailureKind::Invalid, "invalid request ID");
}

#[tokio::test]
async fn any_node_goes_on_with_a_login_that_another_has_wait() {
    let factors = Factors::demanded().await;
    let entity = factors.enrolled("ann").await;
    let id = factors.waiting("ann").await;
    refused(&factors.validate(&id, &factors.wrong(&entity, 0)).await, FailureKind::Denied, "");
    let factors = factors.elsewhere().await;
    let answer = factors.validate(&id, &factors.code(&entity)).await;
    assert!(factors.kit.is_valid(&answer.token()).await);
}

#[tokio::test]
async fn passcodes_in_a_header_decide_at_once() {
    let factors = Factors::demanded().await;
    let (entity, method) = (factors.enrolled("ann").await, &factors.method);
    for header in [method.clone(), format!("{method}:{}", factors.wrong(&entity, 0)), "other:123456".into()] {
        refused(&factors.login_with("ann", &header).await, FailureKind::Denied, "permission denied");
    }
    refused(&factors.login_with("ann", &format!("{method}:")).await, FailureKind::Invalid, "missing method value");
    assert_eq!(factors.tokens(), 0);
    let by_id = factors.login_with("ann", &format!("{method}:{}", factors.code(&entity))).await;
    let by_name = factors.login_with("ann", &format!("phone:{}", factors.code_of(method, &entity, 1))).await;
    for answer in [by_id, by_name] {
        assert!(factors.kit.is_valid(&answer.token()).await);
    }
    assert_eq!(factors.kit.count(space::MFA_WAITING), 0);
    assert!(factors.login_with("ann", " ").await.envelope.mfa.is_some(), "an empty header says nothing");
}

#[tokio::test]
async fn tokens_that_are_not_stored_need_it_as_well() {
    let factors = Factors::demanded().await;
    let entity = factors.enrolled("ann").await;
    factors.grant.lock().batch = true;
    let id = factors.waiting("ann").await;
    let answer = factors.validate(&id, &factors.code(&entity)).await;
    assert!(answer.token().starts_with("b."));
    refused(&factors.validate(&id, &factors.code(&entity)).await, FailureKind::Invalid, "invalid request ID");
    let used = format!("phone:{}", factors.code(&entity));
    refused(&factors.login_with("ann", &used).await, FailureKind::Denied, "permission denied");
}

#[tokio::test]
async fn who_needs_it_is_told_by_entity_group_accessor_and_type() {
    let factors = Factors::new().await;
    let (ann, _bob) = (factors.entity("ann").await, factors.entity("bob").await);
    let group = factors.ok(Verb::Write, "identity/group", json!({ "member_entity_ids": [ann] })).await["id"].clone();
    let outer = factors.ok(Verb::Write, "identity/group", json!({ "member_group_ids": [group] })).await["id"].clone();
    let accessor = factors.accessor().await;
    let table = [
        (json!({ "identity_entity_ids": [ann] }), false),
        (json!({ "identity_group_ids": [group] }), false),
        (json!({ "identity_group_ids": [outer] }), false),
        (json!({ "auth_method_accessors": [accessor] }), true),
        (json!({ "auth_method_types": ["fake"] }), true),
        (json!({ "auth_method_types": ["fake"], "identity_entity_ids": [ann] }), true),
    ];
    for (of, concerns_bob) in table {
        assert!(factors.login("ann").await.envelope.auth.is_some(), "nobody needs it");
        factors.demand("some", of.clone()).await;
        assert!(factors.login("ann").await.envelope.mfa.is_some(), "{of}");
        let bob = factors.login("bob").await;
        assert_eq!((bob.envelope.mfa.is_some(), bob.envelope.auth.is_some()), (concerns_bob, !concerns_bob), "{of}");
        factors.ok(Verb::Delete, "identity/mfa/login-enforcement/some", Value::Null).await;
    }
}

#[tokio::test]
async fn an_enforcement_that_changes_is_about_those_it_names_now() {
    let factors = Factors::new().await;
    let (ann, bob) = (factors.entity("ann").await, factors.entity("bob").await);
    factors.demand("some", json!({ "identity_entity_ids": [ann] })).await;
    factors.demand("some", json!({ "identity_entity_ids": [bob] })).await;
    assert!(factors.login("ann").await.envelope.auth.is_some());
    assert!(factors.login("bob").await.envelope.mfa.is_some());
    // What was not named stays as it was.
    factors.demand("some", json!({ "auth_method_types": [] })).await;
    assert!(factors.login("bob").await.envelope.mfa.is_some());
}

#[tokio::test]
async fn each_demand_is_to_be_met_by_one_of_its_methods_and_one_code_is_enough_for_many() {
    let factors = Factors::new().await;
    let (ann, phone) = (factors.enrolled("ann").await, &factors.method);
    let other = factors.new_method(json!({ "digits": 8, "algorithm": "SHA512", "qr_size": 0 })).await;
    let made = json!({ "method_id": other, "entity_id": ann });
    let told = factors.ok(Verb::Write, "identity/mfa/method/totp/admin-generate", made).await;
    assert_eq!(told["barcode"], "");
    factors.demand("b", json!({ "identity_entity_ids": [ann], "mfa_method_ids": [phone, other] })).await;
    factors.demand("a", json!({ "identity_entity_ids": [ann] })).await;
    let waits = factors.login("ann").await.envelope.mfa.expect("it waits");
    let names: Vec<_> = waits.mfa_constraints.iter().map(|one| (one.name.as_str(), one.any.len())).collect();
    assert_eq!(names, [("a", 1), ("b", 2)]);
    let id = &waits.mfa_request_id;
    // The other method does not meet the demand of the first.
    let code = factors.code_of(&other, &ann, 0);
    let refusal = factors.validate_with(id, json!({ &other: [code] })).await;
    refused(&refusal, FailureKind::Denied, "failed to satisfy enforcement a.");
    assert!(factors.kit.is_valid(&factors.validate(id, &factors.code(&ann)).await.token()).await);
    // Of two methods one is enough, whatever the other's passcode is.
    factors.ok(Verb::Delete, "identity/mfa/login-enforcement/a", Value::Null).await;
    let id = factors.waiting("ann").await;
    let payload = json!({ phone: [factors.wrong(&ann, 0)], &other: [factors.code_of(&other, &ann, 1)] });
    assert!(factors.kit.is_valid(&factors.validate_with(&id, payload).await.token()).await);
}

#[tokio::test]
async fn whoever_is_not_enrolled_or_not_known_gets_no_token() {
    let factors = Factors::demanded().await;
    let id = factors.waiting("eve").await;
    refused(&factors.validate(&id, "123456").await, FailureKind::Denied, "not present in entity");
    factors.grant.lock().nobody = true;
    refused(&factors.login("x").await, FailureKind::Denied, "does not say whose it is");
    refused(&factors.login_with("x", "phone:123456").await, FailureKind::Denied, "does not say whose it is");
    assert_eq!(factors.tokens(), 0);
}

#[tokio::test]
async fn a_login_does_not_outwait_its_method_its_entity_or_what_demands_it() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let id = factors.waiting("ann").await;
    let of_entity = format!("identity/entity/id/{ann}");
    factors.ok(Verb::Write, &of_entity, json!({ "disabled": true })).await;
    refused(&factors.validate(&id, &factors.code(&ann)).await, FailureKind::Denied, "permission denied");
    factors.ok(Verb::Write, &of_entity, json!({ "disabled": false })).await;
    factors.ok(Verb::Delete, "identity/mfa/login-enforcement/all", Value::Null).await;
    refused(&factors.validate(&id, &factors.code(&ann)).await, FailureKind::Invalid, "log in again");
    factors.demand("all", json!({ "auth_method_types": ["fake"] })).await;
    let code = factors.code(&ann);
    factors.ok(Verb::Delete, "sys/auth/fake", Value::Null).await;
    refused(&factors.validate(&id, &code).await, FailureKind::Invalid, "invalid request ID");
    assert_eq!(factors.tokens(), 0);
}

#[tokio::test]
async fn who_asked_for_a_wrapped_answer_gets_the_token_wrapped() {
    let factors = Factors::demanded().await;
    let entity = factors.enrolled("ann").await;
    let mut asked = request(Verb::Write, "auth/fake/login/ann", "", &json!({}));
    asked.wrap_ttl_secs = Some(60);
    let waits = factors.send(asked).await.envelope;
    assert!(waits.wrap.is_none() && waits.auth.is_none());
    let id = waits.mfa.expect("it waits").mfa_request_id;
    let wrapped = factors.validate(&id, &factors.code(&entity)).await.envelope;
    assert!(wrapped.auth.is_none());
    let wrap = wrapped.wrap.expect("a wrapped answer");
    assert_eq!(wrap.ttl_secs, 60);
    let opened = factors.kit.ask(Verb::Write, "sys/wrapping/unwrap", wrap.token.expose(), json!({})).await;
    assert!(factors.kit.is_valid(&opened.token()).await);
}

#[tokio::test]
async fn a_secret_is_told_once_and_by_nothing_else() {
    let factors = Factors::demanded().await;
    let entity = factors.entity("ann").await;
    let generate = json!({ "method_id": factors.method, "entity_id": entity });
    let path = "identity/mfa/method/totp/admin-generate";
    let first = factors.ask(Verb::Write, path, generate.clone()).await;
    let url = first.data()["url"].as_str().expect("a URL").to_owned();
    let secret = url.rsplit_once("secret=").expect("it has the secret").1.to_owned();
    assert_eq!(secret.len(), 32, "20 bytes");
    let again = factors.ask(Verb::Write, path, generate.clone()).await;
    assert_eq!(again.data(), Value::Null);
    assert_eq!(again.envelope.warnings, ["Entity already has a secret for MFA method \"phone\""]);
    for told in [
        factors.ok(Verb::Read, &format!("identity/mfa/method/totp/{}", factors.method), Value::Null).await,
        factors.ok(Verb::List, "identity/mfa/method", Value::Null).await,
        factors.ok(Verb::Read, &format!("identity/entity/id/{entity}"), Value::Null).await,
        factors.ok(Verb::Read, "identity/mfa/login-enforcement/all", Value::Null).await,
    ] {
        assert!(!told.to_string().contains(&secret));
    }
    factors.ok(Verb::Write, "identity/mfa/method/totp/admin-destroy", generate.clone()).await;
    let anew = factors.ok(Verb::Write, path, generate).await;
    assert_ne!(anew["url"], url.as_str());
}

#[tokio::test]
async fn a_secret_keeps_what_it_was_made_with_when_its_method_changes() {
    let factors = Factors::demanded().await;
    let entity = factors.enrolled("ann").await;
    let path = format!("identity/mfa/method/totp/{}", factors.method);
    let change = json!({ "issuer": "New", "digits": 8, "algorithm": "SHA256", "max_validation_attempts": 1 });
    factors.ok(Verb::Write, &path, change).await;
    let id = factors.waiting("ann").await;
    let code = factors.code(&entity);
    assert_eq!(code.len(), 6);
    refused(&factors.validate(&id, &factors.wrong(&entity, 0)).await, FailureKind::Denied, "incorrect");
    // But how often one may try is the method's to say.
    refused(&factors.validate(&id, &code).await, FailureKind::Denied, "exceeded the allowed attempts 1");
    factors.kit.clock.advance_secs(30);
    assert!(factors.kit.is_valid(&factors.validate(&id, &factors.code(&entity)).await.token()).await);
}

#[tokio::test]
async fn a_method_that_is_used_stays_and_takes_its_secrets_with_it_when_it_goes() {
    let factors = Factors::demanded().await;
    for n in 0..3 {
        factors.enrolled(&format!("user-{n}")).await;
    }
    let path = format!("identity/mfa/method/totp/{}", factors.method);
    refused(&factors.ask(Verb::Delete, &path, Value::Null).await, FailureKind::Invalid, "still used by an enforcement");
    factors.ok(Verb::Delete, "identity/mfa/login-enforcement/all", Value::Null).await;
    factors.ok(Verb::Delete, &path, Value::Null).await;
    factors.kit.settle().await;
    assert_eq!(factors.kit.count(space::MFA), 1, "but that something was demanded once");
    assert_eq!(factors.kit.count(space::DUE), 0);
}

#[tokio::test]
async fn secrets_go_with_their_entity_or_into_the_one_it_is_merged_into() {
    let factors = Factors::demanded().await;
    let (ann, bob) = (factors.enrolled("ann").await, factors.entity("bob").await);
    let code = factors.code(&ann);
    let before = factors.kit.count(space::MFA);
    let merge =
        |from: &str, to: &str, force: bool| json!({ "from_entity_ids": [from], "to_entity_id": to, "force": force });
    let carl = factors.enrolled("carl").await;
    let dan = factors.ok(Verb::Write, "identity/entity", json!({ "name": "dan" })).await["id"].clone();
    let dan = dan.as_str().expect("an id");
    // Into one that has none.
    factors.ok(Verb::Write, "identity/entity/merge", merge(&ann, dan, false)).await;
    assert_eq!(factors.code(dan), code);
    let id = factors.waiting("ann").await;
    assert!(factors.kit.is_valid(&factors.validate(&id, &code).await.token()).await);
    // Into one that has one, which stays.
    let eve = factors.ok(Verb::Write, "identity/entity", json!({ "name": "eve" })).await["id"].clone();
    let eve = eve.as_str().expect("an id");
    let generate = json!({ "method_id": factors.method, "entity_id": eve });
    factors.ok(Verb::Write, "identity/mfa/method/totp/admin-generate", generate).await;
    let refusal = factors.ask(Verb::Write, "identity/entity/merge", merge(&carl, eve, false)).await;
    refused(&refusal, FailureKind::Invalid, "conflicting MFA config ID");
    let code = factors.code(eve);
    factors.ok(Verb::Write, "identity/entity/merge", merge(&carl, eve, true)).await;
    assert_eq!(factors.code(eve), code);
    for entity in [dan, eve, &bob] {
        factors.ok(Verb::Delete, &format!("identity/entity/id/{entity}"), Value::Null).await;
    }
    assert_eq!(factors.kit.count(space::MFA), before - 2, "nobody has a secret");
}

#[tokio::test]
async fn one_makes_a_secret_for_oneself_if_one_is_somebody() {
    let factors = Factors::new().await;
    let policy = r#"path "identity/mfa/method/totp/generate" { capabilities = ["update"] }"#;
    factors.ok(Verb::Write, "sys/policies/acl/mfa", json!({ "policy": policy })).await;
    let ann = factors.entity("ann").await;
    factors.ok(Verb::Write, &format!("identity/entity/id/{ann}"), json!({ "policies": ["mfa"] })).await;
    let token = factors.login("ann").await.token();
    let body = json!({ "method_id": factors.method });
    let made = factors.kit.ask(Verb::Write, "identity/mfa/method/totp/generate", &token, body.clone()).await;
    assert!(made.data()["url"].as_str().expect("a URL").contains(&ann));
    let root = factors.ask(Verb::Write, "identity/mfa/method/totp/generate", body).await;
    refused(&root, FailureKind::Invalid, "missing entityID");
}
