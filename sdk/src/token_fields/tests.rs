use super::*;

fn refused(settings: &TokenSettings, sent: TokenFields) -> String {
    match settings.clone().update(sent) {
        Err(Error::InvalidRequest(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn full() -> TokenSettings {
    TokenSettings {
        bound_cidrs: cidr::parse_all(&["10.1.2.3/8", "::1"]).unwrap(),
        explicit_max_ttl: Seconds(1),
        max_ttl: Seconds(20),
        no_default_policy: true,
        num_uses: 3,
        period: Seconds(4),
        policies: vec!["B".to_owned(), "a".to_owned()],
        strictly_bind_ip: false,
        kind: Kind::Service,
        ttl: Seconds(5),
    }
}

#[test]
fn settings_survive_storage() {
    for kind in [Kind::Default, Kind::Service, Kind::Batch] {
        let settings = TokenSettings { kind, strictly_bind_ip: true, ..full() };
        assert_eq!(TokenSettings::decode(&settings.encode()).unwrap(), settings);
    }
}

#[test]
fn all_members_are_shown() {
    let shown: serde_json::Value = serde_json::from_str(&full().show(Object::new()).end()).unwrap();
    let expected = serde_json::json!({
        "token_bound_cidrs": ["10.1.2.3/8", "::1"], "token_explicit_max_ttl": 1, "token_max_ttl": 20,
        "token_no_default_policy": true, "token_num_uses": 3, "token_period": 4, "token_policies": ["B", "a"],
        "token_strictly_bind_ip": false, "token_ttl": 5, "token_type": "service",
    });
    assert_eq!(shown, expected);
}

#[test]
fn what_a_request_leaves_out_stays() {
    let mut settings = full();
    settings.update(TokenFields { token_ttl: Some(Seconds(6)), ..TokenFields::default() }).unwrap();
    assert_eq!(settings, TokenSettings { ttl: Seconds(6), ..full() });
}

#[test]
fn contradictions_are_refused_whichever_part_came_last() {
    let nothing = TokenFields::default;
    let batch = || TokenFields { token_type: Some("batch".to_owned()), ..nothing() };
    let periodic = TokenSettings { period: Seconds(1), ..TokenSettings::default() };
    let counted = TokenSettings { num_uses: 1, ..TokenSettings::default() };
    let bound = TokenSettings { bound_cidrs: full().bound_cidrs, ..TokenSettings::default() };
    let brief = TokenSettings { max_ttl: Seconds(1), ..TokenSettings::default() };
    assert!(refused(&periodic, batch()).ends_with("when set to generate periodic tokens"));
    assert!(refused(&counted, batch()).ends_with("with limited use count"));
    let strict = TokenFields { token_strictly_bind_ip: Some(true), ..nothing() };
    assert!(refused(&bound, strict).starts_with("'token_strictly_bind_ip' conflicts"));
    let long = TokenFields { token_ttl: Some(Seconds(2)), ..nothing() };
    assert_eq!(refused(&brief, long), "'token_ttl' cannot be greater than 'token_max_ttl'");
    let negative = TokenFields { token_num_uses: Some(-1), ..nothing() };
    assert_eq!(refused(&brief, negative), "'token_num_uses' cannot be negative");
    let huge = TokenFields { token_num_uses: Some(1 << 40), ..nothing() };
    assert_eq!(refused(&brief, huge), "'token_num_uses' is too large");
    let kind = TokenFields { token_type: Some("default-service".to_owned()), ..nothing() };
    assert_eq!(refused(&brief, kind), "invalid 'token_type' value \"default-service\"");
}

#[test]
fn a_former_name_counts_where_the_field_itself_was_not_sent() {
    for (sent, former, shown, expected, shows) in [
        (Some(1), None, true, Some(1), false),
        (Some(1), Some(2), false, Some(1), true),
        (None, Some(2), false, Some(2), true),
        (None, None, true, None, true),
        (None, None, false, None, false),
    ] {
        let mut field = sent;
        assert_eq!((take_former(&mut field, former, shown), field), (shows, expected));
    }
}
