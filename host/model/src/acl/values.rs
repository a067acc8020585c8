//! What rules about parameters say of the values that were sent.

use serde_json::Value;

use crate::path;

/// No values listed means any value. Strings may begin or end with `*`.
pub(super) fn value_listed(value: &Value, list: &[Value]) -> bool {
    list.is_empty()
        || list.iter().any(|item| match (item, value) {
            (Value::String(pattern), Value::String(text)) => glob(pattern, text),
            _ => item == value,
        })
}

/// The policies that a parameter names, in the form that they are known by. Whoever takes them takes ` DEV`
/// for `dev`, and a text for a list: a rule about values would otherwise hold for what is written, and not
/// for what it comes to.
pub(super) fn policies_in(name: &str, value: &Value) -> Vec<String> {
    if name != "policies" && !name.ends_with("_policies") {
        return Vec::new();
    }
    let texts = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let names = texts.iter().flat_map(|text| text.split(',')).map(|name| path::lowered(name.trim()));
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether a policy is among the values of a list, in any spelling.
pub(super) fn policy_listed(policy: &str, list: &[Value]) -> bool {
    list.iter().filter_map(Value::as_str).any(|pattern| glob(&path::lowered(pattern.trim()), policy))
}

/// As Vault reads it: one `*` at either end, and a `*` alone is that text and no other.
fn glob(pattern: &str, text: &str) -> bool {
    if pattern.len() < 2 {
        return text == pattern;
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => text == pattern,
    }
}
