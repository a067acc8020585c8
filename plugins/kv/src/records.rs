//! Every storage key of this plugin, and the records behind them.
//!
//! | key | record |
//! |---|---|
//! | `config` | settings of the mount ([`config::Config`]) |
//! | `meta/<path>` | a secret's settings and its versions ([`metadata::Metadata`]) |
//! | `data/<path>/<version>` | a version's document, as the caller wrote it |
//! | `plain/<path>` | a version 1 secret, as the caller wrote it |
//!
//! The latest version is read with two gets: metadata, then document. Versions are the
//! last segment of their key, so no two secrets share one.

pub(crate) mod config;
pub(crate) mod metadata;

use std::fmt::Write as _;

use bulkhead_sdk::prelude::*;

/// Folder of metadata, which is also what lists of secrets walk over.
pub(crate) const METADATA: &str = "meta/";

/// Folder of version 1 secrets.
pub(crate) const PLAIN: &str = "plain/";

/// Key of a version 1 secret.
pub(crate) fn plain_key(path: &str) -> String {
    [PLAIN, path].concat()
}

/// Key of a version's document.
pub(crate) fn document_key(path: &str, version: u64) -> String {
    let mut key = String::with_capacity(path.len() + 16);
    key.push_str("data/");
    key.push_str(path);
    let _ = write!(key, "/{version}"); // writing to a String cannot fail
    key
}

/// A version's document as JSON text.
pub(crate) fn document(cx: &Cx, path: &str, version: u64) -> Result<String> {
    let bytes = cx.get_bytes(&document_key(path, version))?;
    let bytes = bytes.ok_or_else(|| Error::internal(format!("document of version {version} is missing")))?;
    String::from_utf8(bytes).map_err(|_| Error::internal("stored document is not UTF-8"))
}

/// Whether a path can name a secret; others never exist, and storage refuses them.
pub(crate) fn names_a_secret(path: &str) -> bool {
    !path.is_empty() && !path.ends_with('/')
}

/// Refuses to write where no secret can be.
pub(crate) fn check_writable(path: &str) -> Result<()> {
    if names_a_secret(path) { Ok(()) } else { Err(Error::invalid("cannot write to a path ending in '/'")) }
}
