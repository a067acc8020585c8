//! Logins that requests bring along: they count as any login does, and nothing is kept of their tokens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::limits::REQUEST_MS_MAX;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Answer, Kit, ROOT, request};
use super::lockout::{Phrases, locked, ready};
use crate::book::space;

/// Asks with the login of a name along.
async fn ask(kit: &Kit, (name, phrase): (&str, &str), verb: Verb, path: &str, body: Value) -> Answer {
    let mut request = request(verb, path, "", &body);
    let phrase = URL_SAFE_NO_PAD.encode(json!({ "key": "phrase", "value": phrase }).to_string());
    request.headers = vec![
        ("x-vault-inline-auth-path".into(), format!("auth/p/login/{name}")),
        ("x-vault-inline-auth-parameter-phrase".into(), phrase),
    ];
    kit.ask_within(Duration::from_millis(REQUEST_MS_MAX), request).await
}

async fn read(kit: &Kit, name: &str, phrase: &str, path: &str) -> Answer {
    ask(kit, (name, phrase), Verb::Read, path, Value::Null).await
}

fn refusal(answer: &Answer) -> (FailureKind, &str) {
    let failure = answer.failed.as_ref().expect("it is refused");
    (failure.kind, failure.errors.first().map_or("", String::as_str))
}

/// A node where everybody who logs in may do this.
async fn with_rights(rights: &str) -> (Kit, Arc<Phrases>) {
    let (kit, method) = ready().await;
    kit.mount("a/").await;
    let body = json!({ "policy": rights });
    assert_eq!(kit.ask(Verb::Write, "sys/policies/acl/default", ROOT, body).await.failed, None);
    (kit, method)
}

const ALL: &str = "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"sudo\"] }";

const NOTHING: &str = "path \"*\" { capabilities = [\"deny\"] }";

#[tokio::test]
async fn a_request_is_served_for_whom_it_logs_in_and_no_token_is_kept() {
    let (kit, _) = with_rights(ALL).await;
    let answer = read(&kit, "ann", "right", "sys/mounts").await;
    assert_eq!(answer.failed, None);
    assert_eq!(kit.count(space::TOKENS), 1, "the root token is all there is");
    assert_eq!(kit.count(space::ACCESSORS), 1);
    assert_eq!(kit.count(space::DUE), 0);
}

#[tokio::test]
async fn what_the_policies_of_the_login_say_holds() {
    let (kit, _) = with_rights(NOTHING).await;
    let denied = read(&kit, "ann", "right", "sys/mounts").await;
    assert_eq!(refusal(&denied), (FailureKind::Denied, "1 error occurred:\n\t* permission denied\n\n"));
}

#[tokio::test]
async fn wrong_logins_that_are_brought_along_count_as_all_others_do() {
    let (kit, method) = with_rights(ALL).await;
    for _ in 0..5 {
        assert_eq!(refusal(&read(&kit, "ann", "guess", "sys/mounts").await), (FailureKind::Invalid, "wrong phrase"));
    }
    let text = "failed to perform inline authentication: permission denied";
    assert_eq!(refusal(&read(&kit, "ann", "right", "sys/mounts").await), (FailureKind::Denied, text));
    assert_eq!(method.checks.load(Ordering::SeqCst), 5);
    assert_eq!(locked(&kit).await, ["ann"]);
    let login = kit.ask(Verb::Write, "auth/p/login/ann", "", json!({ "phrase": "right" })).await;
    assert_eq!(login.kind(), Some(FailureKind::Denied), "nor does the usual way get anybody in");
}

/// What a login uses up would else be used for ever, by requests that fail.
#[tokio::test]
async fn a_login_is_done_whatever_becomes_of_its_request() {
    let (kit, _) = with_rights(NOTHING).await;
    for _ in 0..3 {
        for _ in 0..4 {
            read(&kit, "ann", "guess", "sys/mounts").await;
        }
        assert_eq!(refusal(&read(&kit, "ann", "right", "sys/mounts").await).0, FailureKind::Denied);
    }
    assert!(locked(&kit).await.is_empty(), "each right one began anew");
}

#[tokio::test]
async fn nothing_is_made_that_would_have_to_end_with_a_token() {
    let (kit, _) = with_rights(ALL).await;
    let lease = read(&kit, "ann", "right", "a/creds/one").await;
    let text = "requests with inline authentication cannot generate leases";
    assert_eq!(refusal(&lease), (FailureKind::Invalid, text));
    assert_eq!(kit.count_named(space::LEASES), 0);
    let no_parent = (FailureKind::Invalid, "parent token lookup failed: no parent found");
    for path in ["auth/token/create", "auth/token/create-orphan"] {
        for kind in ["service", "batch"] {
            let child = ask(&kit, ("ann", "right"), Verb::Write, path, json!({ "type": kind })).await;
            assert_eq!(refusal(&child), no_parent);
        }
    }
    let kept = ask(&kit, ("ann", "right"), Verb::Write, "cubbyhole/a", json!({ "a": "b" })).await;
    assert!(kept.failed.is_some());
    assert_eq!(kit.count_named(space::CUBBYHOLE), 0);
    assert_eq!(kit.count(space::TOKENS), 1);
}

#[tokio::test]
async fn only_a_path_that_logs_in_is_asked_to() {
    let (kit, _) = with_rights(ALL).await;
    for path in ["sys/mounts", "a/keep/one", "auth/token/create", "sys/internal/ui/mounts", "auth/p/else", "none/x"] {
        let mut asked = request(Verb::Read, "sys/mounts", "", &Value::Null);
        asked.headers = vec![("x-vault-inline-auth-path".into(), path.into())];
        let answer = kit.ask_within(Duration::from_millis(REQUEST_MS_MAX), asked).await;
        assert_eq!(refusal(&answer), (FailureKind::Denied, "permission denied"), "{path}");
    }
}
