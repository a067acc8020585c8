//! Vault's weakly typed conversions: what a field of each kind makes of a JSON value.
//! The texts are those of OpenBao 2.7.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::go::{not_an_integer, print, unconvertible};
use crate::duration::{self, DurationError};
use crate::plugin::FieldKind;

/// The value as its kind wants it, as JSON text; borrowed where it is that already.
/// Null is the empty value of its kind, which takes back what was set; a map's stays null, as a
/// guest may tell it from one without members.
///
/// # Errors
/// Vault's text, without the field's name.
pub(super) fn coerce<'a>(kind: FieldKind, json: &'a str) -> Result<Cow<'a, str>, String> {
    if fits(kind, json) || (json == "null" && (kind == FieldKind::AnyMap || null_is_absent(kind))) {
        return Ok(Cow::Borrowed(json));
    }
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    convert(kind, value).map(|value| Cow::Owned(value.to_string()))
}

/// Whether null in a field of this kind counts as not sent. In all others it is a value.
#[must_use]
pub const fn null_is_absent(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Duration | FieldKind::SignedDuration | FieldKind::Time)
}

/// Whether the text is of the kind as it stands, by its first byte; most values are, and
/// large ones are then never parsed.
fn fits(kind: FieldKind, json: &str) -> bool {
    match (kind, json.as_bytes().first()) {
        (FieldKind::Any, _) | (FieldKind::Text, Some(b'"')) | (FieldKind::AnyMap, Some(b'{')) => true,
        (FieldKind::AnyList, Some(b'[')) | (FieldKind::Boolean, Some(b't' | b'f')) => true,
        (FieldKind::Integer | FieldKind::SignedDuration, _) => json.parse::<i64>().is_ok(),
        (FieldKind::Duration, _) => json.parse::<u64>().is_ok(),
        _ => false,
    }
}

/// The value as its kind wants it.
///
/// # Errors
/// Vault's text, without the field's name.
pub fn convert(kind: FieldKind, value: Value) -> Result<Value, String> {
    match kind {
        FieldKind::Any => Ok(value),
        FieldKind::Text => text("", &value).map(Value::String),
        FieldKind::LowercaseText => text("", &value).map(|text| Value::String(text.to_lowercase())),
        FieldKind::Name => name(&value),
        FieldKind::Integer => integer("", &value).map(Value::from),
        FieldKind::Boolean => boolean(&value).map(Value::Bool),
        FieldKind::Float => float(&value),
        FieldKind::Duration => secs(&value, false).map(Value::from),
        FieldKind::SignedDuration => secs(&value, true).map(Value::from),
        FieldKind::Time => time(value),
        FieldKind::AnyMap => map(value).map(Value::Object),
        FieldKind::StringMap => string_map(value),
        FieldKind::AnyList => Ok(Value::Array(list(value))),
        FieldKind::StringList => strings(&list(value)),
        FieldKind::CommaStringList => parts(&comma_list(value)),
        FieldKind::CommaIntegerList => integers(&comma_list(value)),
        FieldKind::HeaderMap => header_map(value),
    }
}

fn text(place: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(u8::from(*value).to_string()),
        other => Err(unconvertible(place, "string", other)),
    }
}

/// Word characters; inside also `-`, `.` and `@`.
fn name(value: &Value) -> Result<Value, String> {
    let text = text("", value)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let inner = |letter: char| word(letter) || matches!(letter, '-' | '.' | '@');
    if text.starts_with(word) && text.ends_with(word) && text.chars().all(inner) {
        return Ok(Value::String(text));
    }
    Err("field validation failed".to_owned())
}

fn integer(place: &str, value: &Value) -> Result<i64, String> {
    match value {
        Value::Null => Ok(0),
        Value::Bool(value) => Ok((*value).into()),
        Value::Number(number) => {
            go_integer(&number.to_string()).ok_or_else(|| not_an_integer(place, &number.to_string()))
        }
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => go_integer(text).ok_or_else(|| not_an_integer(place, text)),
        other => Err(unconvertible(place, "int", other)),
    }
}

/// Go's `ParseInt` with base 0: a prefix may name the base, and one underscore may stand between
/// digits, or between the prefix and them.
fn go_integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        [b'_', ..] => return None,
        _ => (10, lower.as_str()),
    };
    if digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.starts_with(['-', '+']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn boolean(value: &Value) -> Result<bool, String> {
    let text = match value {
        Value::Bool(value) => return Ok(*value),
        Value::Null => return Ok(false),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => return Err(unconvertible("", "bool", other)),
    };
    match text.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax".to_owned()),
    }
}

fn float(value: &Value) -> Result<Value, String> {
    let parsed = match value {
        Value::Null => Some(0.0),
        Value::Number(_) => return Ok(value.clone()),
        Value::Bool(value) => return Ok(Value::from(f64::from(u8::from(*value)))),
        Value::String(text) if text.is_empty() => Some(0.0),
        Value::String(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
        other => return Err(unconvertible("", "float64", other)),
    };
    parsed
        .map(Value::from)
        .ok_or_else(|| "'' cannot parse value as 'float64': strconv.ParseFloat: invalid syntax".to_owned())
}

fn secs(value: &Value, signed: bool) -> Result<i64, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err("could not parse duration from input".to_owned()),
    };
    let (negative, size) = match duration::parse_secs(&text) {
        Err(DurationError::Negative(_)) => (true, duration::parse_secs(text.trim_start_matches('-'))),
        parsed => (false, parsed),
    };
    let size = i64::try_from(size.map_err(|error| error.to_string())?).unwrap_or(i64::MAX);
    match (negative, signed) {
        (false, _) => Ok(size),
        (true, true) => Ok(-size),
        (true, false) => Err(format!("cannot provide negative value '-{size}'")),
    }
}

/// RFC 3339; whole numbers are seconds since 1970.
fn time(value: Value) -> Result<Value, String> {
    use ::time::OffsetDateTime;
    use ::time::format_description::well_known::Rfc3339;
    let unfit = || "could not parse time from input".to_owned();
    let parsed = match &value {
        Value::Number(number) => number.as_i64().and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok()),
        Value::String(text) => match text.parse::<i64>() {
            Ok(secs) => OffsetDateTime::from_unix_timestamp(secs).ok(),
            Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
        },
        _ => None,
    };
    let text = parsed.ok_or_else(unfit)?.format(&Rfc3339).map_err(|_| unfit())?;
    Ok(Value::String(text))
}

/// A map; a list of maps counts as their union, an empty list as an empty map.
fn map(value: Value) -> Result<Map<String, Value>, String> {
    const WANTED: &str = "map[string]interface {}";
    match value {
        Value::Object(members) => Ok(members),
        Value::Array(items) => {
            let mut union = Map::new();
            for (place, item) in items.into_iter().enumerate() {
                match item {
                    Value::Object(members) => union.extend(members),
                    other => return Err(unconvertible(&format!("[{place}]"), WANTED, &other)),
                }
            }
            Ok(union)
        }
        other => Err(unconvertible("", WANTED, &other)),
    }
}

/// A map of texts, or a list of `name=value`.
fn string_map(value: Value) -> Result<Value, String> {
    let mut members = Map::new();
    match value {
        Value::Object(_) | Value::Array(_) if is_map(&value) => {
            for (name, member) in map(value)? {
                let member = text(&format!("[{name}]"), &member)?;
                members.insert(name, Value::String(member));
            }
        }
        other => {
            for item in comma_list(other) {
                let pair = text("", &item)?;
                let (name, value) = pair.split_once('=').ok_or_else(|| format!("invalid key pair {pair:?}"))?;
                members.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
    }
    Ok(Value::Object(members))
}

fn is_map(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().all(Value::is_object),
        _ => false,
    }
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

/// As [`list`], but a text is split at its commas.
fn comma_list(value: Value) -> Vec<Value> {
    match value {
        Value::String(text) if !text.is_empty() => text.split(',').map(|part| Value::from(part.trim())).collect(),
        other => list(other),
    }
}

/// Texts, each without space around it; or the places and values of those that are none.
fn each_text(items: &[Value]) -> Result<Value, Vec<(usize, &Value)>> {
    let is_unfit = |(_, item): &(usize, &Value)| item.is_array() || item.is_object();
    let unfit: Vec<_> = items.iter().enumerate().filter(is_unfit).collect();
    if !unfit.is_empty() {
        return Err(unfit);
    }
    Ok(items.iter().filter_map(|item| text("", item).ok()).map(|text| Value::from(text.trim())).collect())
}

/// A list of texts as the newer of two decoders tells what is wrong with it.
fn strings(items: &[Value]) -> Result<Value, String> {
    each_text(items).map_err(|unfit| {
        let told: Vec<_> =
            unfit.iter().map(|(place, item)| unconvertible(&format!("[{place}]"), "string", item)).collect();
        format!("decoding failed due to the following error(s):\n\n{}", told.join("\n"))
    })
}

/// The same by the older one, which reads all that may be one text with commas. It sorts its faults by their text.
fn parts(items: &[Value]) -> Result<Value, String> {
    each_text(items).map_err(|unfit| {
        let tell = |(place, item): &(usize, &Value)| {
            format!("* {}, value: '{}'", unconvertible(&format!("[{place}]"), "string", item), print(item))
        };
        let mut told: Vec<_> = unfit.iter().map(tell).collect();
        told.sort_unstable();
        format!("{} error(s) decoding:\n\n{}", told.len(), told.join("\n"))
    })
}

fn integers(items: &[Value]) -> Result<Value, String> {
    let numbers = items.iter().enumerate().map(|(place, item)| integer(&format!("[{place}]"), item).map(Value::from));
    let numbers: Result<_, String> = numbers.collect();
    numbers.map(Value::Array).map_err(|cause| format!("decoding failed due to the following error(s):\n\n{cause}"))
}

/// Names to lists of texts. A text is such a map as JSON, perhaps in base64.
fn header_map(value: Value) -> Result<Value, String> {
    use base64::Engine as _;
    let parsed = match value {
        Value::Null => return Ok(Value::Object(Map::new())),
        Value::String(text) => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes());
            serde_json::from_slice(&decoded).map_err(|_| "could not parse headers from input".to_owned())?
        }
        other => other,
    };
    let mut headers = Map::new();
    for (name, values) in map(parsed)? {
        headers.insert(name, parts(&list(values))?);
    }
    Ok(Value::Object(headers))
}
