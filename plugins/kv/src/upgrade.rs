//! From version 1 to version 2: every plain secret becomes the first version of a
//! versioned one. A job moves them in slices; until it is done the mount answers 400.

use std::borrow::Cow;

use bulkhead_sdk::json;
use bulkhead_sdk::prelude::*;

use crate::records::config::Config;
use crate::records::metadata::Metadata;
use crate::records::{PLAIN, document_key, plain_key};

/// Secrets moved in one transaction at most. Why: each is written three times, and a call
/// may write 2,000 times.
const SLICE_SECRETS: i64 = 500;

/// Bytes moved in one transaction at most: half of what one may change.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// Keys of a secret that are in the change that moves it: the old one twice, read and
/// removed, and two new ones.
const SECRET_KEYS: usize = 4;

/// What encryption adds to a segment of a key at most, in bytes: length, tag, padding, end.
const SEGMENT_BYTES: usize = 34;

/// What is beside the path in each of a secret's keys, and the small records behind them,
/// in bytes; rather too much.
const BESIDE_BYTES: usize = 200;

/// The payload of a job that begins at the first secret.
const FROM_START: &[u8] = b"null";

/// Starts the upgrade, if the mount is of version 2 and holds secrets of version 1.
pub(crate) fn begin(cx: &Cx) -> Result<()> {
    if cx.option("version") != "2" || first_plain(cx, 1)?.is_empty() {
        return Ok(());
    }
    let mut config = Config::load_any(cx)?;
    if !config.upgrading {
        config.upgrading = true;
        config.save(cx)?;
    }
    cx.schedule("upgrade", "", FROM_START, cx.now_ms())
}

fn first_plain(cx: &Cx, limit: i64) -> Result<Vec<String>> {
    plain_behind(cx, String::new(), limit)
}

/// Some secrets not moved yet, in the store's own order: looking for them costs what they
/// are, not what the mount is.
fn plain_behind(cx: &Cx, after: String, limit: i64) -> Result<Vec<String>> {
    cx.names(PLAIN, &Page { after, limit }, true)
}

/// Moves a slice. The payload is the last path of the slice before, so that none walks over
/// what the earlier ones removed: the store may keep traces of it for long.
pub(crate) fn step(cx: &Cx, payload: &[u8]) -> Result<JobOutcome> {
    let paths = plain_behind(cx, cursor(payload)?, SLICE_SECRETS)?;
    let mut bytes = 0;
    let mut last = None;
    for path in &paths {
        bytes += move_one(cx, path)?;
        last = Some(path);
        if bytes > SLICE_BYTES {
            break;
        }
    }
    if let Some(path) = last {
        return Ok(JobOutcome::Again((cx.now_ms(), json::quote(path).into_bytes())));
    }
    // Nothing is left behind the last slice, but a write that was under way when the mount
    // was tuned may have come in front of it.
    if !first_plain(cx, 1)?.is_empty() {
        return Ok(JobOutcome::Again((cx.now_ms(), FROM_START.to_vec())));
    }
    let config = Config { upgrading: false, ..Config::load_any(cx)? };
    config.save(cx)?;
    cx.log_info("secrets are versioned now", &[]);
    Ok(JobOutcome::Done)
}

/// The path in a payload; empty: none yet.
fn cursor(payload: &[u8]) -> Result<String> {
    if payload == FROM_START {
        return Ok(String::new());
    }
    let text = std::str::from_utf8(payload).ok().and_then(json::unquote);
    text.map(Cow::into_owned).ok_or_else(|| Error::internal("the upgrade's payload is no path"))
}

/// Moves one secret; gives what it takes in the change, in bytes, and rather more.
fn move_one(cx: &Cx, path: &str) -> Result<usize> {
    let key = plain_key(path);
    let Some(document) = cx.get_bytes(&key)? else { return Ok(0) };
    let mut metadata = Metadata::default();
    // The mount's settings are left out: Vault gives a moved secret no deletion time.
    metadata.add_version(cx, path, &Config::default())?;
    metadata.oldest = 1;
    cx.put_bytes(&document_key(path, 1), &document)?;
    metadata.save(cx, path)?;
    cx.delete_key(&key)?;
    let segments = path.matches('/').count() + 1;
    Ok(document.len() + SECRET_KEYS * (path.len() + segments * SEGMENT_BYTES + BESIDE_BYTES))
}
