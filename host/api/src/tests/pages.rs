//! Paths outside the API.

use super::harness::{Served, get};

// no answer is kept by a browser or a cache.
#[tokio::test]
async fn every_answer_has_vaults_headers() {
    let served = Served::plain().await;
    for (request, status) in [(get("/v1/kv/x"), 200), (get("/v1/kv/%2e%2e"), 400), (get("/elsewhere"), 404)] {
        let (got, text) = served.ask(&request).await;
        assert_eq!(got, status);
        assert!(text.contains("cache-control: no-store\r\n"), "{text}");
        assert!(text.contains("content-type: application/json\r\n"), "{text}");
        assert!(text.contains("strict-transport-security: max-age=31536000; includeSubDomains\r\n"), "{text}");
    }
}

#[tokio::test]
async fn header_lines_of_the_node_go_with_its_answer() {
    let served = Served::plain().await;
    assert!(served.ask(&get("/v1/kv/x")).await.1.contains("retry-after: 7\r\n"));
    assert!(!served.ask(&get("/v1/kv/%2e%2e")).await.1.contains("retry-after"), "no answer of the node");
}

#[tokio::test]
async fn web_pages_of_other_sites_are_answered_before_anything_else() {
    let served = Served::plain().await;
    let request = |method: &str, path: &str, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n").into_bytes()
    };
    for (method, path, more, status, line) in [
        ("GET", "/v1/kv/x", "origin: http://page\r\n", 200, "access-control-allow-origin: http://page\r\n"),
        ("GET", "/elsewhere", "origin: http://page\r\n", 404, "access-control-allow-origin: http://page\r\n"),
        ("GET", "/v1/kv/x", "origin: http://evil\r\n", 403, "{\"errors\":[\"origin not allowed\"]}"),
        ("GET", "/v1/kv/x", "origin: http://unruled\r\n", 200, "retry-after: 7"),
        (
            "OPTIONS",
            "/v1/kv/x",
            "origin: http://page\r\naccess-control-request-method: LIST\r\n",
            200,
            "access-control-allow-methods: DELETE,GET,OPTIONS,POST,PUT,LIST,SCAN\r\n",
        ),
        ("OPTIONS", "/v1/kv/x", "origin: http://page\r\n", 405, "content-length: 0"),
    ] {
        let (got, text) = served.ask(&request(method, path, more)).await;
        assert_eq!(got, status, "{method} {path} {more}");
        assert!(text.contains(line), "{method} {path} {more}: {text}");
    }
    assert!(!served.ask(&get("/v1/kv/x")).await.1.contains("access-control"), "no page asked");
}

#[tokio::test]
async fn paths_outside_the_api_are_as_in_vault() {
    let served = Served::plain().await;
    for (path, status, location, body) in [
        ("/", 404, "", "404 page not found\n"),
        ("/ui", 404, "", "404 page not found\n"),
        ("/ui/x", 404, "", "404 page not found\n"),
        ("/v1/sys", 307, "/v1/sys/", "<a href=\"/v1/sys/\">Temporary Redirect</a>.\n\n"),
        ("/v1/sys?help=", 307, "/v1/sys/?help=", "<a href=\"/v1/sys/?help=\">Temporary Redirect</a>.\n\n"),
        ("/v1/sys?a=1", 307, "/v1/sys/?a=1", "<a href=\"/v1/sys/?a=1\">Temporary Redirect</a>.\n\n"),
        ("/v1", 404, "", "{\"errors\":[]}\n"),
        ("/v2/x", 404, "", "{\"errors\":[]}\n"),
        ("/v1/kv//x?a=1&b=2", 307, "/v1/kv/x?a=1&b=2", "<a href=\"/v1/kv/x?a=1&amp;b=2\">Temporary Redirect</a>.\n\n"),
        ("/v1/kv/../x", 307, "/v1/x", "<a href=\"/v1/x\">Temporary Redirect</a>.\n\n"),
        ("/v1/kv/x/.", 307, "/v1/kv/x", "<a href=\"/v1/kv/x\">Temporary Redirect</a>.\n\n"),
        ("/v1/..//evil", 307, "/evil", "<a href=\"/evil\">Temporary Redirect</a>.\n\n"),
        ("/v1/kv/..", 307, "/v1/", "<a href=\"/v1/\">Temporary Redirect</a>.\n\n"),
        ("//v1/kv/x", 404, "", "{\"errors\":[]}\n"),
    ] {
        let (got, text) = served.ask(&get(path)).await;
        assert_eq!(got, status, "{path}");
        assert!(text.ends_with(body), "{path}: {text}");
        assert_eq!(text.contains(&format!("location: {location}\r\n")), !location.is_empty(), "{path}: {text}");
    }
    assert_eq!(served.ask(&get("/v1/sys?help=1")).await.0, 200, "help is told of the mount itself");
    assert_eq!(served.ask(&get("/v1/kv/.hidden")).await.0, 200);
}

#[tokio::test]
async fn the_namespace_is_told_back() {
    let served = Served::plain().await;
    let request = b"GET /v1/kv/x HTTP/1.1\r\nhost: x\r\nx-vault-namespace: /a/\r\n\r\n";
    assert!(served.ask(request).await.1.contains("x-vault-namespace: /a/\r\n"));
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let served = Served::plain().await;
    let mut client = served.connect().await;
    client.send(b"HEAD /v1/kv/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(client.answer().await, None, "a body of the announced length never comes");
}
