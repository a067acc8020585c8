//! Snapshots: bodies that are never whole in memory, in either direction. Each direction has
//! a bound on pauses and one on slowness; a client that meets neither is cut off.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::path::ApiPath;
use bulkhead_model::request::Pieces;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use crate::limits::{SNAPSHOT_GRACE, SNAPSHOT_PAUSE_MAX, SNAPSHOT_PIECE_BYTES, SNAPSHOT_RATE_MIN};
use crate::pace::Pace;

/// Paths whose bodies and answers are too large to be held.
const PATHS: [&str; 2] = ["sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"];

/// Whether bodies and answers of this path are read as they are sent.
pub(crate) fn is_at(path: &ApiPath) -> bool {
    PATHS.contains(&path.as_str())
}

/// When so many bytes must have been passed on.
fn deadline(began: Instant, bytes: u64) -> Instant {
    began + SNAPSHOT_GRACE + Duration::from_secs(bytes / SNAPSHOT_RATE_MIN)
}

/// A body on its way in. Nothing is read of it before the first piece is asked for.
pub(crate) struct Arriving {
    body: Incoming,
    bytes_max: u64,
    so_far: u64,
    began: Option<Instant>,
}

impl Arriving {
    pub(crate) fn new(body: Incoming, bytes_max: u64) -> Self {
        Self { body, bytes_max, so_far: 0, began: None }
    }

    fn too_large(&self) -> Failure {
        let text = format!("http: request body too large: a snapshot may have {} bytes here", self.bytes_max);
        Failure::new(FailureKind::TooLarge, text)
    }
}

#[async_trait]
impl Pieces for Arriving {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        // What is announced is refused before a byte is read.
        if self.began.is_none() && self.body.size_hint().lower() > self.bytes_max {
            return Err(self.too_large());
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let latest = (Instant::now() + SNAPSHOT_PAUSE_MAX).min(deadline(began, self.so_far));
        loop {
            let frame = match timeout_at(latest, self.body.frame()).await {
                Err(_) => return Err(Failure::new(FailureKind::Timeout, "request body came too slowly")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Failure::invalid("request body broke off")),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers mean nothing here.
            let Ok(piece) = frame.into_data() else { continue };
            self.so_far += piece.len() as u64;
            if self.so_far > self.bytes_max {
                return Err(self.too_large());
            }
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
    }
}

type Source = Box<dyn Read + Send + Sync>;

/// An answer on its way out: read where reading may block, a piece at a time, and only when
/// the connection has room for it.
pub(crate) struct Leaving {
    source: Option<Source>,
    reading: Option<JoinHandle<(Source, io::Result<Bytes>)>>,
    began: Instant,
    so_far: u64,
    pace: Option<Arc<Pace>>,
}

impl Leaving {
    pub(crate) fn new(source: Source) -> Self {
        Self { source: Some(source), reading: None, began: Instant::now(), so_far: 0, pace: None }
    }

    /// Has the connection's pace know that an answer is under way.
    pub(crate) fn keep(&mut self, pace: Arc<Pace>) {
        pace.piece_sent();
        self.pace = Some(pace);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(pace) = &self.pace {
            pace.request_ended();
        }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if Instant::now() > deadline(self.began, self.so_far) {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut))));
        }
        if let Some(source) = self.source.take() {
            self.reading = Some(spawn_blocking(move || piece(source)));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let (source, read) = read.map_err(io::Error::other)?;
        let bytes = read.inspect_err(|error| tracing::error!(%error, "a snapshot could not be read to its end"))?;
        if bytes.is_empty() {
            return Poll::Ready(None);
        }
        self.so_far += bytes.len() as u64;
        self.source = Some(source);
        if let Some(pace) = &self.pace {
            pace.piece_sent();
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

fn piece(mut source: Source) -> (Source, io::Result<Bytes>) {
    let mut bytes = Vec::with_capacity(SNAPSHOT_PIECE_BYTES);
    let read = (&mut source).take(SNAPSHOT_PIECE_BYTES as u64).read_to_end(&mut bytes);
    (source, read.map(|_| Bytes::from(bytes)))
}

#[cfg(test)]
mod tests;
