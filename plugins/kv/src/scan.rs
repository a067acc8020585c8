//! What a scan answers, in both versions.

use bulkhead_sdk::prelude::*;

/// Where nothing is found there is no 404 as for a list, but an answer without keys: OpenBao's.
pub(crate) fn scanned(names: Vec<String>) -> Result<Reply> {
    if names.is_empty() { Ok(Reply::text("{}".to_owned())) } else { Keys(names).into_reply() }
}
