//! Reads a body: no longer than allowed, no slower than allowed, and no more of all
//! bodies together than the node can hold.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroize;

use crate::limits::{BODY_GRACE, BODY_RATE_MIN, ListenerLimits};

/// What one permit of the shared budget stands for, in bytes.
pub(crate) const PERMIT_BYTES: usize = 1024;

/// A body in memory, and its share of the budget, given back on drop.
pub(crate) struct Held {
    pub(crate) bytes: Hidden<Vec<u8>>,
    _share: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end.
///
/// # Errors
/// The answer for a body that is too long, too slow, broken off, or more than the node
/// can hold now.
pub(crate) async fn read(mut body: Incoming, limits: &ListenerLimits, budget: &Arc<Semaphore>) -> Result<Held, Reply> {
    // A length that is announced is refused before a byte is read.
    let announced = body.size_hint();
    if announced.lower() > limits.body_bytes_max as u64 {
        return Err(too_large());
    }
    let expected = usize::try_from(announced.upper().unwrap_or(0)).unwrap_or(0);
    let mut bytes = Hidden::new(Vec::new());
    let mut share: Option<OwnedSemaphorePermit> = None;
    let began = Instant::now();
    while let Some(frame) = next(&mut body, began, bytes.expose().len(), limits).await? {
        if bytes.expose().len() + frame.len() > limits.body_bytes_max {
            return Err(too_large());
        }
        take_share(&mut share, bytes.expose().len() + frame.len(), budget, began + limits.body_max).await?;
        append(bytes.expose_mut(), &frame, expected);
    }
    Ok(Held { bytes, _share: share })
}

/// The next piece, if it comes in time: within the whole body's time, and from
/// [`BODY_GRACE`] on at no less than [`BODY_RATE_MIN`].
async fn next(
    body: &mut Incoming,
    began: Instant,
    so_far: usize,
    limits: &ListenerLimits,
) -> Result<Option<hyper::body::Bytes>, Reply> {
    let earned = BODY_GRACE + Duration::from_secs(so_far as u64 / BODY_RATE_MIN);
    let deadline = began + limits.body_max.min(earned);
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(refused(408, "request body came too slowly")),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(refused(400, "request body broke off")),
            // Trailers mean nothing here.
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// Makes the share large enough for this many bytes. Only bytes that have come count,
/// so that announcing a large body costs the others nothing.
async fn take_share(
    share: &mut Option<OwnedSemaphorePermit>,
    bytes: usize,
    budget: &Arc<Semaphore>,
    deadline: Instant,
) -> Result<(), Reply> {
    let have = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let missing = bytes.div_ceil(PERMIT_BYTES).saturating_sub(have);
    if missing == 0 {
        return Ok(());
    }
    let missing = u32::try_from(missing).map_err(|_| too_large())?;
    let more = match timeout_at(deadline, Arc::clone(budget).acquire_many_owned(missing)).await {
        Ok(Ok(more)) => more,
        _ => return Err(refused(503, "too many request bodies at once; try again")),
    };
    match share {
        Some(share) => share.merge(more),
        None => *share = Some(more),
    }
    Ok(())
}

/// Appends. Where the buffer must move, the old one is wiped, since it may hold secrets.
/// It grows with what has come; from a quarter of what was announced on, to just that, so that
/// a large body lies in memory once.
fn append(bytes: &mut Vec<u8>, more: &[u8], expected: usize) {
    let needed = bytes.len() + more.len();
    if needed > bytes.capacity() {
        let doubled = bytes.capacity() * 2;
        let wanted = if expected > 0 && needed >= expected / 4 { expected } else { doubled };
        let mut grown = Vec::with_capacity(wanted.max(needed));
        grown.extend_from_slice(bytes);
        bytes.zeroize();
        *bytes = grown;
    }
    bytes.extend_from_slice(more);
}

fn too_large() -> Reply {
    Reply::Failed(Failure::new(FailureKind::TooLarge, "http: request body too large"))
}

/// Statuses that only the transport knows.
fn refused(status: u16, text: &str) -> Reply {
    Reply::Bare { status, json: Hidden::new(format!("{{\"errors\":[\"{text}\"]}}").into_bytes()) }
}
