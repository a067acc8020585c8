//! How long a connection has been doing what it does. One timer a connection, looked
//! at every few seconds, instead of several timers for every request. And the one thing about
//! a request that is to be seen in its bytes alone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use crate::limits::{LINGER_BYTES_MAX, LINGER_MAX, ListenerLimits, SNAPSHOT_PAUSE_MAX};

const IDLE: u64 = 0;
const HEADER: u64 = 1;
const BUSY: u64 = 2;
/// Nothing has come yet. Its time counts for the first header, so that a connection
/// which never asks for anything does not stay as long as one that has.
const FRESH: u64 = 3;
/// An answer is sent piece by piece.
const SENDING: u64 = 4;

/// What has come of a line.
const NOTHING: u8 = 0;
const SOME: u8 = 1;
const ALL: u8 = 2;

/// Phases there is room for.
const PHASES: u64 = 8;

/// What a connection is doing, and since when.
pub(crate) struct Pace {
    opened: Instant,
    /// Milliseconds since `opened`, times [`PHASES`], plus the phase.
    phase: AtomicU64,
    /// What has come of the first line of the header at hand.
    first_line: AtomicU8,
    has_fragment: AtomicBool,
}

impl Pace {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            phase: AtomicU64::new(FRESH),
            first_line: AtomicU8::new(NOTHING),
            has_fragment: AtomicBool::new(false),
        })
    }

    fn enter(&self, phase: u64) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX / PHASES);
        self.phase.store(millis * PHASES + phase, Ordering::Relaxed);
    }

    fn bytes_came(&self, bytes: &[u8]) {
        match self.phase.load(Ordering::Relaxed) % PHASES {
            IDLE => {
                self.first_line.store(NOTHING, Ordering::Relaxed);
                self.enter(HEADER);
            }
            // Since the connection was opened.
            FRESH => self.phase.store(HEADER, Ordering::Relaxed),
            HEADER => {}
            _ => return,
        }
        if self.first_line.load(Ordering::Relaxed) != ALL {
            self.first_line_came(bytes);
        }
    }

    /// hyper cuts a target off at `#`, and does not say so. A proxy in front that left it on has
    /// judged another path than the one that would be served. (Of requests sent before the last
    /// one's answer, as no proxy does, only the first is looked at.)
    fn first_line_came(&self, bytes: &[u8]) {
        // Ends of lines may come before it.
        let start = match self.first_line.load(Ordering::Relaxed) {
            NOTHING => bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')),
            _ => Some(0),
        };
        let Some(start) = start else { return };
        let mut lines = bytes[start..].splitn(2, |byte| *byte == b'\n');
        if lines.next().is_some_and(|line| line.contains(&b'#')) {
            self.has_fragment.store(true, Ordering::Relaxed);
        }
        self.first_line.store(if lines.next().is_some() { ALL } else { SOME }, Ordering::Relaxed);
    }

    /// Whether the target of the request at hand has a `#` in it.
    pub(crate) fn has_fragment(&self) -> bool {
        self.has_fragment.load(Ordering::Relaxed)
    }

    /// A request's header is complete.
    pub(crate) fn request_began(&self) {
        self.phase.store(BUSY, Ordering::Relaxed);
    }

    /// A piece of its answer is about to be sent.
    pub(crate) fn piece_sent(&self) {
        self.enter(SENDING);
    }

    /// Its answer is on the way.
    pub(crate) fn request_ended(&self) {
        self.enter(IDLE);
    }

    fn is_over(&self, limits: &ListenerLimits) -> bool {
        let packed = self.phase.load(Ordering::Relaxed);
        let (since, phase) = (packed / PHASES, packed % PHASES);
        let lasted = self.opened.elapsed().saturating_sub(Duration::from_millis(since));
        match phase {
            HEADER => lasted >= limits.header_max,
            IDLE => lasted >= limits.idle_max,
            SENDING => lasted >= SNAPSHOT_PAUSE_MAX,
            FRESH => lasted >= limits.header_max.min(limits.idle_max),
            // A request has its own deadline, and so has its body.
            _ => false,
        }
    }

    /// Returns once the connection has used up the time for what it is doing.
    pub(crate) async fn over(&self, limits: &ListenerLimits) {
        let step = (limits.header_max.min(limits.idle_max) / 4).max(Duration::from_millis(10));
        while !self.is_over(limits) {
            tokio::time::sleep(step).await;
        }
    }
}

/// Where a stream goes when its connection lets go of it.
pub(crate) type Back<S> = Arc<Mutex<Option<S>>>;

/// A stream that tells its [`Pace`] when bytes come in, and that outlives its connection
/// if the other side may still be sending.
pub(crate) struct Paced<S> {
    /// `None` only while it is dropped.
    stream: Option<S>,
    pace: Arc<Pace>,
    ended: bool,
    back: Back<S>,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S, pace: Arc<Pace>) -> (Self, Back<S>) {
        let back = Back::default();
        (Self { stream: Some(stream), pace, ended: false, back: Arc::clone(&back) }, back)
    }

    fn stream(&mut self) -> &mut S {
        self.stream.as_mut().expect("the stream is taken on drop only")
    }
}

impl<S> Drop for Paced<S> {
    fn drop(&mut self) {
        if !self.ended {
            *self.back.lock() = self.stream.take();
        }
    }
}

/// Ends a connection whose client may still be sending: closing it with bytes unread
/// would make the system take our last answer (413 for a body, say) back.
pub(crate) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let discard = async {
        let _ = stream.shutdown().await;
        let mut buffer = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    };
    let _ = tokio::time::timeout(LINGER_MAX, discard).await;
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(self.stream()).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pace.bytes_came(&buffer.filled()[before..]);
        } else if polled.is_ready() {
            self.ended = true;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.stream()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream()).poll_write_vectored(cx, parts)
    }
}

#[cfg(test)]
mod tests;
