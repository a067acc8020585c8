//! What went wrong elsewhere and must not here, by its number in `tests/regressions.md`. What lives here:
//! what no other test of this room holds.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_barrier::Key;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{AuthGrant, Descriptor, GuestError, GuestRequest, GuestResponse, PluginKind, TokenType};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, Finished, Plugin, Returned};
use serde_json::{Value, json};

use super::bench::Bench;
use super::kit::{Kit, ROOT};
use super::mfa::{Factors, refused};
use super::plugin::{FakePlugin, route};
use crate::book::space;

// R-22: what an auth method says of somebody goes to the alias of that method, whoever has the same name in another.
#[tokio::test]
async fn r22_a_login_tells_of_the_alias_at_its_own_mount() {
    let bench = Bench::new().await;
    assert_eq!(bench.write("sys/auth/other", ROOT, json!({ "type": "fake" })).await.status, 204);
    let here = bench.login("ann").await.entity();
    let there = bench.write("auth/other/login/ann", "", json!({})).await.entity();
    assert_ne!(here, there, "a name is of its mount");
    let merge = json!({ "from_entity_ids": [there], "to_entity_id": here });
    assert_eq!(bench.write("identity/entity/merge", ROOT, merge).await.status, 204);
    for (mount, city) in [("other", "Oslo"), ("fake", "Rome"), ("other", "Bern")] {
        bench.grant.lock().metadata = vec![("city".into(), city.into())];
        assert_eq!(bench.write(&format!("auth/{mount}/login/ann"), "", json!({})).await.entity(), here);
        let told = bench.read(&format!("identity/entity/id/{here}"), ROOT).await.data;
        let aliases = told["aliases"].as_array().expect("two aliases");
        let of =
            |path: &str| aliases.iter().find(|one| one["mount_path"] == path).expect("an alias")["metadata"].clone();
        let ours = of(&format!("auth/{mount}/"));
        assert_eq!(ours["city"], city);
        let other = if mount == "fake" { "auth/other/" } else { "auth/fake/" };
        assert_ne!(of(other)["city"], city, "another's alias is as it was");
    }
}

// R-29: a second factor that is demanded is demanded by every node from its first request on.
#[tokio::test]
async fn r29_a_node_that_just_started_demands_the_second_factor() {
    let factors = Factors::demanded().await;
    let ann = factors.enrolled("ann").await;
    let factors = factors.elsewhere().await;
    let id = factors.waiting("ann").await;
    assert_eq!(factors.tokens(), 0);
    refused(&factors.validate(&id, &factors.wrong(&ann, 0)).await, FailureKind::Denied, "not supplied or incorrect");
    factors.validate(&id, &factors.code(&ann)).await.token();
}

/// An auth method that has tokens made, or grants one, and does not come to a good end.
struct Careless {
    about: Descriptor,
}

impl Careless {
    fn new() -> Arc<Self> {
        let mut login = route("login/{how}");
        login.unauthenticated = true;
        let about = Descriptor {
            name: "careless".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            help: String::new(),
            data_version: 1,
            oldest_readable_data: 1,
            routes: vec![login],
            seal_wrapped: Vec::new(),
            local: Vec::new(),
            lease_kinds: Vec::new(),
            jobs: Vec::new(),
        };
        Arc::new(Self { about })
    }

    async fn log_in(&self, host: &mut dyn CallHost, asked: &GuestRequest) -> Result<Returned, CallFailure> {
        let wrapped = host.wrap(Hidden::new(b"{\"a\":1}".to_vec()), 60).await;
        wrapped.map_err(CallFailure::Trap)?;
        host.put("kept", b"yes".to_vec()).expect("a record can be written");
        let failed = |status, data: Option<&[u8]>| GuestResponse {
            status: Some(status),
            data: data.map(|data| Hidden::new(data.to_vec())),
            errors: vec!["no".into()],
            ..GuestResponse::default()
        };
        let granted = |response| Returned::Login { response, auth: Some(Box::new(grant())) };
        match asked.captures[0].1.as_str() {
            "trap" => Err(CallFailure::Trap("as the test wants it".into())),
            "late" => Err(CallFailure::Timeout),
            "grants and refuses" => Ok(granted(failed(403, None))),
            "grants and refuses at length" => Ok(granted(failed(400, Some(b"{\"why\":\"not\"}")))),
            _ => Ok(granted(GuestResponse::default())),
        }
    }
}

fn grant() -> AuthGrant {
    AuthGrant {
        alias: None,
        group_aliases: Vec::new(),
        display_name: String::new(),
        policies: Vec::new(),
        no_default_policy: false,
        metadata: Vec::new(),
        ttl: Some(600),
        max_ttl: None,
        explicit_max_ttl: None,
        period: None,
        num_uses: 0,
        token_type: TokenType::Service,
        bound_cidrs: Vec::new(),
        renewable: true,
        internal: Hidden::new(b"{}".to_vec()),
    }
}

#[async_trait]
impl Plugin for Careless {
    fn descriptor(&self) -> &Descriptor {
        &self.about
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Auth
    }

    fn sha256(&self) -> &str {
        ""
    }

    fn imports(&self) -> &[String] {
        &[]
    }

    async fn call(&self, mut host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure> {
        let result = match call {
            Call::Handle(asked) if asked.captures[0].1 == "error" => {
                let _ = self.log_in(&mut *host, &asked).await?;
                Err(GuestError::PermissionDenied("no".into()))
            }
            Call::Handle(asked) => Ok(self.log_in(&mut *host, &asked).await?),
            _ => Ok(Returned::Done),
        };
        Ok(Finished { host, result })
    }
}

// R-40: no token is there after a login that failed, however it failed and whatever was made or granted before.
#[tokio::test]
async fn r40_a_login_that_failed_leaves_no_token() {
    let kit = Kit::with_other(Careless::new()).await;
    let made = kit.ask(Verb::Write, "sys/auth/c", ROOT, json!({ "type": "careless" })).await;
    assert_eq!(made.failed, None);
    kit.is_clean();
    for how in ["trap", "late", "error", "grants and refuses", "grants and refuses at length"] {
        let answer = kit.ask(Verb::Write, &format!("auth/c/login/{how}"), "", json!({})).await;
        assert!(answer.failed.is_some() && answer.envelope.auth.is_none(), "{how}");
        kit.is_clean();
    }
    kit.ask(Verb::Write, "auth/c/login/well", "", json!({})).await.token();
    assert_eq!(kit.count(space::TOKENS), 3, "the login's, and the one it wrapped something with");
}

// R-46: a renewal in the last moments of a token neither makes it last for ever nor longer than it may.
#[tokio::test]
async fn r46_no_renewal_around_the_end_outlasts_it() {
    const MAX_MS: u64 = 100_000;
    let settings = [json!({ "ttl": "40s" }), json!({ "ttl": "40s", "period": "30s" })];
    let moments = (MAX_MS - 2_500..=MAX_MS + 2_000).step_by(500);
    for (settings, at_ms) in moments.flat_map(|at| settings.clone().map(|settings| (settings, at))) {
        let bench = Bench::new().await;
        let mut asked = settings.clone();
        asked["policies"] = json!(["default"]);
        asked["explicit_max_ttl"] = json!(MAX_MS / 1000);
        let token = bench.write("auth/token/create", ROOT, asked).await.token();
        // Renewed all along, as a client does that means to keep it.
        let mut now_ms = 0;
        for next_ms in (20_000..at_ms).step_by(20_000).chain([at_ms]) {
            bench.clock.advance_ms(next_ms - now_ms);
            now_ms = next_ms;
            bench.write("auth/token/renew-self", &token, json!({ "increment": "1h" })).await;
        }
        let told = bench.read("auth/token/lookup-self", &token).await;
        if at_ms < MAX_MS {
            assert_eq!(told.status, 200, "{settings} at {at_ms}: it was renewed all along");
            let left = told.data["ttl"].as_u64().expect("a number");
            assert!(left * 1000 < MAX_MS - at_ms + 1000, "{settings} at {at_ms}: {left} s are left");
            assert!(told.data["expire_time"].is_string(), "{settings} at {at_ms}: it has no end");
        }
        // What is left is counted in whole seconds: of the last one there may be another part.
        for _ in 0..4 {
            bench.clock.advance_ms(300);
            bench.write("auth/token/renew-self", &token, json!({})).await;
        }
        bench.clock.advance_ms((MAX_MS + 1000).saturating_sub(at_ms + 1200));
        assert_eq!(bench.read("auth/token/lookup-self", &token).await.status, 403, "{settings} at {at_ms}");
        bench.clock.advance_secs(1_000_000);
        assert_eq!(bench.read("auth/token/lookup-self", &token).await.status, 403, "{settings} at {at_ms}");
    }
}

// R-46: nor does one of a lease.
#[tokio::test]
async fn r46_no_renewal_of_a_lease_around_its_end_outlasts_it() {
    let bench = Bench::new().await;
    assert_eq!(bench.write("sys/mounts/fake/tune", ROOT, json!({ "max_lease_ttl": "100s" })).await.status, 204);
    let granted = bench.read("fake/lease", ROOT).await;
    let body = json!({ "lease_id": granted.lease, "increment": "1h" });
    bench.clock.advance_ms(97_500);
    for left_ms in (0..=2_500_u64).rev().step_by(500) {
        let renewed = bench.write("sys/leases/renew", ROOT, body.clone()).await;
        assert_eq!(renewed.status, if left_ms > 0 { 200 } else { 400 }, "{left_ms}: {:?}", renewed.errors);
        let told = bench.write("sys/leases/lookup", ROOT, json!({ "lease_id": granted.lease })).await;
        assert!(told.data["ttl"].as_u64().unwrap_or(0) * 1000 <= left_ms, "{left_ms}: {}", told.data);
        bench.clock.advance_ms(500);
    }
    assert_eq!(bench.write("sys/leases/renew", ROOT, body).await.status, 400);
}

// R-47: what a plugin grants lasts no longer than its mount lets anything last, and as long as it says otherwise.
#[tokio::test]
async fn r47_the_mount_bounds_what_a_plugin_grants() {
    let bench = Bench::new().await;
    for (tuned, expected) in [("2h", 3600), ("100s", 100)] {
        assert_eq!(bench.write("sys/mounts/fake/tune", ROOT, json!({ "max_lease_ttl": tuned })).await.status, 204);
        assert_eq!(bench.read("fake/lease", ROOT).await.lease_secs, expected, "{tuned}");
    }
    for (tuned, expected) in [("2h", 600), ("50s", 50)] {
        assert_eq!(bench.write("sys/auth/fake/tune", ROOT, json!({ "max_lease_ttl": tuned })).await.status, 204);
        assert_eq!(bench.login("ann").await.auth["lease_duration"], expected, "{tuned}");
    }
}

// R-65: what a node runs is the component that was registered, also where a state came back that has another.
#[tokio::test]
async fn r65_a_component_that_is_not_the_one_that_was_registered_is_not_run() {
    let kit = Kit::new().await;
    let (old, new) = (b"one component".as_slice(), b"another component".as_slice());
    let registered = kit.compiler.knows(old, FakePlugin::new().named("lodger").versioned("1.0.0"));
    let other = kit.compiler.knows(new, FakePlugin::new().named("lodger").versioned("1.0.0"));
    let body = json!({ "component": STANDARD.encode(old) });
    assert_eq!(kit.ask(Verb::Write, "sys/plugins/catalog/secret/lodger", ROOT, body).await.failed, None);
    assert_eq!(kit.ask(Verb::Write, "sys/mounts/m", ROOT, json!({ "type": "lodger" })).await.failed, None);
    let piece = format!("{}:0", hex::encode(digest(&SHA256, old).as_ref()));
    let key = Key::leaf(space::COMPONENTS, &piece).expect("a digest is a key");
    kit.write(|tx, _| tx.put(&key, new).expect("a piece can be written")).await;
    let kit = kit.restarted(true).await;
    let answer = kit.ask(Verb::Read, "m/creds/one", ROOT, Value::Null).await;
    assert!(answer.failed.is_some(), "it was served by something else");
    assert!(other.told("m/").is_empty());
    kit.write(|tx, _| tx.put(&key, old).expect("a piece can be written")).await;
    assert_eq!(kit.ask(Verb::Read, "m/creds/one", ROOT, Value::Null).await.failed, None);
    assert_eq!(registered.told("m/").len(), 1);
}

/// What an operator makes: path, body, and where it can be read.
fn makings() -> Vec<(&'static str, Value, &'static str)> {
    let policy = json!({ "policy": r#"path "a" { capabilities = ["read"] }"# });
    vec![
        ("sys/namespaces/n", json!({}), "sys/namespaces/n"),
        ("sys/mounts/m", json!({ "type": "leaser" }), "sys/mounts/m"),
        ("sys/policies/acl/p", policy, "sys/policies/acl/p"),
        ("auth/token/roles/r", json!({}), "auth/token/roles/r"),
        ("identity/entity", json!({ "name": "e" }), "identity/entity/name/e"),
        ("identity/group", json!({ "name": "g" }), "identity/group/name/g"),
        ("sys/quotas/rate-limit/q", json!({ "rate": 5 }), "sys/quotas/rate-limit/q"),
    ]
}

// R-77: where the storage fails under what an operator does, that is an error and nothing else: the node lives on,
// and there is no half of it.
#[tokio::test]
async fn r77_storage_that_fails_is_an_error_and_leaves_nothing_half_done() {
    let mut kit = Kit::new().await;
    for (path, body, shown) in makings() {
        kit.dies_after(0);
        let answer = kit.ask(Verb::Write, path, ROOT, body.clone()).await;
        assert!(answer.failed.is_some(), "{path} was acknowledged");
        for _ in 0..2 {
            let read = kit.ask(Verb::Read, shown, ROOT, Value::Null).await;
            assert!(read.kind().is_some(), "{path} is shown and was not kept");
            kit = kit.restarted(true).await;
        }
        assert_eq!(kit.ask(Verb::Write, path, ROOT, body).await.failed, None, "{path}");
        assert_eq!(kit.ask(Verb::Read, shown, ROOT, Value::Null).await.failed, None, "{path}");
        assert_eq!(kit.ask(Verb::Read, "sys/mounts", ROOT, Value::Null).await.failed, None);
    }
}
