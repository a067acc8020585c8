//! Paths that a version 2 mount does not have: 404 with a warning that says which to use.

use bulkhead_sdk::prelude::*;

use crate::records::check_writable;

pub(crate) fn answer(path: &str, operation: Operation) -> Result<Reply> {
    let command = match operation {
        Operation::Read => "get",
        Operation::Create | Operation::Update => "put",
        Operation::Patch => "patch",
        Operation::Delete => "delete",
        Operation::List => "list",
        Operation::Scan => "scan",
        _ => return Err(Error::UnsupportedOperation),
    };
    // The mount's own path ends in no slash of the caller's.
    if !path.is_empty() && matches!(operation, Operation::Create | Operation::Update | Operation::Patch) {
        check_writable(path)?;
    }
    let reply = Reply::empty().status(404);
    if matches!(path, "data" | "metadata" | "delete" | "undelete" | "destroy") {
        return Ok(reply.warn("Non-listing operations on the root of a K/V v2 mount are not supported."));
    }
    Ok(reply.warn(format!(
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using \
         the OpenBao CLI, use 'bao kv {command}' for this operation."
    )))
}
