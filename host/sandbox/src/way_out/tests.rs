//! What is granted, and what can be sent at all.

use super::*;
use crate::sandbox::Nowhere;

fn draft(url: &str) -> Draft {
    Draft {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Hidden::new(Vec::new()),
        tls: TlsConfig::default(),
        within: Duration::from_secs(5),
        body_bytes_max: 1 << 16,
    }
}

fn way_out(grants: &[&str]) -> WayOut {
    let ways = Ways { egress: Arc::new(Nowhere), dialer: Arc::new(Nowhere) };
    let grants = Arc::new(Grants::parse(grants).unwrap());
    WayOut::new(grants, &ways, &Arc::default(), ("mount", "component"))
}

fn admit(draft: Draft) -> Result<EgressRequest, Unsent> {
    way_out(&["http https://vault.example:8200"]).admit(draft, Duration::from_secs(60))
}

fn refused(draft: Draft) -> Unsent {
    admit(draft).err().expect("it is not sent")
}

#[test]
fn the_origin_that_is_granted_may_be_asked_with_any_path() {
    let admitted = admit(draft("https://VAULT.example:8200/v1/transit?x=1")).ok().unwrap();
    assert_eq!((admitted.origin.address().as_str(), admitted.path.as_str()), ("vault.example:8200", "/v1/transit?x=1"));
    assert_eq!((admitted.within, admitted.body_bytes_max), (Duration::from_secs(5), 1 << 16));
}

#[test]
fn any_other_is_denied_with_the_grant_that_is_missing() {
    for (url, missing) in [
        ("https://vault.example/", "http https://vault.example:443"),
        ("http://vault.example:8200/", "http http://vault.example:8200"),
        ("https://vault.example.evil:8200/", "http https://vault.example.evil:8200"),
        ("https://127.0.0.1:8200/", "http https://127.0.0.1:8200"),
    ] {
        assert_eq!(refused(draft(url)), Unsent::Denied(missing.to_owned()), "{url}");
    }
}

#[test]
fn certificates_go_unverified_by_a_grant_alone() {
    for verification in [Verification::ChainOnly, Verification::Insecure] {
        let mut asked = draft("https://vault.example:8200/");
        asked.tls.asked.verification = verification;
        assert_eq!(refused(asked), Unsent::Denied("insecure-tls".to_owned()));
    }
}

#[test]
fn time_and_length_end_where_the_call_does() {
    let mut asked = draft("https://vault.example:8200/");
    (asked.within, asked.body_bytes_max) = (Duration::from_secs(600), u64::MAX);
    let admitted = admit(asked).ok().unwrap();
    assert_eq!((admitted.within, admitted.body_bytes_max), (Duration::from_secs(60), HTTP_BODY_BYTES_MAX));
}

#[test]
fn nothing_can_frame_a_second_request() {
    let url = "https://vault.example:8200/";
    let header = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), Hidden::new(value.to_owned()))];
        refused(Draft { headers, ..draft(url) })
    };
    for (name, value) in [
        ("Content-Length", "3"),
        ("transfer-encoding", "chunked"),
        ("Host", "evil.example"),
        ("Connection", "keep-alive"),
        ("", "x"),
        ("a b", "x"),
        ("a\r\nb", "x"),
        ("a:", "x"),
        ("x-a", "b\r\nHost: evil.example"),
        ("x-a", "b\0"),
        ("x-a", "\u{10a}"),
    ] {
        assert!(matches!(header(name, value), Unsent::Wrong(_)), "{name:?}: {value:?}");
    }
    for method in ["", "CONNECT", "GET /x HTTP/1.1\r\n", "get"] {
        assert!(matches!(refused(Draft { method: method.to_owned(), ..draft(url) }), Unsent::Wrong(_)), "{method:?}");
    }
    let many = (0..65).map(|_| ("x-a".to_owned(), Hidden::new("b".to_owned()))).collect();
    assert!(matches!(refused(Draft { headers: many, ..draft(url) }), Unsent::Wrong(_)));
}
