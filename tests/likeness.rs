//! Whether two servers answer alike, once what must differ (ids, times, versions,
//! names of products) is taken out. What must not live here: what is right; that
//! is for the case files.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::http::Reply;
use crate::shape::{VAULTS, shortened};

/// Headers compared, by presence and, for the first two, by value.
const HEADERS: [&str; 5] = ["Cache-Control", "Content-Type", "Strict-Transport-Security", "Location", "Retry-After"];

/// Fields whose numbers depend on the moment.
const MOMENTS: [&str; 8] = [
    "ttl",
    "creation_time",
    "last_renewal_time",
    "server_time_utc",
    "lease_duration",
    "raft_committed_index",
    "raft_applied_index",
    "encryptions",
];

/// What differs from node to node, anywhere in a text.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let varying = |pattern, name| (Regex::new(pattern).expect("a pattern of ours"), name);
    vec![
        varying(r"127\.0\.0\.1:\d+", "<address>"),
        varying("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
        varying(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
        varying(r"\b(hv)?[sb]\.[A-Za-z0-9_-]{20,}", "<token>"),
        varying("hmac-sha256:[0-9a-f]{64}", "<hmac>"),
        varying(r"\b[a-z0-9_-]+_([0-9a-f]{8}){1,2}\b", "<accessor>"),
        varying(r"^[A-Za-z0-9]{24}$", "<accessor>"),
        varying(r"^[A-Za-z0-9]{24}\.[A-Za-z0-9]{6}$", "<accessor>.<ns>"),
        varying(r"(?P<id><(token|accessor)>)\.[A-Za-z0-9]{6}\b", "$id.<ns>"),
        // Only one of the two ends the ids of entities with that of their namespace.
        varying(r"<uuid>\.[A-Za-z0-9]{6}\b", "<uuid>"),
        varying(r"v?\d+\.\d+\.\d+(\+(builtin|bulkhead)\.[\w.]+)?", "<version>"),
        varying(r"\b[0-9a-f]{40,}\b", "<hex>"),
        varying(r"^[A-Za-z0-9+/]{40,}=*$", "<base64>"),
        varying(r"/tmp/\S*bulkhead-test-\w+", "<dir>"),
        varying(r"\b(OpenBao|Bulkhead|bulkhead|Vault)\b", "<product>"),
        varying(r"vault-cluster-[0-9a-f]{8}|bulkhead-cluster-[0-9a-f]{8}", "<cluster>"),
    ]
});

/// Fields that may hold the id of a namespace, and what such an id looks like.
const NAMESPACES: [&str; 2] = ["id", "namespace_id"];
static NAMESPACE: LazyLock<Regex> = LazyLock::new(|| Regex::new("^[A-Za-z0-9]{6}$").expect("a pattern of ours"));

/// Fields whose texts are each product's own.
const OWN: [&str; 1] = ["running_sha256"];

/// Where the second answer differs from the first: dotted path and sentence.
pub fn differences(first: &Reply, second: &Reply) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if first.status != second.status {
        found.push(("status".to_owned(), format!("{} and {}", first.status, second.status)));
    }
    for name in HEADERS {
        let value = |reply: &Reply| reply.header(name).map(varied);
        if value(first) != value(second) {
            found.push((format!("header.{name}"), format!("{:?} and {:?}", value(first), value(second))));
        }
    }
    match (first.json(), second.json()) {
        (Value::Null, Value::Null) => texts(&first.text(), &second.text(), "body", &mut found),
        (one, other) => values(&one, &other, "", &mut found),
    }
    found
}

fn values(one: &Value, other: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            for (key, value) in fields {
                match others.get(key) {
                    Some(theirs) => values(value, theirs, &below(at, key), found),
                    None => found
                        .push((below(at, key), format!("only the first has it: {}", shortened(&value.to_string())))),
                }
            }
            let new = others.iter().filter(|(key, _)| !fields.contains_key(*key) && !VAULTS.contains(&key.as_str()));
            found.extend(new.map(|(key, value)| {
                (below(at, key), format!("only the second has it: {}", shortened(&value.to_string())))
            }));
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (i, (item, theirs)) in items.iter().zip(others).enumerate() {
                values(item, theirs, &below(at, &i.to_string()), found);
            }
        }
        (Value::String(_), Value::String(_))
            if OWN.iter().any(|name| at.ends_with(&format!(".{name}")) || at == *name) => {}
        (Value::String(text), Value::String(theirs))
            if NAMESPACES.contains(&at.rsplit('.').next().unwrap_or_default())
                && NAMESPACE.is_match(text)
                && NAMESPACE.is_match(theirs) => {}
        (Value::String(text), Value::String(theirs)) => texts(text, theirs, at, found),
        (Value::Number(_), Value::Number(_))
            if MOMENTS.iter().any(|name| at == *name || at.ends_with(&format!(".{name}"))) => {}
        _ if one == other => {}
        _ => found
            .push((at.to_owned(), format!("{} and {}", shortened(&one.to_string()), shortened(&other.to_string())))),
    }
}

fn texts(one: &str, other: &str, at: &str, found: &mut Vec<(String, String)>) {
    if varied(one) != varied(other) {
        found.push((at.to_owned(), format!("{:?} and {:?}", shortened(one), shortened(other))));
    }
}

fn varied(text: &str) -> String {
    VARYING.iter().fold(text.to_owned(), |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned())
}

fn below(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}
