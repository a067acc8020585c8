use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_barrier::SealConfig;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::path::ApiPath;
use bulkhead_model::plugin::Operation;
use bulkhead_model::reply::MfaRequirement;
use bulkhead_model::request::{OpenCeremonies, Origin};
use bulkhead_model::seam::audit::{AuditSink, AuditSinkMaker};
use futures::FutureExt;

use super::super::trail::PathPart;
use super::path::{Capture, below};
use super::*;
use crate::book::audits::AuditEntry;
use crate::figures::Counted;

struct Nowhere;

#[async_trait]
impl AuditSink for Nowhere {
    async fn write(&self, _line: &[u8]) -> Result<(), String> {
        Ok(())
    }

    async fn reopen(&self) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl AuditSinkMaker for Nowhere {
    async fn make(&self, _kind: &str, _options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
        Ok(Arc::new(Self))
    }
}

fn device() -> Device {
    device_with(&[])
}

fn device_with(options: &[(&str, &str)]) -> Device {
    let config = SealConfig::new(1, 1).expect("is possible");
    let barrier = bulkhead_barrier::init(bulkhead_barrier::Sealing::Fresh(config), 0, &FakeEntropy::seeded(1)).barrier;
    let entry = AuditEntry {
        path: "file/".into(),
        kind: "file".into(),
        description: String::new(),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        local: false,
        from_config: false,
        salt: "00".into(),
    };
    let opened = Device::open(entry, &Nowhere, false, &barrier).now_or_never().expect("waits for nothing");
    Arc::into_inner(opened.expect("opens")).expect("is ours alone")
}

fn request_with(headers: &[(&str, &str)]) -> Request {
    Request {
        id: "1".into(),
        verb: Verb::Read,
        path: ApiPath::checked("kv/x".into()).expect("is canonical"),
        namespace: String::new(),
        token: None,
        body: Body::Empty,
        content_type: String::new(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        wrap_ttl_secs: None,
        help: false,
        query: Vec::new(),
        origin: Origin {
            address: Some(std::net::IpAddr::from([127, 0, 0, 1])),
            port: 1,
            certificates: Vec::new(),
            open_metrics: false,
            open_ceremonies: OpenCeremonies::default(),
        },
    }
}

fn trail(headers: &[(&str, bool)]) -> Trail {
    Trail {
        devices: Arc::default(),
        about_devices: false,
        recorded: false,
        path: Vec::new(),
        names: Names::default(),
        namespace: None,
        mount: None,
        who: None,
        operation: "",
        told: Vec::new(),
        verdict: None,
        is_refused: false,
        error: None,
        headers: headers.iter().map(|(name, hmac)| ((*name).to_owned(), *hmac)).collect(),
        counted: Counted { figures: None, operation: Operation::Read, login: false },
    }
}

fn shown(sent: &[(&str, &str)], wanted: &[(&str, bool)]) -> Value {
    let (device, trail) = (device(), trail(wanted));
    let told = super::told(&device, &request_with(sent), &trail);
    let line: Value =
        serde_json::from_slice(super::request(&device, &told, &trail, "now").expose()).expect("a line is JSON");
    line["request"]["headers"].clone()
}

// R-66: a header is in an audit line only if it was named, and hashed if that was said.
#[test]
fn a_line_shows_the_headers_that_the_operator_named_and_no_other() {
    let sent = [("x-a", "plain"), ("x-b", "secret"), ("x-a", "again"), ("x-c", "unnamed")];
    let headers = shown(&sent, &[("x-a", false), ("x-b", true), ("x-d", false)]);
    assert_eq!(headers["x-a"], json!(["plain", "again"]));
    assert_eq!(headers["x-b"], json!([device().hash("secret")]));
    assert_eq!(headers.as_object().map(Map::len), Some(2), "{headers}");
}

#[test]
fn a_line_never_shows_what_logs_somebody_in() {
    let name = "x-vault-inline-auth-parameter-password";
    assert_eq!(shown(&[(name, "canary")], &[(name, false)]), Value::Null);
    assert_eq!(shown(&[(name, "canary")], &[(name, true)]), Value::Null);
}

#[test]
fn a_line_has_no_headers_where_none_is_named_or_sent() {
    assert_eq!(shown(&[("x-a", "plain")], &[]), Value::Null);
    assert_eq!(shown(&[("x-a", "plain")], &[("x-b", false)]), Value::Null);
}

#[test]
fn a_login_that_waits_is_told_of_without_the_id_that_it_goes_on_by() {
    let (device, trail) = (device(), trail(&[]));
    let mfa = Some(MfaRequirement { mfa_request_id: "the id".into(), mfa_constraints: Vec::new() });
    let reply = Reply::Envelope(Box::new(Envelope { mfa, ..Envelope::default() }));
    let told = super::told(&device, &request_with(&[]), &trail);
    let line = super::response(&device, &told, &trail, (&reply, "now"));
    let line: Value = serde_json::from_slice(line.expose()).expect("a line is JSON");
    let expected = json!({ "mfa_requirement": { "mfa_request_id": device.hash("the id") }, "token_type": "default" });
    assert_eq!(line["response"]["auth"], expected);
}

/// A path below a mount with what is hashed in brackets. Captures that a caller did not choose begin with `=`.
fn split(pattern: &str, captures: &[&str], path: &str) -> Option<String> {
    let captures =
        captures.iter().map(|text| Capture { text: text.trim_start_matches('='), is_name: !text.starts_with('=') });
    let parts = below(path, pattern, captures.collect())?;
    let shown = |part: PathPart| match part {
        PathPart::Plain(text) => text,
        PathPart::Name(name) => format!("<{name}>"),
    };
    Some(parts.into_iter().map(shown).collect())
}

#[test]
fn a_name_is_hashed_where_it_is_and_not_where_the_path_reads_like_it() {
    for (pattern, captures, path, wanted) in [
        ("users/{name}", &["s"][..], "users/s", "users/<s>"),
        ("users/{name}", &["users"], "users/users", "users/<users>"),
        ("users/{name}", &["er"], "users/er", "users/<er>"),
        ("login/{name}", &["o"], "login/o", "login/<o>"),
        ("role/{name}/secret-id", &["role"], "role/role/secret-id", "role/<role>/secret-id"),
        ("role/{name}/secret-id", &["secret-id"], "role/secret-id/secret-id", "role/<secret-id>/secret-id"),
        ("{one}/{two}/x", &["a/b", "a"], "a/b/a/x", "<a/b>/<a>/x"),
        ("data/{path...}", &["data/a"], "data/data/a", "data/<data/a>"),
        ("data/{path...}", &["a/"], "data/a/", "data/<a/>"),
        ("{path...}", &["="], "", ""),
        ("creds/{name?}", &[], "creds", "creds"),
        ("creds/{name?}", &[""], "creds/", "creds/"),
        ("mounts/{path...}/tune", &["=tune"], "mounts/tune/tune", "mounts/tune/tune"),
        ("users", &[], "users/", "users/"),
    ] {
        assert_eq!(split(pattern, captures, path).as_deref(), Some(wanted), "{pattern} of {path}");
    }
}

#[test]
fn what_does_not_make_the_path_is_not_taken_for_its_parts() {
    for (pattern, captures, path) in [
        ("users/{name}", &["b"][..], "users/a"),
        ("users/{name}", &[], "users/a"),
        ("users/{name}", &["a"], "users/ab"),
        ("users/{name}", &["a", "b"], "users/a"),
        ("other/{name}", &["a"], "users/a"),
    ] {
        assert_eq!(split(pattern, captures, path), None, "{pattern} of {path}");
    }
}

/// A record from a time when such names were let in, or a guest's.
#[test]
fn what_the_parser_would_take_for_its_own_is_hashed_and_not_left_out() {
    let device = device();
    let shown = Shown { device: &device, plain: &[], names: &Names::Api };
    assert_eq!(shown.json(br#"{"n":7,"t":"x"}"#), json!({"n": 7, "t": device.hash("x")}));
    for text in [
        r#"{"password":"x","$serde_json::private::Number":"x"}"#,
        r#"{"a":{"$serde_json::private::Number":"7","password":"x"}}"#,
        r#"{"$serde_json::private::Number":["x"]}"#,
        r#"{"password":"x"#,
    ] {
        let hashed = shown.json(text.as_bytes()).to_string();
        assert!(hashed.contains("hmac-sha256:") && !hashed.contains("\"x\""), "{text}: {hashed}");
    }
}

/// What may be in a request or an answer, each with the same text somewhere in it.
fn bodies() -> Vec<Body> {
    let json = |text: &str| Body::Json(Hidden::new(text.as_bytes().to_vec()));
    let raw = |kind: &str| Body::Raw { content_type: kind.into(), bytes: Hidden::new(b"canary".to_vec()) };
    vec![
        raw("application/octet-stream"),
        raw("text/plain"),
        json(r#""canary""#),
        json(r#"["canary",1]"#),
        json(r#"{"a":"canary"}"#),
        json(r#"{"a":{"b":[[{"c":"canary"}]],"n":7}}"#),
        json(r#"{"data":{"a":["canary"]},"options":{"cas":1}}"#),
        json(r#"{"ttl":"canary","version":"canary","keys":"canary"}"#),
        json(r#"{"a":"\u0063anary"}"#),
        json(r#"{"broken":"canary"#),
    ]
}

fn replies() -> Vec<Reply> {
    let hidden = |text: &str| Hidden::new(text.as_bytes().to_vec());
    let envelope = |envelope| Reply::Envelope(Box::new(envelope));
    let data = || Some(hidden(r#"{"a":{"b":["canary"]}}"#));
    vec![
        envelope(Envelope { data: data(), ..Envelope::default() }),
        envelope(Envelope { data: data(), status: Some(404), errors: vec!["canary".into()], ..Envelope::default() }),
        envelope(Envelope { warnings: vec!["canary".into()], ..Envelope::default() }),
        Reply::Bare { status: 200, json: hidden(r#"{"a":"canary"}"#) },
        Reply::Raw { status: 200, content_type: "text/plain".into(), bytes: hidden("canary"), headers: Vec::new() },
        Reply::Failed(Failure { kind: FailureKind::Invalid, errors: vec!["canary".into()] }),
    ]
}

fn lines_of(device: &Device, body: Body, reply: &Reply) -> [String; 2] {
    let (trail, request) = (trail(&[]), Request { body, ..request_with(&[]) });
    let told = super::told(device, &request, &trail);
    let text = |line: Hidden<Vec<u8>>| String::from_utf8(line.expose().clone()).expect("a line is text");
    [text(super::request(device, &told, &trail, "now")), text(super::response(device, &told, &trail, (reply, "now")))]
}

// R-67: no text of a body or answer is legible, whatever it stands in: JSON of any shape, bytes, errors, warnings.
#[test]
fn r67_no_kind_of_body_or_answer_is_shown() {
    let device = device();
    for body in bodies() {
        let lines = lines_of(&device, body, &Reply::Empty);
        assert!(lines.iter().all(|line| !line.contains("canary") && line.contains("hmac-sha256:")), "{lines:?}");
    }
    for reply in replies() {
        let [_, line] = lines_of(&device, Body::Empty, &reply);
        assert!(!line.contains("canary") && line.contains("hmac-sha256:"), "{line}");
    }
}

// R-68: what one device is to show in the open another does not, whichever is asked first.
#[test]
fn r68_devices_share_nothing_of_what_they_show() {
    let (open, closed) = (device_with(&[("log_raw", "true")]), device_with(&[]));
    let legible = |device: &Device| {
        let body = Body::Json(Hidden::new(br#"{"a":"canary"}"#.to_vec()));
        lines_of(device, body, &replies()[0]).map(|line| line.contains("canary"))
    };
    for _ in 0..2 {
        assert_eq!((legible(&open), legible(&closed)), ([true; 2], [false; 2]));
    }
}
