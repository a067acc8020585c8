//! Custom metadata: a small map of texts, checked against Vault's limits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{json, names};

/// Most members. Source: Vault.
const KEYS_MAX: usize = 64;
/// Longest name, in bytes. Source: Vault.
const KEY_BYTES_MAX: usize = 128;
/// Longest value, in bytes. Source: Vault.
const VALUE_BYTES_MAX: usize = 512;

type Texts = BTreeMap<String, String>;

/// The map that replaces the old one, as it is stored: JSON text, empty for none.
pub(crate) fn replaced(json: &Raw) -> Result<String> {
    stored(&changed(Texts::new(), json, |value| text(value).map(Some))?)
}

/// The stored map with members changed; null removes one, and null for all removes all.
pub(crate) fn patched(before: &str, json: &Raw) -> Result<String> {
    if json == "null" {
        return Ok(String::new());
    }
    let before = changed(Texts::new(), before, |value| text(value).map(Some))?;
    stored(&changed(before, json, |value| if value == "null" { Ok(None) } else { text(value).map(Some) })?)
}

/// A map with the members of an object put in, or removed where their value becomes none.
fn changed(mut texts: Texts, json: &Raw, value_of: impl Fn(&Raw) -> Result<Option<String>>) -> Result<Texts> {
    let object = if json == "null" { "" } else { json };
    let not_a_map = |_| Error::invalid("custom_metadata validation failed: not a map");
    for member in json::members(object.as_bytes()).map_err(not_a_map)? {
        let (name, value) = member.map_err(not_a_map)?;
        match value_of(value)? {
            Some(text) => drop(texts.insert(name.into_owned(), text)),
            None => drop(texts.remove(&*name)),
        }
    }
    Ok(texts)
}

/// Weakly typed, as Vault is: numbers and booleans become texts.
fn text(value: &Raw) -> Result<String> {
    match value.as_bytes().first() {
        Some(b'"') => json::unquote(value).map(Cow::into_owned).ok_or_else(|| unconvertible("string")),
        Some(b'[') => Err(unconvertible("[]interface {}")),
        Some(b'{') => Err(unconvertible("map[string]interface {}")),
        Some(b't') => Ok("1".to_owned()),
        Some(b'f') => Ok("0".to_owned()),
        Some(b'n') => Ok(String::new()),
        _ => Ok(value.to_owned()),
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
    let object = texts.iter().fold(json::Object::new(), |object, (name, value)| object.text(name, value));
    Ok(object.end())
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
    text.chars().all(names::is_printable)
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
            seen if names::is_printable(seen) => out.push(seen),
            unseen if unseen.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(unseen))),
            unseen if unseen <= '\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(unseen))),
            unseen => out.push_str(&format!("\\U{:08x}", u32::from(unseen))),
        }
    }
    out.push('"');
    out
}
