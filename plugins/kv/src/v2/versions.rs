//! `delete/`, `undelete/`, `destroy/`, and the delete of `data/`: marks on versions.

use bulkhead_sdk::prelude::*;

use crate::records::config::Config;
use crate::records::document_key;
use crate::records::metadata::{Ends, Metadata, Version};

/// Body of the three.
#[derive(Debug, Fields)]
pub(crate) struct PickVersions {
    /// The versions to work on. Their data is not touched by a delete or an undelete, and is lost by a destroy.
    versions: Vec<i64>,
}

pub(crate) fn delete(cx: &Cx, path: &str, pick: &PickVersions) -> Result<()> {
    let now_ms = cx.now_ms();
    // Vault writes this text with a capital here and with a small letter for destroy.
    each(cx, path, pick, "No version number provided", |_, version| mark_deleted(version, now_ms))
}

/// What is undeleted ends as if it were written now, also what was not deleted: as in Vault.
pub(crate) fn undelete(cx: &Cx, path: &str, pick: &PickVersions) -> Result<()> {
    let now_ms = cx.now_ms();
    each(cx, path, pick, "No version number provided", |ends, version| {
        if !version.destroyed {
            version.deleted_ms = ends.of_version_written(now_ms);
        }
    })
}

pub(crate) fn destroy(cx: &Cx, path: &str, pick: &PickVersions) -> Result<()> {
    each(cx, path, pick, "no version number provided", |_, version| version.destroyed = true)?;
    for number in pick.versions.iter().filter_map(|number| u64::try_from(*number).ok()) {
        if crate::records::names_a_secret(path) {
            cx.delete_key(&document_key(path, number))?;
        }
    }
    Ok(())
}

pub(crate) fn delete_latest(cx: &Cx, path: &str) -> Result<()> {
    let now_ms = cx.now_ms();
    change(cx, path, |_, metadata| {
        let current = metadata.current;
        if let Some(version) = metadata.version_mut(current) {
            mark_deleted(version, now_ms);
        }
    })
}

/// Leaves versions alone that are deleted or destroyed already.
fn mark_deleted(version: &mut Version, now_ms: u64) {
    if version.readable(now_ms) {
        version.deleted_ms = now_ms;
    }
}

fn each(cx: &Cx, path: &str, pick: &PickVersions, none: &str, mark: impl Fn(&Ends, &mut Version)) -> Result<()> {
    if pick.versions.is_empty() {
        return Err(Error::invalid(none));
    }
    change(cx, path, |ends, metadata| {
        for number in pick.versions.iter().filter_map(|number| u64::try_from(*number).ok()) {
            if let Some(version) = metadata.version_mut(number) {
                mark(ends, version);
            }
        }
    })
}

/// Changes a secret's record if there is one and the change makes a difference.
fn change(cx: &Cx, path: &str, act: impl FnOnce(&Ends, &mut Metadata)) -> Result<()> {
    let config = Config::load(cx)?;
    let Some(before) = Metadata::load(cx, path)? else { return Ok(()) };
    let mut metadata = before.clone();
    act(&before.ends(&config), &mut metadata);
    if metadata == before { Ok(()) } else { metadata.save(cx, path) }
}
