//! Identity tokens: who can verify them, for how long, and what they say.

use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::bench::{Answer, Bench, ROOT};
use crate::book::oidc::{keys, roles};
use crate::book::space;
use crate::step::rotate;

const ALGORITHMS: [&str; 7] = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"];

/// Somebody who may have identity tokens made.
async fn ann(bench: &Bench) -> Answer {
    let policy = r#"path "identity/oidc/token/*" { capabilities = ["read"] }"#;
    written(bench, "sys/policies/acl/tokens", json!({ "policy": policy })).await;
    let login = bench.login("ann").await;
    written(bench, &format!("identity/entity/id/{}", login.entity()), json!({ "policies": ["tokens"] })).await;
    login
}

/// A key that costs little to make, which signs for everybody, and a role that uses it.
async fn key_and_role(bench: &Bench, template: &str) {
    key(bench, json!({})).await;
    written(bench, "identity/oidc/role/r", json!({ "key": "k", "ttl": "1h", "template": template })).await;
}

async fn key(bench: &Bench, mut more: Value) {
    let defaults = json!({ "algorithm": "EdDSA", "allowed_client_ids": "*", "verification_ttl": "2h" });
    for (name, value) in defaults.as_object().expect("an object") {
        more.as_object_mut().expect("an object").entry(name).or_insert_with(|| value.clone());
    }
    written(bench, "identity/oidc/key/k", more).await;
}

async fn written(bench: &Bench, path: &str, body: Value) {
    let answer = bench.write(path, ROOT, body).await;
    assert_eq!(answer.status, 204, "{path}: {:?}", answer.errors);
}

async fn token(bench: &Bench, caller: &str) -> String {
    let made = bench.read("identity/oidc/token/r", caller).await;
    made.data["token"].as_str().unwrap_or_else(|| panic!("{:?}", made.errors)).to_owned()
}

async fn public_keys(bench: &Bench) -> Vec<Value> {
    let told = bench.read("identity/oidc/.well-known/keys", "").await;
    told.data["keys"].as_array().expect("a list").clone()
}

async fn is_active(bench: &Bench, token: &str) -> bool {
    let told = bench.write("identity/oidc/introspect", ROOT, json!({ "token": token })).await;
    told.data["active"].as_bool().expect("a yes or no")
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn numbers(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().expect("a text")).expect("base64url")
}

/// Whether a stranger who has read the public keys believes the token.
fn is_believed(keys: &[Value], token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let (signed, signature) = (signed.as_bytes(), URL_SAFE_NO_PAD.decode(signature).expect("base64url"));
    let header = part(token, 0);
    let Some(jwk) = keys.iter().find(|jwk| jwk["kid"] == header["kid"]) else { return false };
    assert_eq!((&jwk["alg"], &jwk["use"]), (&header["alg"], &json!("sig")));
    let rsa = |parameters: &'static RsaParameters| {
        let key = RsaPublicKeyComponents { n: numbers(jwk, "n"), e: numbers(jwk, "e") };
        key.verify(parameters, signed, &signature).is_ok()
    };
    let ec = |algorithm| {
        let point = [&[4], &*numbers(jwk, "x"), &*numbers(jwk, "y")].concat();
        UnparsedPublicKey::new(algorithm, point).verify(signed, &signature).is_ok()
    };
    match jwk["alg"].as_str() {
        Some("RS256") => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        Some("RS384") => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        Some("RS512") => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        Some("ES256") => ec(&signature::ECDSA_P256_SHA256_FIXED),
        Some("ES384") => ec(&signature::ECDSA_P384_SHA384_FIXED),
        Some("ES512") => ec(&signature::ECDSA_P521_SHA512_FIXED),
        Some("EdDSA") => {
            UnparsedPublicKey::new(&signature::ED25519, numbers(jwk, "x")).verify(signed, &signature).is_ok()
        }
        other => panic!("an algorithm of another name: {other:?}"),
    }
}

/// Private halves that are stored.
fn private_halves(bench: &Bench) -> usize {
    let mut tx = bench.open().begin().expect("memory has views");
    let range = tx.opaque_range(space::OIDC_PRIVATE, &[0], &[0xff; 17], u32::MAX);
    range.expect("keys can be listed").len()
}

fn refused(answer: &Answer, text: &str) {
    assert_eq!((answer.status, answer.errors.join("\n").contains(text)), (400, true), "{:?}", answer.errors);
}

#[tokio::test]
async fn what_a_token_says_is_believed_by_whoever_has_the_public_keys_whatever_the_algorithm() {
    let bench = Bench::new().await;
    let ann = ann(&bench).await;
    for algorithm in ALGORITHMS {
        key(&bench, json!({ "algorithm": algorithm })).await;
        written(&bench, "identity/oidc/role/r", json!({ "key": "k", "ttl": 600, "client_id": "me" })).await;
        let token = token(&bench, &ann.token()).await;
        assert!(is_believed(&public_keys(&bench).await, &token), "{algorithm}");
        assert!(is_active(&bench, &token).await, "{algorithm}");
        assert_eq!(part(&token, 0)["alg"], algorithm);
        let told = json!({
            "aud": "me", "exp": 1_800_000_600, "iat": 1_800_000_000, "iss": "/v1/identity/oidc", "namespace": "root",
            "sub": ann.entity(),
        });
        assert_eq!(part(&token, 1), told);
    }
}

#[tokio::test]
async fn a_change_of_algorithm_leaves_what_was_signed_before_believed_for_as_long_as_a_rotation() {
    let bench = Bench::new().await;
    let caller = ann(&bench).await.token();
    key_and_role(&bench, "").await;
    let old = token(&bench, &caller).await;
    key(&bench, json!({ "algorithm": "ES256" })).await;
    assert_eq!(part(&token(&bench, &caller).await, 0)["alg"], "ES256");
    assert!(is_believed(&public_keys(&bench).await, &old));
    assert_eq!((public_keys(&bench).await.len(), private_halves(&bench)), (3, 2));
    bench.clock.advance_secs(2 * 3600);
    assert!(!is_believed(&public_keys(&bench).await, &old));
}

#[tokio::test]
async fn a_retired_key_is_believed_until_its_verification_ttl_has_passed() {
    let bench = Bench::new().await;
    let caller = ann(&bench).await.token();
    key(&bench, json!({})).await;
    written(&bench, "identity/oidc/role/r", json!({ "key": "k", "ttl": "2h" })).await;
    let (old, before) = (token(&bench, &caller).await, public_keys(&bench).await);
    written(&bench, "identity/oidc/key/k/rotate", json!({})).await;
    let new = token(&bench, &caller).await;
    assert_ne!(part(&old, 0)["kid"], part(&new, 0)["kid"]);
    assert!(is_believed(&before, &new), "who read the keys before the rotation knows the next one");
    bench.clock.advance_secs(2 * 3600 - 1);
    assert!(is_believed(&public_keys(&bench).await, &old) && is_active(&bench, &old).await);
    bench.clock.advance_secs(1);
    assert!(!is_believed(&public_keys(&bench).await, &old) && !is_active(&bench, &old).await);
    assert_eq!(public_keys(&bench).await.len(), 2);
    written(&bench, "identity/oidc/key/k/rotate", json!({ "verification_ttl": 0 })).await;
    assert!(!is_active(&bench, &new).await, "it retires at once if that is wanted");
}

#[tokio::test]
async fn keys_rotate_by_themselves_when_it_is_time_and_keep_no_private_half_that_signs_no_more() {
    let bench = Bench::new().await;
    ann(&bench).await;
    key(&bench, json!({ "rotation_period": "1h" })).await;
    written(&bench, "identity/oidc/role/r", json!({ "key": "k", "ttl": "1h" })).await;
    let signer = async || part(&token(&bench, &bench.login("ann").await.token()).await, 0)["kid"].clone();
    let first = signer().await;
    bench.clock.advance_secs(3600 - 1);
    rotate::rotate_due(&bench.open()).await;
    assert_eq!(signer().await, first);
    for _ in 0..4 {
        let last = signer().await;
        bench.clock.advance_secs(3600);
        rotate::rotate_due(&bench.open()).await;
        assert_ne!(signer().await, last);
        assert_eq!(private_halves(&bench), 2);
    }
    let mut tx = bench.open().begin().expect("memory has views");
    let record = keys::get(&mut tx, "k").expect("it can be read").expect("it is there");
    assert!(record.public.len() <= 4, "what has retired is forgotten: {}", record.public.len());
}

#[tokio::test]
async fn a_template_adds_claims_and_overrides_none_that_every_token_has() {
    let bench = Bench::new().await;
    let ann = ann(&bench).await;
    let path = format!("identity/entity/id/{}", ann.entity());
    bench.write(&path, ROOT, json!({ "name": "ann", "metadata": { "team": r#"red", "sub": "root"# } })).await;
    key_and_role(&bench, r#"{"who": {{identity.entity.name}}, "team": {{identity.entity.metadata.team}} }"#).await;
    let claims = part(&token(&bench, &ann.token()).await, 1);
    assert_eq!((&claims["who"], &claims["team"]), (&json!("ann"), &json!(r#"red", "sub": "root"#)));
    assert_eq!(claims["sub"], ann.entity());
    for claim in ["iat", "aud", "exp", "iss", "sub", "namespace", "nonce", "auth_time", "at_hash", "c_hash"] {
        let template = json!({ claim: "x" }).to_string();
        let answer = bench.write("identity/oidc/role/r", ROOT, json!({ "template": template })).await;
        refused(&answer, &format!("top level key {claim:?} not allowed"));
    }
    // Verifiers in Go take these for it.
    for claim in ["Sub", "\u{17f}ub", "I\u{17f}S"] {
        let template = json!({ claim: "x" }).to_string();
        let answer = bench.write("identity/oidc/role/r", ROOT, json!({ "template": template })).await;
        refused(&answer, "not allowed");
    }
    let long = json!({ "a": "x".repeat(64 * 1024) }).to_string();
    refused(&bench.write("identity/oidc/role/r", ROOT, json!({ "template": long })).await, "longer than 65536 bytes");
    // Nor where one was written some other way.
    let mut tx = bench.open().begin().expect("memory has views");
    let mut role = roles::get(&mut tx, "r").expect("it can be read").expect("it is there");
    role.template = r#"{"sub": "root", "\u017fub": "root", "nonce": "n", "exp": 1, "who": "x"}"#.to_owned();
    roles::save(&mut tx, "r", &role).expect("it can be written");
    let change = tx.into_change(&*bench.open().parts.entropy).expect("a change");
    bench.open().ledger().propose(change).await.expect("memory takes changes");
    let claims = part(&token(&bench, &ann.token()).await, 1);
    assert_eq!((&claims["sub"], &claims["who"]), (&json!(ann.entity()), &json!("x")));
    assert_eq!((&claims["nonce"], claims["exp"].as_u64() > Some(1)), (&Value::Null, true));
    assert!(claims.as_object().is_some_and(|claims| !claims.contains_key("\u{17f}ub")), "{claims}");
}

#[tokio::test]
async fn a_key_signs_for_clients_it_allows_and_for_callers_who_are_somebody() {
    let bench = Bench::new().await;
    let caller = ann(&bench).await.token();
    key(&bench, json!({ "allowed_client_ids": "you,they" })).await;
    written(&bench, "identity/oidc/role/r", json!({ "key": "k", "ttl": "1h", "client_id": "me" })).await;
    refused(&bench.read("identity/oidc/token/r", &caller).await, "does not list the client ID of the role \"r\"");
    key(&bench, json!({ "allowed_client_ids": "you,me" })).await;
    token(&bench, &caller).await;
    refused(&bench.read("identity/oidc/token/r", ROOT).await, "no entity associated with the request's token");
    refused(&bench.read("identity/oidc/token/s", &caller).await, "role \"s\" not found");
}

#[tokio::test]
async fn a_key_in_use_cannot_be_deleted_nor_can_the_default_one() {
    let bench = Bench::new().await;
    key_and_role(&bench, "").await;
    refused(&bench.delete("identity/oidc/key/k", ROOT).await, "currently referenced by these roles: r");
    refused(&bench.write("identity/oidc/key/k", ROOT, json!({ "verification_ttl": 60 })).await, "referenced by one");
    refused(&bench.delete("identity/oidc/key/default", ROOT).await, "deletion of key \"default\" not allowed");
    written(&bench, "identity/oidc/role/r", json!({ "key": "default" })).await;
    assert_eq!(bench.delete("identity/oidc/key/k", ROOT).await.status, 204);
    assert_eq!(private_halves(&bench), 2, "those of the default key alone");
    assert_eq!(bench.list("identity/oidc/key", ROOT).await.data["keys"], json!(["default"]));
    assert_eq!(public_keys(&bench).await.len(), 2);
    assert_eq!(bench.delete("identity/oidc/role/r", ROOT).await.status, 204);
    assert_eq!(public_keys(&bench).await, Vec::<Value>::new(), "no role uses it");
}

#[tokio::test]
async fn a_key_is_rotated_by_hand_so_often_and_no_more() {
    let bench = Bench::new().await;
    key(&bench, json!({})).await;
    for _ in 2..keys::PUBLIC_MAX {
        written(&bench, "identity/oidc/key/k/rotate", json!({})).await;
    }
    refused(&bench.write("identity/oidc/key/k/rotate", ROOT, json!({})).await, "public keys already");
    let other = json!({ "algorithm": "ES256" });
    refused(&bench.write("identity/oidc/key/k", ROOT, other).await, "public keys already");
    bench.clock.advance_secs(2 * 3600);
    written(&bench, "identity/oidc/key/k/rotate", json!({})).await;
}

#[tokio::test]
async fn a_token_does_not_hold_for_another_client_or_issuer_nor_of_somebody_who_is_disabled() {
    let bench = Bench::new().await;
    let ann = ann(&bench).await;
    key_and_role(&bench, "").await;
    let token = token(&bench, &ann.token()).await;
    let error = async |body: Value| {
        bench.write("identity/oidc/introspect", ROOT, body).await.data["error"].as_str().map(str::to_owned)
    };
    let aud = part(&token, 1)["aud"].clone();
    assert_eq!(error(json!({ "token": token, "client_id": aud })).await, None);
    let other = error(json!({ "token": token, "client_id": "you" })).await;
    assert!(other.is_some_and(|error| error.contains("(aud)")));
    bench.write("identity/oidc/config", ROOT, json!({ "issuer": "https://b.example" })).await;
    assert!(error(json!({ "token": token })).await.is_some_and(|error| error.contains("(iss)")));
    bench.write("identity/oidc/config", ROOT, json!({ "issuer": "" })).await;
    let path = format!("identity/entity/id/{}", ann.entity());
    bench.write(&path, ROOT, json!({ "disabled": true })).await;
    assert_eq!(error(json!({ "token": token })).await.as_deref(), Some("entity is disabled"));
    bench.delete(&path, ROOT).await;
    assert_eq!(error(json!({ "token": token })).await.as_deref(), Some("entity was not found"));
    assert!(error(json!({ "token": "a.b" })).await.is_some_and(|error| error.starts_with("error parsing token: ")));
    let changed = format!("{}.{}", token.rsplit_once('.').expect("parts").0, URL_SAFE_NO_PAD.encode([0; 64]));
    assert_eq!(error(json!({ "token": changed })).await.as_deref(), Some("unable to validate the token signature"));
    bench.clock.advance_secs(3600 + 61);
    assert!(error(json!({ "token": token })).await.is_some_and(|error| error.contains("(exp)")));
}
