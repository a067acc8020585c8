//! Metadata of a secret id as callers send it: JSON, pairs `name=value` separated by
//! commas, or either of these in base64.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{json, names};

/// Names and values, in the order of names.
pub(crate) type Metadata = BTreeMap<String, String>;

/// Reads metadata; nothing at all is none.
pub(crate) fn parse(text: &str) -> Result<Metadata> {
    let text = text.trim();
    let decoded = base64(text).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.map_or(Cow::Borrowed(text), Cow::Owned);
    let metadata = match object(&text) {
        Some(metadata) => metadata,
        None => pairs(&text).map_err(|cause| wrong(&format!("failed to parse the input: {cause}")))?,
    };
    // With the role's own name, which each login adds.
    let pairs = metadata.iter().map(|(name, value)| if name.len() > value.len() { name } else { value });
    names::carried("pairs of metadata", pairs.chain([&String::new()]))?;
    match metadata.iter().find(|(name, value)| !name.is_empty() && value.is_empty()) {
        Some((name, _)) => Err(wrong(&format!("invalid value for key {name:?}"))),
        None => Ok(metadata),
    }
}

fn wrong(cause: &str) -> Error {
    Error::invalid(format!("failed to parse metadata: {cause}"))
}

/// A JSON object of texts.
fn object(text: &str) -> Option<Metadata> {
    if text.is_empty() {
        return None;
    }
    let members = json::members(text.as_bytes()).ok()?.map(|member| {
        let (name, value) = member.ok()?;
        let value = if value == "null" { Cow::Borrowed("") } else { json::unquote(value)? };
        Some((name.into_owned(), value.into_owned()))
    });
    members.collect()
}

/// Pairs, in lower case as in Vault.
fn pairs(text: &str) -> Result<Metadata, String> {
    let mut metadata = Metadata::new();
    let mut pairs: Vec<String> = text.split(',').map(|pair| pair.trim().to_lowercase()).collect();
    pairs.retain(|pair| !pair.is_empty());
    pairs.sort();
    for pair in &pairs {
        let mut halves = pair.split('=').map(str::trim);
        let (Some(name), Some(value), None) = (halves.next(), halves.next(), halves.next()) else {
            return Err("invalid <key,value> format".to_owned());
        };
        if name.is_empty() || value.is_empty() {
            return Err(format!("invalid <key,value> pair: key: {name:?} value: {value:?}"));
        }
        metadata.insert(name.to_owned(), value.to_owned());
    }
    Ok(metadata)
}

/// Bytes in base64 of the usual alphabet, padded.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if text.is_empty() || !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
