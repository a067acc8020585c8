//! Descriptions that can be, and that cannot.

use super::*;

fn operation_doc() -> wit::OperationDoc {
    wit::OperationDoc {
        operation: wit::Operation::Read,
        id: "read".to_owned(),
        summary: String::new(),
        description: String::new(),
        responses: vec![],
        active_only: false,
        deprecated: false,
        unpublished: false,
    }
}

fn route_of(pattern: &str) -> wit::Route {
    wit::Route {
        pattern: pattern.to_owned(),
        synopsis: String::new(),
        description: String::new(),
        fields: vec![],
        operations: vec![operation_doc()],
        existence: wit::Existence::None,
        unauthenticated: false,
        sudo: false,
        accepts_unknown_fields: false,
        raw_body: false,
        request_headers: vec![],
        extra: vec![],
    }
}

fn field_of(name: &str) -> wit::Field {
    wit::Field {
        name: name.to_owned(),
        kind: wit::FieldKind::Text,
        description: String::new(),
        required: false,
        default: None,
        allowed: vec![],
        sensitive: false,
        deprecated: false,
        extra: vec![],
    }
}

fn plain() -> wit::Descriptor {
    wit::Descriptor {
        name: "kv".to_owned(),
        version: "0.1.0".to_owned(),
        summary: String::new(),
        help: String::new(),
        data_version: 2,
        oldest_readable_data: 1,
        routes: vec![route_of("data/{path...}"), route_of("")],
        seal_wrapped: vec!["role/".to_owned()],
        local: vec![],
        lease_kinds: vec!["creds".to_owned()],
        jobs: vec![wit::JobDoc { name: "tidy".to_owned(), every: Some(60) }],
        extra: vec![],
    }
}

/// A change that spoils a route, and what is said of it.
type Spoiled = (fn(&mut wit::Route), &'static str);

fn refusal(edit: impl FnOnce(&mut wit::Descriptor)) -> String {
    let mut descriptor = plain();
    edit(&mut descriptor);
    match parse(descriptor).unwrap_err() {
        SandboxError::Descriptor { why } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn a_plain_description_passes() {
    let parsed = parse(plain()).unwrap();
    assert_eq!(parsed.routes[0].pattern, "data/{path...}");
    assert_eq!(parsed.jobs[0].every, Some(60));
}

#[test]
fn patterns_are_whole_segments() {
    for (pattern, captures) in [
        ("", &[][..]),
        ("roles/", &[]),
        ("config", &[]),
        ("roles/{name}", &["name"]),
        ("creds/{name?}", &["name"]),
        ("{a}/x/{b...}", &["a", "b"]),
    ] {
        assert_eq!(pattern_captures(pattern).unwrap(), captures, "{pattern}");
    }
    for pattern in ["/a", "a//b", "a/{b", "a/x{b}", "{a...}/b", "{a?}/b", "{}", "{a}/{a}", "{a b}", "a\nb"] {
        assert!(pattern_captures(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn routes_are_unique_among_those_with_the_same_condition() {
    assert_eq!(
        refusal(|d| d.routes.push(route_of("data/{path...}"))),
        "route (\"data/{path...}\", None) is declared twice"
    );
    let mut descriptor = plain();
    let condition = ("when-option".to_owned(), b"[\"version\",\"2\"]".to_vec());
    descriptor.routes.push(wit::Route { extra: vec![condition], ..route_of("data/{path...}") });
    assert!(parse(descriptor).is_ok());
}

#[test]
fn a_route_that_contradicts_itself_is_refused() {
    let cases: [Spoiled; 10] = [
        (|route| (route.unauthenticated, route.sudo) = (true, true), "it is both unauthenticated and sudo"),
        (|route| route.operations.clear(), "it answers no operation"),
        (|route| route.operations.push(operation_doc()), "operation \"Read\" is declared twice"),
        (|route| route.fields = vec![field_of("a"), field_of("a")], "field \"a\" is declared twice"),
        (
            |route| route.existence = wit::Existence::Key("role/{nam}".to_owned()),
            "the existence key uses {nam}, which the pattern does not capture",
        ),
        (
            |route| route.request_headers = vec!["X-Vault-Token".to_owned()],
            "it asks for the header X-Vault-Token, which plugins never see",
        ),
        (
            |route| route.extra = vec![("when-option".to_owned(), b"{}".to_vec())],
            "when-option is not an array of two strings",
        ),
        (
            |route| route.extra = vec![("folded-captures".to_owned(), b"\"path\"".to_vec())],
            "folded-captures is not an array of strings",
        ),
        (
            |route| route.extra = vec![("folded-captures".to_owned(), b"[\"name\"]".to_vec())],
            "folded-captures has \"name\", which the pattern does not capture",
        ),
        (
            |route| route.fields = vec![wit::Field { default: Some(b"{".to_vec()), ..field_of("a") }],
            "field \"a\" has a value that is no JSON",
        ),
    ];
    for (edit, why) in cases {
        let said = refusal(|descriptor| edit(&mut descriptor.routes[0]));
        assert_eq!(said, format!("route \"data/{{path...}}\": {why}"));
    }
}

#[test]
fn a_route_says_in_which_captures_case_does_not_count() {
    let mut descriptor = plain();
    descriptor.routes[0].extra = vec![("folded-captures".to_owned(), b"[\"path\"]".to_vec())];
    let parsed = parse(descriptor).unwrap();
    assert_eq!(parsed.routes[0].folded_captures, ["path"]);
    assert!(parsed.routes[1].folded_captures.is_empty());
}

#[test]
fn numbers_and_sizes_have_bounds() {
    assert_eq!(refusal(|d| d.oldest_readable_data = 3), "data version 2 reads back to 3");
    assert_eq!(refusal(|d| d.data_version = u32::MAX), "data version 4294967295 reads back to 1");
    assert_eq!(refusal(|d| d.jobs[0].every = Some(0)), "job \"tidy\" would run without pause");
    assert_eq!(refusal(|d| d.seal_wrapped = vec!["../x".to_owned()]), "\"../x\" cannot be a storage prefix");
    let many = |d: &mut wit::Descriptor| d.routes = (0..1_001).map(|at| route_of(&at.to_string())).collect();
    assert_eq!(refusal(many), "it has 1001 routes, over the limit of 1000");
    assert!(refusal(|d| d.name = String::new()).starts_with("the plugin's name is empty"));
    assert!(refusal(|d| d.help = "x".repeat(65_537)).starts_with("the help is over"));
}
