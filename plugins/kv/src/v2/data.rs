//! `data/`: documents.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;

use super::cas;
use crate::records::config::Config;
use crate::records::metadata::{Metadata, Version};
use crate::records::{check_writable, document, document_key};
use crate::tree::Tree;

/// Body of a write or a patch.
#[derive(Debug, Fields)]
pub(crate) struct WriteData<'a> {
    /// The contents of the data map will be stored and returned on read.
    #[field(kind = "any-map")]
    data: Option<&'a Raw>,
    /// Options for writing a KV entry.
    ///
    /// Set the "cas" value to use a Check-And-Set operation. If not set the write will be allowed. If set to 0 a write
    /// will only be allowed if the key doesn't exist. If the index is non-zero the write will only be allowed if the
    /// key's current version matches the version specified in the cas parameter.
    #[field(kind = "any-map")]
    options: Option<&'a Raw>,
}

/// Query of a read.
#[derive(Debug, Fields)]
pub(crate) struct PickVersion {
    /// If provided during a read, the value at the version number will be returned
    pub(crate) version: i64,
}

/// Whether a write would change a secret rather than make one: its latest version is there.
pub(crate) fn exists(cx: &Cx, request: &Request) -> Result<bool> {
    let path = bulkhead_sdk::capture(request, "path");
    let metadata = Metadata::load(cx, path)?;
    let latest = metadata.as_ref().and_then(|metadata| metadata.version(metadata.current));
    Ok(latest.is_some_and(|latest| latest.readable(cx.now_ms())))
}

/// A version, by default the latest.
pub(crate) struct Picked {
    pub(crate) metadata: Metadata,
    pub(crate) version: Version,
}

/// Finds a version; zero and negative numbers mean the latest.
pub(crate) fn pick(cx: &Cx, path: &str, number: i64) -> Result<Picked> {
    let Some(metadata) = Metadata::load(cx, path)? else {
        Config::load(cx)?; // a secret that is not there may be one that was not moved yet
        return Err(Error::NotFound);
    };
    let number = u64::try_from(number).ok().filter(|number| *number > 0).unwrap_or(metadata.current);
    let version = metadata.version(number).cloned().ok_or(Error::NotFound)?;
    Ok(Picked { metadata, version })
}

pub(crate) fn read(cx: &Cx, path: &str, number: i64) -> Result<Reply> {
    let Picked { metadata, version } = pick(cx, path, number)?;
    let shown = version.show(&metadata.custom);
    if !version.readable(cx.now_ms()) {
        // A deleted version is 404 with a body that says when it was deleted.
        return Ok(Reply::text(Object::new().json("data", "null").json("metadata", &shown).end()).status(404));
    }
    let document = document(cx, path, version.number)?;
    let data = Object::with_room(document.len() + shown.len() + 32).json("data", &document).json("metadata", &shown);
    Ok(Reply::text(data.end()))
}

pub(crate) fn write(cx: &Cx, path: &str, body: &WriteData<'_>) -> Result<Reply> {
    check_writable(path)?;
    let data = body.data.ok_or_else(|| Error::invalid("no data provided"))?;
    let config = Config::load(cx)?;
    let metadata = Metadata::load(cx, path)?.unwrap_or_default();
    let named = cas::named(body.options)?;
    cas::check(named, config.cas_required || metadata.cas_required, metadata.current)?;
    add_version(cx, path, metadata, &config, data)
}

fn add_version(cx: &Cx, path: &str, mut metadata: Metadata, config: &Config, document: &str) -> Result<Reply> {
    let version = metadata.add_version(cx, path, config)?;
    cx.put_bytes(&document_key(path, version.number), document.as_bytes())?;
    metadata.save(cx, path)?;
    Ok(Reply::text(version.show(&metadata.custom)))
}

pub(crate) fn patch(cx: &Cx, path: &str, body: &WriteData<'_>) -> Result<Reply> {
    check_writable(path)?;
    let data = body.data.ok_or_else(|| Error::invalid("no data provided"))?;
    let config = Config::load(cx)?;
    // Vault answers a patch of nothing with 404 and no body at all.
    let Some(metadata) = Metadata::load(cx, path)? else { return Ok(nothing_to_patch()) };
    let Some(latest) = metadata.version(metadata.current) else { return Ok(nothing_to_patch()) };
    let named = cas::named(body.options)?;
    cas::check(named, config.cas_required || metadata.cas_required, metadata.current)?;
    if !latest.readable(cx.now_ms()) {
        return Ok(Reply::text(latest.show(&metadata.custom)).status(404));
    }
    let document = patched(&document(cx, path, metadata.current)?, data)?;
    add_version(cx, path, metadata, &config, &document)
}

pub(crate) fn nothing_to_patch() -> Reply {
    Reply::raw("application/json", Vec::new()).status(404)
}

/// The document with the patch applied; a null patch makes it null, as in Vault.
fn patched(document: &str, patch: &str) -> Result<String> {
    let mut target = Tree::parse(document)?;
    target.merge(Tree::parse(patch)?);
    Ok(target.text())
}
