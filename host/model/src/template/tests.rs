use proptest::prelude::*;

use super::*;
use crate::acl::{Acl, Ask, Decision};
use crate::policy::{Capabilities, Policy, PolicyError, TemplateValues};

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn ann() -> Subject {
    Subject {
        id: "e-1".into(),
        name: "ann".into(),
        metadata: pairs(&[("team", "red"), ("empty", "")]),
        aliases: vec![SubjectAlias {
            id: "a-1".into(),
            mount_accessor: "auth_userpass_1".into(),
            name: "ann@home".into(),
            metadata: pairs(&[("city", "Oslo")]),
            custom_metadata: pairs(&[("desk", "7")]),
        }],
        groups: vec![
            SubjectGroup { id: "g-1".into(), name: "ops".into(), metadata: pairs(&[("floor", "2")]) },
            SubjectGroup { id: "g-2".into(), name: "ops.night".into(), metadata: Vec::new() },
        ],
    }
}

#[test]
fn a_directive_stands_for_what_the_subject_has() {
    for (directive, value) in [
        ("identity.entity.id", "e-1"),
        ("identity.entity.name", "ann"),
        (" identity.entity.name ", "ann"),
        ("identity.entity.metadata.team", "red"),
        ("identity.entity.aliases.auth_userpass_1.id", "a-1"),
        ("identity.entity.aliases.auth_userpass_1.name", "ann@home"),
        ("identity.entity.aliases.auth_userpass_1.metadata.city", "Oslo"),
        ("identity.entity.aliases.auth_userpass_1.custom_metadata.desk", "7"),
        ("identity.groups.ids.g-1.name", "ops"),
        ("identity.groups.names.ops.id", "g-1"),
        ("identity.groups.names.ops.metadata.floor", "2"),
        ("identity.groups.names.ops.night.id", "g-2"),
    ] {
        assert_eq!(
            expand(&format!("a/{{{{{directive}}}}}/b"), Some(&ann()), &[]).as_deref(),
            Ok(&*format!("a/{value}/b"))
        );
    }
}

#[test]
fn what_the_subject_does_not_have_is_unresolved() {
    for directive in [
        "",
        "foo",
        "identity",
        "identity.entity",
        "identity.entity.NAME",
        "identity.entity.metadata",
        "identity.entity.metadata.none",
        "identity.entity.metadata.empty",
        "identity.entity.aliases.auth_userpass_1",
        "identity.entity.aliases.auth_userpass_.name",
        "identity.entity.aliases.auth_userpass_12.name",
        "identity.groups.names.OPS.id",
        "identity.groups.ids.g-3.name",
        "identity.groups.ids.g-1",
        "time.now",
    ] {
        let text = format!("{{{{{directive}}}}}");
        assert_eq!(expand(&text, Some(&ann()), &[]), Err(TemplateError::Unresolved), "{directive}");
    }
    assert_eq!(expand("{{identity.entity.id}}", None, &[]), Err(TemplateError::Unresolved));
}

#[test]
fn braces_are_opened_and_closed_in_turn() {
    for text in ["{{a", "a}}", "{{a}}}}", "{{{{a}}", "}}{{a}}", "{{a}}{{", "{{a{{b}}}}"] {
        assert_eq!(check(text), Err(TemplateError::Unbalanced), "{text}");
        assert!(matches!(Policy::parse(&format!("path {text:?} {{}}")), Err(PolicyError::Meaning(_))), "{text}");
    }
    for text in ["", "a", "{a}", "{{a}}", "{{a}}-{{b}}", "{{}}"] {
        assert_eq!(check(text), Ok(()), "{text}");
    }
}

#[test]
fn a_rule_about_what_is_not_there_is_left_out_and_the_others_stay() {
    let policy = Policy::parse(r#"path "a/{{identity.entity.metadata.none}}" {} path "b" {}"#).expect("as written");
    let resolved = policy.resolved(Some(&ann()), TemplateValues::default()).expect("as written");
    assert_eq!(resolved.rules.iter().map(|rule| rule.pattern.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_value_that_would_make_a_forbidden_wildcard_ends_the_policy() {
    let policy = Policy::parse(r#"path "+{{identity.entity.name}}" {}"#).expect("as written");
    let star = Subject { name: "*".into(), ..Subject::default() };
    let both = TemplateValues { slashes: true, wildcards: true };
    assert!(policy.resolved(Some(&star), both).is_err());
}

fn may_read(policy: &Policy, path: &str) -> bool {
    let none = || Some(serde_json::Map::new());
    let ask = Ask { path, needs: Capabilities::READ, folded: &[], sudo: false, wrap_ttl_secs: None, parameters: &none };
    matches!(Acl::of([("p", policy)]).decide(&ask), Decision::Allow { .. })
}

proptest! {
    // R-06: a value in a template grants that very path or nothing.
    #[test]
    fn a_value_grants_the_path_with_that_very_value_or_nothing(value in "[ab*+/{}. ]{0,6}", other in "[ab*+/{}. ]{0,6}") {
        let policy = Policy::parse(r#"path "kv/{{identity.entity.name}}" { capabilities = ["read"] }"#).expect("as written");
        let subject = Subject { name: value.clone(), ..Subject::default() };
        match policy.resolved(Some(&subject), TemplateValues::default()) {
            Err(_) => prop_assert!(value.contains(['*', '+', '/'])),
            Ok(resolved) => {
                prop_assert_eq!(may_read(&resolved, &format!("kv/{other}")), value == other && !value.is_empty());
            }
        }
    }

    #[test]
    fn a_value_stays_within_its_segment(value in "[ab*+/]{1,6}", path in "[ab/]{0,8}") {
        let policy = Policy::parse(r#"path "kv/{{identity.entity.name}}/*" { capabilities = ["read"] }"#).expect("as written");
        let subject = Subject { name: value.clone(), ..Subject::default() };
        if let Ok(resolved) = policy.resolved(Some(&subject), TemplateValues::default()) {
            let inside = path.split_once('/').is_some_and(|(first, _)| first == value);
            prop_assert_eq!(may_read(&resolved, &format!("kv/{path}")), inside);
        }
    }

    #[test]
    fn a_value_is_not_expanded_again(value in "[a-c{}.]{1,12}") {
        let subject = Subject { id: "secret".into(), name: format!("{{{{identity.entity.id}}}}{value}"), ..Subject::default() };
        let out = expand("x{{identity.entity.name}}", Some(&subject), &[]).expect("as written");
        prop_assert_eq!(out, format!("x{}", subject.name));
    }

    #[test]
    fn any_text_expands_or_says_why(text in "[a{}. ]{0,16}") {
        let balanced = check(&text).is_ok();
        prop_assert_eq!(expand(&text, None, &[]) == Err(TemplateError::Unbalanced), !balanced);
    }
}
