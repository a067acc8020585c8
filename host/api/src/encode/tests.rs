use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::{LeaseInfo, MfaConstraint, MfaMethod};
use proptest::prelude::*;

use super::*;

fn written(reply: Reply) -> (u16, String) {
    let encoded = encode(reply);
    (encoded.status.as_u16(), String::from_utf8(encoded.bytes.0.clone()).expect("is UTF-8"))
}

fn json(text: &str) -> Option<Hidden<Vec<u8>>> {
    Some(Hidden::new(text.as_bytes().to_vec()))
}

fn envelope(envelope: Envelope) -> (u16, String) {
    written(Reply::Envelope(Box::new(envelope)))
}

#[test]
fn an_envelope_has_all_its_keys_in_vaults_order() {
    let reply = Envelope { request_id: "r-1".to_owned(), data: json(r#"{"a":1}"#), ..Envelope::default() };
    let text = r#"{"request_id":"r-1","lease_id":"","renewable":false,"lease_duration":0,"data":{"a":1},"wrap_info":null,"warnings":null,"auth":null}"#;
    assert_eq!(envelope(reply), (200, format!("{text}\n")));
}

#[test]
fn a_flattened_envelope_repeats_the_members_of_data() {
    let reply = Envelope { data: json(r#"{"a":1,"b":{}}"#), flatten: true, ..Envelope::default() };
    assert!(envelope(reply).1.starts_with(r#"{"a":1,"b":{},"request_id":"","lease_id""#));
    let empty = Envelope { data: json("{ }"), flatten: true, ..Envelope::default() };
    assert!(envelope(empty).1.starts_with(r#"{"request_id":"""#));
}

#[test]
fn lease_warnings_and_mount_type_are_shown_when_there_are_any() {
    let reply = Envelope {
        lease: Some(LeaseInfo { id: "x/y".to_owned(), renewable: true, duration_secs: 3600 }),
        warnings: vec!["say \"hi\"".to_owned()],
        mount_type: "kv".to_owned(),
        ..Envelope::default()
    };
    let text = r#"{"request_id":"","lease_id":"x/y","renewable":true,"lease_duration":3600,"data":null,"wrap_info":null,"warnings":["say \"hi\""],"auth":null,"mount_type":"kv"}"#;
    assert_eq!(envelope(reply), (200, format!("{text}\n")));
}

#[test]
fn a_login_shows_its_token() {
    let auth = AuthInfo {
        client_token: Hidden::new("s.t".to_owned()),
        accessor: "acc".to_owned(),
        display_name: String::new(),
        policies: vec!["default".to_owned()],
        token_policies: vec!["default".to_owned()],
        identity_policies: Vec::new(),
        metadata: vec![("username".to_owned(), "ann".to_owned())],
        lease_duration_secs: 60,
        renewable: true,
        entity_id: String::new(),
        token_type: "service".to_owned(),
        orphan: true,
        num_uses: 0,
    };
    let text = r#""auth":{"client_token":"s.t","accessor":"acc","policies":["default"],"token_policies":["default"],"metadata":{"username":"ann"},"lease_duration":60,"renewable":true,"entity_id":"","token_type":"service","orphan":true,"mfa_requirement":null,"num_uses":0}}"#;
    assert!(envelope(Envelope { auth: Some(auth), ..Envelope::default() }).1.ends_with(&format!("{text}\n")));
}

#[test]
fn a_login_that_has_to_prove_more_is_told_how_and_shows_no_token() {
    let method = |name: &str| MfaMethod { kind: "totp".into(), id: "m".into(), uses_passcode: true, name: name.into() };
    let constraint = |name: &str, any| MfaConstraint { name: name.into(), any };
    let mfa_constraints = vec![constraint("z", vec![method("n"), method("")]), constraint("a", Vec::new())];
    let requirement = MfaRequirement { mfa_request_id: "r".into(), mfa_constraints };
    let text = r#""auth":{"client_token":"","accessor":"","policies":null,"metadata":null,"lease_duration":0,"renewable":false,"entity_id":"","token_type":"default","orphan":false,"mfa_requirement":{"mfa_request_id":"r","mfa_constraints":{"z":{"any":[{"type":"totp","id":"m","uses_passcode":true,"name":"n"},{"type":"totp","id":"m","uses_passcode":true}]},"a":{"any":[]}}},"num_uses":0}}"#;
    assert!(envelope(Envelope { mfa: Some(requirement), ..Envelope::default() }).1.ends_with(&format!("{text}\n")));
}

#[test]
fn a_wrapped_answer_shows_where_it_is() {
    let wrap = WrapInfo {
        token: Hidden::new("s.w".to_owned()),
        accessor: "acc".to_owned(),
        ttl_secs: 60,
        creation_time: "2026-01-01T00:00:00Z".to_owned(),
        creation_path: "kv/x".to_owned(),
        wrapped_accessor: None,
    };
    let text = r#""data":null,"wrap_info":{"token":"s.w","accessor":"acc","ttl":60,"creation_time":"2026-01-01T00:00:00Z","creation_path":"kv/x"},"#;
    assert!(envelope(Envelope { wrap: Some(wrap), ..Envelope::default() }).1.contains(text));
}

#[test]
fn a_deleted_version_is_404_with_its_whole_body() {
    let reply = Envelope { data: json("{}"), status: Some(404), ..Envelope::default() };
    let (status, text) = envelope(reply);
    assert_eq!(status, 404);
    assert!(text.contains(r#""data":{}"#) && text.ends_with(r#""auth":null}"#));
}

#[test]
fn errors_may_come_with_data() {
    let reply = Envelope { data: json("{\"a\":1}"), errors: vec!["no".to_owned()], ..Envelope::default() };
    assert_eq!(envelope(reply), (400, "{\"errors\":[\"no\"],\"data\":{\"a\":1}}\n".to_owned()));
}

#[test]
fn failures_get_the_status_of_their_kind() {
    for (kind, status) in [
        (FailureKind::Invalid, 400),
        (FailureKind::Denied, 403),
        (FailureKind::NotFound, 404),
        (FailureKind::Unsupported, 405),
        (FailureKind::Precondition, 412),
        (FailureKind::TooLarge, 413),
        (FailureKind::MediaType, 415),
        (FailureKind::Limited, 429),
        (FailureKind::HeaderTooLarge, 431),
        (FailureKind::Internal, 500),
        (FailureKind::Upstream, 502),
        (FailureKind::Unavailable, 503),
        (FailureKind::Timeout, 504),
    ] {
        assert_eq!(written(Reply::Failed(Failure::new(kind, "x"))), (status, "{\"errors\":[\"x\"]}\n".to_owned()));
    }
    assert_eq!(written(Reply::Failed(Failure::absent())), (404, "{\"errors\":[]}\n".to_owned()));
    let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
    assert_eq!(written(Reply::Failed(Failure::denied())), (403, format!("{denied}\n")));
}

#[test]
fn a_bare_answer_is_as_given_and_an_empty_one_is_204() {
    assert_eq!(written(Reply::Bare { status: 503, json: Hidden::new(b"{}".to_vec()) }), (503, "{}\n".to_owned()));
    assert_eq!(written(Reply::Empty), (204, String::new()));
}

#[test]
fn a_status_that_http_lacks_is_ours_to_answer_for() {
    assert_eq!(envelope(Envelope { status: Some(7), ..Envelope::default() }).0, 500);
}

proptest! {
    #[test]
    fn any_string_reads_back(text in any::<String>()) {
        let mut out = Vec::new();
        push_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("is JSON"), text);
    }

    #[test]
    fn any_number_reads_back(number in any::<u64>()) {
        let mut out = Vec::new();
        push_number(&mut out, number);
        prop_assert_eq!(String::from_utf8(out).expect("is ASCII"), number.to_string());
    }
}
