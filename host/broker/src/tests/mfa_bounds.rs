//! Second factors: what is used up by a login, how often one may try, and how many may wait,
//! whoever asks how often and whichever node.

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use futures::future::join_all;
use serde_json::{Value, json};

use super::kit::{Answer, request};
use super::mfa::{Factors, refused};
use crate::book::mfa::waiting::{OF_ADDRESS_MAX, OF_ENTITY_MAX, WAITING_MAX};
use crate::book::space;

fn told(answer: &Answer, text: &str) -> bool {
    answer.failed.as_ref().is_some_and(|failed| failed.errors.join("\n").contains(text))
}

// a passcode is good for one login, on whichever node and however late.
#[tokio::test]
async fn a_code_is_good_for_one_login_on_whichever_node() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let code = factors.code(&ann);
    let (first, second) = (factors.waiting("ann").await, factors.waiting("ann").await);
    factors.validate(&first, &code).await.token();
    refused(&factors.validate(&second, &code).await, FailureKind::Denied, "not supplied or incorrect");
    let factors = factors.elsewhere().await;
    refused(&factors.validate(&second, &code).await, FailureKind::Denied, "not supplied or incorrect");
    // Nor when it is the one before, which is still taken.
    factors.kit.clock.advance_secs(30);
    refused(&factors.validate(&second, &code).await, FailureKind::Denied, "not supplied or incorrect");
    // Others are: the next, and of the two before the one that was not used.
    factors.validate(&second, &factors.code(&ann)).await.token();
    let third = factors.waiting("ann").await;
    factors.validate(&third, &factors.code_of(&factors.method, &ann, 1)).await.token();
}

// nor for two at once.
#[tokio::test]
async fn of_many_who_bring_the_same_code_at_once_one_gets_in() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let code = factors.code(&ann);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(factors.waiting("ann").await);
    }
    let tries = ids.iter().flat_map(|id| [factors.validate(id, &code), factors.validate(id, &code)]);
    let answers = join_all(tries).await;
    let header = format!("phone:{code}");
    let more = join_all((0..6).map(|_| factors.login_with("ann", &header))).await;
    let granted = answers.iter().chain(&more).filter(|answer| answer.envelope.auth.is_some()).count();
    assert_eq!((granted, factors.tokens()), (1, 1));
}

#[tokio::test]
async fn of_many_wrong_codes_at_once_so_many_are_tried_and_no_more() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let (id, other) = (factors.waiting("ann").await, factors.waiting("ann").await);
    let codes: Vec<_> = (0..12).map(|n| factors.wrong(&ann, n)).collect();
    let headers: Vec<_> = codes.iter().map(|code| format!("phone:{code}")).collect();
    let validations = codes.iter().map(|code| factors.validate(if code.ends_with('1') { &id } else { &other }, code));
    let (answers, _) = futures::future::join(
        join_all(validations),
        join_all(headers[..4].iter().map(|h| factors.login_with("ann", h))),
    )
    .await;
    let tried = answers.iter().filter(|answer| told(answer, "not supplied or incorrect")).count();
    assert!(tried <= 5, "{tried} were tried");
    // Nor does the right one get in, by any way, and on any node.
    let code = factors.code(&ann);
    refused(&factors.validate(&id, &code).await, FailureKind::Denied, "exceeded the allowed attempts 5");
    refused(&factors.login_with("ann", &format!("phone:{code}")).await, FailureKind::Denied, "permission denied");
    let factors = factors.elsewhere().await;
    refused(&factors.validate(&id, &code).await, FailureKind::Denied, "exceeded the allowed attempts 5");
    factors.kit.clock.advance_secs(29);
    refused(&factors.validate(&id, &factors.code(&ann)).await, FailureKind::Denied, "exceeded the allowed attempts 5");
    factors.kit.clock.advance_secs(1);
    factors.validate(&id, &factors.code(&ann)).await.token();
}

#[tokio::test]
async fn just_so_many_attempts_are_told_apart_from_those_beyond() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let id = factors.waiting("ann").await;
    let codes: Vec<_> = (0..9).map(|n| factors.wrong(&ann, n)).collect();
    let mut tried = 0;
    for code in &codes {
        tried += usize::from(told(&factors.validate(&id, code).await, "not supplied or incorrect"));
    }
    assert_eq!(tried, 5);
    // Nobody else is kept from trying.
    let bob = factors.enrolled("bob").await;
    let of_bob = factors.waiting("bob").await;
    factors.validate(&of_bob, &factors.code(&bob)).await.token();
}

#[tokio::test]
async fn a_right_code_forgets_the_wrong_ones_before_it() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let id = factors.waiting("ann").await;
    for n in 0..4 {
        factors.validate(&id, &factors.wrong(&ann, n)).await;
    }
    factors.validate(&id, &factors.code(&ann)).await.token();
    let id = factors.waiting("ann").await;
    for n in 0..4 {
        factors.validate(&id, &factors.wrong(&ann, n)).await;
    }
    factors.validate(&id, &factors.code_of(&factors.method, &ann, 1)).await.token();
}

#[tokio::test]
async fn nobody_goes_on_with_a_login_of_another_by_a_code_of_their_own() {
    let factors = Factors::demanded().await;
    let (ann, eve) = (factors.enrolled("ann").await, factors.enrolled("eve").await);
    let of_ann = factors.waiting("ann").await;
    refused(&factors.validate(&of_ann, &factors.code(&eve)).await, FailureKind::Denied, "");
    // What Eve tried counts for Ann's codes, and used up none of Eve's.
    let of_eve = factors.waiting("eve").await;
    let answer = factors.validate(&of_eve, &factors.code(&eve)).await;
    assert_eq!(answer.envelope.auth.as_ref().expect("a token").entity_id, eve);
    let answer = factors.validate(&of_ann, &factors.code(&ann)).await;
    assert_eq!(answer.envelope.auth.as_ref().expect("a token").entity_id, ann);
}

#[tokio::test]
async fn a_login_waits_for_five_minutes() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let (first, second) = (factors.waiting("ann").await, factors.waiting("ann").await);
    factors.kit.clock.advance_secs(299);
    factors.kit.settle().await;
    factors.validate(&first, &factors.code(&ann)).await.token();
    factors.kit.clock.advance_secs(1);
    let late = factors.validate(&second, &factors.code_of(&factors.method, &ann, 1)).await;
    refused(&late, FailureKind::Invalid, "invalid request ID");
    assert_ne!(factors.kit.count(space::MFA_WAITING), 0);
    factors.kit.settle().await;
    assert_eq!(factors.kit.count(space::MFA_WAITING), 0);
}

/// A login from an address, that waits.
async fn waiting_from(factors: &Factors, name: &str, address: u8) -> String {
    let mut asked = request(Verb::Write, &format!("auth/fake/login/{name}"), "", &json!({}));
    asked.origin.address = Some([10, 0, 0, address].into());
    factors.send(asked).await.envelope.mfa.expect("it waits").mfa_request_id
}

#[tokio::test]
async fn of_one_entity_so_many_logins_wait_and_the_oldest_makes_room() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let mut ids = Vec::new();
    for n in 0..OF_ENTITY_MAX + 2 {
        ids.push(waiting_from(&factors, "ann", n as u8).await);
        factors.kit.clock.advance_secs(1);
    }
    assert_eq!(factors.kit.count(space::MFA_WAITING), 2 * OF_ENTITY_MAX, "each is one record and one way to it");
    for gone in &ids[..2] {
        refused(&factors.validate(gone, &factors.code(&ann)).await, FailureKind::Invalid, "invalid request ID");
    }
    factors.validate(&ids[2], &factors.code(&ann)).await.token();
}

#[tokio::test]
async fn who_logs_in_all_the_time_pushes_out_their_own_logins_and_nobodys_elsewhere() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let owners = waiting_from(&factors, "ann", 1).await;
    let mut others = Vec::new();
    for _ in 0..3 * OF_ENTITY_MAX {
        factors.kit.clock.advance_secs(1);
        others.push(waiting_from(&factors, "ann", 2).await);
    }
    assert_eq!(factors.kit.count(space::MFA_WAITING), 2 * (1 + OF_ADDRESS_MAX));
    let first = factors.validate(&others[0], &factors.code(&ann)).await;
    refused(&first, FailureKind::Invalid, "invalid request ID");
    factors.validate(&owners, &factors.code(&ann)).await.token();
}

#[tokio::test]
async fn one_account_takes_no_more_room_than_its_logins_that_wait() {
    let factors = Factors::demanded().await;
    for _ in 0..5 * OF_ENTITY_MAX {
        factors.waiting("ann").await;
    }
    let many = join_all((0..20).map(|_| factors.login("ann"))).await;
    assert!(many.iter().all(|answer| answer.envelope.mfa.is_some() || answer.kind() == Some(FailureKind::Unavailable)));
    let open = factors.kit.open();
    let counted = open.catalog.waiting_logins.lock().in_term(1).stored();
    assert_eq!(counted, Some(OF_ADDRESS_MAX));
}

#[tokio::test]
async fn a_login_waits_no_more_once_what_was_made_at_its_path_is_revoked() {
    let factors = Factors::demanded().await;
    let (ann, bob) = (factors.enrolled("ann").await, factors.enrolled("bob").await);
    let (of_ann, of_bob) = (factors.waiting("ann").await, factors.waiting("bob").await);
    factors.ok(Verb::Write, "sys/leases/revoke-prefix/auth/fake/login/ann", Value::Null).await;
    let late = factors.validate(&of_ann, &factors.code(&ann)).await;
    refused(&late, FailureKind::Invalid, "invalid request ID");
    factors.validate(&of_bob, &factors.code(&bob)).await.token();
}

#[tokio::test]
async fn what_is_demanded_of_an_entity_is_demanded_of_the_one_it_is_merged_into() {
    let factors = Factors::new().await;
    let ann = factors.enrolled("ann").await;
    let stays = factors.ok(Verb::Write, "identity/entity", json!({ "name": "stays" })).await["id"].clone();
    factors.demand("one", json!({ "identity_entity_ids": [ann] })).await;
    let merge = json!({ "from_entity_ids": [ann], "to_entity_id": stays });
    factors.ok(Verb::Write, "identity/entity/merge", merge).await;
    factors.waiting("ann").await;
    let told = factors.ok(Verb::Read, "identity/mfa/login-enforcement/one", Value::Null).await;
    assert_eq!(told["identity_entity_ids"], json!([stays]));
}

#[tokio::test]
async fn logins_that_wait_have_a_bound_and_room_comes_back() {
    let factors = Factors::demanded().await;
    let open = factors.kit.open();
    let now_ms = open.parts.clock.now_ms();
    open.catalog.waiting_logins.lock().in_term(1).counted(WAITING_MAX, now_ms);
    refused(&factors.login("ann").await, FailureKind::Unavailable, "too many logins wait");
    assert_eq!(factors.kit.count(space::MFA_WAITING), 0);
    factors.kit.clock.advance_secs(60);
    factors.waiting("ann").await;
}

#[tokio::test]
async fn ten_thousand_logins_wait_and_are_gone_in_time() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let first = factors.waiting("ann").await;
    for n in 0..10_000 {
        factors.waiting(&format!("user-{n}")).await;
    }
    assert_eq!(factors.kit.count(space::MFA_WAITING), 2 * 10_001);
    factors.validate(&first, &factors.code(&ann)).await.token();
    factors.kit.clock.advance_secs(300);
    factors.kit.settle().await;
    assert_eq!(factors.kit.count(space::MFA_WAITING), 0);
    assert_eq!(factors.tokens(), 1);
}

#[tokio::test]
async fn a_payload_of_another_form_or_size_is_refused_and_the_login_waits_on() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let id = factors.waiting("ann").await;
    let many: Value = (0..1_000).map(|n| (n.to_string(), json!(["1"]))).collect::<serde_json::Map<_, _>>().into();
    for bad in [many, json!({ &factors.method: vec!["1"; 1_000] }), json!({ &factors.method: 1 }), json!({ "a": {} })] {
        refused(&factors.validate_with(&id, bad).await, FailureKind::Invalid, "invalid mfa payload");
    }
    let long = "1".repeat(1 << 20);
    refused(&factors.validate(&id, &long).await, FailureKind::Denied, "not supplied or incorrect");
    refused(&factors.validate(&long, "1").await, FailureKind::Invalid, "invalid request ID");
    refused(&factors.validate_with(&id, Value::Null).await, FailureKind::Denied, "failed to find MFA credentials");
    factors.validate(&id, &factors.code(&ann)).await.token();
}

#[tokio::test]
async fn settings_beyond_their_bounds_are_refused() {
    let factors = Factors::new().await;
    let table = [
        (json!({ "qr_size": -1 }), "qr_size must be between"),
        (json!({ "qr_size": 1_000_000 }), "qr_size must be between"),
        (json!({ "key_size": 100_000 }), "key_size must not be greater"),
        (json!({ "period": "25h" }), "period must not be longer"),
        (json!({ "method_name": "n".repeat(1_000) }), "method_name must not be longer"),
        (json!({ "digits": 7 }), "digits can only be 6 or 8"),
        (json!({ "algorithm": "MD5" }), "unrecognized algorithm"),
        (json!({ "skew": 2 }), "skew must be 0 or 1"),
    ];
    for (mut settings, text) in table {
        settings["issuer"] = "I".into();
        let answer = factors.ask(Verb::Write, "identity/mfa/method/totp", settings).await;
        refused(&answer, FailureKind::Invalid, text);
    }
    let long = json!({ "issuer": "i".repeat(1_000) });
    refused(
        &factors.ask(Verb::Write, "identity/mfa/method/totp", long).await,
        FailureKind::Invalid,
        "must not be longer",
    );
    // The longest that may be have a picture.
    let most = json!({ "issuer": "&".repeat(256), "key_size": 256, "algorithm": "SHA512", "qr_size": 1_024 });
    let method = factors.ok(Verb::Write, "identity/mfa/method/totp", most).await["method_id"].clone();
    let generate = json!({ "method_id": method, "entity_id": factors.entity("ann").await });
    let made = factors.ok(Verb::Write, "identity/mfa/method/totp/admin-generate", generate).await;
    assert!(made["barcode"].as_str().expect("a picture").starts_with("iVBORw0KGgo"));
    // One of too few pixels is refused before there is a secret.
    let small = json!({ "issuer": "I", "qr_size": 10 });
    let method = factors.ok(Verb::Write, "identity/mfa/method/totp", small).await["method_id"].clone();
    let generate = json!({ "method_id": method, "entity_id": factors.entity("ann").await });
    for _ in 0..2 {
        let refusal = factors.ask(Verb::Write, "identity/mfa/method/totp/admin-generate", generate.clone()).await;
        refused(&refusal, FailureKind::Invalid, "qr_size is too small");
    }
}
