//! Version 1: a secret is one document.

use bulkhead_sdk::json;
use bulkhead_sdk::prelude::*;

use crate::records::{PLAIN, check_writable, names_a_secret, plain_key};
use crate::scan::scanned;

pub(crate) fn exists(cx: &Cx, request: &Request) -> Result<bool> {
    Ok(names_a_secret(&request.path) && cx.get_bytes(&plain_key(&request.path))?.is_some())
}

pub(crate) fn write(cx: &Cx, path: &str, document: &[u8]) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid("missing path"));
    }
    check_writable(path)?;
    if json::members(document)?.next().is_none() {
        return Err(Error::invalid("missing data fields"));
    }
    cx.put_bytes(&plain_key(path), document)
}

pub(crate) fn read(cx: &Cx, path: &str) -> Result<Reply> {
    let bytes = if names_a_secret(path) { cx.get_bytes(&plain_key(path))? } else { None };
    let document = bytes.ok_or(Error::NotFound)?;
    let lifetime = lifetime(&document)?.unwrap_or_else(|| cx.mount().default_ttl);
    let document = String::from_utf8(document).map_err(|_| Error::internal("stored document is not UTF-8"))?;
    Ok(Reply::text(document).lifetime(lifetime))
}

pub(crate) fn delete(cx: &Cx, path: &str) -> Result<()> {
    if names_a_secret(path) { cx.delete_key(&plain_key(path)) } else { Ok(()) }
}

pub(crate) fn list(cx: &Cx, path: &str) -> Result<Keys> {
    cx.names(&[PLAIN, path].concat(), &Page::default(), false).map(Keys)
}

pub(crate) fn scan(cx: &Cx, path: &str) -> Result<Reply> {
    cx.names(&[PLAIN, path].concat(), &Page::default(), true).and_then(scanned)
}

/// Seconds told by the member `ttl`, or else `lease`.
fn lifetime(document: &[u8]) -> Result<Option<u64>> {
    let (mut ttl, mut lease) = (None, None);
    for member in json::members(document)? {
        match member? {
            (name, value) if name == "ttl" => ttl = Some(value),
            (name, value) if name == "lease" => lease = Some(value),
            _ => {}
        }
    }
    Ok(ttl.or(lease).and_then(parse_lifetime))
}

/// A number of seconds, or a text of one or of a duration; null and "" are 0 in Vault.
fn parse_lifetime(value: &str) -> Option<u64> {
    let text = match value {
        "null" => return Some(0),
        value if value.starts_with('"') => json::unquote(value)?,
        value => return value.parse::<i64>().ok().map(|secs| secs.max(0).unsigned_abs()),
    };
    match text.trim() {
        "" => Some(0),
        text => bulkhead_sdk::time::parse_duration(text).map(|secs| secs.max(0).unsigned_abs()),
    }
}
