use super::*;

/// CVE-2024-9180, CVE-2025-5999, CVE-2025-64761: `ROOT` and ` root` were taken for other names.
// R-19: no spelling of root is the name of a policy.
#[test]
fn root_is_no_policy_in_any_spelling() {
    for name in ["root", "ROOT", " root", "Root ", "\troot"] {
        assert_eq!(PolicyName::parse(name), Err(PolicyError::Root), "{name:?}");
    }
}

/// CVE-2026-105820, CVE-2026-115365: a name with dots and slashes was found under another's key.
// R-03: a name with elements of a path in it is none.
#[test]
fn names_are_normalised_once_and_ambiguous_ones_refused() {
    assert_eq!(PolicyName::parse(" My-Policy ").expect("is a name").as_str(), "my-policy");
    for name in ["", " ", "../x", "a//b", "a/../b", "/a", "a/", "a\u{0}b"] {
        assert_eq!(PolicyName::parse(name), Err(PolicyError::Name), "{name:?}");
    }
}

#[test]
fn hcl_and_json_say_the_same() {
    let hcl = r#"
        # What the app may do.
        path "kv/data/app/*" { capabilities = ["create", "read"] min_wrapping_ttl = "1m" }
        path "/sys/x" { policy = "read" }
    "#;
    let json = r#"{"path": {"kv/data/app/*": {"capabilities": ["create", "read"], "min_wrapping_ttl": "1m"},
                            "sys/x": {"capabilities": ["read", "list"]}}}"#;
    let parsed = Policy::parse(hcl).expect("HCL parses");
    assert_eq!(parsed, Policy::parse(json).expect("JSON parses"));
    assert_eq!(parsed.rules[0].min_wrapping_ttl_secs, 60);
    assert_eq!(parsed.rules[1].capabilities.names(), ["list", "read"]);
}

#[test]
fn what_no_policy_can_say_is_refused() {
    for text in [
        r#"path "a" { capabilities = ["fly"] }"#,
        r#"path "a/+*" { capabilities = ["read"] }"#,
        r#"path "a" { capability = ["read"] }"#,
        r#"paths "a" { capabilities = ["read"] }"#,
        r#"path "a" { capabilities = ["read"] min_wrapping_ttl = "5m" max_wrapping_ttl = "1m" }"#,
        r#"path "a" { capabilities = ["read"]"#,
        r#"path { capabilities = ["read"] }"#,
        r#"path "a" { capabilities = "read" }"#,
        r#"path "a" { capabilities = ["recover"] }"#,
        r#"path "a" { capabilities = [1] }"#,
        r#"path "a" { capabilities = ["read"] required_parameters = "x" }"#,
        r#"path = { a = { capabilities = ["read"] } }"#,
        r#"path { a { capabilities = ["read"] } }"#,
        r#"path = [{ "a" = { capabilities = ["read"] } }]"#,
        r#"path "a" "b" { capabilities = ["read"] }"#,
        r#"path "a" { capabilities = ["read"] min_wrapping_ttl = -1 }"#,
        r#"name = ["x"] path "a" { capabilities = ["read"] }"#,
        r#"{"path": {"a": {"capabilities": "read"}}}"#,
        r#"{"path": {"a": [{"capabilities": ["read"]}]}}"#,
    ] {
        assert!(Policy::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_openbao_takes_is_taken() {
    for text in [
        r#"{"path": [{"a": {"capabilities": ["read"], "required_parameters": [1]}}]}"#,
        r#"name = "x" path "a" { capabilities = ["read"] required_parameters = [1] comment = ["x"] }"#,
        r#"path "a" { capabilities = [] allowed_parameters { a = ["x", 1] } }"#,
    ] {
        assert_eq!(Policy::parse(text).map(|policy| policy.rules.len()), Ok(1), "{text}");
    }
}

#[test]
fn deny_swallows_every_other_capability() {
    let both = Capabilities::READ.with(Capabilities::DENY).with(Capabilities::SUDO);
    assert_eq!(both.names(), ["deny"]);
    assert!(!both.has(Capabilities::READ));
}

#[test]
fn a_rule_with_an_end_is_there_until_then() {
    let text = |end: &str| format!("path \"a\" {{ capabilities = [\"read\"] expiration = {end} }} path \"b\" {{}}");
    for (end, ends_ms) in [
        ("\"2026-01-01T00:00:00Z\"", 1_767_225_600_000),
        ("\"2026-01-01T01:00:00.5+01:00\"", 1_767_225_600_500),
        ("1767225600", 1_767_225_600_000),
        ("\"1767225600\"", 1_767_225_600_000),
    ] {
        let policy = Policy::parse(&text(end)).expect("a policy");
        assert!(policy.ends());
        assert_eq!(policy.clone().at(ends_ms).rules.len(), 2, "{end}");
        assert_eq!(policy.at(ends_ms + 1).rules.len(), 1, "{end}");
    }
    assert!(!Policy::parse(&text("\"\"")).expect("a policy").ends());
    for wrong in ["\"tomorrow\"", "[]", "\"2026-13-01T00:00:00Z\""] {
        assert!(Policy::parse(&text(wrong)).is_err(), "{wrong}");
    }
}
