use bulkhead_model::limits::{JSON_STRINGS_MAX, JSON_VALUES_MAX};
use hyper::Request;
use proptest::prelude::*;

use super::*;

fn read_head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Head, Reply> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let below = parts.uri.path().strip_prefix("/v1/").expect("below /v1/").to_owned();
    head(&parts, &below)
}

fn refused(method: &str, uri: &str, headers: &[(&str, &str)]) -> (FailureKind, String) {
    match read_head(method, uri, headers).err().expect("is refused") {
        Reply::Failed(failure) => (failure.kind, failure.errors.join("|")),
        Reply::Raw { status: 400, bytes, .. } => {
            (FailureKind::Invalid, String::from_utf8(bytes.expose().clone()).expect("is UTF-8"))
        }
        _ => panic!("{method} {uri}: another answer"),
    }
}

fn good(method: &str, uri: &str, headers: &[(&str, &str)]) -> Head {
    read_head(method, uri, headers).unwrap_or_else(|_| panic!("{method} {uri} is refused"))
}

fn text(body: Body) -> String {
    match body {
        Body::Empty => "empty".to_owned(),
        Body::Json(json) => String::from_utf8(json.expose().clone()).expect("is UTF-8"),
        Body::Unread(_) => "unread".to_owned(),
        Body::Raw { content_type, bytes } => format!("{content_type}: {} bytes", bytes.expose().len()),
    }
}

fn sent(content_type: &str, bytes: &[u8]) -> Result<String, String> {
    let head = good("POST", "/v1/kv/x", &[("content-type", content_type)]);
    let sent = body(&head, Hidden::new(bytes.to_vec()), JSON_STRINGS_MAX);
    sent.map(text).map_err(|failure| failure.errors.join("|"))
}

#[test]
fn methods_and_flags_make_verbs() {
    for (method, uri, verb, path) in [
        ("GET", "/v1/kv/x", Verb::Read, "kv/x"),
        ("POST", "/v1/kv/x", Verb::Write, "kv/x"),
        ("PUT", "/v1/kv/x?list=true", Verb::Write, "kv/x"),
        ("DELETE", "/v1/kv/x/", Verb::Delete, "kv/x/"),
        ("LIST", "/v1/kv", Verb::List, "kv/"),
        ("LIST", "/v1/kv/", Verb::List, "kv/"),
        ("GET", "/v1/kv?list=true", Verb::List, "kv/"),
        ("GET", "/v1/kv?list=1", Verb::List, "kv/"),
        ("GET", "/v1/kv?list=false", Verb::Read, "kv"),
        ("GET", "/v1/kv?list=", Verb::Read, "kv"),
        ("SCAN", "/v1/kv", Verb::Scan, "kv/"),
        ("GET", "/v1/kv?scan=true", Verb::Scan, "kv/"),
        ("HEAD", "/v1/kv/x", Verb::Head, "kv/x"),
        ("HELP", "/v1/kv/x", Verb::Read, "kv/x"),
        ("GET", "/v1/kv/a%2fb%20c", Verb::Read, "kv/a/b c"),
    ] {
        let head = good(method, uri, &[]);
        assert_eq!((head.verb, head.path.as_str()), (verb, path), "{method} {uri}");
    }
    assert!(good("HELP", "/v1/kv", &[]).help && good("GET", "/v1/kv?help=1", &[]).help);
}

#[test]
fn what_is_no_operation_is_refused_as_vault_refuses_it() {
    for (method, uri, kind, message) in [
        ("GET", "/v1/kv?list=true&scan=true", FailureKind::Invalid, ""),
        ("GET", "/v1/kv?list=banana", FailureKind::Invalid, ""),
        ("OPTIONS", "/v1/kv/x", FailureKind::Invalid, "cannot handle internal-only request operation"),
        ("OPTIONS", "/v1/sys/health", FailureKind::Unsupported, ""),
        ("FOO", "/v1/kv/x", FailureKind::Unsupported, ""),
        ("TRACE", "/v1/kv/x", FailureKind::Unsupported, ""),
        ("POST", "/v1/kv/x/", FailureKind::Invalid, "cannot write to a path ending in '/'"),
        ("GET", "/v1/kv/%2e%2e/x", FailureKind::Invalid, "relative paths not supported"),
        ("GET", "/v1/kv/a%00b", FailureKind::Invalid, ""),
        ("GET", "/v1/kv/a%zz", FailureKind::Invalid, "400 Bad Request"),
        ("GET", "/v1/kv/a%ff", FailureKind::Invalid, "path is not valid UTF-8"),
        ("PATCH", "/v1/kv/x", FailureKind::Invalid, "mime: no media type"),
    ] {
        assert_eq!(refused(method, uri, &[]), (kind, message.to_owned()), "{method} {uri}");
    }
}

// R-16: no method, header or parameter makes an operation that the host keeps for itself.
#[test]
fn r16_nobody_asks_for_an_operation_of_the_hosts_own() {
    let own = [
        "rollback",
        "renew",
        "revoke",
        "alias-lookahead",
        "alias_lookahead",
        "resolve-role",
        "resolve_role",
        "initialize",
        "header",
        "create",
        "update",
        "control-group",
        "OPTIONS",
        "run-job",
        "upgrade",
        "exists",
        "read",
        "write",
    ];
    for name in own {
        for method in [name.to_owned(), name.to_uppercase()] {
            assert!(read_head(&method, "/v1/kv/x", &[]).is_err(), "{method}");
        }
        let named = format!("/v1/kv/x?operation={name}&_method={name}&{name}=true");
        let header = [("X-HTTP-Method-Override", name), ("X-Vault-Operation", name), ("X-Method-Override", name)];
        assert_eq!(good("GET", &named, &header).verb, Verb::Read, "{name}");
        assert_eq!(good("POST", &named, &header).verb, Verb::Write, "{name}");
    }
}

#[test]
fn a_patch_must_be_a_merge_patch() {
    let expected = "PATCH requires Content-Type of application/merge-patch+json, provided application/json";
    let json = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(refused("PATCH", "/v1/kv/x", &json), (FailureKind::MediaType, expected.to_owned()));
    good("PATCH", "/v1/kv/x", &[("content-type", "Application/Merge-Patch+JSON; charset=utf-8")]);
}

/// CVE-2026-4525: a bearer token reached plugins with the headers passed on.
// R-43: the header that brings the token goes no further, whatever is passed on.
#[test]
fn the_token_is_taken_from_either_header_and_kept_out_of_the_others() {
    let token = |headers: &[(&str, &str)]| good("GET", "/v1/kv/x", headers).token.map(|t| t.expose().clone());
    assert_eq!(token(&[("X-Vault-Token", "a")]).as_deref(), Some("a"));
    assert_eq!(token(&[("Authorization", "Bearer  b ")]).as_deref(), Some("b"));
    assert_eq!(token(&[("Authorization", "Bearer b"), ("X-Vault-Token", "a")]).as_deref(), Some("a"));
    assert_eq!(token(&[("Authorization", "bearer b")]), None);
    assert_eq!(token(&[("X-Vault-Token", "")]), None);
    let head = good("GET", "/v1/kv/x", &[("X-Vault-Token", "a"), ("Authorization", "Bearer b"), ("X-Other", "c")]);
    assert_eq!(head.headers, [("x-other".to_owned(), "c".to_owned())]);
}

// R-50: a token is taken from the two headers that are for it, and from no part of a request that pages of others,
// logs and histories get to see.
#[test]
fn r50_no_token_is_taken_from_the_query_or_a_cookie() {
    for name in ["token", "X-Vault-Token", "x-vault-token", "client_token", "access_token", "authorization"] {
        for method in ["GET", "POST", "LIST", "DELETE"] {
            let head = good(method, &format!("/v1/kv/x?{name}=t"), &[("Cookie", &format!("{name}=t"))]);
            assert!(head.token.is_none(), "{method} {name}");
        }
    }
}

/// Huge token headers: Vault bounds them since 2.0, at the same size.
// R-81: a token is no longer than its limit.
#[test]
fn a_token_over_the_limit_is_refused() {
    let (fits, long) = ("x".repeat(TOKEN_BYTES_MAX), "x".repeat(TOKEN_BYTES_MAX + 1));
    good("GET", "/v1/kv/x", &[("X-Vault-Token", &fits)]);
    assert_eq!(refused("GET", "/v1/kv/x", &[("X-Vault-Token", &long)]).0, FailureKind::HeaderTooLarge);
}

#[test]
fn namespaces_are_made_canonical() {
    let namespace = |value: &str| good("GET", "/v1/kv/x", &[("X-Vault-Namespace", value)]).namespace;
    assert_eq!(namespace("/a/b/"), "a/b");
    assert_eq!(namespace("root"), "");
    assert_eq!(namespace("/"), "");
    assert_eq!(refused("GET", "/v1/kv/x", &[("X-Vault-Namespace", "a/../b")]).0, FailureKind::Invalid);
}

#[test]
fn wrap_ttls_are_durations() {
    let ttl = |value: &str| good("GET", "/v1/kv/x", &[("X-Vault-Wrap-TTL", value)]).wrap_ttl_secs;
    assert_eq!((ttl("60"), ttl("5m"), ttl("0"), ttl("500ms")), (Some(60), Some(300), None, Some(1)));
    let refused = |value: &str| refused("GET", "/v1/kv/x", &[("X-Vault-Wrap-TTL", value)]).1;
    assert_eq!(refused("banana"), "error parsing X-Vault-Wrap-TTL header: time: invalid duration \"banana\"");
    assert_eq!(refused("-5"), "error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative");
}

#[test]
fn query_parameters_stand_in_for_a_body() {
    let data =
        |method: &str, uri: &str| text(body_of_query(&good(method, uri, &[])).unwrap_or_else(|f| panic!("{f:?}")));
    assert_eq!(data("GET", "/v1/kv/x?version=2"), r#"{"version":"2"}"#);
    assert_eq!(data("GET", "/v1/kv/x"), "empty");
    assert_eq!(data("GET", "/v1/kv?list=true&after=a+b%22"), r#"{"after":"a b\""}"#);
    assert_eq!(data("LIST", "/v1/kv?list=false"), "empty");
    assert_eq!(data("GET", "/v1/kv/x?%zz&a=1"), r#"{"a":"1"}"#);
    assert_eq!(data("DELETE", "/v1/kv/x?versions=1&versions=2&a="), r#"{"versions":["1","2"],"a":""}"#);
}

#[test]
fn bodies_are_json_under_whatever_name() {
    for content_type in ["application/json", "text/plain", "", "application/x-www-form-urlencoded"] {
        assert_eq!(sent(content_type, b" {\"a\": 1}").as_deref(), Ok(" {\"a\": 1}"), "{content_type}");
    }
    for nothing in [&b""[..], b" \n", b"null"] {
        assert_eq!(sent("application/json", nothing).as_deref(), Ok("empty"));
    }
}

#[test]
fn forms_become_objects() {
    let form = |bytes: &[u8]| sent("application/x-www-form-urlencoded; charset=utf-8", bytes);
    assert_eq!(form(b"policy=path+x&a=1&a=%32\n").as_deref(), Ok(r#"{"policy":"path x","a":["1","2"]}"#));
    assert_eq!(form(b"\"x\"").as_deref(), Ok(r#"{"\"x\"":""}"#));
    assert_eq!(form(b"a=%f").expect_err("is broken"), "invalid URL escape in \"%f\"");
}

#[test]
fn bodies_of_other_kinds_are_handed_on() {
    assert_eq!(sent("application/ocsp-request", b"\x30\x00").as_deref(), Ok("application/ocsp-request: 2 bytes"));
    assert_eq!(sent("application/octet-stream", b"").as_deref(), Ok("empty"));
}

/// CVE-2025-6203, CVE-2025-59043.
#[test]
fn bad_json_is_refused_before_it_is_parsed() {
    let refused = |bytes: &[u8]| sent("application/json", bytes).expect_err("is refused");
    assert_eq!(refused(b"{bad"), "failed to decode JSON input: invalid character 'b' looking for beginning of value");
    let array =
        "failed to decode JSON input: json: cannot unmarshal array into Go value of type map[string]interface {}";
    assert_eq!(refused(b"[1]"), array);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(refused(deep.as_bytes()), "failed to decode JSON input: exceeded max depth");
    let many = format!("{{\"a\":[{}]}}", vec!["\"x\""; 1000].join(","));
    let complex = "refused JSON input due to high complexity: exceeded maximum number of strings";
    assert_eq!(refused(many.as_bytes()), complex);
    let numbers = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
    let complex = "refused JSON input due to high complexity: exceeded maximum number of values";
    assert_eq!(refused(numbers(JSON_VALUES_MAX).as_bytes()), complex);
    sent("application/json", numbers(JSON_VALUES_MAX - 1).as_bytes()).expect("the array counts too, and that is all");
}

proptest! {
    #[test]
    fn parameters_read_back_as_json(pairs in proptest::collection::btree_map("\\PC{1,8}", any::<String>(), 1..8)) {
        let pairs: Vec<(String, String)> = pairs.into_iter().collect();
        let json = object(&pairs.iter().collect::<Vec<_>>()).expect("is within bounds");
        let read: std::collections::BTreeMap<String, String> = serde_json::from_slice(json.expose()).expect("is JSON");
        prop_assert_eq!(read.into_iter().collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn no_query_breaks_the_decoder(query in "[a-c=&%+0-9é]{0,24}") {
        prop_assert!(parameters(&query).expect("is within bounds").len() <= query.len());
    }
}
