//! How long an exchange may stand still that takes as long as what it carries is large.

use std::fs::File;
use std::io::{Error, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Instant;

/// Longest pause within a body that is sent or written as it comes. Source: none, a constant.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Bytes of a file that are sent at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// What did not come in time.
#[derive(Clone, Copy)]
pub(super) enum Overdue {
    /// A connection, or the first of an answer.
    Answer { secs: u64 },
    /// The next piece of a body.
    Pause { secs: u64 },
}

/// By when something must go on. Clones share it.
#[derive(Clone)]
pub(super) struct Pace {
    next: Arc<Mutex<(Instant, Overdue)>>,
    answer_max: Duration,
}

impl Pace {
    /// The time for an answer runs from now on.
    pub(super) fn new(answer_max: Duration) -> Self {
        let next = Arc::new(Mutex::new(due(answer_max, Overdue::Answer { secs: answer_max.as_secs() })));
        Self { next, answer_max }
    }

    /// A piece of a body went through, and another one may come.
    pub(super) fn went_on(&self) {
        self.set(due(PAUSE_MAX, Overdue::Pause { secs: PAUSE_MAX.as_secs() }));
    }

    /// All was sent: it is the other side's turn.
    fn was_sent(&self) {
        self.set(due(self.answer_max, Overdue::Answer { secs: self.answer_max.as_secs() }));
    }

    fn set(&self, next: (Instant, Overdue)) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Returns once it is too late.
    pub(super) async fn overdue(&self) -> Overdue {
        loop {
            let (at, overdue) = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
            if at <= Instant::now() {
                return overdue;
            }
            tokio::time::sleep_until(at).await;
        }
    }
}

fn due(within: Duration, overdue: Overdue) -> (Instant, Overdue) {
    (Instant::now() + within, overdue)
}

/// A file as a body. Reading it blocks, as everything here does.
pub(super) struct FileBody {
    file: File,
    pace: Pace,
}

impl FileBody {
    pub(super) fn new(file: File, pace: Pace) -> Self {
        Self { file, pace }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        match Read::by_ref(&mut self.file).take(PIECE_BYTES as u64).read_to_end(&mut piece) {
            Ok(0) => {
                self.pace.was_sent();
                Poll::Ready(None)
            }
            Ok(_) => {
                self.pace.went_on();
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests;
