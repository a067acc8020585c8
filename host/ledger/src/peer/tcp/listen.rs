//! Connections of other nodes. Each shows its certificate, says who it is and whom it
//! means to speak to, and is heard only if all three agree.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::places::{Place, Places};
use super::{CONNECT_WITHIN, Patience};
use crate::peer::Service;
use crate::peer::frame::{self, Frame};
use crate::peer::tls::{Settings, Stream, Tls, is_of};

/// Requests of one connection acted on at a time.
const REQUESTS_MAX: usize = 256;

/// Requests of one connection read ahead.
const AHEAD_MAX: usize = 32;

/// Longest an answer may take to be written.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait after the system refused a connection, as it does without descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// How often a connection looks whether it is to go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Takes connections until it is dropped, and ends them with it.
pub(super) async fn run(listener: TcpListener, host: Host) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "peers can't reach this node: its socket is of no use");
            return;
        }
    };
    let places = Arc::new(Places::default());
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, address)) => {
                let (host, place) = (host.clone(), places.for_stranger(address.ip()));
                connections.spawn(async move {
                    if let Err(error) = host.receive(stream, place).await {
                        tracing::debug!(%address, %error, "a peer's connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a peer's connection could not be taken");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// The node that is called.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) number: u64,
    pub(super) tls: Arc<Tls>,
    pub(super) service: Arc<dyn Service>,
    pub(super) patience: Patience,
}

impl Host {
    async fn receive(&self, stream: TcpStream, mut place: Place) -> io::Result<()> {
        let settings = self.tls.settings()?;
        let opening = async {
            stream.set_nodelay(true)?;
            let mut stream = settings.accept(stream).await?;
            let greeting = frame::greeted(&mut stream).await?;
            if greeting.to != self.number {
                return Err(refused("it means another node"));
            }
            if !is_of(&stream, greeting.from) {
                return Err(refused("its certificate is not that of the node it says it is"));
            }
            if !self.service.hears(greeting.from) {
                return Err(refused("it was removed from the cluster"));
            }
            frame::welcome(&mut stream).await?;
            Ok((stream, greeting.from))
        };
        let opened = tokio::select! {
            opened = timeout(CONNECT_WITHIN, opening) => opened,
            () = place.lost() => return Err(refused("others came meanwhile, and it had not said who it is")),
        };
        let (stream, from) = opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let place = place.of_node(from).ok_or_else(|| refused("too many nodes are connected"))?;
        let (reader, writer) = tokio::io::split(stream);
        let (came, frames) = mpsc::channel(AHEAD_MAX);
        let reader = Reader(tokio::spawn(read(reader, came)));
        let result =
            self.answer((from, place), &settings, frames, BufWriter::with_capacity(BUFFER_BYTES, writer)).await;
        drop(reader);
        result
    }

    async fn answer(
        &self,
        (from, mut place): (u64, Place),
        settings: &Settings,
        mut frames: mpsc::Receiver<io::Result<Frame>>,
        mut writer: BufWriter<WriteHalf<Stream>>,
    ) -> io::Result<()> {
        let mut acting: FuturesUnordered<BoxFuture<'static, Frame>> = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                biased;
                Some(done) = acting.next() => write(&mut writer, done, &mut acting).await?,
                came = frames.recv(), if acting.len() < REQUESTS_MAX => match came {
                    Some(frame) => {
                        let Frame { call, message } = frame?;
                        heard = Instant::now();
                        let answer = self.service.take(from, message);
                        let mut answer: BoxFuture<'static, Frame> =
                            Box::pin(async move { Frame { call, message: answer.await } });
                        // Polled here and now: entries are handed on in the order they came in.
                        match futures::poll!(&mut answer) {
                            std::task::Poll::Ready(done) => write(&mut writer, done, &mut acting).await?,
                            std::task::Poll::Pending => acting.push(answer),
                        }
                    }
                    None => return Ok(()),
                },
                () = place.lost() => return Err(refused("the node connected anew, and too often")),
                _ = look.tick() => {
                    let old = heard.elapsed() > self.patience.idle_called || !self.tls.is_current(settings);
                    if (old && acting.is_empty()) || !self.service.hears(from) {
                        return Ok(());
                    }
                },
            }
        }
    }
}

/// Writes an answer, and those that are ready with it.
async fn write(
    writer: &mut BufWriter<WriteHalf<Stream>>,
    first: Frame,
    acting: &mut FuturesUnordered<BoxFuture<'static, Frame>>,
) -> io::Result<()> {
    let writing = async {
        frame::write(writer, &first).await?;
        while let std::task::Poll::Ready(Some(next)) = futures::poll!(acting.next()) {
            frame::write(writer, &next).await?;
        }
        writer.flush().await
    };
    timeout(WRITE_WITHIN, writing).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// The task that reads; ends with the connection.
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read(half: ReadHalf<Stream>, came: mpsc::Sender<io::Result<Frame>>) {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, half);
    loop {
        let frame = match frame::read(&mut reader).await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let ended = frame.is_err();
        if came.send(frame).await.is_err() || ended {
            return;
        }
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
