//! Custom metadata: a small map of texts, checked against Vault's limits.

use std::collections::BTreeMap;

use bulkhead_sdk::prelude::*;

/// Most members. Source: Vault.
const KEYS_MAX: usize = 64;
/// Longest name, in bytes. Source: Vault.
const KEY_BYTES_MAX: usize = 128;
/// Longest value, in bytes. Source: Vault.
const VALUE_BYTES_MAX: usize = 512;

type Texts = BTreeMap<String, String>;

/// The map that replaces the old one, as it is stored: JSON text, empty for none.
pub(crate) fn replaced(json: &Raw) -> Result<String> {
    let members: Option<BTreeMap<String, Value>> = parse(json)?;
    let texts = members.unwrap_or_default().into_iter().map(|(name, value)| Ok((name, text(value)?)));
    stored(&texts.collect::<Result<_>>()?)
}

/// The stored map with members changed; null removes one, and null for all removes all.
pub(crate) fn patched(before: &str, json: &Raw) -> Result<String> {
    let Some(changes) = parse::<Option<BTreeMap<String, Value>>>(json)? else { return Ok(String::new()) };
    let mut texts: Texts = if before.is_empty() { Texts::new() } else { parse(before)? };
    for (name, change) in changes {
        match change {
            Value::Null => drop(texts.remove(&name)),
            value => drop(texts.insert(name, text(value)?)),
        }
    }
    stored(&texts)
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| Error::invalid("custom_metadata validation failed: not a map"))
}

/// Weakly typed, as Vault is: numbers and booleans become texts.
fn text(value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Bool(value) => Ok(u8::from(value).to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(_) => Err(unconvertible("[]interface {}")),
        Value::Object(_) => Err(unconvertible("map[string]interface {}")),
    }
}

fn unconvertible(kind: &str) -> Error {
    Error::invalid(format!(
        "custom_metadata validation failed: '' expected type 'string', got unconvertible type '{kind}'"
    ))
}

fn stored(texts: &Texts) -> Result<String> {
    check(texts)?;
    if texts.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(texts).map_err(|error| Error::internal(format!("encoding metadata: {error}")))
}

/// Names every fault at once, in the form of a Go multi-error.
fn check(texts: &Texts) -> Result<()> {
    let mut faults = Vec::new();
    if texts.len() > KEYS_MAX {
        faults.push(format!("payload must contain at most {KEYS_MAX} keys, provided {}", texts.len()));
    } else {
        texts.iter().for_each(|(name, value)| check_one(name, value, &mut faults));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let noun = if faults.len() == 1 { "error" } else { "errors" };
    let lines: String =
        faults.iter().map(|fault| format!("\t* custom_metadata validation failed: {fault}\n")).collect();
    Err(Error::invalid(format!("{} {noun} occurred:\n{lines}\n", faults.len())))
}

fn check_one(name: &str, value: &str, faults: &mut Vec<String>) {
    let quoted = quoted(name);
    if name.is_empty() || name.len() > KEY_BYTES_MAX {
        faults.push(format!("length of key {quoted} is {} but must be 0 < len(key) <= {KEY_BYTES_MAX}", name.len()));
    }
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        let length = value.len();
        faults.push(format!(
            "length of value for key {quoted} is {length} but must be 0 < len(value) <= {VALUE_BYTES_MAX}"
        ));
    }
    if !printable(name) {
        faults.push(format!("key {quoted} ({name}) contains unprintable characters"));
    }
    if !printable(value) {
        faults.push(format!("value for key {quoted} contains unprintable characters"));
    }
}

fn printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Go's `%q`, for the characters that occur in names.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\x{:02x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
