//! Messages that break HTTP's own rules: refused as Go's server does.

use super::harness::{Served, get};

/// A request of this version with these header lines and no body.
fn message(version: &str, lines: &str) -> Vec<u8> {
    format!("POST /v1/kv/x HTTP/{version}\r\n{lines}\r\n").into_bytes()
}

#[tokio::test]
async fn what_is_ambiguous_is_refused_and_ends_the_connection() {
    let served = Served::plain().await;
    let chunks = "0\r\n\r\n";
    for (lines, status, body) in [
        ("", 400, "400 Bad Request: missing required Host header"),
        ("host: a\r\nhost: a\r\n", 400, "400 Bad Request"),
        ("host: a b\r\n", 400, "400 Bad Request: malformed Host header"),
        ("host: a/b\r\n", 400, "400 Bad Request: malformed Host header"),
        ("host: \u{e9}\r\n", 400, "400 Bad Request: malformed Host header"),
        ("host: a\r\ntransfer-encoding: gzip, chunked\r\n", 501, "Unsupported transfer encoding"),
        ("host: a\r\ntransfer-encoding: chunked, chunked\r\n", 501, "Unsupported transfer encoding"),
        (
            "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            501,
            "Unsupported transfer encoding",
        ),
        ("host: a\r\nexpect: foo\r\n", 417, ""),
    ] {
        let mut client = served.connect().await;
        client.send(&message("1.1", lines)).await;
        client.send(chunks.as_bytes()).await;
        let (got, text) = client.answer().await.unwrap_or_else(|| panic!("{lines}: no answer"));
        assert_eq!(got, status, "{lines}");
        assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{lines}: {text}");
        assert_eq!(client.answer().await, None, "{lines}: the connection goes on");
    }
}

#[tokio::test]
async fn what_only_looks_odd_is_served() {
    let served = Served::plain().await;
    for (version, lines) in [
        ("1.0", "connection: keep-alive\r\n"),
        ("1.1", "host:\r\n"),
        ("1.1", "host: [::1]:8200\r\n"),
        ("1.1", "host: a\r\nexpect: 100-Continue\r\n"),
        ("1.1", "host: a\r\nexpect:\r\n"),
        ("1.1", "host: a\r\ntransfer-encoding: Chunked\r\n"),
    ] {
        let mut client = served.connect().await;
        client.send(&message(version, lines)).await;
        if lines.contains("Chunked") {
            client.send(b"0\r\n\r\n").await;
        }
        assert_eq!(client.answer().await.expect(lines).0, 200, "{lines}");
    }
}

#[tokio::test]
async fn a_target_with_a_fragment_is_refused() {
    let served = Served::plain().await;
    let mut client = served.connect().await;
    client.send(&get("/v1/kv/x")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    let request = get("/v1/kv/x#y");
    let (start, rest) = request.split_at(9);
    client.send(start).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    client.send(rest).await;
    assert_eq!(client.answer().await.expect("an answer").0, 400);
    assert_eq!(client.answer().await, None, "the connection goes on");
    assert_eq!(served.ask(&get("/v1/kv/x%23y")).await.0, 200);
    // What a request without need of it brings along is nobody's first line.
    let mut client = served.connect().await;
    client.send(b"GET /v1/kv/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n").await;
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    client.send(b"\n").await;
    assert_eq!(client.answer().await, None, "the connection goes on");
    // An end of a line that comes in two pieces, and one before the line.
    let mut client = served.connect().await;
    for piece in [&b"\r\n"[..], b"GET /v1/kv/x HTTP/1.1\r", b"\nx-y: #\r\nhost: x\r\n\r\n"] {
        client.send(piece).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    let below = b"GET /v1/kv/x HTTP/1.1\r\nhost: x\r\nx-y: #\r\n\r\n";
    assert_eq!(served.ask(below).await.0, 200, "a header may have it");
}
