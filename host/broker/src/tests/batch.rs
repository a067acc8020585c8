//! Batch tokens: what they may not have, and when they end.

use serde_json::json;

use super::bench::{Answer, Bench, ROOT};

const LEASING: &str = r#"path "fake/lease" { capabilities = ["read"] }
    path "auth/token/*" { capabilities = ["create", "update", "sudo"] }
    path "cubbyhole/*" { capabilities = ["create", "update", "read", "list"] }"#;

async fn batch(bench: &Bench, token: &str, ttl: &str) -> Answer {
    bench.write("sys/policies/acl/leasing", ROOT, json!({ "policy": LEASING })).await;
    let body = json!({"type": "batch", "policies": ["leasing"], "ttl": ttl});
    bench.write("auth/token/create", token, body).await
}

async fn works(bench: &Bench, token: &str) -> bool {
    bench.read("auth/token/lookup-self", token).await.status == 200
}

#[tokio::test]
async fn a_batch_token_is_used_until_its_time_is_over() {
    let bench = Bench::new().await;
    let made = batch(&bench, ROOT, "60s").await;
    let token = made.token();
    assert!(token.starts_with("b.") && made.auth["accessor"] == "" && made.auth["token_type"] == "batch");
    let told = bench.read("auth/token/lookup-self", &token).await.data;
    assert_eq!((&told["type"], &told["ttl"], &told["renewable"]), (&json!("batch"), &json!(60), &json!(false)));
    bench.clock.advance_secs(59);
    assert!(works(&bench, &token).await);
    bench.clock.advance_secs(1);
    assert!(!works(&bench, &token).await);
}

#[tokio::test]
async fn an_altered_batch_token_is_no_token() {
    let bench = Bench::new().await;
    let token = batch(&bench, ROOT, "60s").await.token();
    for at in (2..token.len()).step_by(7) {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        assert!(!works(&bench, std::str::from_utf8(&altered).expect("ASCII")).await, "character {at}");
    }
    assert!(!works(&bench, "b.").await);
}

#[tokio::test]
async fn a_batch_token_ends_with_its_parent() {
    let bench = Bench::new().await;
    let body = json!({"policies": ["leasing"], "ttl": "1h"});
    let parent = bench.write("auth/token/create", ROOT, body).await.token();
    let (token, orphan) = (batch(&bench, &parent, "30m").await.token(), batch(&bench, ROOT, "30m").await.token());
    assert!(works(&bench, &token).await);
    bench.write("auth/token/revoke", ROOT, json!({ "token": parent })).await;
    assert!(!works(&bench, &token).await && works(&bench, &orphan).await);
}

#[tokio::test]
async fn a_batch_token_neither_makes_tokens_nor_is_renewed_revoked_or_given_a_cubbyhole() {
    let bench = Bench::new().await;
    let token = batch(&bench, ROOT, "1h").await.token();
    for (path, body) in [
        ("auth/token/create", json!({})),
        ("auth/token/create-orphan", json!({"type": "batch"})),
        ("auth/token/renew-self", json!({})),
        ("auth/token/renew", json!({ "token": token })),
        ("auth/token/revoke-self", json!({})),
        ("auth/token/revoke", json!({ "token": token })),
        ("auth/token/revoke-orphan", json!({ "token": token })),
        ("cubbyhole/a", json!({"b": "c"})),
    ] {
        assert_eq!(bench.write(path, &token, body).await.status, 400, "{path}");
    }
    assert_eq!(bench.read("cubbyhole/a", &token).await.status, 400);
}

#[tokio::test]
async fn a_batch_token_is_not_asked_for_with_what_would_have_to_be_kept() {
    let bench = Bench::new().await;
    for (name, value) in [("num_uses", json!(1)), ("period", json!("1h")), ("explicit_max_ttl", json!("1h"))] {
        let mut body = json!({"type": "batch", "policies": ["default"]});
        body[name] = value;
        let refused = bench.write("auth/token/create", ROOT, body).await;
        assert_eq!(refused.errors, [format!("batch tokens cannot have {name:?} set")]);
    }
    let root = bench.write("auth/token/create", ROOT, json!({"type": "batch"})).await;
    assert_eq!(root.errors, ["batch tokens cannot be root tokens"]);
}

// R-45: no lease outlasts the batch token that it was given to.
#[tokio::test]
async fn what_a_batch_token_was_given_ends_with_it() {
    let bench = Bench::new().await;
    let token = batch(&bench, ROOT, "100s").await.token();
    bench.clock.advance_secs(40);
    assert_eq!(bench.read("fake/lease", &token).await.lease_secs, 60);
    // A service token's lease has the length the engine gives.
    assert_eq!(bench.read("fake/lease", ROOT).await.lease_secs, 3600);
}

#[tokio::test]
async fn what_a_batch_token_was_given_ends_with_its_parent() {
    let bench = Bench::new().await;
    let parent = bench.write("auth/token/create", ROOT, json!({"policies": ["leasing"], "ttl": "1h"})).await.token();
    let token = batch(&bench, &parent, "1h").await.token();
    let lease = bench.read("fake/lease", &token).await.lease;
    let left = || async {
        let told = bench.write("sys/leases/lookup", ROOT, json!({ "lease_id": lease })).await;
        told.data["ttl"].as_u64().unwrap_or(0)
    };
    assert_eq!(left().await, 3600);
    bench.write("auth/token/revoke", ROOT, json!({ "token": parent })).await;
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn guests_tell_batch_tokens_apart() {
    let bench = Bench::new().await;
    let (one, two) = (batch(&bench, ROOT, "1h").await.token(), batch(&bench, ROOT, "1h").await.token());
    let of = |token: String| {
        let bench = &bench;
        async move { bench.read("fake/lease", &token).await.data["fingerprint"].clone() }
    };
    assert_eq!(of(one.clone()).await, of(one.clone()).await);
    assert_ne!(of(one).await, of(two).await);
}

#[tokio::test]
async fn the_mount_decides_whether_a_login_gets_a_batch_token_or_leaves_it_to_the_method() {
    let bench = Bench::new().await;
    for (tuned, asked, got) in [
        ("default-service", false, "service"),
        ("default-service", true, "batch"),
        ("default-batch", false, "batch"),
        ("batch", false, "batch"),
        ("service", true, "service"),
    ] {
        bench.write("sys/auth/fake/tune", ROOT, json!({ "token_type": tuned })).await;
        bench.grant.lock().batch = asked;
        let login = bench.login("ann").await;
        assert_eq!(login.auth["token_type"], got, "{tuned} {asked} {:?}", login.errors);
        assert!(works(&bench, &login.token()).await && !login.entity().is_empty());
    }
    bench.write("sys/auth/fake/tune", ROOT, json!({"token_type": "batch"})).await;
    bench.grant.lock().num_uses = 3;
    assert_eq!(bench.login("ann").await.status, 400, "a limit that nobody counts");
}

#[tokio::test]
async fn a_batch_token_ends_with_the_auth_method_of_its_login() {
    let bench = Bench::new().await;
    bench.grant.lock().batch = true;
    let token = bench.login("ann").await.token();
    let other = batch(&bench, ROOT, "60s").await.token();
    assert!(token.starts_with("b.") && works(&bench, &token).await);
    assert_eq!(bench.delete("sys/auth/fake", ROOT).await.status, 204);
    assert!(!works(&bench, &token).await && works(&bench, &other).await);
    assert_eq!(bench.write("auth/token/lookup", ROOT, json!({ "token": token })).await.status, 403);
}
