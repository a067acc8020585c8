//! The host's rules beside those of the bench: the same fields and inputs to both.

use bulkhead_model::{framework, plugin};
use proptest::prelude::*;
use serde_json::Value;

use super::shape;
use crate::bindings::mounted::bulkhead::plugin::types::{Existence, Field, FieldKind, Operation, Route};

/// Every kind but a time, which only the host has a calendar for.
const KINDS: [(FieldKind, plugin::FieldKind); 16] = [
    (FieldKind::Text, plugin::FieldKind::Text),
    (FieldKind::LowercaseText, plugin::FieldKind::LowercaseText),
    (FieldKind::Name, plugin::FieldKind::Name),
    (FieldKind::Integer, plugin::FieldKind::Integer),
    (FieldKind::Boolean, plugin::FieldKind::Boolean),
    (FieldKind::Float, plugin::FieldKind::Float),
    (FieldKind::Duration, plugin::FieldKind::Duration),
    (FieldKind::SignedDuration, plugin::FieldKind::SignedDuration),
    (FieldKind::AnyMap, plugin::FieldKind::AnyMap),
    (FieldKind::StringMap, plugin::FieldKind::StringMap),
    (FieldKind::AnyList, plugin::FieldKind::AnyList),
    (FieldKind::StringList, plugin::FieldKind::StringList),
    (FieldKind::CommaStringList, plugin::FieldKind::CommaStringList),
    (FieldKind::CommaIntegerList, plugin::FieldKind::CommaIntegerList),
    (FieldKind::HeaderMap, plugin::FieldKind::HeaderMap),
    (FieldKind::Any, plugin::FieldKind::Any),
];

const OPERATIONS: [(Operation, plugin::Operation); 5] = [
    (Operation::Read, plugin::Operation::Read),
    (Operation::Create, plugin::Operation::Create),
    (Operation::Update, plugin::Operation::Update),
    (Operation::Patch, plugin::Operation::Patch),
    (Operation::Delete, plugin::Operation::Delete),
];

/// A declared field, as both sides are told of it.
#[derive(Clone, Debug)]
struct Declared {
    name: String,
    kind: usize,
    required: bool,
    default: Option<String>,
    allowed: Vec<String>,
}

/// A request to a route of these fields.
#[derive(Clone, Debug)]
struct Asked {
    fields: Vec<Declared>,
    takes_all: bool,
    asks_first: bool,
    operation: usize,
    captures: Vec<(String, String)>,
    body: String,
}

/// What the handler gets: data, names sent, and how many warnings; or that it gets nothing.
type Outcome = Result<(Value, Vec<String>, usize), String>;

fn of_bench(asked: &Asked) -> Outcome {
    let field = |declared: &Declared| Field {
        name: declared.name.clone(),
        kind: KINDS[declared.kind].0,
        description: String::new(),
        required: declared.required,
        default: declared.default.clone().map(String::into_bytes),
        allowed: declared.allowed.iter().map(|json| json.clone().into_bytes()).collect(),
        sensitive: false,
        deprecated: false,
        extra: Vec::new(),
    };
    let route = Route {
        pattern: "x".to_owned(),
        synopsis: String::new(),
        description: String::new(),
        fields: asked.fields.iter().map(field).collect(),
        operations: Vec::new(),
        existence: if asked.asks_first { Existence::Ask } else { Existence::None },
        unauthenticated: false,
        sudo: false,
        accepts_unknown_fields: asked.takes_all,
        raw_body: false,
        request_headers: Vec::new(),
        extra: Vec::new(),
    };
    let shaped = shape(&route, OPERATIONS[asked.operation].0, &asked.captures, &asked.body)?;
    Ok((read(&shaped.data), shaped.supplied, shaped.warnings.len()))
}

fn of_host(asked: &Asked) -> Outcome {
    let field = |declared: &Declared| plugin::Field {
        name: declared.name.clone(),
        kind: KINDS[declared.kind].1,
        description: String::new(),
        required: declared.required,
        default: declared.default.as_deref().map(read),
        allowed: declared.allowed.iter().map(|json| read(json)).collect(),
        sensitive: false,
        deprecated: false,
    };
    let route = plugin::Route {
        pattern: "x".to_owned(),
        synopsis: String::new(),
        description: String::new(),
        fields: asked.fields.iter().map(field).collect(),
        operations: Vec::new(),
        existence: if asked.asks_first { plugin::Existence::Ask } else { plugin::Existence::None },
        unauthenticated: false,
        sudo: false,
        accepts_unknown_fields: asked.takes_all,
        raw_body: false,
        request_headers: Vec::new(),
        when_option: None,
        folded_captures: Vec::new(),
    };
    let operation = OPERATIONS[asked.operation].1;
    let shaped = framework::shape(&route, operation, &asked.captures, asked.body.as_bytes())?;
    let warnings = usize::from(!shaped.ignored.is_empty()) + usize::from(!shaped.replaced.is_empty());
    Ok((read(std::str::from_utf8(&shaped.data).expect("JSON is text")), shaped.supplied, warnings))
}

fn read(json: &str) -> Value {
    if json.is_empty() { Value::Object(serde_json::Map::new()) } else { serde_json::from_str(json).expect("JSON") }
}

/// Alike in what handlers see. What is said of a fault is Vault's own in the host, after
/// the same beginning.
fn alike(asked: &Asked) -> Result<(), TestCaseError> {
    let start = |text: String| {
        let of_request = ["missing required", "error converting", "Field validation failed: error converting"];
        // A default that its own field does not take is the plugin's fault, in anybody's words.
        let told = of_request.iter().any(|start| text.starts_with(start));
        if told { text.split("\": ").next().unwrap_or_default().to_owned() } else { String::new() }
    };
    prop_assert_eq!(of_bench(asked).map_err(start), of_host(asked).map_err(start));
    Ok(())
}

/// Texts that some kind reads as something.
fn text() -> impl Strategy<Value = String> {
    const READ: [&str; 44] = [
        "",
        " ",
        "0",
        "1",
        "-1",
        "+5",
        "007",
        "0x1F",
        "0b11",
        "0o17",
        "08",
        "1_000",
        "0x_1F",
        "0_7",
        "1__0",
        "1.5",
        "1e3",
        "true",
        "T",
        "FALSE",
        "yes",
        "5s",
        "-5s",
        "1h30m",
        "1.5h",
        "5d",
        "1.5d",
        "1h5d",
        "3µs",
        "500ms",
        "9999999999h",
        "a",
        "A b",
        "a,b",
        " a , b ",
        "a=b",
        "a=b,c=d",
        "name.x@y-z",
        "-bad",
        "[1]",
        "{\"a\":\"b\"}",
        "{\"a\":[\"b\",1]}",
        "NaN",
        "9223372036854775808",
    ];
    prop_oneof![4 => proptest::sample::select(&READ[..]).prop_map(str::to_owned), 1 => "[a-z0-9.,= _+-]{0,6}"]
}

fn json() -> impl Strategy<Value = String> {
    const OTHERS: [&str; 13] =
        ["null", "true", "false", "0", "1", "2", "-0", "-7", "1.5", "1e3", "12345678901234567890", "[]", "{}"];
    let quoted = text().prop_map(|text| Value::from(text).to_string());
    let leaf = prop_oneof![3 => quoted, 2 => proptest::sample::select(&OTHERS[..]).prop_map(str::to_owned)];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::btree_map("[a-c]", inner, 0..3).prop_map(object),
        ]
    })
}

fn object(members: std::collections::BTreeMap<String, String>) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn declared() -> impl Strategy<Value = Vec<Declared>> {
    let field = ("[a-d]", 0..KINDS.len(), any::<bool>(), proptest::option::weighted(0.2, json()), allowed());
    proptest::collection::vec(field, 0..4).prop_map(|fields| {
        let mut all: Vec<Declared> = Vec::new();
        for (name, kind, required, default, allowed) in fields {
            if all.iter().all(|known| known.name != name) {
                all.push(Declared { name, kind, required, default, allowed });
            }
        }
        all
    })
}

fn allowed() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![6 => Just(Vec::new()), 1 => proptest::collection::vec(json(), 1..3)]
}

fn asked() -> impl Strategy<Value = Asked> {
    let body = proptest::collection::btree_map("[a-e]", json(), 0..4).prop_map(object);
    let captures = proptest::collection::vec(("[a-d]", "[a-z]{1,3}"), 0..2);
    (declared(), any::<bool>(), any::<bool>(), 0..OPERATIONS.len(), captures, body).prop_map(
        |(fields, takes_all, asks_first, operation, captures, body)| Asked {
            fields,
            takes_all,
            asks_first,
            operation,
            captures,
            body,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_becomes_on_the_bench_what_the_host_makes_of_it(asked in asked()) {
        alike(&asked)?;
    }

    #[test]
    fn a_value_becomes_on_the_bench_what_the_host_makes_of_it(kind in 0..KINDS.len(), value in json()) {
        let field = Declared { name: "a".to_owned(), kind, required: false, default: None, allowed: Vec::new() };
        let body = format!("{{\"a\":{value}}}");
        let asked =
            Asked { fields: vec![field], takes_all: false, asks_first: false, operation: 0, captures: Vec::new(), body };
        alike(&asked)?;
    }
}
