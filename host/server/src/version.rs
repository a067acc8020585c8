//! What this build calls itself.

/// Version of the workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// When it was built, RFC 3339; the commit's time where that is known.
pub(crate) const BUILT: &str = env!("BULKHEAD_SERVER_BUILT");

/// Short id of the commit, or `unknown`.
pub(crate) const COMMIT: &str = env!("BULKHEAD_SERVER_COMMIT");

/// `Bulkhead v0.1.0 (commit), built <RFC 3339>`.
#[must_use]
pub fn version_text() -> String {
    format!("Bulkhead v{VERSION} ({COMMIT}), built {BUILT}")
}
