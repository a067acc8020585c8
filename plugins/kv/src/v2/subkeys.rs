//! `subkeys/`: the shape of a document without its values.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;

use super::data::{Picked, pick};
use crate::records::document;

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
    let mut value: Value = serde_json::from_str(&document(cx, path, version.number)?)
        .map_err(|_| Error::internal("stored document is not JSON"))?;
    if let Value::Object(members) = &mut value {
        members.values_mut().for_each(|member| strip(member, query.depth.max(0), 1));
    }
    Ok(answer(&value.to_string()))
}

/// Makes every leaf null, and every map at the depth; an empty map is a leaf, as in Vault.
fn strip(value: &mut Value, depth: i64, at: i64) {
    match value {
        Value::Object(members) if !members.is_empty() && at != depth => {
            members.values_mut().for_each(|member| strip(member, depth, at + 1));
        }
        other => *other = Value::Null,
    }
}
