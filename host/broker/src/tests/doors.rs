//! Who gets in where: every route of the host's own, to callers without a token and with one that has no more
//! than everybody's policy, while the node is open and while it is sealed.

use std::time::Duration;

use bulkhead_model::failure::FailureKind;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT, request};
use crate::sys::open_ceremonies;

/// What callers without a token are not turned away from.
const FOR_NOBODY: &[&str] = &[
    "identity/: Read oidc/.well-known/keys",
    "identity/: Read oidc/.well-known/openid-configuration",
    "sys/: Head health",
    "sys/: Head init",
    "sys/: Read health",
    "sys/: Read init",
    "sys/: Read internal/specs/openapi",
    "sys/: Read internal/ui/mounts",
    "sys/: Read leader",
    "sys/: Read seal-status",
    "sys/: Write decode-token",
    "sys/: Write init",
    "sys/: Write internal/specs/openapi",
    "sys/: Write mfa/validate",
    "sys/: Write storage/raft/bootstrap/answer",
    "sys/: Write storage/raft/bootstrap/challenge",
    "sys/: Write storage/raft/join",
    "sys/: Write unseal",
];

/// What the policy `default` lets a token do besides.
const FOR_ANYBODY: &[&str] = &[
    "auth/token/: Read lookup-self",
    "auth/token/: Write renew-self",
    "sys/: Read internal/ui/namespaces",
    "sys/: Read internal/ui/resultant-acl",
    "sys/: Read wrapping/lookup",
    "sys/: Write capabilities-self",
    "sys/: Write leases/lookup",
    "sys/: Write leases/renew",
    "sys/: Write tools/hash",
    "sys/: Write tools/hash/{urlalgorithm}",
    "sys/: Write wrapping/lookup",
    "sys/: Write wrapping/unwrap",
    "sys/: Write wrapping/wrap",
];

/// What a sealed node answers.
const WHILE_SEALED: &[&str] = &[
    "sys/: Head health",
    "sys/: Head init",
    "sys/: Read health",
    "sys/: Read init",
    "sys/: Read leader",
    "sys/: Read seal-status",
    "sys/: Write init",
    "sys/: Write seal",
    "sys/: Write storage/raft/join",
    "sys/: Write unseal",
];

/// Every route that answers something, with a path that leads to it.
fn doors() -> Vec<(String, Verb, String)> {
    let tables = [
        ("sys/", crate::sys::routes()),
        ("identity/", crate::sys::identity::routes()),
        ("auth/token/", crate::token::routes()),
    ];
    let mut doors = Vec::new();
    for (mount, table) in tables {
        for route in table.all() {
            let path = format!("{mount}{}", route.pattern.replace("...}", "").replace(['{', '}'], ""));
            let each = |verb: &Verb| (format!("{mount}: {verb:?} {}", route.pattern), *verb, path.clone());
            doors.extend(route.verbs.iter().map(each));
        }
    }
    doors.sort_by(|one, other| one.0.cmp(&other.0));
    doors
}

/// The doors that this caller is not turned away from.
async fn open_to(kit: &Kit, token: &str, is_turned_away: impl Fn(Option<FailureKind>) -> bool) -> Vec<String> {
    let mut open = Vec::new();
    for (name, verb, path) in doors() {
        // What it does is not done, or done to nothing: it is asked last.
        if name.ends_with("revoke-self") {
            continue;
        }
        let refusal = refusal(kit, verb, &path, token).await;
        // What needs no token where a listener opens it is shut at all others.
        let is_shut = matches!(refusal, Some(FailureKind::Unsupported | FailureKind::NotFound))
            && path.strip_prefix("sys/").is_some_and(open_ceremonies::is_one);
        if !is_shut && !is_turned_away(refusal) {
            open.push(name);
        }
    }
    open
}

/// How a request is refused, if it is.
async fn refusal(kit: &Kit, verb: Verb, path: &str, token: &str) -> Option<FailureKind> {
    let asked = request(verb, path, token, &json!({}));
    match kit.node.handle_within(asked, Duration::from_secs(30)).await.into_reply() {
        Reply::Failed(failure) => Some(failure.kind),
        _ => None,
    }
}

// whoever has no token, or no policy, gets in nowhere but where it is written that they do.
#[tokio::test]
async fn r82_every_route_is_closed_but_those_that_are_said_to_be_open() {
    let kit = Kit::new().await;
    let denied = |kind: Option<FailureKind>| kind == Some(FailureKind::Denied);
    assert!(doors().len() > 150, "{} doors", doors().len());
    assert_eq!(open_to(&kit, "", denied).await, FOR_NOBODY);
    let made = kit.ask(Verb::Write, "auth/token/create", ROOT, json!({ "policies": ["default"] })).await;
    let token = made.token();
    let mut expected: Vec<&str> = [FOR_NOBODY, FOR_ANYBODY].concat();
    expected.sort_unstable();
    assert_eq!(open_to(&kit, &token, denied).await, expected);
    assert_eq!(kit.ask(Verb::Write, "auth/token/revoke-self", "", Value::Null).await.kind(), Some(FailureKind::Denied));
    assert_eq!(kit.ask(Verb::Write, "auth/token/revoke-self", &token, Value::Null).await.failed, None);
    kit.node.seal().await;
    let sealed = |kind: Option<FailureKind>| kind == Some(FailureKind::Unavailable);
    assert_eq!(open_to(&kit, ROOT, sealed).await, WHILE_SEALED);
}
