//! Filters as an operator writes them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{AuditFilter, Entry, FILTER_BYTES_MAX, FILTER_DEPTH_MAX, Scope};

const ENTRY: Entry<'static> = Entry {
    mount_type: "kv",
    mount_point: "team/secret/",
    namespace: "team/",
    operation: "read",
    path: "secret/data/app",
};

fn takes(filter: &str) -> Result<bool, String> {
    AuditFilter::parse(filter).map(|filter| filter.takes(&ENTRY))
}

#[test]
fn a_filter_says_what_is_written() {
    for (filter, expected) in [
        ("mount_type == kv", true),
        ("mount_type==\"kv\"", true),
        ("\"/mount_type\" == `kv`", true),
        ("mount_type != kv", false),
        ("mount_point == team/secret/", true),
        ("namespace == \"team/\"", true),
        ("namespace is empty", false),
        ("namespace is not empty", true),
        ("path contains \"data/\"", true),
        ("path not contains data/", false),
        ("\"data\" in path", true),
        ("metadata not in path", true),
        ("path matches \"^secret/.*/app$\"", true),
        ("path not matches `^secret`", false),
        ("not operation == read", false),
        ("not not operation == read", true),
        ("not (operation == update or mount_type == pki)", true),
        // `and` binds more than `or`.
        ("operation == update and mount_type == pki or mount_type == kv", true),
        ("operation == update and (mount_type == pki or mount_type == kv)", false),
        ("mount_type == kv or operation == update and mount_type == pki", true),
        ("((((mount_type == kv))))", true),
        // Keywords are values where a value stands.
        ("operation == not", false),
        ("mount_type == \"k\\u0076\"", true),
    ] {
        assert_eq!(takes(filter), Ok(expected), "{filter}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_the_reason() {
    let properties = "is none of the properties mount_point, mount_type, namespace, operation, path";
    for (filter, error) in [
        ("", "it ends too early".to_owned()),
        ("mount_type", "it ends too early".to_owned()),
        ("mount_type ==", "it ends too early".to_owned()),
        ("mount_type == kv and", "it ends too early".to_owned()),
        ("mount_type == kv kv", "\"kv\" is one too many".to_owned()),
        ("mount_type = kv", "'=' needs quotes around it".to_owned()),
        ("mount_type == (", "\"(\" stands where a value should".to_owned()),
        ("(mount_type == kv", "it ends too early".to_owned()),
        ("(mount_type == kv or", "it ends too early".to_owned()),
        ("mount_type == kv)", "\")\" is one too many".to_owned()),
        ("(mount_type == kv kv", "\"kv\" stands where a parenthesis should be closed".to_owned()),
        ("mount_type is full", "\"full\" stands where \"empty\" should".to_owned()),
        ("mount_type like kv", "\"like\" is no operator".to_owned()),
        ("mount_type not == kv", "\"==\" is no operator".to_owned()),
        ("token == x", format!("\"token\" {properties}")),
        ("\"/auth/token\" == x", format!("\"/auth/token\" {properties}")),
        ("kv == mount_type", format!("\"kv\" {properties}")),
        ("path == \"a", "a quoted value does not end, or is not one".to_owned()),
        ("path == `a", "a quoted value does not end".to_owned()),
        ("path matches \"(\"", "\"(\" is no regular expression, or too large a one".to_owned()),
        (
            "path matches \"(a{1000}){1000}\"",
            "\"(a{1000}){1000}\" is no regular expression, or too large a one".to_owned(),
        ),
    ] {
        assert_eq!(takes(filter), Err(error), "{filter}");
    }
}

#[test]
fn length_and_depth_have_a_bound() {
    let nested = |levels: usize| format!("{}path == x{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(takes(&nested(FILTER_DEPTH_MAX)), Ok(false));
    assert_eq!(takes(&nested(FILTER_DEPTH_MAX + 1)), Err("it is nested deeper than 32 levels".to_owned()));
    let denied = format!("{}path == x", "not ".repeat(FILTER_DEPTH_MAX + 1));
    assert_eq!(takes(&denied), Err("it is nested deeper than 32 levels".to_owned()));
    let long = format!("path == \"{}\"", "x".repeat(FILTER_BYTES_MAX));
    assert_eq!(takes(&long), Err("it is longer than 4096 bytes".to_owned()));
    // One after the other is no depth.
    assert_eq!(takes(&["path == x"; 300].join(" or ")), Ok(false));
}

#[test]
fn a_device_is_for_all_entries_or_some_or_what_is_left() {
    let scope = |options: &[(&str, &str)]| {
        Scope::of(&options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>())
    };
    assert!(matches!(scope(&[]), Ok(Scope::All)));
    assert!(matches!(scope(&[("filter", " "), ("fallback", "false")]), Ok(Scope::All)));
    assert!(matches!(scope(&[("fallback", "T")]), Ok(Scope::Fallback)));
    assert!(matches!(scope(&[("filter", "path == x")]), Ok(Scope::Filtered(_))));
    for (options, error) in [
        (&[("filter", "path == x"), ("fallback", "true")][..], "cannot configure a fallback device with a filter"),
        (&[("fallback", "maybe")], "fallback is neither true nor false: \"maybe\""),
        (&[("filter", "path")], "filter is none: it ends too early"),
    ] {
        assert_eq!(scope(options).err().as_deref(), Some(error));
    }
}

/// A filter, and what it says of [`ENTRY`].
fn written() -> impl Strategy<Value = (String, bool)> {
    let test = prop_oneof![
        Just(("mount_type == kv".to_owned(), true)),
        Just(("\"x\" in path".to_owned(), false)),
        Just(("operation is not empty".to_owned(), true)),
        Just(("namespace matches `^none`".to_owned(), false)),
    ];
    test.prop_recursive(8, 64, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| {
                let text = parts.iter().map(|(text, _)| format!("({text})")).collect::<Vec<_>>().join(" and ");
                (text, parts.iter().all(|(_, holds)| *holds))
            }),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| {
                let text = parts.iter().map(|(text, _)| format!("({text})")).collect::<Vec<_>>().join(" or ");
                (text, parts.iter().any(|(_, holds)| *holds))
            }),
            inner.prop_map(|(text, holds)| (format!("not ({text})"), !holds)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_put_together_means_what_its_parts_do((text, expected) in written()) {
        prop_assume!(text.len() <= FILTER_BYTES_MAX);
        prop_assert_eq!(takes(&text), Ok(expected));
    }

    #[test]
    fn no_text_is_too_much_for_it(text in "[ ()=!\"`a-z_/\\\\]{0,200}|\\PC{0,200}") {
        let _ = takes(&text);
    }
}
