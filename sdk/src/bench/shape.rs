//! Coercion, checks and defaults of declared fields: the host's rules in short. The host
//! is the authority (and knows Vault's texts for every mismatch); here they only have to
//! give handlers the same values.

use serde_json::{Map, Value};

use crate::bindings::mounted::bulkhead::plugin::types::{Existence, Field, FieldKind, Operation, Route};

/// A request's data after the host is done with it.
pub(super) struct Shaped {
    pub(super) data: String,
    pub(super) supplied: Vec<String>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn shape(
    route: &Route,
    operation: Operation,
    captures: &[(String, String)],
    body: &str,
) -> Result<Shaped, String> {
    if route.accepts_unknown_fields && matches!(operation, Operation::Create | Operation::Update | Operation::Patch) {
        return Ok(Shaped { data: body.to_owned(), supplied: Vec::new(), warnings: Vec::new() });
    }
    let members = split(body)?;
    let mut shaped = Shaped { data: String::new(), supplied: Vec::new(), warnings: Vec::new() };
    let mut out = Map::new();
    let mut raw = Vec::new();
    let (mut ignored, mut replaced) = (Vec::new(), Vec::new());
    for (name, text) in members {
        if captures.iter().any(|(capture, _)| *capture == name) {
            replaced.push(name);
            continue;
        }
        let Some(field) = route.fields.iter().find(|field| field.name == name) else {
            ignored.push(name);
            continue;
        };
        let value = coerce(field, &text).map_err(|cause| mismatch(route, operation, &name, &cause))?;
        shaped.supplied.push(name.clone());
        match value {
            Some(value) => drop(out.insert(name, value)),
            None => raw.push((name, text)),
        }
    }
    let writes = matches!(operation, Operation::Create | Operation::Update);
    for field in &route.fields {
        let missing =
            !shaped.supplied.contains(&field.name) && captures.iter().all(|(capture, _)| *capture != field.name);
        match &field.default {
            Some(json) if missing => {
                let text = String::from_utf8_lossy(json).into_owned();
                match coerce(field, &text)? {
                    Some(value) => drop(out.insert(field.name.clone(), value)),
                    None => raw.push((field.name.clone(), text)),
                }
            }
            None if missing && field.required && writes => {
                return Err(format!("missing required field {:?}", field.name));
            }
            _ => {}
        }
    }
    shaped.data = write(&out, &raw);
    shaped.warnings = warnings(&ignored, &replaced);
    Ok(shaped)
}

fn split(body: &str) -> Result<Vec<(String, String)>, String> {
    if !body.is_empty() {
        serde_json::from_str::<Map<String, Value>>(body).map_err(|_| "error parsing JSON".to_owned())?;
    }
    let members = crate::json::members(body.as_bytes()).map_err(|_| "error parsing JSON".to_owned())?;
    Ok(members.flatten().map(|(name, text)| (name.into_owned(), text.to_owned())).collect())
}

fn write(values: &Map<String, Value>, raw: &[(String, String)]) -> String {
    let object =
        values.iter().fold(crate::json::Object::new(), |object, (name, value)| object.json(name, &value.to_string()));
    raw.iter().fold(object, |object, (name, text)| object.json(name, text)).end()
}

fn warnings(ignored: &[String], replaced: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    if !ignored.is_empty() {
        warnings.push(format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" ")));
    }
    if !replaced.is_empty() {
        let names = replaced.join(" ");
        warnings.push(format!("Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{names}]"));
    }
    warnings
}

/// Vault validates twice: before the existence check without the prefix, else with it.
fn mismatch(route: &Route, operation: Operation, name: &str, cause: &str) -> String {
    let asked_before = operation == Operation::Update && !matches!(route.existence, Existence::None);
    let prefix = if asked_before { "" } else { "Field validation failed: " };
    format!("{prefix}error converting input for field {name:?}: {cause}")
}

/// The value as its kind wants it; `None`: pass the text through as it is.
fn coerce(field: &Field, text: &str) -> Result<Option<Value>, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| "error parsing JSON".to_owned())?;
    if value.is_null() {
        return Ok(None);
    }
    let converted = match field.kind {
        FieldKind::Any | FieldKind::AnyList | FieldKind::HeaderMap => return Ok(None),
        FieldKind::AnyMap | FieldKind::StringMap if value.is_object() => return Ok(None),
        FieldKind::AnyMap | FieldKind::StringMap => None,
        FieldKind::Integer => integer(&value),
        FieldKind::Duration | FieldKind::SignedDuration => duration(&value),
        FieldKind::Boolean => boolean(&value),
        FieldKind::Float => value.as_f64().or_else(|| value.as_str()?.parse().ok()).map(Value::from),
        FieldKind::CommaStringList | FieldKind::StringList => texts(&value),
        FieldKind::CommaIntegerList => texts(&value).and_then(|texts| texts.as_array()?.iter().map(integer).collect()),
        FieldKind::LowercaseText => plain(&value).map(|text| Value::from(text.to_lowercase())),
        FieldKind::Text | FieldKind::Name | FieldKind::Time => plain(&value).map(Value::from),
    };
    converted.map(Some).ok_or_else(|| format!("cannot be taken as {:?}", field.kind))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<Value> {
    let parse = |text: &str| if text.is_empty() { Some(0) } else { text.parse().ok() };
    value.as_i64().or_else(|| parse(value.as_str()?)).map(Value::from)
}

fn boolean(value: &Value) -> Option<Value> {
    let parse = |text: &str| match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    };
    value
        .as_bool()
        .or_else(|| value.as_i64().map(|number| number != 0))
        .or_else(|| parse(value.as_str()?))
        .map(Value::from)
}

fn duration(value: &Value) -> Option<Value> {
    if let Some(secs) = integer(value) {
        return Some(secs);
    }
    crate::time::parse_duration(value.as_str()?).map(Value::from)
}

fn texts(value: &Value) -> Option<Value> {
    match value {
        Value::Array(items) => items.iter().map(plain).map(|text| text.map(Value::from)).collect(),
        Value::String(text) if text.is_empty() => Some(Value::Array(Vec::new())),
        Value::String(text) => Some(text.split(',').map(|part| Value::from(part.trim())).collect()),
        other => plain(other).map(|text| Value::Array(vec![Value::from(text)])),
    }
}
