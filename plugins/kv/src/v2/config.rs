//! `config`: settings of the mount.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;

use crate::records::config::{Config, DeleteAfter};

/// What a write may change; what it leaves out stays.
#[derive(Debug, Fields)]
pub(crate) struct PutConfig {
    /// The number of versions to keep for each key. Defaults to 10.
    max_versions: Option<i64>,
    /// If true, the backend will require the cas parameter to be set for each write.
    cas_required: Option<bool>,
    /// If true, the backend will require the metadata_cas parameter to be set for each metadata write.
    metadata_cas_required: Option<bool>,
    /// If set, the length of time before a version is deleted. A negative duration disables the use of
    /// delete_version_after on all keys. A zero duration clears the current setting. Accepts a Go duration format string.
    #[field(kind = "signed-duration")]
    delete_version_after: Option<i64>,
}

pub(crate) fn put(cx: &Cx, body: &PutConfig) -> Result<()> {
    let mut config = Config::load(cx)?;
    if let Some(count) = body.max_versions {
        config.max_versions = count as u32; // Vault wraps a negative number to "nearly unlimited" as well
    }
    if let Some(required) = body.cas_required {
        config.cas_required = required;
    }
    if let Some(required) = body.metadata_cas_required {
        config.metadata_cas_required = required;
    }
    if let Some(secs) = body.delete_version_after {
        config.delete_after = DeleteAfter::from_secs(secs);
    }
    config.save(cx)
}

pub(crate) fn get(cx: &Cx) -> Result<Reply> {
    let config = Config::load(cx)?;
    let data = Object::new()
        .boolean("cas_required", config.cas_required)
        .text("delete_version_after", &config.delete_after.show())
        .number("max_versions", config.max_versions.into())
        .boolean("metadata_cas_required", config.metadata_cas_required);
    Ok(Reply::text(data.end()))
}
