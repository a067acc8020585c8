//! `metadata/`: a secret's settings and custom metadata.

use bulkhead_sdk::prelude::*;

use super::{cas, custom};
use crate::records::config::{Config, DeleteAfter};
use crate::records::metadata::Metadata;
use crate::records::{check_writable, document_key, names_a_secret};

/// What a write may change; what it leaves out stays.
#[derive(Debug, Fields)]
pub(crate) struct PutMetadata<'a> {
    /// If true the key will require the cas parameter to be set on all write requests. If false, the backend's
    /// configuration will be used.
    cas_required: Option<bool>,
    /// If true the key will require the metadata_cas parameter to be set on all metadata write requests. If false, the
    /// backend's configuration will be used.
    metadata_cas_required: Option<bool>,
    /// Set the "metadata_cas" value to use a Check-And-Set operation on the metadata: the write is only allowed if
    /// current_metadata_version is this number.
    metadata_cas: Option<i64>,
    /// The number of versions to keep. If not set, the backend's configured max version is used.
    max_versions: Option<i64>,
    /// The length of time before a version is deleted. If not set, the backend's configured delete_version_after is used.
    /// Cannot be greater than the backend's delete_version_after. A zero duration clears the current setting. A negative
    /// duration will cause an error.
    #[field(kind = "duration")]
    delete_version_after: Option<i64>,
    /// User-provided key-value pairs that are used to describe arbitrary and version-agnostic information about a secret.
    #[field(kind = "any-map")]
    custom_metadata: Option<&'a Raw>,
}

/// What a patch may change; null clears a setting.
#[derive(Debug, Fields)]
pub(crate) struct PatchMetadata<'a> {
    /// As for a write.
    #[field(kind = "boolean")]
    cas_required: Option<&'a Raw>,
    /// As for a write.
    #[field(kind = "boolean")]
    metadata_cas_required: Option<&'a Raw>,
    /// As for a write.
    metadata_cas: Option<i64>,
    /// As for a write.
    #[field(kind = "integer")]
    max_versions: Option<&'a Raw>,
    /// As for a write.
    #[field(kind = "duration")]
    delete_version_after: Option<i64>,
    /// As for a write; members that are null are removed.
    #[field(kind = "any-map")]
    custom_metadata: Option<&'a Raw>,
}

pub(crate) fn exists(cx: &Cx, request: &Request) -> Result<bool> {
    Ok(Metadata::load(cx, bulkhead_sdk::capture(request, "path"))?.is_some())
}

pub(crate) fn get(cx: &Cx, path: &str) -> Result<Reply> {
    match Metadata::load(cx, path)? {
        Some(metadata) => Ok(Reply::text(metadata.show())),
        None => Config::load(cx).and(Err(Error::NotFound)),
    }
}

pub(crate) fn put(cx: &Cx, path: &str, body: &PutMetadata<'_>) -> Result<Reply> {
    check_writable(path)?;
    let config = Config::load(cx)?;
    let custom = body.custom_metadata.map(custom::replaced).transpose()?;
    let touched = body.cas_required.is_some()
        || body.metadata_cas_required.is_some()
        || body.max_versions.is_some()
        || body.delete_version_after.is_some()
        || custom.is_some();
    if !touched {
        return Ok(Reply::empty());
    }
    let known = Metadata::load(cx, path)?;
    check_cas(body.metadata_cas, &config, known.as_ref())?;
    let before = known.unwrap_or_default();
    let mut metadata = before.clone();
    metadata.cas_required = body.cas_required.unwrap_or(before.cas_required);
    metadata.metadata_cas_required = body.metadata_cas_required.unwrap_or(before.metadata_cas_required);
    metadata.max_versions = body.max_versions.map_or(before.max_versions, |count| count as u32);
    metadata.delete_after = body.delete_version_after.map_or(before.delete_after, DeleteAfter::from_secs);
    metadata.custom = custom.unwrap_or(before.custom);
    save(cx, path, metadata)?;
    Ok(reply(&config, body.cas_required == Some(false), body.metadata_cas_required == Some(false)))
}

/// Nothing, but for warnings of what was switched off and stays on by the mount's settings.
fn reply(config: &Config, cas_off: bool, metadata_cas_off: bool) -> Reply {
    let asked = [
        ("cas_required", cas_off && config.cas_required),
        ("metadata_cas_required", metadata_cas_off && config.metadata_cas_required),
    ];
    asked.iter().filter(|(_, stays)| *stays).fold(Reply::empty(), |reply, (name, _)| {
        reply.warn(format!("{name:?} set to false, but is mandated by backend config. This value will be ignored."))
    })
}

fn check_cas(named: Option<i64>, config: &Config, known: Option<&Metadata>) -> Result<()> {
    let required = config.metadata_cas_required || known.is_some_and(|metadata| metadata.metadata_cas_required);
    cas::check_metadata(named, required, known.map(|metadata| metadata.revision))
}

fn save(cx: &Cx, path: &str, mut metadata: Metadata) -> Result<()> {
    metadata.revision += 1;
    metadata.updated_ms = cx.now_ms();
    if metadata.created_ms == 0 {
        metadata.created_ms = metadata.updated_ms;
    }
    metadata.save(cx, path)
}

pub(crate) fn patch(cx: &Cx, path: &str, body: &PatchMetadata<'_>) -> Result<Reply> {
    check_writable(path)?;
    let config = Config::load(cx)?;
    let Some(mut metadata) = Metadata::load(cx, path)? else { return Ok(super::data::nothing_to_patch()) };
    let touched = [body.cas_required, body.metadata_cas_required, body.max_versions, body.custom_metadata];
    if touched.iter().all(Option::is_none) && body.delete_version_after.is_none() {
        return Ok(Reply::empty());
    }
    check_cas(body.metadata_cas, &config, Some(&metadata))?;
    if let Some(json) = body.cas_required {
        metadata.cas_required = json == "true";
    }
    if let Some(json) = body.metadata_cas_required {
        metadata.metadata_cas_required = json == "true";
    }
    if let Some(json) = body.max_versions {
        metadata.max_versions = json.parse::<i64>().unwrap_or_default() as u32; // null: no setting
    }
    if let Some(secs) = body.delete_version_after {
        metadata.delete_after = DeleteAfter::from_secs(secs); // null leaves it, as in OpenBao
    }
    if let Some(json) = body.custom_metadata {
        metadata.custom = custom::patched(&metadata.custom, json)?;
    }
    save(cx, path, metadata)?;
    Ok(reply(&config, body.cas_required == Some("false"), body.metadata_cas_required == Some("false")))
}

pub(crate) fn delete(cx: &Cx, path: &str) -> Result<()> {
    Config::load(cx)?;
    let Some(metadata) = Metadata::load(cx, path)?.filter(|_| names_a_secret(path)) else { return Ok(()) };
    for version in &metadata.versions {
        cx.delete_key(&document_key(path, version.number))?;
    }
    cx.delete::<Metadata>(path)
}
