use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulkhead_model::request::{Body, Request, Verb};
use serde_json::Value;

use super::{is_about, login_of};
use crate::tests::kit::request;

fn with(token: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = request(Verb::Read, "kv/data/app", token, &Value::Null);
    request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    request
}

fn refusal(request: &Request) -> String {
    match login_of(request, "id".into()) {
        Ok(_) => String::new(),
        Err(failure) => failure.errors.join("; "),
    }
}

fn parameter(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

const PATH: (&str, &str) = ("x-vault-inline-auth-path", "auth/userpass/login/jo");

#[test]
fn a_login_has_the_parameters_of_its_headers_and_none_of_the_headers() {
    let (word, role) = (parameter(r#"{"key":"passWord","value":"pw"}"#), parameter(r#"{"value":[1],"key":"role"}"#));
    let asked = with(
        "",
        &[
            PATH,
            ("x-vault-inline-auth-parameter-a", &word),
            ("x-vault-inline-auth-parameter-b", &role),
            ("x-vault-mfa", "m:1"),
        ],
    );
    let login = login_of(&asked, "id".into()).expect("it is a login");
    assert_eq!((login.id.as_str(), login.verb, login.path.as_str()), ("id", Verb::Write, "auth/userpass/login/jo"));
    assert_eq!(login.headers, [("x-vault-mfa".to_owned(), "m:1".to_owned())]);
    let Body::Json(text) = &login.body else { panic!("it has parameters") };
    let sent: Value = serde_json::from_slice(text.expose()).expect("they are JSON");
    assert_eq!(sent, serde_json::json!({ "passWord": "pw", "role": [1] }));
}

#[test]
fn what_is_no_login_is_refused_before_anything_is_done() {
    let front = "failed to perform inline authentication: ";
    let of = |name: &str, value: &str| refusal(&with("", &[PATH, (name, value)]));
    let operation = format!("{front}expected a valid login operation in X-Vault-Inline-Auth-Operation");
    for name in ["", "alias-lookahead", "delete", "Update", "renew"] {
        assert_eq!(of("x-vault-inline-auth-operation", name), operation);
    }
    assert_eq!(
        refusal(&with("token", &[PATH])),
        format!("{front}cannot layer inline authentication with token authentication")
    );
    for path in ["", "auth/../x", "auth//x"] {
        assert_eq!(refusal(&with("", &[("x-vault-inline-auth-path", path)])), "permission denied", "{path}");
    }
    let twice = refusal(&with("", &[PATH, PATH]));
    assert!(twice.starts_with(&format!("{front}expected exactly one value")), "{twice}");
    assert!(of("x-vault-inline-auth-namespace", "a//b").ends_with("namespace was not found"));
}

#[test]
fn a_parameter_has_a_name_and_a_value_and_comes_once() {
    let table = [
        ("!", "failed raw url-safe base64 decoding header value".to_owned()),
        (&*parameter("[1]"), "failed json decoding header value".to_owned()),
        (&*parameter(r#"{"key":"a","key":"b","value":1}"#), "failed json decoding header value".to_owned()),
        (&*parameter(r#"{"value":1}"#), "decoded header lacked `key` field".to_owned()),
        (&*parameter(r#"{"key":1,"value":1}"#), "decoded header had incorrect type for `key` field".to_owned()),
        (&*parameter(r#"{"key":"a"}"#), "decoded header lacked `value` field".to_owned()),
        (&*parameter(r#"{"key":"a","value":1,"x":1}"#), "unexpected field in decoded request parameter".to_owned()),
    ];
    for (value, expected) in table {
        let refusal = refusal(&with("", &[PATH, ("x-vault-inline-auth-parameter-a", value)]));
        assert_eq!(refusal, format!("failed to perform inline authentication: {expected}"));
    }
    let one = parameter(r#"{"key":"a","value":1}"#);
    let same = [PATH, ("x-vault-inline-auth-parameter-a", &one), ("x-vault-inline-auth-parameter-a", &one)];
    assert!(refusal(&with("", &same)).ends_with("expected exactly one value for each auth header parameter"));
    let other = [PATH, ("x-vault-inline-auth-parameter-a", &one), ("x-vault-inline-auth-parameter-b", &one)];
    assert!(refusal(&with("", &other)).ends_with("two headers are about one parameter"));
}

#[test]
fn headers_about_a_login_are_known_in_any_case() {
    assert!(is_about("x-vault-inline-auth-parameter-password") && is_about("X-Vault-Inline-Auth-Path"));
    assert!(!is_about("x-vault-mfa") && !is_about("x-vault-inline") && !is_about("ä"));
}
