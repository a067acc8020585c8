//! Bodies: every limit is enforced before the work is done.

use std::time::Duration;

use super::harness::{Served, get, post};
use crate::ListenerLimits;

#[tokio::test]
async fn a_body_over_the_limit_is_refused_when_it_is_announced() {
    let served = Served::plain().await;
    let request = format!("POST /v1/kv/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 33 * 1024 * 1024);
    let (status, text) = served.ask(request.as_bytes()).await;
    assert_eq!(status, 413);
    assert!(text.ends_with("{\"errors\":[\"http: request body too large\"]}\n"), "{text}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_when_nothing_was_announced() {
    let limits = ListenerLimits { body_bytes_max: 10, ..ListenerLimits::default() };
    let served = Served::start(None, limits).await;
    let head = "POST /v1/kv/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(served.ask(format!("{head}8\r\n{{\"a\": 1}}\r\n0\r\n\r\n").as_bytes()).await.0, 200);
    assert_eq!(served.ask(format!("{head}8\r\n{{\"a\": 1}}\r\n8\r\n        \r\n").as_bytes()).await.0, 413);
}

#[tokio::test]
async fn a_body_at_the_limit_arrives_whole() {
    let served = Served::plain().await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(32 * 1024 * 1024 - 8));
    let mut client = served.connect().await;
    client.send(&post("/v1/kv/x", &body)).await;
    let (status, text) = client.answer().await.expect("an answer");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains(&format!("\"body\":{}", 32 * 1024 * 1024)), "{text}");
}

/// CVE-2023-6337: bodies that nobody had to finish held memory.
#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let limits = ListenerLimits { body_max: Duration::from_millis(200), ..ListenerLimits::default() };
    let served = Served::start(None, limits).await;
    let (status, text) = served.ask(b"POST /v1/kv/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await;
    assert_eq!(status, 408, "{text}");
}

#[tokio::test]
async fn bad_requests_leave_the_listener_serving() {
    let served = Served::plain().await;
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    let bad: [(Vec<u8>, u16); 5] = [
        (post("/v1/kv/x", &deep), 400),
        (post("/v1/kv/x", "{bad"), 400),
        (get("/v1/kv/%zz"), 400),
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (get("/v1/panic"), 500),
    ];
    for (request, status) in bad.iter().cycle().take(100) {
        let (got, text) = served.ask(request).await;
        assert_eq!(got, *status, "{text}");
    }
    assert_eq!(served.ask(&get("/v1/kv/x")).await.0, 200);
}

/// Huge headers, and too many.
#[tokio::test]
async fn headers_over_their_limits_are_refused() {
    let served = Served::plain().await;
    let large = format!("GET /v1/kv/x HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(served.ask(large.as_bytes()).await.0, 431);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(served.ask(format!("GET /v1/kv/x HTTP/1.1\r\n{many}\r\n").as_bytes()).await.0, 431);
    let token = format!("GET /v1/kv/x HTTP/1.1\r\nhost: x\r\nx-vault-token: {}\r\n\r\n", "x".repeat(9_000));
    let (status, text) = served.ask(token.as_bytes()).await;
    assert_eq!(status, 431);
    assert!(text.ends_with("{\"errors\":[\"token is longer than 8192 bytes\"]}\n"), "{text}");
}

#[tokio::test]
async fn a_snapshot_has_a_limit_of_its_own_and_is_read_by_whoever_answers() {
    let limits = ListenerLimits { body_bytes_max: 10, snapshot_bytes_max: 300_000, ..ListenerLimits::default() };
    let served = Served::start(None, limits).await;
    let sent = |token: &str, bytes: usize| {
        let head =
            format!("POST /v1/sys/storage/raft/snapshot HTTP/1.1\r\nhost: x\r\n{token}content-length: {bytes}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; bytes]].concat()
    };
    let (status, text) = served.ask(&sent("x-vault-token: t\r\n", 300_000)).await;
    assert_eq!(status, 200);
    assert!(text.contains("\"body\":300000"), "{text}");
    assert_eq!(served.ask(&sent("x-vault-token: t\r\n", 300_001)).await.0, 413);
    // Whoever does not take it answers without.
    let announced = "POST /v1/sys/storage/raft/snapshot HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n";
    let (status, text) = served.ask(announced.as_bytes()).await;
    assert!(status == 200 && text.contains("\"body\":0"), "{text}");
    let chunked = "POST /v1/sys/storage/raft/snapshot-force HTTP/1.1\r\nhost: x\r\nx-vault-token: t\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("{chunked}493e1\r\n{}\r\n0\r\n\r\n", "x".repeat(0x493e1));
    assert_eq!(served.ask(body.as_bytes()).await.0, 413);
    // What begins with the path is another one.
    let other = served.ask(&sent("", 11)).await;
    assert_eq!(other.0, 200);
    let longer =
        String::from_utf8(sent("", 11)).expect("is text").replace("raft/snapshot", "raft/snapshot-auto/config/a");
    assert_eq!(served.ask(longer.as_bytes()).await.0, 413);
}
