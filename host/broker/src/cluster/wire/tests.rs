use std::net::Ipv6Addr;

use bulkhead_model::reply::{MfaConstraint, MfaMethod};
use serde_json::json;

use super::*;
use crate::tests::kit::request;

fn passed(request: &Request) -> Request {
    let Some(Question::Serve(asked, 7)) = decode(&encode(&Question::Serve(Box::new(Asked::of(request)), 7))) else {
        panic!("a question is read as it was written")
    };
    asked.into_request().expect("a request stays one")
}

/// Only a node that knows them says of a request that it let it through.
#[test]
fn what_needs_no_token_is_asked_for_in_a_way_of_its_own() {
    for (path, is_let_through) in [
        ("sys/rekey/init", true),
        ("sys/generate-root/update", true),
        ("sys/rekey/backup", false),
        ("sys/rotate/root/init", false),
        ("kv/data/rekey/init", false),
    ] {
        let asked = question(&request(Verb::Write, path, "", &json!({})), 7);
        assert_eq!(matches!(asked, Question::LetThrough(..)), is_let_through, "{path}");
    }
}

#[test]
fn a_request_arrives_as_it_was_taken() {
    for verb in VERBS {
        let mut sent = request(verb, "kv/data/a", "a token", &json!({"a": 1}));
        sent.namespace = "ns".into();
        sent.headers = vec![("x-a".into(), "1".into())];
        sent.query = vec![("version".into(), "2".into())];
        sent.wrap_ttl_secs = Some(60);
        sent.origin = Origin {
            address: Some(Ipv6Addr::LOCALHOST.into()),
            port: 9,
            certificates: vec![vec![1, 2]],
            open_metrics: false,
            open_ceremonies: OpenCeremonies::default(),
        };
        let came = passed(&sent);
        assert_eq!((came.verb, came.path.as_str(), &came.id), (verb, "kv/data/a", &sent.id));
        assert_eq!(came.token.as_ref().map(|token| token.expose().as_str()), Some("a token"));
        assert!(matches!(&came.body, Body::Json(text) if text.expose() == br#"{"a":1}"#));
        assert_eq!((&came.namespace, &came.headers, &came.query), (&sent.namespace, &sent.headers, &sent.query));
        assert_eq!((came.origin.address, came.origin.port), (sent.origin.address, 9));
        assert_eq!((came.origin.certificates, came.wrap_ttl_secs), (sent.origin.certificates, Some(60)));
    }
    let mut homeless = request(Verb::Read, "a", "", &json!(null));
    (homeless.origin.address, homeless.origin.port) = (None, 0);
    assert_eq!(passed(&homeless).origin.address, None);
    let mut raw = request(Verb::Write, "a", "", &json!(null));
    raw.body = Body::Raw { content_type: "a/b".into(), bytes: Hidden::new(vec![0, 255]) };
    let came = passed(&raw);
    assert!(came.token.is_none());
    assert!(
        matches!(came.body, Body::Raw { content_type, bytes } if content_type == "a/b" && bytes.expose() == &[0, 255])
    );
}

fn returned(answer: Answer) -> Answer {
    let Some(Told::Served(given)) = decode(&encode(&Told::Served(Box::new(Given::from(answer))))) else {
        panic!("an answer is read as it was written")
    };
    given.into_answer().expect("an answer stays one")
}

#[test]
fn every_kind_of_failure_and_header_comes_back() {
    for kind in KINDS {
        let failure = Failure { kind, errors: vec!["a".into(), "b".into()] };
        let headers: Headers = HEADERS.iter().map(|name| (*name, "1".to_owned())).collect();
        let back = returned(Answer { reply: Reply::Failed(failure.clone()), headers: headers.clone() });
        assert!(matches!(back.reply, Reply::Failed(came) if came == failure));
        assert_eq!(back.headers, headers);
    }
}

#[test]
fn an_envelope_comes_back_with_its_secrets() {
    let auth = AuthInfo {
        client_token: Hidden::new("s.token".into()),
        accessor: "accessor".into(),
        display_name: "name".into(),
        policies: vec!["a".into()],
        token_policies: vec!["b".into()],
        identity_policies: vec!["c".into()],
        metadata: vec![("k".into(), "v".into())],
        lease_duration_secs: 1,
        renewable: true,
        entity_id: "entity".into(),
        token_type: "service".into(),
        orphan: true,
        num_uses: 2,
    };
    let wrap = WrapInfo {
        token: Hidden::new("s.wrap".into()),
        accessor: "w".into(),
        ttl_secs: 3,
        creation_time: "now".into(),
        creation_path: "here".into(),
        wrapped_accessor: Some("x".into()),
    };
    let method = MfaMethod { kind: "totp".into(), id: "m".into(), uses_passcode: true, name: "n".into() };
    let mfa_constraints = vec![MfaConstraint { name: "c".into(), any: vec![method] }];
    let requirement = MfaRequirement { mfa_request_id: "r".into(), mfa_constraints };
    let envelope = Envelope {
        request_id: "id".into(),
        lease: Some(LeaseInfo { id: "l".into(), renewable: true, duration_secs: 4 }),
        data: Some(Hidden::new(b"{}".to_vec())),
        warnings: vec!["w".into()],
        auth: Some(auth),
        mfa: Some(requirement.clone()),
        wrap: Some(wrap),
        flatten: true,
        status: Some(202),
        errors: vec!["e".into()],
        mount_type: "kv".into(),
        headers: vec![("h".into(), "1".into())],
    };
    let Reply::Envelope(came) = returned(Reply::Envelope(Box::new(envelope)).into()).reply else {
        panic!("an envelope")
    };
    assert_eq!(came.mfa, Some(requirement));
    let (auth, wrap) = (came.auth.expect("auth"), came.wrap.expect("wrap"));
    assert_eq!((auth.client_token.expose().as_str(), auth.entity_id.as_str()), ("s.token", "entity"));
    assert_eq!(
        (auth.policies, auth.token_policies, auth.identity_policies),
        (vec!["a".into()], vec!["b".into()], vec!["c".into()])
    );
    assert_eq!(
        (auth.accessor, auth.display_name, auth.token_type),
        ("accessor".into(), "name".into(), "service".into())
    );
    assert_eq!((wrap.token.expose().as_str(), wrap.wrapped_accessor), ("s.wrap", Some("x".into())));
    assert_eq!((came.status, came.flatten, came.mount_type.as_str()), (Some(202), true, "kv"));
    assert_eq!(came.data.expect("data").expose(), b"{}");
}

#[test]
fn what_is_no_message_is_refused() {
    let whole = encode(&Told::Refused("no".to_owned()));
    assert!(decode::<Told>(&whole).is_some());
    assert!(decode::<Question>(&Hidden::new(vec![200, 1, 2])).is_none());
    for end in 0..whole.expose().len() {
        assert!(decode::<Told>(&Hidden::new(whole.expose()[..end].to_vec())).is_none(), "cut at {end}");
    }
}
