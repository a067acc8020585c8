//! What this build calls itself.

/// `Bulkhead vX.Y.Z (commit), built …`, the same line that the server logs.
pub(crate) fn line() -> String {
    bulkhead_server::version_text()
}
