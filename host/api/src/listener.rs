//! Accepts connections and serves each in a task of its own. Nothing that a single
//! connection does, or that the system says about it, ends the listener.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use bulkhead_model::request::Origin;
use http_body_util::Either;
use hyper::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;

use bulkhead_model::limits::{HEADERS_BYTES_MAX, HEADERS_MAX};

use crate::answer::answer;
use crate::crowd::{Crowd, Place};
use crate::encode::Encoded;
use crate::error::ApiError;
use crate::figures::Connected;
use crate::forwarded::Forwarded;
use crate::handshakes::Handshakes;
use crate::limits::{ACCEPT_PAUSE, DRAIN_MAX, HANDSHAKE_MAX, ListenerLimits};
use crate::message;
use crate::pace::{Pace, Paced, linger};
use crate::proxies::{Proxies, Trust, take_header};
use crate::replayed::Replayed;
use crate::socket_file::{BoundFile, SocketFile};
use crate::tls::Tls;
use crate::{Api, Front};

/// A bound address, not yet served.
pub struct Listener {
    socket: Socket,
    tls: Option<Arc<Tls>>,
    limits: ListenerLimits,
    behind: Behind,
}

/// Whom a listener believes of those that are in front of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Who may say in a PROXY header for whom it connects; `None`: nobody, and none is read.
    pub proxies: Option<Proxies>,
    /// Who may say in `X-Forwarded-For` for whom it asks; `None`: nobody, and it is not read.
    pub forwarded: Option<Forwarded>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The address; tells the port where the system chose it.
    Tcp(SocketAddr),
    /// The file.
    Unix(PathBuf),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Listener {
    /// Binds an address (`host:port`); clients may connect from here on, and wait.
    ///
    /// # Errors
    /// [`ApiError::Bind`].
    pub async fn bind(address: &str, tls: Option<Arc<Tls>>, limits: ListenerLimits) -> Result<Self, ApiError> {
        let failed = |source| ApiError::Bind { address: address.to_owned(), source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        Ok(Self { socket: Socket::Tcp(socket, bound), tls, limits, behind: Behind::default() })
    }

    /// Listens at a file, without TLS: who may connect is up to its mode. Call it once the umask
    /// keeps others out. The file is removed when the listener ends.
    ///
    /// # Errors
    /// [`ApiError::Bind`]; also if another process listens there, or the file is no socket.
    pub async fn bind_unix(file: &SocketFile, limits: ListenerLimits) -> Result<Self, ApiError> {
        let failed = |source| ApiError::Bind { address: file.path.display().to_string(), source };
        let (socket, bound) = file.bind().await.map_err(failed)?;
        Ok(Self { socket: Socket::Unix(socket, bound), tls: None, limits, behind: Behind::default() })
    }

    /// Believes these of whom they speak for.
    #[must_use]
    pub fn behind(mut self, behind: Behind) -> Self {
        self.behind = behind;
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Bound {
        match &self.socket {
            Socket::Tcp(_, address) => Bound::Tcp(*address),
            Socket::Unix(_, file) => Bound::Unix(file.path.clone()),
        }
    }

    /// Serves until `stop` holds true or its sender is gone; then lets the requests at
    /// hand finish, within a bound, and returns.
    pub async fn serve<F: Front>(self, api: Arc<Api<F>>, mut stop: watch::Receiver<bool>) {
        let address = self.address();
        let mut connections = JoinSet::new();
        let crowd = Crowd::new(self.limits.address_connections_max);
        let Self { socket, tls, limits, behind } = self;
        let shared =
            Arc::new(Shared { api, tls, limits, behind, crowd, handshakes: Handshakes::default(), stop: stop.clone() });
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = shared.accept(&socket) => {
                    if let Some((came, room)) = accepted {
                        let shared = Arc::clone(&shared);
                        connections.spawn(async move { shared.connection(came, room).await });
                    }
                }
            }
        }
        drop(socket);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, all).await.is_err() {
            tracing::warn!(%address, "cut off connections that did not end in time");
        }
    }
}

/// What is listened at.
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, BoundFile),
}

impl Socket {
    async fn accept(&self) -> io::Result<Came> {
        Ok(match self {
            Self::Tcp(socket, _) => {
                let (stream, peer) = socket.accept().await?;
                Came::Tcp(stream, peer)
            }
            Self::Unix(socket, _) => Came::Unix(socket.accept().await?.0),
        })
    }
}

/// A connection that was opened.
enum Came {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Came {
    /// Whose it is.
    fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => Some(peer.ip()),
            Self::Unix(_) => None,
        }
    }
}

/// Returns once it is time to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can't say so any more: stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What a connection takes up while it lasts: one of all, and one of its client's, once that
/// is known.
struct Room {
    _of_all: OwnedSemaphorePermit,
    of_client: Option<Place>,
    _counted: Connected,
}

/// Whether what comes is HTTP without TLS. Its methods begin with a letter, and no record of TLS
/// does.
async fn speaks_plainly(stream: &Replayed<TcpStream>) -> io::Result<bool> {
    Ok(stream.peek().await?.is_some_and(|first| first.is_ascii_uppercase()))
}

/// Tells a client that speaks plain HTTP where TLS is spoken what is wrong; byte for byte as Go's
/// server, since clients look for the text.
async fn turn_away(mut stream: Replayed<TcpStream>) {
    let answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    if stream.write_all(answer).await.is_ok() {
        linger(stream).await;
    }
}

/// What all connections of a listener need.
struct Shared<F> {
    api: Arc<Api<F>>,
    tls: Option<Arc<Tls>>,
    limits: ListenerLimits,
    behind: Behind,
    crowd: Arc<Crowd>,
    handshakes: Handshakes,
    stop: watch::Receiver<bool>,
}

impl<F: Front> Shared<F> {
    /// The next connection, once there is room for it. One too many of its client's is closed at
    /// once: before TLS, which costs more than anything else about it.
    async fn accept(&self, socket: &Socket) -> Option<(Came, Room)> {
        let of_all = Arc::clone(&self.api.connections).acquire_owned().await.ok()?;
        let came = match socket.accept().await {
            Ok(came) => came,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return None;
            }
        };
        let of_client = match self.trust(&came) {
            Trust::Refused => {
                tracing::debug!(address = ?came.address(), "refused a connection: proxy_protocol_authorized_addrs");
                return None;
            }
            // One proxy has the connections of many clients, and will say whose each is.
            Trust::Authorized => None,
            Trust::Anybody | Trust::Itself => Some(self.place(came.address())?),
        };
        Some((came, Room { _of_all: of_all, of_client, _counted: self.api.figures.connected() }))
    }

    fn trust(&self, came: &Came) -> Trust {
        match (&self.behind.proxies, came) {
            (Some(proxies), Came::Tcp(_, peer)) => proxies.trust(peer.ip()),
            _ => Trust::Itself,
        }
    }

    /// A place among the connections of a client, if it has not as many as one may.
    fn place(&self, address: Option<IpAddr>) -> Option<Place> {
        let place = self.crowd.enter(address);
        if place.is_none() {
            self.api.figures.refused.add_one();
        }
        place
    }

    async fn connection(&self, came: Came, mut room: Room) {
        match came {
            Came::Unix(stream) => self.serve(stream, self.origin(None)).await,
            Came::Tcp(stream, peer) => {
                // Answers are written whole; waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                let Some((stream, client)) = self.client(stream, peer).await else { return };
                if room.of_client.is_none() {
                    room.of_client = self.place(client.map(|client| client.ip()));
                    if room.of_client.is_none() {
                        return;
                    }
                }
                self.over_tcp(stream, self.origin(client)).await;
            }
        }
    }

    /// The connection behind its PROXY header, and whose it is. Of a malformed header, or one that
    /// comes too slowly, there is nothing: such a connection ends without an answer.
    async fn client(&self, stream: TcpStream, peer: SocketAddr) -> Option<(Replayed<TcpStream>, Option<SocketAddr>)> {
        let Some(proxies) = &self.behind.proxies else { return Some((Replayed::new(Vec::new(), stream), Some(peer))) };
        match tokio::time::timeout(self.limits.header_max, take_header(stream, peer)).await {
            Ok(Ok((stream, _))) if proxies.trust(peer.ip()) == Trust::Itself => Some((stream, Some(peer))),
            Ok(Ok(told)) => Some(told),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no PROXY header was read");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "a PROXY header took too long");
                None
            }
        }
    }

    fn origin(&self, client: Option<SocketAddr>) -> Origin {
        Origin {
            address: client.map(|client| client.ip().to_canonical()),
            port: client.map_or(0, |client| client.port()),
            certificates: Vec::new(),
            open_metrics: self.limits.open_metrics,
            open_ceremonies: self.limits.open_ceremonies,
        }
    }

    async fn over_tcp(&self, stream: Replayed<TcpStream>, mut origin: Origin) {
        let peer = origin.address;
        let Some(tls) = &self.tls else { return self.serve(stream, origin).await };
        let handshake =
            async { if speaks_plainly(&stream).await? { Ok(Err(stream)) } else { tls.accept(stream).await.map(Ok) } };
        match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
            Ok(Ok(Ok((stream, certificates)))) => {
                origin.certificates = certificates;
                self.serve(stream, origin).await;
            }
            Ok(Ok(Err(plain))) => turn_away(plain).await,
            Ok(Err(error)) => self.handshakes.failed(peer, &error),
            Err(_) => tracing::debug!(?peer, "TLS handshake took too long"),
        }
    }

    fn asked_from<B>(&self, origin: &Arc<Origin>, request: &Request<B>) -> Result<Arc<Origin>, Encoded> {
        match &self.behind.forwarded {
            Some(forwarded) => forwarded.origin(origin, request.headers()),
            None => Ok(Arc::clone(origin)),
        }
    }

    /// Serves one connection to its end.
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, origin: Origin) {
        let (origin, pace) = (Arc::new(origin), Pace::new());
        let (stream, back) = Paced::new(stream, Arc::clone(&pace));
        let service = service_fn(|request| {
            pace.request_began();
            let framed = message::check(&request, pace.has_fragment());
            let (origin, framed) = match framed.and_then(|()| self.asked_from(&origin, &request)) {
                Ok(origin) => (origin, Ok(())),
                Err(refused) => (Arc::clone(&origin), Err(refused)),
            };
            let answered = answer(Arc::clone(&self.api), origin, self.limits, framed, request);
            let pace = &pace;
            async move {
                let mut response = answered.await;
                match response.as_mut().map(|response| response.body_mut()) {
                    Ok(Either::Right(leaving)) => leaving.keep(Arc::clone(pace)),
                    _ => pace.request_ended(),
                }
                response
            }
        });
        let connection = http1::Builder::new()
            // Times are kept by `Pace`: hyper's own would also end idle connections. Its
            // `pipeline_flush` stays off: it keeps back the answer to a broken header.
            .header_read_timeout(None)
            // A request that came whole is carried out whether or not its client stays, so
            // there is no use in looking for the end of the connection meanwhile.
            .half_close(true)
            .max_headers(HEADERS_MAX)
            .max_header_size(HEADERS_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let ended_itself = {
            tokio::pin!(connection);
            let mut stop = self.stop.clone();
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                    true
                }
                () = pace.over(&self.limits) => {
                    tracing::debug!("a connection used up its time");
                    false
                }
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                    false
                }
            }
        };
        // Its last answer may still be on the way.
        let stream = back.lock().take();
        if let (true, Some(stream)) = (ended_itself, stream) {
            linger(stream).await;
        }
    }
}
