//! Clears away what is out of reach already: secret ids that have ended, and those of
//! roles that are gone. In slices, because a call may write only so much.

use bulkhead_sdk::prelude::*;

use crate::expiry;
use crate::records::Place;

/// Secret ids cleared away in one call. Source: ours; each is three records, of the 2,000
/// that a call may write.
const SLICE: usize = 400;

/// `tidy/secret-id`: the regular job, now.
pub(crate) fn begin(cx: &Cx) -> Result<Reply> {
    cx.schedule("tidy", "", b"null", cx.now_ms())?;
    let text = "Tidy operation successfully started. Any information from the operation will be printed to Bulkhead's server logs.";
    Ok(Reply::empty().status(202).warn(text))
}

/// Removes what has ended.
pub(crate) fn ended(cx: &Cx) -> Result<JobOutcome> {
    let mut entries = expiry::ended(cx, false, SLICE)?;
    let left = SLICE - entries.len();
    entries.extend(expiry::ended(cx, true, left)?);
    entries.iter().try_for_each(|entry| entry.end(cx))?;
    if !entries.is_empty() {
        cx.log_info("expired secret ids removed", &[("count", &entries.len().to_string())]);
    }
    Ok(if entries.len() < SLICE { JobOutcome::Done } else { again(cx, b"null") })
}

/// Has a role's secret ids removed after the role itself.
pub(crate) fn clear_later(cx: &Cx, place: &Place) -> Result<()> {
    let payload: &[u8] = if place.is_local { b"true" } else { b"false" };
    cx.schedule("clear", &place.space, payload, cx.now_ms())
}

/// Removes what a role has left behind. Entries of the index of ends stay until their
/// time; they lead nowhere.
pub(crate) fn clear(cx: &Cx, space: &str, payload: &[u8]) -> Result<JobOutcome> {
    let place = Place { is_local: payload == b"true", space: space.to_owned() };
    let page = Page { after: String::new(), limit: SLICE as i64 };
    let mut removed = 0;
    for folder in [place.secret_ids(), place.accessors()] {
        for name in cx.names(&folder, &page, false)? {
            cx.delete_key(&[folder.as_str(), &name].concat())?;
            removed += 1;
        }
    }
    Ok(if removed == 0 { JobOutcome::Done } else { again(cx, payload) })
}

fn again(cx: &Cx, payload: &[u8]) -> JobOutcome {
    JobOutcome::Again((cx.now_ms(), payload.to_vec()))
}
