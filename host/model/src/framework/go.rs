//! Words that Go's decoder uses for JSON values, because they reach clients in errors.

use serde_json::Value;

use crate::path::is_printable;

/// A value's type, as Go calls it.
pub(super) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "json.Number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%v` prints it.
pub(super) fn print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(" ")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{name}:{}", print(value))).collect();
            format!("map[{}]", members.join(" "))
        }
    }
}

/// A value of a type that no conversion takes.
pub(super) fn unconvertible(place: &str, wanted: &str, value: &Value) -> String {
    format!("'{place}' expected type '{wanted}', got unconvertible type '{}'", type_name(value))
}

/// Why a text is no whole number.
pub(super) fn not_an_integer(place: &str, text: &str) -> String {
    let digits = text.trim_start_matches(['-', '+']);
    let cause = if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        "value out of range"
    } else {
        "invalid syntax"
    };
    format!("'{place}' cannot parse value as 'int': strconv.ParseInt: {cause}")
}

/// A text in quotes, as Go's `%q` prints it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
