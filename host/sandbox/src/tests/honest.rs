//! What a well-behaved guest can rely on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{GuestError, GuestLease, JobOutcome, PluginKind, Reason, UpgradeStep};
use bulkhead_model::seam::plugin::{Call, CallFailure, Finished, LogLevel, Returned, Stop};

use super::host::{FakeHost, Shared, mount, request, secret_stored};
use super::{call, call_over, data, plugin, probe, response};
use crate::{Sandbox, SandboxLimits};

async fn run(call: Call) -> Result<Finished, CallFailure> {
    plugin().call(FakeHost::boxed(&mount("mount"), &Arc::default()), call).await
}

fn lease() -> GuestLease {
    GuestLease {
        id: "probe/creds/1".to_owned(),
        kind: "creds".to_owned(),
        path: "creds".to_owned(),
        issued_at: 1,
        expires_at: 2,
        internal: Hidden::new(b"{\"user\":\"u\"}".to_vec()),
        data_version: 1,
        unmounting: false,
    }
}

#[tokio::test]
async fn a_request_arrives_with_every_member() {
    let seen = data(call("echo").await);
    let id = "8a1d5a8e-63f4-4a3c-9c1e-2f54a5a4c9d1";
    let texts = serde_json::json!([id, "app/db", "version", "yes", "token-app", "entity", "app"]);
    assert_eq!(seen["texts"], texts);
    assert_eq!(seen["numbers"], serde_json::json!([3, 4321, 60]));
    assert_eq!(seen["data"], serde_json::json!({"version": 1}));
}

#[tokio::test]
async fn stored_values_reach_the_guest_and_writes_reach_the_host() {
    let shared = Arc::new(Shared::default());
    secret_stored(&shared);
    let read = data(call_over(plugin(), &shared, "read3").await);
    assert_eq!(read["data"]["username"], "app");
    assert_eq!(read["config_bytes"], 19);
    assert!(response(call_over(plugin(), &shared, "put").await).unwrap().data.is_none());
    assert_eq!(shared.values.lock()["key"], b"{\"version\":1}");
}

#[tokio::test]
async fn the_host_object_comes_back_from_a_call_that_ran_to_its_end() {
    let finished = call("refuse").await.unwrap();
    assert_eq!(finished.result.err(), Some(GuestError::PreconditionFailed("no".to_owned())));
    assert!(finished.host.into_any().downcast::<FakeHost>().is_ok());
}

#[tokio::test]
async fn a_write_on_a_standby_ends_the_call_and_the_guest_is_not_asked() {
    let shared = Arc::new(Shared { standby: true, ..Shared::default() });
    let failure = call_over(plugin(), &shared, "put").await.err().unwrap();
    assert!(matches!(failure, CallFailure::Stopped(Stop::Forward)));
}

#[tokio::test]
async fn the_cache_outlives_an_instance() {
    let shared = Arc::new(Shared::default());
    assert_eq!(data(call_over(plugin(), &shared, "cache").await)["hit"], false);
    assert_eq!(data(call_over(plugin(), &shared, "cache").await)["hit"], true);
}

/// Vectors: FIPS 180-4 "abc", RFC 4231 case 2, RFC 5869 case 3, RFC 7914 section 11's
/// sibling for two rounds ("password", "salt").
#[tokio::test]
async fn digests_match_the_published_vectors() {
    let seen = data(call("digest").await);
    assert_eq!(seen["hash"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(seen["mac"], "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(seen["okm"], okm);
    assert_eq!(seen["derived"], "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43");
    assert_eq!(seen["refused"], "hash algorithm \"rot13\" is not available");
    assert_eq!(seen["uuid"], "07070707-0707-4707-8707-070707070707");
    assert_eq!(seen["equal"], true);
    assert_eq!(seen["random"], 33);
}

#[tokio::test]
async fn long_key_derivations_run_off_the_thread_and_are_answered() {
    assert_eq!(data(call("pbkdf2").await)["bytes"], 16);
}

#[tokio::test]
async fn passwords_are_hashed_and_compared_and_bad_schemes_are_named() {
    let seen = data(call("passwords").await);
    for (at, form) in [(0, "$2b$04$"), (1, "$argon2id$v=19$m=64,t=1,p=1$")] {
        let [hash, right, wrong] = [0, 1, 2].map(|member| &seen["seen"][at][member]);
        assert!(hash.as_str().unwrap().starts_with(form), "{hash}");
        assert_eq!((right, wrong), (&true.into(), &false.into()));
    }
    assert_eq!(seen["seen"][2], "bcrypt takes a cost from 4 to 14");
    assert_eq!(seen["refused"], "not a password hash that can be compared with");
}

#[tokio::test]
async fn a_password_hash_is_not_charged_to_the_processor_time_of_its_call() {
    let mut limits = SandboxLimits::default();
    limits.call.cpu_ms = 50;
    let plugin = Sandbox::new(limits).unwrap().compile(probe()).unwrap();
    let began = Instant::now();
    assert_eq!(data(call_over(&plugin, &Arc::default(), "slow-password").await)["bytes"], 60);
    assert!(began.elapsed() > Duration::from_millis(50), "the hash was too quick to prove anything");
}

#[tokio::test]
async fn a_guest_sees_its_mount_the_time_and_its_limits() {
    let seen = data(call("mount").await);
    assert_eq!(seen["path"], "probe/");
    assert_eq!(seen["options"], 1);
    assert_eq!(seen["now"], 1_700_000_000_000_u64);
    assert_eq!(seen["cluster"], "cluster");
    assert_eq!(seen["remaining"], true);
    assert_eq!(seen["value"], 1_048_576);
}

#[tokio::test]
async fn log_lines_arrive_without_characters_that_act_on_a_terminal() {
    let shared = Arc::new(Shared::default());
    response(call_over(plugin(), &shared, "log").await).unwrap();
    let (level, message, fields) = shared.log.lock().remove(0);
    assert_eq!(level, LogLevel::Warn);
    assert_eq!(message, "first\\nsecond \\u{7}");
    assert_eq!(fields, [("user\\n".to_owned(), "\\u{1b}[31mred\\r\\n\\u{202e}evil".to_owned())]);
}

#[tokio::test]
async fn leases_travel_both_ways() {
    let Ok(Returned::Secret { lease: Some(grant), .. }) = call("lease").await.unwrap().result else { panic!() };
    assert_eq!((grant.kind.as_str(), grant.ttl, grant.renewable), ("creds", Some(60), true));
    assert_eq!(grant.internal.expose(), b"{\"user\":\"u\"}");
    let renew = Call::RenewLease { lease: lease(), increment: Some(30) };
    let Ok(Returned::Renewed(renewal)) = run(renew).await.unwrap().result else { panic!() };
    assert_eq!((renewal.ttl, renewal.warnings), (Some(30), vec!["probe/creds/1".to_owned()]));
    assert_eq!(renewal.internal.unwrap().expose(), b"{\"user\":\"u\"}");
}

#[tokio::test]
async fn every_other_export_can_be_called() {
    let Ok(Returned::Exists(exists)) = run(Call::Exists(request("nothing"))).await.unwrap().result else { panic!() };
    assert!(!exists);
    assert!(matches!(run(Call::Initialize(Reason::Mounted)).await.unwrap().result, Ok(Returned::Done)));
    let upgrade = run(Call::Upgrade { from: 1, cursor: None }).await.unwrap().result;
    assert!(matches!(upgrade, Ok(Returned::Upgraded(UpgradeStep::More(cursor))) if cursor == "from 1"));
    let payload = Hidden::new(b"{}".to_vec());
    let job = run(Call::RunJob { job: "j".to_owned(), key: "k".to_owned(), payload }).await.unwrap().result;
    assert!(matches!(job, Ok(Returned::JobDone(JobOutcome::Again(7, payload))) if payload.expose() == b"{}"));
    let rollback = Call::Rollback { kind: "user".to_owned(), data: Hidden::new(b"{}".to_vec()) };
    assert_eq!(run(rollback).await.unwrap().result.err(), Some(GuestError::Internal("user".to_owned())));
    let failure = run(Call::RevokeLease(lease())).await.err().unwrap();
    assert!(matches!(failure, CallFailure::Trap(_)));
}

#[tokio::test]
async fn a_failure_with_data_keeps_its_status() {
    let answer = response(call("gone").await).unwrap();
    assert_eq!((answer.status, answer.data.unwrap().expose().as_slice()), (Some(404), b"{}".as_slice()));
}

#[tokio::test]
async fn a_harmless_header_passes() {
    let answer = response(call("good-header").await).unwrap();
    assert_eq!(answer.headers, [("Replay-Nonce".to_owned(), "abc".to_owned())]);
}

#[test]
fn a_component_is_described_by_itself() {
    let plugin = plugin();
    assert_eq!(plugin.kind(), PluginKind::Secrets);
    assert_eq!(plugin.descriptor().name, "probe");
    let route = &plugin.descriptor().routes[0];
    assert_eq!(route.when_option, Some(("version".to_owned(), "2".to_owned())));
    assert_eq!(route.fields[0].default, Some(serde_json::json!(3600)));
    let mut imports = plugin.imports().to_vec();
    imports.sort();
    assert_eq!(imports, ["cache", "digest", "storage", "system"]);
    assert_eq!(plugin.sha256().len(), 64);
}
