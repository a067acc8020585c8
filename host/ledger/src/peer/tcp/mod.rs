//! The link over TCP: connections out in [`line`], connections in in [`listen`]. One
//! connection to each node and lane, made when there is something to say, kept as long
//! as it works.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::peer::PeerIdentity;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use self::line::Line;
use self::listen::Host;
use super::tls::Tls;
use super::{Answer, Lane, Link, LinkError, Service, Target};

mod line;
mod listen;
mod places;

/// Most nodes this one keeps a line to. Why: members come and go, and each line is a task.
const LINES_MAX: usize = 64;

/// Longest a connection and its handshakes may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// A connection for questions from above is silent when no answer comes for so long. Why:
/// each may take as long as a request, and has a bound of its own.
const SILENCE_ABOVE: Duration = Duration::from_millis(bulkhead_model::limits::REQUEST_MS_MAX + 30_000);

/// The same of one for snapshots: the last question is answered when all of it is checked and in
/// place, and has a bound of its own.
const SILENCE_BULK: Duration = Duration::from_secs(super::intake::INSTALL_SECS_MAX + 30);

/// A connection that nobody uses is ended after so many times what counts as silence: by the
/// one who called, so that nothing is lost with it.
const IDLE_SILENCES: u32 = 60;

/// How long connections are waited for.
#[derive(Clone, Copy)]
struct Patience {
    /// It is silent when there are calls and no answer comes for so long.
    silence: Duration,
    /// Whoever called ends it when it was not used for so long.
    idle: Duration,
    /// Whoever was called does: the other has vanished.
    idle_called: Duration,
}

impl Patience {
    fn of(silence: Duration) -> Self {
        let idle = silence * IDLE_SILENCES;
        Self { silence, idle, idle_called: idle * 2 }
    }
}

/// What a node needs to speak to others: the socket they reach it on, and who it is.
pub struct PeerNetwork {
    /// Bound to `cluster_addr`.
    pub listener: TcpListener,
    /// Yields certificate, key and authorities.
    pub identity: Arc<dyn PeerIdentity>,
}

/// The link of a node to its peers.
pub(crate) struct TcpLink {
    number: u64,
    tls: Arc<Tls>,
    patience: Patience,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    lines: BTreeMap<(u64, Lane), Line>,
    listener: Option<TcpListener>,
    listening: Option<JoinHandle<()>>,
    closed: bool,
}

impl TcpLink {
    /// A link of the node `number`. It takes connections once it serves.
    pub(crate) fn new(number: u64, network: PeerNetwork, silence: Duration) -> io::Result<Self> {
        network.listener.set_nonblocking(true)?;
        let books = Books { listener: Some(network.listener), ..Books::default() };
        let (tls, patience) = (Arc::new(Tls::new(network.identity)), Patience::of(silence));
        Ok(Self { number, tls, patience, books: Mutex::new(books) })
    }
}

impl Link for TcpLink {
    fn call(&self, target: &Target, lane: Lane, request: Bytes) -> Answer {
        let mut books = self.books.lock();
        if books.closed {
            let error = LinkError::unsent(target, "this node is shutting down");
            return Box::pin(async { Err(error) });
        }
        let key = (target.number, lane);
        // A member whose address changed is called there.
        if books.lines.get(&key).is_none_or(|line| line.target() != target) {
            if books.lines.len() >= LINES_MAX {
                books.lines.retain(|_, line| !line.is_idle());
            }
            let mut patience = self.patience;
            match lane {
                Lane::Above => patience.silence = SILENCE_ABOVE,
                Lane::Bulk => patience.silence = SILENCE_BULK,
                Lane::Talk => {}
            }
            let line = Line::start(target.clone(), self.number, Arc::clone(&self.tls), patience);
            books.lines.insert(key, line);
        }
        books.lines[&key].call(request)
    }

    fn serve(&self, service: Arc<dyn Service>) {
        let mut books = self.books.lock();
        if let Some(listener) = books.listener.take().filter(|_| !books.closed) {
            let host = Host { number: self.number, tls: Arc::clone(&self.tls), service, patience: self.patience };
            books.listening = Some(tokio::spawn(listen::run(listener, host)));
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let listening = {
            let mut books = self.books.lock();
            books.closed = true;
            books.lines.clear();
            books.listener = None;
            books.listening.take()
        };
        // Connections end with the task that took them.
        listening.as_ref().inspect(|listening| listening.abort());
        Box::pin(async move {
            if let Some(listening) = listening {
                drop(listening.await);
            }
        })
    }
}

#[cfg(test)]
mod tests;
