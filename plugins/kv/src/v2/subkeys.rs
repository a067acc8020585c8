//! `subkeys/`: the shape of a document without its values.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;

use super::data::{Picked, pick};
use crate::records::document;
use crate::tree::Tree;

/// Query.
#[derive(Debug, Fields)]
pub(crate) struct PickSubkeys {
    /// Specifies which version to retrieve. If not provided, the current version will be used.
    version: i64,
    /// Specifies the deepest nesting level to provide in the output. If non-zero, keys that reside at the specified depth
    /// value will be artificially treated as leaves and will thus be `null` even if further underlying subkeys exist.
    depth: i64,
}

pub(crate) fn read(cx: &Cx, path: &str, query: &PickSubkeys) -> Result<Reply> {
    let Picked { metadata, version } = pick(cx, path, query.version)?;
    let shown = version.show(&metadata.custom);
    let answer = |subkeys: &str| Reply::text(Object::new().json("metadata", &shown).json("subkeys", subkeys).end());
    if !version.readable(cx.now_ms()) {
        return Ok(answer("null").status(404));
    }
    let document = document(cx, path, version.number)?;
    let mut tree = Tree::parse(&document)?;
    tree.strip(query.depth.max(0).unsigned_abs());
    Ok(answer(&tree.text()))
}
