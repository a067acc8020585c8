//! What a field of each kind makes of a JSON value: the host's rules, without its texts.
//! A time passes as it is, since only the host has a calendar; a map of headers is not
//! taken in base64.

use serde_json::{Map, Value};

use crate::bindings::mounted::bulkhead::plugin::types::FieldKind;

/// Whether null in a field of this kind counts as not sent. In all others it is a value.
pub(super) const fn null_is_absent(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Duration | FieldKind::SignedDuration | FieldKind::Time)
}

/// The value as its kind wants it, as JSON text. Null is the empty value of its kind; a map's stays null.
pub(super) fn coerce(kind: FieldKind, text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| "error parsing JSON".to_owned())?;
    let is_as_it_should = match (kind, &value) {
        (FieldKind::Any | FieldKind::Time, _)
        | (FieldKind::Duration | FieldKind::SignedDuration | FieldKind::AnyMap, Value::Null)
        | (FieldKind::AnyMap, Value::Object(_))
        | (FieldKind::AnyList, Value::Array(_)) => true,
        (FieldKind::Integer | FieldKind::SignedDuration, _) => text.parse::<i64>().is_ok(),
        (FieldKind::Duration, _) => text.parse::<u64>().is_ok(),
        _ => false,
    };
    if is_as_it_should {
        return Ok(text.to_owned());
    }
    let converted = match kind {
        FieldKind::Any | FieldKind::Time => None,
        FieldKind::Text => plain(&value).map(Value::from),
        FieldKind::LowercaseText => plain(&value).map(|text| Value::from(text.to_lowercase())),
        FieldKind::Name => plain(&value).filter(|text| is_name(text)).map(Value::from),
        FieldKind::Integer => integer(&value),
        FieldKind::Boolean => boolean(&value),
        FieldKind::Float => float(&value),
        FieldKind::Duration => duration(&value).filter(|secs| *secs >= 0).map(Value::from),
        FieldKind::SignedDuration => duration(&value).map(Value::from),
        FieldKind::AnyMap => map(value).map(Value::Object),
        FieldKind::StringMap => text_map(value),
        FieldKind::AnyList => Some(Value::Array(list(value))),
        FieldKind::StringList => texts(&list(value)),
        FieldKind::CommaStringList => texts(&comma_list(value)),
        FieldKind::CommaIntegerList => comma_list(value).iter().map(integer).collect(),
        FieldKind::HeaderMap => headers(value),
    };
    converted.map(|value| value.to_string()).ok_or_else(|| format!("cannot be taken as {kind:?}"))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let inner = |letter: char| word(letter) || matches!(letter, '-' | '.' | '@');
    text.starts_with(word) && text.ends_with(word) && text.chars().all(inner)
}

fn integer(value: &Value) -> Option<Value> {
    let text = plain(value)?;
    if text.is_empty() { Some(Value::from(0)) } else { go_integer(&text).map(Value::from) }
}

/// As Go reads one where the text may name its base, and digits may have an underscore between them.
fn go_integer(text: &str) -> Option<i64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let body = body.to_ascii_lowercase();
    let bases = [("0x", 16), ("0b", 2), ("0o", 8)];
    let named = bases.iter().find_map(|(prefix, base)| Some((body.strip_prefix(prefix)?, *base)));
    let octal = || body.strip_prefix('0').filter(|digits| !digits.is_empty()).map(|digits| (digits, 8));
    let (digits, base) = named.or_else(octal).unwrap_or((&body, 10));
    if body.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.starts_with(['-', '+']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

fn boolean(value: &Value) -> Option<Value> {
    match plain(value)?.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(Value::Bool(true)),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn float(value: &Value) -> Option<Value> {
    match value {
        Value::Null => Some(Value::from(0.0)),
        Value::Number(_) => Some(value.clone()),
        Value::Bool(value) => Some(Value::from(f64::from(u8::from(*value)))),
        Value::String(text) if text.is_empty() => Some(Value::from(0.0)),
        Value::String(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        _ => None,
    }
}

/// In seconds. Empty text is none at all.
fn duration(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => crate::time::parse_duration(&number.to_string()),
        Value::String(text) if text.is_empty() => Some(0),
        Value::String(text) => crate::time::parse_duration(text),
        _ => None,
    }
}

/// A list of maps counts as their union.
fn map(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        Value::Array(items) => {
            let maps: Option<Vec<_>> = items.into_iter().map(map_alone).collect();
            Some(maps?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn map_alone(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(members) = value { Some(members) } else { None }
}

/// A map of texts, or a list of `name=value`.
fn text_map(value: Value) -> Option<Value> {
    let is_map = match &value {
        Value::Array(items) => items.iter().all(Value::is_object),
        other => other.is_object(),
    };
    let mut members = Map::new();
    if is_map {
        for (name, member) in map(value)? {
            members.insert(name, plain(&member)?.into());
        }
    } else {
        for item in comma_list(value) {
            let pair = plain(&item)?;
            let (name, value) = pair.split_once('=')?;
            members.insert(name.to_owned(), value.into());
        }
    }
    Some(Value::Object(members))
}

/// A list; anything else is a list of one, empty text and a map without members a list of none.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        Value::Object(members) if members.is_empty() => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        other => vec![other],
    }
}

fn comma_list(value: Value) -> Vec<Value> {
    match value {
        Value::String(text) if !text.is_empty() => text.split(',').map(|part| part.trim().into()).collect(),
        other => list(other),
    }
}

fn texts(items: &[Value]) -> Option<Value> {
    items.iter().map(|item| Some(Value::from(plain(item)?.trim()))).collect()
}

/// Names to lists of texts; such a map may come as text.
fn headers(value: Value) -> Option<Value> {
    let value = match value {
        Value::Null => return Some(Value::Object(Map::new())),
        Value::String(text) => serde_json::from_str(&text).ok()?,
        other => other,
    };
    let mut headers = Map::new();
    for (name, values) in map(value)? {
        headers.insert(name, texts(&list(values))?);
    }
    Some(Value::Object(headers))
}
