//! From version 1 to version 2: every plain secret becomes the first version of a
//! versioned one. A job moves them in slices; until it is done the mount answers 400.

use bulkhead_sdk::prelude::*;

use crate::records::config::Config;
use crate::records::metadata::Metadata;
use crate::records::{PLAIN, document_key, plain_key};

/// Secrets moved in one transaction at most, so that a slice ends well before its time.
const SLICE_SECRETS: i64 = 500;

/// Bytes moved in one transaction at most: half of what one may change.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

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
    cx.schedule("upgrade", "", b"null", cx.now_ms())
}

fn first_plain(cx: &Cx, limit: i64) -> Result<Vec<String>> {
    cx.names(PLAIN, &Page { after: String::new(), limit }, true)
}

/// Moves a slice.
pub(crate) fn step(cx: &Cx) -> Result<JobOutcome> {
    let paths = first_plain(cx, SLICE_SECRETS)?;
    let mut bytes = 0;
    for path in &paths {
        bytes += move_one(cx, path)?;
        if bytes > SLICE_BYTES {
            break;
        }
    }
    if !first_plain(cx, 1)?.is_empty() {
        return Ok(JobOutcome::Again((cx.now_ms(), b"null".to_vec())));
    }
    let config = Config { upgrading: false, ..Config::load_any(cx)? };
    config.save(cx)?;
    cx.log_info("secrets are versioned now", &[]);
    Ok(JobOutcome::Done)
}

/// Moves one secret; gives its size.
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
    Ok(document.len())
}
