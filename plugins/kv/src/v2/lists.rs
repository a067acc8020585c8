//! Lists of secrets: names are keys of metadata, so a list reads no record.

use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::prelude::*;

use crate::records::METADATA;
use crate::records::config::Config;
use crate::records::metadata::Metadata;
use crate::scan::scanned;

pub(crate) fn list(cx: &Cx, path: &str, page: &Page) -> Result<Keys> {
    Config::load(cx)?;
    cx.names(&folder(path), page, false).map(Keys)
}

pub(crate) fn scan(cx: &Cx, path: &str) -> Result<Reply> {
    all_below(cx, path).and_then(scanned)
}

/// All secrets below a path; those near it first, as OpenBao gives them.
fn all_below(cx: &Cx, path: &str) -> Result<Vec<String>> {
    Config::load(cx)?;
    let mut names = cx.names(&folder(path), &Page::default(), true)?;
    names.sort_by_key(|name| name.matches('/').count());
    Ok(names)
}

fn folder(path: &str) -> String {
    [METADATA, path].concat()
}

pub(crate) fn detailed(cx: &Cx, path: &str, page: &Page, deep: bool) -> Result<Reply> {
    let names = if deep { all_below(cx, path)? } else { list(cx, path, page)?.0 };
    if names.is_empty() {
        return if deep { scanned(names) } else { Err(Error::NotFound) };
    }
    let mut details = Object::with_room(512 * names.len());
    for name in &names {
        details = details.json(name, &detail(cx, path, name)?);
    }
    let keys = json::strings(names.iter().map(String::as_str));
    Ok(Reply::text(Object::new().json("key_info", &details.end()).json("keys", &keys).end()))
}

/// A secret's metadata; a folder has none.
fn detail(cx: &Cx, path: &str, name: &str) -> Result<String> {
    let metadata = if name.ends_with('/') { None } else { Metadata::load(cx, &[path, name].concat())? };
    Ok(metadata.map_or_else(|| "{}".to_owned(), |metadata| metadata.show()))
}
