//! A connection to one node, made when it is needed and made again when it breaks. Calls
//! leave in order and are many at a time. While the node can't be reached, calls fail at
//! once instead of waiting: those who call have their own patience.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::{CONNECT_WITHIN, Patience};
use crate::peer::frame::{self, Frame, Greeting};
use crate::peer::tls::{Settings, Stream, Tls};
use crate::peer::{Answer, LinkError, Target};

/// Calls under way and waiting, at most. Why: each holds its request.
const CALLS_MAX: usize = 256;

/// How long a node that could not be reached is left alone: first, and at most.
const REST_FIRST: Duration = Duration::from_millis(20);
const REST_MAX: Duration = Duration::from_secs(1);

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// How often a line looks whether its connection is to be kept.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Reply = oneshot::Sender<Result<Bytes, LinkError>>;

struct Outgoing {
    request: Bytes,
    reply: Reply,
}

/// The way to a node. Dropping it ends the connection.
pub(super) struct Line {
    target: Target,
    queue: mpsc::Sender<Outgoing>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    pub(super) fn start(target: Target, from: u64, tls: Arc<Tls>, patience: Patience) -> Self {
        let (queue, waiting) = mpsc::channel(CALLS_MAX);
        let caller = Caller { target: target.clone(), from, tls, patience, waiting };
        Self { target, queue, task: tokio::spawn(caller.run()) }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.capacity() == CALLS_MAX
    }

    pub(super) fn call(&self, request: Bytes) -> Answer {
        let (reply, answer) = oneshot::channel();
        let broken = LinkError::new(&self.target, "the connection ended before the answer came");
        if self.queue.try_send(Outgoing { request, reply }).is_err() {
            let full = LinkError::unsent(&self.target, "too many calls are waiting for it");
            return Box::pin(async { Err(full) });
        }
        Box::pin(async move { answer.await.unwrap_or(Err(broken)) })
    }
}

/// The line's task.
struct Caller {
    target: Target,
    from: u64,
    tls: Arc<Tls>,
    patience: Patience,
    waiting: mpsc::Receiver<Outgoing>,
}

struct Connection {
    frames: mpsc::Receiver<Frame>,
    writer: BufWriter<WriteHalf<Stream>>,
    settings: Arc<Settings>,
    reader: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Caller {
    async fn run(mut self) {
        let mut failures = 0;
        while let Some(first) = self.waiting.recv().await {
            match self.connect().await {
                Ok(connection) => {
                    failures = 0;
                    let why = self.serve(connection, first).await;
                    tracing::debug!(node = %self.target.address, why, "a connection to a peer ended");
                }
                Err(error) => {
                    tracing::debug!(node = %self.target.address, %error, "a peer was not reached");
                    let error = LinkError::unsent(&self.target, error.to_string());
                    drop(first.reply.send(Err(error.clone())));
                    self.rest(failures, &error).await;
                    failures += 1;
                }
            }
        }
    }

    /// Refuses calls for a while.
    async fn rest(&mut self, failures: u32, error: &LinkError) {
        let until = Instant::now() + rest(failures, self.from ^ self.target.number);
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                next = self.waiting.recv() => match next {
                    Some(call) => drop(call.reply.send(Err(error.clone()))),
                    None => return,
                },
            }
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let settings = self.tls.settings()?;
        let connecting = async {
            let stream = TcpStream::connect(self.target.address.as_str()).await?;
            stream.set_nodelay(true)?;
            let mut stream = settings.connect(stream, self.target.number).await?;
            frame::greet(&mut stream, Greeting { from: self.from, to: self.target.number }).await?;
            Ok::<_, io::Error>(stream)
        };
        let stream =
            timeout(CONNECT_WITHIN, connecting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (reader, writer) = tokio::io::split(stream);
        let (came, frames) = mpsc::channel(CALLS_MAX);
        let reader = tokio::spawn(read(reader, came));
        Ok(Connection { frames, writer: BufWriter::with_capacity(BUFFER_BYTES, writer), settings, reader })
    }

    /// Carries calls until the connection ends; says why it did.
    async fn serve(&mut self, mut connection: Connection, first: Outgoing) -> &'static str {
        let mut calls = Calls { open: HashMap::new(), next: 0, heard: Instant::now() };
        let mut look = tokio::time::interval(LOOK_EVERY);
        if self.send(&mut connection, &mut calls, first).await.is_err() {
            return "writing failed";
        }
        loop {
            let silent = calls.heard + self.patience.silence;
            tokio::select! {
                biased;
                came = connection.frames.recv() => match came {
                    Some(frame) => calls.answered(frame),
                    None => return "it closed the connection",
                },
                next = self.waiting.recv(), if calls.open.len() < CALLS_MAX => match next {
                    Some(next) => if self.send(&mut connection, &mut calls, next).await.is_err() {
                        return "writing failed";
                    },
                    None => return "nobody calls any more",
                },
                () = sleep_until(silent), if !calls.open.is_empty() => return "no answer came",
                _ = look.tick(), if calls.open.is_empty() => {
                    if !self.tls.is_current(&connection.settings) {
                        return "the credentials were replaced";
                    }
                    if calls.heard.elapsed() > self.patience.idle {
                        return "nobody used it";
                    }
                },
            }
        }
    }

    /// Sends a call, and all that wait behind it.
    async fn send(&mut self, connection: &mut Connection, calls: &mut Calls, first: Outgoing) -> io::Result<()> {
        let writing = async {
            let mut next = Some(first);
            while let Some(Outgoing { request, reply }) = next {
                let frame = Frame { call: calls.open(reply), message: request };
                frame::write(&mut connection.writer, &frame).await?;
                next = if calls.open.len() < CALLS_MAX { self.waiting.try_recv().ok() } else { None };
            }
            connection.writer.flush().await
        };
        timeout(self.patience.silence, writing).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Calls that have no answer yet. Dropping them tells those who wait.
struct Calls {
    open: HashMap<u64, Reply>,
    next: u64,
    heard: Instant,
}

impl Calls {
    fn open(&mut self, reply: Reply) -> u64 {
        if self.open.is_empty() {
            self.heard = Instant::now();
        }
        self.next += 1;
        self.open.insert(self.next, reply);
        self.next
    }

    fn answered(&mut self, frame: Frame) {
        self.heard = Instant::now();
        if let Some(reply) = self.open.remove(&frame.call) {
            // Whoever called may have gone.
            drop(reply.send(Ok(frame.message)));
        }
    }
}

async fn read(half: ReadHalf<Stream>, came: mpsc::Sender<Frame>) {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, half);
    while let Ok(Some(frame)) = frame::read(&mut reader).await {
        if came.send(frame).await.is_err() {
            return;
        }
    }
}

/// How long to rest after so many failures, a different time for each pair of nodes.
fn rest(failures: u32, pair: u64) -> Duration {
    let whole = REST_FIRST.saturating_mul(1 << failures.min(16)).min(REST_MAX);
    let mixed = (pair.wrapping_add(u64::from(failures))).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    whole / 2 + whole.mul_f64(mixed as f64 / 65536.0) / 2
}

#[cfg(test)]
mod tests {
    use super::{REST_MAX, rest};

    #[test]
    fn the_rest_grows_to_its_bound_and_differs_between_pairs() {
        for failures in 0..64 {
            let rests: Vec<_> = (0..8_u64).map(|pair| rest(failures, pair * 77)).collect();
            assert!(rests.iter().all(|rest| *rest <= REST_MAX && rest.as_millis() >= 10), "{rests:?}");
            assert!(rests.windows(2).any(|two| two[0] != two[1]), "{rests:?}");
        }
        assert!(rest(10, 1) > rest(0, 1) * 10);
    }
}
