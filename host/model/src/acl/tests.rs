use serde_json::json;

use super::*;

fn acl(policies: &[(&str, &str)]) -> Acl {
    let parsed: Vec<_> = policies.iter().map(|(n, t)| (*n, Policy::parse(t).expect("policy parses"))).collect();
    Acl::of(parsed.iter().map(|(n, p)| (*n, p)))
}

fn may(acl: &Acl, needs: Capabilities, path: &str) -> bool {
    let ask = Ask { path, needs, folded: &[], sudo: false, wrap_ttl_secs: None, parameters: &|| Some(Map::new()) };
    matches!(acl.decide(&ask), Decision::Allow { .. })
}

fn one(rules: &str) -> Acl {
    acl(&[("p", rules)])
}

#[test]
fn an_exact_pattern_beats_every_wildcard() {
    let acl = one(r#"path "kv/*" { capabilities = ["read"] } path "kv/a" { capabilities = ["list"] }"#);
    assert!(!may(&acl, Capabilities::READ, "kv/a"));
    assert!(may(&acl, Capabilities::READ, "kv/b"));
}

#[test]
fn the_most_specific_wildcard_decides_alone() {
    // Each row: two patterns, a path both match, the index of the one that decides.
    for (first, second, path, winner) in [
        ("kv/*", "kv/app/*", "kv/app/x", 1),
        ("kv/+/x", "kv/a*", "kv/ab/x", 1),
        ("kv/+/x", "kv/+/*", "kv/ab/x", 0),
        ("kv/+/+/x", "kv/+/b/x", "kv/a/b/x", 1),
        ("kv/+/b*", "kv/+/bc*", "kv/a/bcd", 1),
    ] {
        let text =
            format!(r#"path "{first}" {{ capabilities = ["read"] }} path "{second}" {{ capabilities = ["list"] }}"#);
        let acl = one(&text);
        let needs = [Capabilities::READ, Capabilities::LIST];
        assert!(may(&acl, needs[winner], path), "{first} {second}");
        assert!(!may(&acl, needs[1 - winner], path), "{first} {second}");
    }
}

#[test]
fn one_pattern_in_several_policies_is_their_union_and_deny_beats_all() {
    let read = ("r", r#"path "kv/*" { capabilities = ["read"] }"#);
    let list = ("l", r#"path "kv/*" { capabilities = ["list"] }"#);
    let deny = ("d", r#"path "kv/*" { capabilities = ["deny", "sudo"] }"#);
    let both = acl(&[read, list]);
    assert!(may(&both, Capabilities::READ, "kv/a") && may(&both, Capabilities::LIST, "kv/a/"));
    let none = acl(&[read, deny, list]);
    assert!(!may(&none, Capabilities::READ, "kv/a"));
    assert_eq!(none.capabilities("kv/a", &[]), ["deny"]);
    assert_eq!(both.capabilities("kv/a", &[]), ["list", "read"]);
}

#[test]
fn a_plus_is_exactly_one_segment() {
    let acl = one(r#"path "kv/+/x" { capabilities = ["read"] }"#);
    assert!(may(&acl, Capabilities::READ, "kv/a/x"));
    for path in ["kv/x", "kv/a/b/x", "kv/a/x/y", "kv/a"] {
        assert!(!may(&acl, Capabilities::READ, path), "{path}");
    }
}

#[test]
fn a_plus_is_also_the_empty_segment_of_a_folder() {
    let acl = one(r#"path "kv/*" { capabilities = ["list"] } path "kv/+" { capabilities = ["deny"] }"#);
    assert!(!may(&acl, Capabilities::LIST, "kv/"));
    assert!(!may(&one(r#"path "kv/+/" { capabilities = ["list"] }"#), Capabilities::LIST, "kv/"));
}

#[test]
fn a_list_takes_the_exact_rule_of_either_spelling_then_the_wildcards() {
    // Each row: two rules, and whether `kv/a/` may be listed and scanned by them.
    for (first, second, allowed) in [
        (("kv/*", "grant"), ("kv/a/", "read"), false),
        (("kv/*", "grant"), ("kv/a", "read"), false),
        (("kv/*", "read"), ("kv/a", "grant"), true),
        (("kv/*", "read"), ("kv/a/", "grant"), true),
        (("kv/a", "grant"), ("kv/a/", "read"), false),
        (("kv/a", "deny"), ("kv/a/", "grant"), true),
        (("kv/a", "grant"), ("kv/a/", "deny"), false),
        (("kv/a", "grant"), ("kv/a/*", "deny"), true),
        (("kv/+", "deny"), ("kv/a", "grant"), true),
        (("kv/+", "grant"), ("kv/z", "read"), true),
        (("kv/a*", "grant"), ("kv/z", "read"), true),
        (("kv/+", "grant"), ("kv/a/*", "read"), false),
        (("kv/+", "grant"), ("kv/a/*", "deny"), false),
        (("kv/+", "grant"), ("kv/+/", "read"), false),
        (("kv/+", "read"), ("kv/*", "grant"), true),
        // OpenBao would let this through, Vault would not.
        (("kv/+", "deny"), ("kv/*", "grant"), false),
    ] {
        for (needs, word) in [(Capabilities::LIST, "list"), (Capabilities::SCAN, "scan")] {
            let rule = |(path, capability): (&str, &str)| {
                format!("path \"{path}\" {{ capabilities = [\"{}\"] }}\n", capability.replace("grant", word))
            };
            let acl = one(&(rule(first) + &rule(second)));
            assert_eq!(may(&acl, needs, "kv/a/"), allowed, "{first:?} {second:?} {word}");
            assert_eq!(acl.capabilities("kv/a/", &[]) == [word], allowed, "{first:?} {second:?} {word}");
        }
    }
}

#[test]
fn only_a_list_falls_back_on_the_path_without_its_slash() {
    let acl = one(r#"path "kv/a" { capabilities = ["list", "read"] }"#);
    assert!(may(&acl, Capabilities::LIST, "kv/a/"));
    assert!(!may(&acl, Capabilities::READ, "kv/a/"));
}

/// GHSA-xp3c-3jw3-4vcr: a folder could be listed though all below it was denied.
// R-05: a folder is not listed whose content is denied.
#[test]
fn a_list_respects_a_deny_on_the_folder_in_either_spelling() {
    for denied in ["kv/private", "kv/private/", "kv/private/*"] {
        let acl =
            one(&format!(r#"path "kv/*" {{ capabilities = ["list"] }} path "{denied}" {{ capabilities = ["deny"] }}"#));
        assert!(!may(&acl, Capabilities::LIST, "kv/private/"), "{denied}");
        assert!(may(&acl, Capabilities::LIST, "kv/public/"), "{denied}");
    }
}

#[test]
fn a_list_is_granted_by_either_spelling_of_the_folder() {
    for granted in ["kv/x", "kv/x/", "kv/+", "kv/+/"] {
        let acl = one(&format!(r#"path "{granted}" {{ capabilities = ["list"] }}"#));
        assert!(may(&acl, Capabilities::LIST, "kv/x/"), "{granted}");
    }
}

#[test]
fn sudo_paths_need_the_sudo_capability() {
    let acl = one(r#"path "sys/a" { capabilities = ["update"] } path "sys/b" { capabilities = ["update", "sudo"] }"#);
    let ask = |path| Ask {
        path,
        needs: Capabilities::UPDATE,
        folded: &[],
        sudo: true,
        wrap_ttl_secs: None,
        parameters: &|| Some(Map::new()),
    };
    let reason = "the path demands \"sudo\", which the rule does not grant";
    assert_eq!(acl.decide(&ask("sys/a")), Decision::Deny { rule: Some(rule("sys/a", &["p"], reason)) });
    assert_eq!(acl.decide(&ask("sys/b")), Decision::Allow { granting: vec!["p".into()], page: None });
    assert_eq!(acl.decide(&ask("sys/c")), Decision::Deny { rule: None });
}

fn rule(pattern: &str, policies: &[&str], reason: &str) -> DenyingRule {
    let policies = policies.iter().map(|&name| name.into()).collect();
    DenyingRule { pattern: pattern.into(), policies, reason: reason.into() }
}

#[test]
fn a_decision_names_the_policies_that_made_it() {
    let policy = |text| Policy::parse(text).expect("a policy");
    let reads = policy(r#"path "kv/a" { capabilities = ["read"] } path "kv/b" { capabilities = ["read"] }"#);
    let lists = policy(r#"path "kv/a" { capabilities = ["list"] } path "kv/b" { capabilities = ["deny"] }"#);
    let acl = Acl::of([("reads", &reads), ("lists", &lists)]);
    let decide = |path, needs| {
        acl.decide(&Ask {
            path,
            needs,
            folded: &[],
            sudo: false,
            wrap_ttl_secs: None,
            parameters: &|| Some(Map::new()),
        })
    };
    let by = |names: &[&str]| Decision::Allow { granting: names.iter().map(|&name| name.into()).collect(), page: None };
    assert_eq!(decide("kv/a", Capabilities::READ), by(&["reads"]));
    assert_eq!(decide("kv/a", Capabilities::LIST), by(&["lists"]));
    let ungranted =
        Decision::Deny { rule: Some(rule("kv/a", &["reads", "lists"], "the rule does not grant \"delete\"")) };
    assert_eq!(decide("kv/a", Capabilities::DELETE), ungranted);
    let denied = Decision::Deny { rule: Some(rule("kv/b", &["lists"], "the rule denies everything")) };
    assert_eq!(decide("kv/b", Capabilities::READ), denied);
}

#[test]
fn parameters_are_allowed_denied_and_required_as_written() {
    let acl = one(r#"path "kv/a" { capabilities = ["update"] allowed_parameters = { "x" = ["1*", "2"], "y" = [] } }
           path "kv/d" { capabilities = ["update"] denied_parameters = { "x" = ["bad"] } }
           path "kv/s" { capabilities = ["update"] allowed_parameters = { "x" = ["*"], "y" = [] }
                         denied_parameters = { "y" = ["*"] } }
           path "kv/r" { capabilities = ["update"] required_parameters = ["x"] }"#);
    let with = |path: &str, body: Value| {
        let parameters = move || body.as_object().cloned();
        let ask = Ask {
            path,
            needs: Capabilities::UPDATE,
            folded: &[],
            sudo: false,
            wrap_ttl_secs: None,
            parameters: &parameters,
        };
        matches!(acl.decide(&ask), Decision::Allow { .. })
    };
    for (path, body, expected) in [
        ("kv/a", json!({"x": "11"}), true),
        ("kv/a", json!({"X": "2", "y": 7}), true),
        ("kv/a", json!({"x": "3"}), false),
        ("kv/a", json!({"z": "1"}), false),
        ("kv/d", json!({"x": "good", "z": 1}), true),
        ("kv/d", json!({"x": "bad"}), false),
        ("kv/r", json!({"x": ""}), true),
        ("kv/r", json!({}), false),
        // A star alone is a value, not any.
        ("kv/s", json!({"x": "*"}), true),
        ("kv/s", json!({"x": "1"}), false),
        ("kv/s", json!({"y": "1"}), true),
        ("kv/s", json!({"y": "*"}), false),
        // What cannot be read is no request without parameters.
        ("kv/a", json!("unread"), false),
        ("kv/d", json!("unread"), false),
    ] {
        assert_eq!(with(path, body.clone()), expected, "{path} {body}");
    }
}

// R-04: a rule about the policies that may be given is evaded by no spelling of their names.
#[test]
fn r04_a_rule_about_policies_among_the_parameters_holds_in_any_spelling() {
    let acl =
        one(r#"path "t/denied" { capabilities = ["update"] denied_parameters = { "policies" = ["admin", "ops-*"] } }
           path "t/allowed" { capabilities = ["update"]
                              allowed_parameters = { "token_policies" = ["dev-*", "default", ["a", "b"], "c,d"] } }
           path "t/any" { capabilities = ["update"] allowed_parameters = { "policies" = [] } }
           path "t/other" { capabilities = ["update"] denied_parameters = { "names" = ["admin"] } }"#);
    let with = |path: &str, body: Value| {
        let parameters = move || body.as_object().cloned();
        let needs = Capabilities::UPDATE;
        let ask = Ask { path, needs, folded: &[], sudo: false, wrap_ttl_secs: None, parameters: &parameters };
        matches!(acl.decide(&ask), Decision::Allow { .. })
    };
    for named in ["admin", "ADMIN", " admin", "\tAdmin\n", "dev, aDmin ", "dev,admin", "OPS-1", "\u{212a}ops,ops-1"] {
        assert!(!with("t/denied", json!({ "policies": named })), "{named:?}");
        assert!(!with("t/denied", json!({ "policies": ["dev", named] })), "{named:?}");
    }
    // Another name that only looks like it stays another name.
    for named in ["dev", "administrator", "ａｄｍｉｎ"] {
        assert!(with("t/denied", json!({ "policies": [named] })), "{named:?}");
        assert!(with("t/other", json!({ "names": " ADMIN" })), "names of something else are texts");
    }
    for named in ["dev-1, admin", "dev-1,ADMIN", "DEV-1", "ａｄｍｉｎ", "admin, default"] {
        assert!(!with("t/allowed", json!({ "token_policies": named })), "{named:?}");
    }
    for value in [json!("dev-1"), json!("dev-1, DEFAULT"), json!(["a", "b"]), json!("c,d"), json!("default")] {
        assert!(with("t/allowed", json!({ "token_policies": value })), "{value}");
    }
    assert!(!with("t/allowed", json!({ "token_policies": ["a", "admin"] })));
    assert!(with("t/any", json!({ "policies": "ADMIN" })));
}

#[test]
fn rules_about_parameters_hold_for_reads_and_writes_only() {
    let acl = one(r#"path "kv/*" {
               capabilities = ["create", "read", "update", "patch", "delete", "list", "scan"]
               required_parameters = ["X"] denied_parameters = { "bad" = [] }
           }"#);
    let with = |needs, sent: Value| {
        let parameters = move || sent.as_object().cloned();
        let ask = Ask { path: "kv/a/", needs, folded: &[], sudo: false, wrap_ttl_secs: None, parameters: &parameters };
        matches!(acl.decide(&ask), Decision::Allow { .. })
    };
    type C = Capabilities;
    for needs in [C::CREATE, C::READ, C::UPDATE, C::PATCH, C::CREATE.with(C::UPDATE)] {
        assert!(with(needs, json!({ "x": 1 })), "{needs:?}");
        assert!(!with(needs, json!({})) && !with(needs, json!({ "X": 1 })), "{needs:?}");
        assert!(!with(needs, json!({ "x": 1, "bad": 1 })), "{needs:?}");
    }
    for needs in [C::LIST, C::SCAN, C::DELETE] {
        assert!(with(needs, json!({})) && with(needs, json!({ "bad": 1 })), "{needs:?}");
    }
}

#[test]
fn wrapping_bounds_make_wrapping_mandatory() {
    let acl = one(r#"path "kv/w" { capabilities = ["read"] min_wrapping_ttl = "1s" max_wrapping_ttl = "90s" }"#);
    let with = |ttl| {
        let ask = Ask {
            path: "kv/w",
            needs: Capabilities::READ,
            folded: &[],
            sudo: false,
            wrap_ttl_secs: ttl,
            parameters: &|| Some(Map::new()),
        };
        matches!(acl.decide(&ask), Decision::Allow { .. })
    };
    assert!(with(Some(1)) && with(Some(90)));
    assert!(!with(None) && !with(Some(91)));
}

#[test]
fn a_mount_is_reached_only_by_a_rule_that_grants_something_below_it() {
    let acl = one(r#"path "kv/data/a" { capabilities = ["read"] } path "p+/x" { capabilities = ["read"] }
           path "+/y" { capabilities = ["read"] } path "off/*" { capabilities = ["deny"] }"#);
    assert!(acl.reaches("kv/") && acl.reaches("zz/"));
    let narrow = one(r#"path "kv/*" { capabilities = ["read"] } path "off/*" { capabilities = ["deny"] }"#);
    assert!(narrow.reaches("kv/"));
    assert!(!narrow.reaches("off/") && !narrow.reaches("other/"));
}

#[test]
fn where_case_does_not_count_a_rule_holds_in_any_spelling() {
    let folded = |acl: &Acl, path: &str| {
        let ask = Ask {
            path,
            folded: &[2],
            needs: Capabilities::READ,
            sudo: false,
            wrap_ttl_secs: None,
            parameters: &|| Some(Map::new()),
        };
        matches!(acl.decide(&ask), Decision::Allow { .. })
    };
    // Each row: two rules, and whether `auth/m/ann` may be read, whose last segment is folded.
    for (first, second, allowed) in [
        (("auth/m/Ann", "read"), ("x", "read"), true),
        (("auth/m/*", "read"), ("auth/m/Ann", "deny"), false),
        (("auth/m/*", "read"), ("auth/m/ann", "deny"), false),
        (("auth/m/Ann", "read"), ("auth/m/aNN", "deny"), false),
        (("auth/m/Ann", "read"), ("auth/m/aNN", "list"), true),
        (("auth/m/*", "read"), ("auth/m/AN*", "deny"), false),
        (("auth/m/an*", "read"), ("auth/m/AN*", "deny"), false),
        (("auth/m/*", "read"), ("auth/+/ANN", "deny"), true),
        (("auth/+/*", "read"), ("auth/+/ANN", "deny"), false),
        (("auth/M/Ann", "read"), ("auth/m/Bob", "read"), false),
        (("auth/m/*", "read"), ("auth/M/Ann", "deny"), true),
    ] {
        let rule = |(path, word): (&str, &str)| format!(r#"path "{path}" {{ capabilities = ["{word}"] }}"#);
        let acl = acl(&[("a", &rule(first)), ("b", &rule(second))]);
        assert_eq!(folded(&acl, "auth/m/ann"), allowed, "{first:?} {second:?}");
        assert_eq!(acl.capabilities("auth/m/ann", &[2]).contains(&"read"), allowed, "{first:?} {second:?}");
    }
    let acl = one(r#"path "auth/m/Ann" { capabilities = ["read"] }"#);
    assert!(!may(&acl, Capabilities::READ, "auth/m/ann"), "where case counts, it does");
}

// R-15: no number that is sent as the limit of a list lifts the one that the policy has.
#[test]
fn a_list_shows_as_many_names_as_the_smallest_limit_has() {
    let limited = r#"path "kv/*" { capabilities = ["list"] pagination_limit = 5 }"#;
    let fewer = r#"path "kv/*" { capabilities = ["scan"] pagination_limit = 3 }"#;
    let required = r#"path "kv/*" { required_parameters = ["Limit"] }"#;
    let free = r#"path "kv/*" { capabilities = ["list"] pagination_limit = -1 }"#;
    let page = |policies: &[(&str, &str)], sent: Value| {
        let acl = acl(policies);
        let parameters = move || sent.as_object().cloned();
        let needs = Capabilities::LIST;
        let ask = Ask { path: "kv/a/", needs, folded: &[], sudo: false, wrap_ttl_secs: None, parameters: &parameters };
        match acl.decide(&ask) {
            Decision::Allow { page, .. } => Some(page),
            Decision::Deny { .. } => None,
        }
    };
    for (policies, sent, expected) in [
        (&[("p", limited)][..], json!({}), Some(Some(5))),
        (&[("p", limited)], json!({"limit": "4"}), Some(Some(4))),
        (&[("p", limited)], json!({"limit": "max"}), Some(Some(5))),
        (&[("p", limited)], json!({"limit": "0"}), Some(Some(5))),
        (&[("p", limited)], json!({"limit": -1}), None),
        (&[("p", limited)], json!({"limit": "6"}), None),
        (&[("p", limited)], json!({"limit": "all"}), None),
        (&[("p", limited)], json!({"limit": 2_147_483_648_u64}), None),
        (&[("p", limited)], json!({"limit": "9223372036854775808"}), None),
        (&[("p", limited)], json!({"limit": i64::MIN}), None),
        (&[("p", limited)], json!({"limit": u64::MAX}), None),
        (&[("p", limited)], json!({"limit": "1e9"}), None),
        (&[("p", limited)], json!({"limit": 1.5}), None),
        (&[("p", limited)], json!({"limit": "NaN"}), None),
        (&[("p", limited)], json!({"limit": null}), None),
        (&[("p", limited)], json!({"limit": ""}), None),
        (&[("p", limited), ("f", fewer)], json!({}), Some(Some(3))),
        (&[("p", limited), ("r", required)], json!({}), None),
        (&[("p", limited), ("r", required)], json!({"limit": 2}), Some(Some(2))),
        (&[("p", free)], json!({"limit": "6"}), Some(None)),
        (&[("p", free)], json!({"limit": "max"}), Some(Some(0))),
    ] {
        assert_eq!(page(policies, sent.clone()), expected, "{policies:?} {sent}");
    }
}
