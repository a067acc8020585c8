use serde_json::{Value, json};

use super::*;
use crate::plugin::{Existence, Field, FieldKind, Operation, OperationDoc, Route};

fn operation(operation: Operation) -> OperationDoc {
    OperationDoc {
        operation,
        id: String::new(),
        summary: String::new(),
        description: String::new(),
        responses: Vec::new(),
        active_only: false,
        deprecated: false,
        unpublished: false,
    }
}

fn route(pattern: &str, operations: &[Operation]) -> Route {
    Route {
        pattern: pattern.to_owned(),
        synopsis: String::new(),
        description: String::new(),
        fields: Vec::new(),
        operations: operations.iter().copied().map(self::operation).collect(),
        existence: Existence::None,
        unauthenticated: false,
        sudo: false,
        accepts_unknown_fields: false,
        raw_body: false,
        request_headers: Vec::new(),
        when_option: None,
        folded_captures: Vec::new(),
    }
}

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        description: String::new(),
        required: false,
        default: None,
        allowed: Vec::new(),
        sensitive: false,
        deprecated: false,
    }
}

fn find(patterns: &[&str], path: &str) -> Option<(usize, Vec<String>)> {
    let routes: Vec<_> = patterns.iter().map(|pattern| route(pattern, &[Operation::Read, Operation::List])).collect();
    match RouteTable::new(&routes).find(path, Operation::Read, &[]) {
        Found::Route { index, captures } => {
            Some((index as usize, captures.into_iter().map(|(_, text)| text).collect()))
        }
        _ => None,
    }
}

#[test]
fn patterns_match_as_the_contract_says() {
    let table: &[(&str, &str, Option<&[&str]>)] = &[
        ("config", "config", Some(&[])),
        ("config", "config/", None),
        ("roles/{name}", "roles/a", Some(&["a"])),
        ("roles/{name}", "roles/", None),
        ("roles/{name}", "roles/a/b", None),
        ("roles/", "roles/", Some(&[])),
        ("data/{path...}", "data/a/b/", Some(&["a/b/"])),
        ("data/{path...}", "data/", Some(&[""])),
        ("data/{path...}", "data", None),
        ("{path...}", "", Some(&[""])),
        ("creds/{name?}", "creds", Some(&[])),
        ("creds/{name?}", "creds/", Some(&[""])),
        ("creds/{name?}", "creds/a", Some(&["a"])),
        ("creds/{name?}", "creds/a/b", None),
        ("a/{b}/c/{d...}", "a/x/c/y/z", Some(&["x", "y/z"])),
    ];
    for (pattern, path, wanted) in table {
        let found = find(&[pattern], path).map(|(_, captures)| captures);
        assert_eq!(
            found,
            wanted.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()),
            "{pattern} {path}"
        );
    }
}

#[test]
fn a_literal_beats_a_capture_and_a_capture_the_rest() {
    let patterns = ["{path...}", "roles/{name}", "roles/default", "{any}/default"];
    assert_eq!(find(&patterns, "roles/default").unwrap().0, 2);
    assert_eq!(find(&patterns, "roles/x").unwrap().0, 1);
    assert_eq!(find(&patterns, "x/default").unwrap().0, 3);
    assert_eq!(find(&patterns, "x/y").unwrap().0, 0);
}

#[test]
fn the_best_pattern_answers_even_if_it_lacks_the_operation() {
    let routes =
        [route("data/{path...}", &[Operation::Read]), route("{path...}", &[Operation::List, Operation::Create])];
    let table = RouteTable::new(&routes);
    assert_eq!(table.find("data/a", Operation::List, &[]), Found::NoOperation);
    assert_eq!(table.find("other", Operation::Read, &[]), Found::NoOperation);
    assert!(matches!(table.find("other", Operation::Update, &[]), Found::Route { index: 1, .. }));
    assert_eq!(RouteTable::new(&routes[..1]).find("other", Operation::Read, &[]), Found::NoRoute);
}

#[test]
fn where_one_can_list_and_nothing_else_there_is_a_path_with_its_slash_and_without() {
    let list = [Operation::List];
    let table = RouteTable::new(&[
        route("roles/", &list),
        route("roles/{name}", &[Operation::Read]),
        route("data/{path...}", &list),
        route("role/{name}/id/", &list),
        route("role/{name}/id", &[Operation::Update]),
    ]);
    for operation in [Operation::Read, Operation::Update, Operation::Delete] {
        for path in ["roles", "roles/"] {
            assert_eq!(table.find(path, operation, &[]), Found::NoOperation, "{path}");
        }
        for path in ["", "data", "role", "roles/a/b", "role/a"] {
            assert_eq!(table.find(path, operation, &[]), Found::NoRoute, "{path}");
        }
    }
    assert!(matches!(table.find("roles", Operation::List, &[]), Found::Route { index: 0, .. }));
    assert!(matches!(table.find("role/a/id", Operation::Update, &[]), Found::Route { index: 4, .. }));
    assert_eq!(table.find("role/a/id", Operation::Read, &[]), Found::NoOperation);
}

#[test]
fn a_list_path_ends_in_a_slash_whether_it_was_sent_or_not() {
    let table = RouteTable::new(&[route("roles/", &[Operation::List])]);
    assert!(matches!(table.find("roles", Operation::List, &[]), Found::Route { .. }));
    assert!(matches!(table.find("roles/", Operation::List, &[]), Found::Route { .. }));
}

#[test]
fn a_condition_hides_a_route_or_prefers_it() {
    let mut second = route("{path...}", &[Operation::Read]);
    second.when_option = Some(("version".to_owned(), "2".to_owned()));
    let table = RouteTable::new(&[second, route("{path...}", &[Operation::Read])]);
    let options = [("version".to_owned(), "2".to_owned())];
    assert!(matches!(table.find("a", Operation::Read, &[]), Found::Route { index: 1, .. }));
    assert!(matches!(table.find("a", Operation::Read, &options), Found::Route { index: 0, .. }));
}

fn folded(routes: &[(&str, &[&str])], path: &str) -> Option<(String, Vec<usize>)> {
    let made = |(pattern, captures): &(&str, &[&str])| Route {
        folded_captures: captures.iter().map(|name| (*name).to_owned()).collect(),
        ..route(pattern, &[Operation::Read])
    };
    let table = RouteTable::new(&routes.iter().map(made).collect::<Vec<_>>());
    table.folded(path, &[]).map(|folded| (folded.path, folded.segments))
}

#[test]
fn what_a_route_folds_is_lowered_and_nothing_else() {
    let routes: &[(&str, &[&str])] = &[
        ("users/{name}", &["name"]),
        ("users/{name}/keys/{key}", &["name"]),
        ("secrets/{name}", &[]),
        ("tree/{path...}", &["path"]),
        ("creds/{name?}", &["name"]),
    ];
    for (path, wanted) in [
        ("users/Ann", Some(("users/ann", vec![1]))),
        ("users/ann", Some(("users/ann", vec![1]))),
        ("users/ÄNNΣ", Some(("users/ännσ", vec![1]))),
        ("users/Ann/keys/Key", Some(("users/ann/keys/Key", vec![1]))),
        ("tree/A/B", Some(("tree/a/b", vec![1, 2]))),
        ("creds/A", Some(("creds/a", vec![1]))),
        ("creds", None),
        ("secrets/Ann", None),
        ("Users/Ann", None),
        ("users/Ann/Keys/Key", None),
        ("nowhere/Ann", None),
    ] {
        assert_eq!(folded(routes, path), wanted.map(|(path, segments)| (path.to_owned(), segments)), "{path}");
    }
}

#[test]
fn a_folded_path_is_the_form_of_the_route_that_answers_it() {
    let routes: &[(&str, &[&str])] =
        &[("{any}/{name}", &["name"]), ("{any}/me", &["any"]), ("users/me", &[]), ("{a}/{b}/{c}", &["b"])];
    // Each spelling comes to what the last of its routes makes of it.
    let form = |path| folded(routes, path).map(|(path, _)| path);
    assert_eq!(form("X/Ann").as_deref(), Some("X/ann"));
    assert_eq!(form("USERS/ME").as_deref(), Some("users/me"));
    assert_eq!(form("X/Y/Z").as_deref(), Some("X/y/Z"));
    assert_eq!(folded(routes, "USERS/ME"), Some(("users/me".to_owned(), vec![1, 0])));
}

fn shaped(route: &Route, body: &Value) -> Result<Value, String> {
    let shaped = shape(route, Operation::Update, &[], body.to_string().as_bytes())?;
    Ok(serde_json::from_slice(&shaped.data).unwrap())
}

fn coerced(kind: FieldKind, value: Value) -> Result<Value, String> {
    let mut route = route("x", &[Operation::Update]);
    route.fields.push(field("f", kind));
    Ok(shaped(&route, &json!({ "f": value }))?["f"].clone())
}

#[test]
fn values_are_converted_as_vault_converts_them() {
    use FieldKind::*;
    let table = [
        (Text, json!(5), json!("5")),
        (Text, json!(true), json!("1")),
        (LowercaseText, json!("AbC"), json!("abc")),
        (Name, json!("a-b.c"), json!("a-b.c")),
        (Integer, json!("3"), json!(3)),
        (Integer, json!("0x10"), json!(16)),
        (Integer, json!("-7"), json!(-7)),
        (Integer, json!(""), json!(0)),
        (Integer, json!(true), json!(1)),
        (Boolean, json!("t"), json!(true)),
        (Boolean, json!(1), json!(true)),
        (Boolean, json!(""), json!(false)),
        (Float, json!("1.5"), json!(1.5)),
        (Duration, json!("1h"), json!(3600)),
        (Duration, json!("1.5h"), json!(5400)),
        (Duration, json!("30"), json!(30)),
        (Duration, json!(30), json!(30)),
        (Duration, json!(""), json!(0)),
        (SignedDuration, json!("-1s"), json!(-1)),
        (SignedDuration, json!(-5), json!(-5)),
        (Time, json!(0), json!("1970-01-01T00:00:00Z")),
        (AnyMap, json!([]), json!({})),
        (AnyMap, json!([{ "a": 1 }, { "b": 2 }]), json!({ "a": 1, "b": 2 })),
        (StringMap, json!({ "a": 1 }), json!({ "a": "1" })),
        (StringMap, json!("a=b,c=d=e"), json!({ "a": "b", "c": "d=e" })),
        (AnyList, json!("x"), json!(["x"])),
        (StringList, json!("a,b"), json!(["a,b"])),
        (StringList, json!({}), json!([])),
        (AnyList, json!({}), json!([])),
        (CommaIntegerList, json!({}), json!([])),
        (CommaStringList, json!("a, b ,c"), json!(["a", "b", "c"])),
        (CommaStringList, json!([1, true, null]), json!(["1", "1", ""])),
        (CommaStringList, json!(5), json!(["5"])),
        (CommaStringList, json!({}), json!([])),
        (CommaStringList, json!(""), json!([])),
        (CommaIntegerList, json!("1,2"), json!([1, 2])),
        (CommaIntegerList, json!([1, "2"]), json!([1, 2])),
        (HeaderMap, json!({ "a": "b", "c": ["d"] }), json!({ "a": ["b"], "c": ["d"] })),
        (HeaderMap, json!("eyJhIjoiYiJ9"), json!({ "a": ["b"] })),
        (Any, json!({ "a": [1] }), json!({ "a": [1] })),
        // Null takes back what was set.
        (Text, json!(null), json!("")),
        (Integer, json!(null), json!(0)),
        (Boolean, json!(null), json!(false)),
        (Float, json!(null), json!(0.0)),
        (CommaStringList, json!(null), json!([])),
        (StringMap, json!(null), json!({})),
        (HeaderMap, json!(null), json!({})),
        // These a guest tells from what is empty.
        (AnyMap, json!(null), json!(null)),
        (Any, json!(null), json!(null)),
        // A time that is null was not sent.
        (Duration, json!(null), json!(null)),
        (Time, json!(null), json!(null)),
    ];
    for (kind, value, wanted) in table {
        assert_eq!(coerced(kind, value.clone()), Ok(wanted), "{kind:?} of {value}");
    }
}

#[test]
fn a_time_that_is_null_was_not_sent_and_gets_its_default() {
    let mut route = route("x", &[Operation::Update]);
    route.fields.push(Field { default: Some(json!(60)), ..field("ttl", FieldKind::Duration) });
    route.fields.push(field("list", FieldKind::CommaStringList));
    let shaped = shape(&route, Operation::Update, &[], br#"{"ttl":null,"list":null}"#).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&shaped.data).unwrap(), json!({ "list": [], "ttl": 60 }));
    assert_eq!(shaped.supplied, ["list"]);
}

#[test]
fn what_does_not_fit_is_refused_in_vaults_words() {
    use FieldKind::*;
    let table = [
        (Text, json!([]), "'' expected type 'string', got unconvertible type '[]interface {}'"),
        (Integer, json!("x"), "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax"),
        (Integer, json!(1.5), "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax"),
        (
            Integer,
            json!("99999999999999999999"),
            "'' cannot parse value as 'int': strconv.ParseInt: value out of range",
        ),
        (Integer, json!({}), "'' expected type 'int', got unconvertible type 'map[string]interface {}'"),
        (Boolean, json!("yes"), "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax"),
        (Boolean, json!([]), "'' expected type 'bool', got unconvertible type '[]interface {}'"),
        (Duration, json!("x"), "time: invalid duration \"x\""),
        (Duration, json!("1x"), "time: unknown unit \"x\" in duration \"1x\""),
        (Duration, json!(1.5), "time: missing unit in duration \"1.5\""),
        (Duration, json!(true), "could not parse duration from input"),
        (Duration, json!("-1s"), "cannot provide negative value '-1'"),
        (AnyMap, json!("str"), "'' expected type 'map[string]interface {}', got unconvertible type 'string'"),
        (AnyMap, json!([1]), "'[0]' expected type 'map[string]interface {}', got unconvertible type 'json.Number'"),
        (
            CommaStringList,
            json!({ "a": 1 }),
            "1 error(s) decoding:\n\n* '[0]' expected type 'string', got unconvertible type 'map[string]interface {}', \
             value: 'map[a:1]'",
        ),
        (
            StringList,
            json!([{}, "a", []]),
            "decoding failed due to the following error(s):\n\n'[0]' expected type 'string', got unconvertible type \
             'map[string]interface {}'\n'[2]' expected type 'string', got unconvertible type '[]interface {}'",
        ),
        (
            CommaIntegerList,
            json!("1,b"),
            "decoding failed due to the following error(s):\n\n'[1]' cannot parse value as 'int': strconv.ParseInt: invalid \
             syntax",
        ),
        (Name, json!("a/b"), "field validation failed"),
    ];
    for (kind, value, wanted) in table {
        let wanted = format!("Field validation failed: error converting input for field \"f\": {wanted}");
        assert_eq!(coerced(kind, value.clone()), Err(wanted), "{kind:?} of {value}");
    }
}

#[test]
fn a_fault_has_no_prefix_where_an_existence_check_comes_first() {
    let mut route = route("x", &[Operation::Update]);
    route.fields.push(field("f", FieldKind::Integer));
    route.existence = Existence::Ask;
    let fault = shaped(&route, &json!({ "f": "x" })).unwrap_err();
    assert!(fault.starts_with("error converting input for field \"f\": "), "{fault}");
    let patch = shape(&route, Operation::Patch, &[], b"{\"f\":\"x\"}").unwrap_err();
    assert!(patch.starts_with("Field validation failed: error converting"), "{patch}");
}

#[test]
fn unknown_and_captured_names_are_told_apart_from_supplied_ones() {
    let mut route = route("x/{name}", &[Operation::Update]);
    route.fields = vec![field("name", FieldKind::Text), field("a", FieldKind::Integer)];
    let captures = [("name".to_owned(), "n".to_owned())];
    let shaped = shape(&route, Operation::Update, &captures, br#"{"name":"m","a":"1","zoo":2,"bar":3}"#).unwrap();
    assert_eq!(shaped.data, br#"{"a":1}"#);
    assert_eq!(shaped.supplied, ["a"]);
    assert_eq!(shaped.ignored, ["zoo", "bar"]);
    assert_eq!(shaped.replaced, ["name"]);
}

#[test]
fn a_map_is_passed_through_letter_by_letter() {
    let mut route = route("x", &[Operation::Update]);
    route.fields.push(field("data", FieldKind::AnyMap));
    let body = r#"{ "data" : { "n": 1.10, "big": 12345678901234567890.123, "z":1,"a" : "\u00e9" } }"#;
    let shaped = shape(&route, Operation::Update, &[], body.as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(shaped.data).unwrap(),
        r#"{"data":{ "n": 1.10, "big": 12345678901234567890.123, "z":1,"a" : "\u00e9" }}"#
    );
}

#[test]
fn a_route_that_takes_any_field_gets_the_body_of_a_write_as_it_is() {
    let mut route = route("{path...}", &[Operation::Update]);
    route.accepts_unknown_fields = true;
    route.fields.push(field("path", FieldKind::Text));
    let captures = [("path".to_owned(), "a".to_owned())];
    let body = br#"{ "path": "kept", "n": 1.0 }"#;
    let shaped = shape(&route, Operation::Update, &captures, body).unwrap();
    assert_eq!(shaped.data, body);
    assert!(shaped.replaced.is_empty() && shaped.ignored.is_empty());
    let read = shape(&route, Operation::Read, &captures, br#"{"foo":"1"}"#).unwrap();
    assert_eq!((read.data.as_slice(), read.ignored), (&b"{}"[..], vec!["foo".to_owned()]));
}

#[test]
fn defaults_are_coerced_like_sent_values_and_only_writes_need_what_is_required() {
    let mut route = route("x", &[Operation::Update, Operation::Read]);
    let mut ttl = field("ttl", FieldKind::Duration);
    ttl.default = Some(json!("1h"));
    let mut name = field("name", FieldKind::Text);
    name.required = true;
    route.fields = vec![ttl, name];
    assert_eq!(shaped(&route, &json!({ "name": "a" })), Ok(json!({ "name": "a", "ttl": 3600 })));
    assert_eq!(shaped(&route, &json!({})), Err("missing required field \"name\"".to_owned()));
    assert_eq!(shape(&route, Operation::Read, &[], b"").unwrap().data, br#"{"ttl":3600}"#);
}

#[test]
fn only_allowed_values_pass() {
    let mut route = route("x", &[Operation::Update]);
    let mut kind = field("type", FieldKind::Text);
    kind.allowed = vec![json!("a"), json!("b")];
    route.fields.push(kind);
    assert_eq!(shaped(&route, &json!({ "type": "a" })), Ok(json!({ "type": "a" })));
    assert!(shaped(&route, &json!({ "type": "c" })).unwrap_err().ends_with("must be one of [\"a\" \"b\"]"));
}

#[test]
fn whole_numbers_in_text_may_have_single_underscores_between_digits() {
    for (text, wanted) in
        [("1_000", 1000), ("-1_0", -10), ("0x_1F", 31), ("0b1_0", 2), ("0o_7", 7), ("00_7", 7), ("0_1", 1)]
    {
        assert_eq!(coerced(FieldKind::Integer, json!(text)), Ok(json!(wanted)), "{text}");
    }
    for text in ["_1", "1_", "1__0", "0x", "0x_", "0_", "_", "-_1", "09_1", "1_000.0", "0_-1"] {
        assert!(coerced(FieldKind::Integer, json!(text)).is_err(), "{text}");
    }
}

#[test]
fn texts_are_quoted_as_go_quotes_them() {
    let table = [
        ("a b", r#""a b""#),
        ("\"\\", r#""\"\\""#),
        ("\n\t\u{7}\u{1}\u{7f}", r#""\n\t\a\x01\x7f""#),
        ("\u{200b}\u{a0}\u{e0001}é", r#""\u200b\u00a0\U000e0001é""#),
    ];
    for (text, wanted) in table {
        assert_eq!(super::quoted(text), wanted);
    }
}
