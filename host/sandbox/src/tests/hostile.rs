//! Hostile guests, by the numbers of the reliability document's section 5: each costs
//! its own call, and the next call of the same component works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_model::seam::plugin::{Call, CallFailure, LogLevel, Stop};

use super::host::{FakeHost, Shared, mount, request, secret_stored};
use super::{call, call_over, data, plugin, probe, response, sandbox, trap_text};
use crate::{Sandbox, SandboxLimits};

/// Another call of the same component, which must not notice anything.
async fn still_serves() {
    let shared = Arc::new(Shared::default());
    secret_stored(&shared);
    assert_eq!(data(call_over(plugin(), &shared, "read3").await)["data"]["username"], "app");
}

async fn stopped_for(path: &str) -> &'static str {
    match call(path).await {
        Err(CallFailure::Stopped(Stop::Budget(what))) => what,
        Err(other) => panic!("{path}: {other}"),
        Ok(_) => panic!("{path} succeeded"),
    }
}

#[tokio::test]
async fn h1_an_endless_loop_ends_with_its_processor_time() {
    plugin();
    let began = Instant::now();
    assert!(matches!(call("loop").await, Err(CallFailure::Timeout)));
    assert!(began.elapsed() < Duration::from_secs(4));
    still_serves().await;
}

#[tokio::test(flavor = "current_thread")]
async fn h1_an_endless_loop_lets_others_run_on_the_same_thread() {
    plugin();
    let looping = tokio::spawn(call("loop"));
    tokio::task::yield_now().await;
    still_serves().await;
    assert!(!looping.is_finished(), "the other call had to wait for the loop");
    assert!(matches!(looping.await.unwrap(), Err(CallFailure::Timeout)));
}

#[tokio::test(flavor = "current_thread")]
async fn h1_a_slow_password_hash_lets_others_run_on_the_same_thread() {
    plugin();
    let hashing = tokio::spawn(call("slow-password"));
    tokio::task::yield_now().await;
    still_serves().await;
    assert!(!hashing.is_finished(), "the other call had to wait for the hash");
    assert_eq!(data(hashing.await.unwrap())["bytes"], 60);
}

#[tokio::test]
async fn h2_endless_recursion_traps() {
    for (path, cause) in [("recurse", "call stack exhausted"), ("recurse-in-memory", "out of bounds")] {
        let text = trap_text(call(path).await);
        assert!(text.contains(cause), "{path}: {text}");
    }
    still_serves().await;
}

#[tokio::test]
async fn h3_memory_ends_at_the_limit() {
    let pages = data(call("grow").await)["pages"].as_u64().unwrap();
    assert!((900..=1024).contains(&pages), "{pages} pages");
    still_serves().await;
}

#[tokio::test]
async fn h7_storms_of_host_calls_end_with_their_budgets() {
    assert_eq!(stopped_for("storm").await, "host calls");
    assert_eq!(stopped_for("read-storm").await, "storage reads");
    assert_eq!(stopped_for("write-storm").await, "storage writes");
    assert_eq!(stopped_for("random-storm").await, "random bytes");
    assert_eq!(stopped_for("derive-storm").await, "key derivation rounds");
    assert_eq!(stopped_for("password-storm").await, "password hashes");
    assert_eq!(stopped_for("lock-storm").await, "locks");
    still_serves().await;
}

#[tokio::test]
async fn h8_a_flood_of_log_lines_is_cut_and_said_to_be() {
    let shared = Arc::new(Shared::default());
    response(call_over(plugin(), &shared, "log-flood").await).unwrap();
    let log = shared.log.lock();
    let bytes: usize = log.iter().map(|(_, message, _)| message.len()).sum();
    assert!(bytes <= 64 * 1024 + 100, "{bytes} bytes");
    let (level, last, _) = log.last().unwrap();
    assert_eq!((*level, last.as_str()), (LogLevel::Warn, "further log lines of this call are dropped"));
}

#[tokio::test]
async fn h8_one_long_line_is_cut() {
    let shared = Arc::new(Shared::default());
    response(call_over(plugin(), &shared, "log-line").await).unwrap();
    assert_eq!(shared.log.lock()[0].1.len(), 4096);
}

#[tokio::test]
async fn h11_answers_that_break_a_rule_cost_the_call() {
    for (path, rule) in [
        ("big", "a body over 32 MiB"),
        ("many-headers", "more than 32 headers"),
        ("many-warnings", "more than 100 warnings or errors"),
        ("crlf", "a header value with other than printable ASCII"),
        ("header-name", "a header name that is no token"),
        ("cookie", "a header that plugins may not set"),
        ("content-type", "a header value with other than printable ASCII"),
        ("envelope", "data is not one JSON object within the bounds"),
        ("array", "data is not one JSON object within the bounds"),
        ("deep", "data is not one JSON object within the bounds"),
        ("status", "a status outside 200 to 599"),
    ] {
        assert_eq!(trap_text(call(path).await), format!("the plugin's answer was refused: {rule}"), "{path}");
    }
    still_serves().await;
}

#[tokio::test]
async fn h11_more_than_the_host_takes_out_of_a_guest_is_a_trap() {
    for path in ["huge", "big-argument"] {
        assert!(matches!(call(path).await, Err(CallFailure::Trap(_))), "{path}");
    }
    still_serves().await;
}

#[tokio::test]
async fn h12_traps_and_panics_cost_the_call_and_tell_no_guest_text() {
    assert!(trap_text(call("trap").await).contains("unreachable"));
    assert!(!trap_text(call("panic").await).contains("secret"));
    still_serves().await;
}

#[tokio::test]
async fn h13_a_call_that_waits_for_ever_ends_on_the_wall_clock() {
    let mut limits = SandboxLimits::default();
    limits.call.wall_ms = 200;
    let plugin = Sandbox::new(limits).unwrap().compile(probe()).unwrap();
    let began = Instant::now();
    assert!(matches!(call_over(&plugin, &Arc::default(), "wait").await, Err(CallFailure::Timeout)));
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(response(call_over(&plugin, &Arc::default(), "empty").await).is_ok());
}

#[tokio::test]
async fn h20_nothing_of_one_instance_is_found_in_ten_thousand_others() {
    let other = sandbox().compile(probe()).unwrap();
    for round in 0..10_000 {
        if round % 10 == 0 {
            assert_eq!(data(call("leave").await)["left"], true);
        }
        let hunter = if round % 2 == 0 { plugin() } else { &other };
        assert_eq!(data(call_over(hunter, &Arc::default(), "hunt").await)["found"], 0, "round {round}");
    }
}

/// The control for the hunt: the canary is found where it is.
#[tokio::test]
async fn h20_the_hunter_finds_its_own_canary() {
    let found = data(call("leave-and-hunt").await)["found"].as_u64().unwrap();
    assert!(found > 40_000, "{found} found");
}

#[tokio::test]
async fn a_mount_that_hangs_leaves_room_for_others() {
    let mut limits = SandboxLimits::default();
    (limits.pool.instances, limits.pool.per_mount, limits.pool.wait_ms) = (3, 2, 0);
    let plugin = Sandbox::new(limits).unwrap().compile(probe()).unwrap();
    let shared: Arc<Shared> = Arc::default();
    let on = |id: &str, path: &str| {
        let (plugin, host, call) =
            (Arc::clone(&plugin), FakeHost::boxed(&mount(id), &shared), Call::Handle(request(path)));
        async move { plugin.call(host, call).await }
    };
    let hanging = [tokio::spawn(on("a", "wait")), tokio::spawn(on("a", "wait"))];
    tokio::task::yield_now().await;
    assert!(matches!(on("a", "empty").await, Err(CallFailure::Busy)));
    assert!(on("b", "empty").await.is_ok());
    let third = tokio::spawn(on("b", "wait"));
    tokio::task::yield_now().await;
    assert!(matches!(on("c", "empty").await, Err(CallFailure::Busy)));
    for call in hanging.into_iter().chain([third]) {
        call.abort();
        assert!(call.await.is_err_and(|error| error.is_cancelled()));
    }
    assert!(on("a", "empty").await.is_ok());
    assert!(on("c", "empty").await.is_ok());
}
