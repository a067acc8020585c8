//! One HTTP/1.1 request over TCP, TLS or a socket file, with its deadline and retries.
//! The only file of this room that knows hyper. It follows no redirect and reads no JSON.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::hidden::Hidden;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, LOCATION, PROXY_AUTHORIZATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use super::address::{Address, Endpoint};
use super::error::{ClientError, origin};
use super::pace::{FileBody, Overdue, Pace};
use super::proxy::{Proxies, Proxy};
use super::settings::Settings;
use super::tls::{Tls, refused_certificate};
use crate::fault::plain_io;

/// Largest answer that is read, in bytes. Source: none, a constant. Why: it is held
/// whole, and no API answer comes near it.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Wait before the second try; later ones wait as much longer again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// A request with everything that goes with it.
pub(crate) struct Outgoing {
    /// HTTP method.
    pub(super) method: String,
    /// Path and query, encoded.
    pub(super) target: String,
    /// Headers besides the token.
    pub(super) headers: Vec<(String, String)>,
    /// Empty for none.
    pub(super) token: Hidden<String>,
    /// Empty for none. Hidden, because what is stored is in it.
    pub(super) body: Hidden<String>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) location: Option<String>,
    pub(super) namespace: Option<String>,
}

/// What becomes of an answer's body.
enum Take<'a> {
    Whole,
    Streamed(&'a mut dyn Write, Pace),
}

/// Sends requests to a server, a connection each: a command makes one or two.
pub(super) struct Exchange {
    base: Address,
    runtime: Runtime,
    tls: Tls,
    proxies: Arc<Proxies>,
    timeout: Duration,
    retries: u32,
}

/// A byte stream of any kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Exchange {
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::Settings(format!("this system refuses an event loop: {error}")))?;
        let tls = Tls::new(&settings.tls, settings.address.is_tls)?;
        Ok(Self {
            base: settings.address.clone(),
            runtime,
            tls,
            proxies: Arc::clone(&settings.proxies),
            timeout: settings.timeout,
            retries: settings.retries,
        })
    }

    /// Waits for answers for this long from now on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The address that the settings name.
    pub(super) fn base(&self) -> &Address {
        &self.base
    }

    /// Sends a request to `address`, again if it is worth it.
    pub(super) fn send(&self, address: &Address, target: &str, outgoing: &Outgoing) -> Result<Reply, ClientError> {
        self.runtime.block_on(async {
            for attempt in 1..=self.retries {
                let result = self.attempt(address, target, outgoing).await;
                if !is_worth_retrying(&result) {
                    return result;
                }
                tokio::time::sleep(RETRY_WAIT * attempt).await;
            }
            self.attempt(address, target, outgoing).await
        })
    }

    async fn attempt(&self, address: &Address, target: &str, outgoing: &Outgoing) -> Result<Reply, ClientError> {
        let trace = Trace { method: go_method(&outgoing.method), url: address.url(target) };
        let exchange = async {
            let stream = self.connect(address, &trace).await?;
            let body = Full::new(Bytes::from(outgoing.body.expose().clone()));
            let request = build(address, self.proxies.to(address), target, (outgoing, body))?;
            converse(stream, request, &trace, &mut Take::Whole).await
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout { method: trace.method, url: trace.url, secs: self.timeout.as_secs() }),
        }
    }

    /// Sends a request once, and writes a good answer as it comes.
    pub(super) fn download(
        &self,
        address: &Address,
        target: &str,
        outgoing: &Outgoing,
        out: &mut dyn Write,
    ) -> Result<Reply, ClientError> {
        let pace = Pace::new(self.timeout);
        let body = Full::new(Bytes::new());
        self.paced(address, target, (outgoing, body), (&pace, &mut Take::Streamed(out, pace.clone())))
    }

    /// Sends a request once, with a file for its body.
    pub(super) fn upload(
        &self,
        address: &Address,
        target: &str,
        outgoing: &Outgoing,
        file: File,
    ) -> Result<Reply, ClientError> {
        let pace = Pace::new(self.timeout);
        let body = FileBody::new(file, pace.clone());
        self.paced(address, target, (outgoing, body), (&pace, &mut Take::Whole))
    }

    /// Sends a request once that may take as long as it likes, while it goes on.
    fn paced<B>(
        &self,
        address: &Address,
        target: &str,
        (outgoing, body): (&Outgoing, B),
        (pace, take): (&Pace, &mut Take<'_>),
    ) -> Result<Reply, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let trace = Trace { method: go_method(&outgoing.method), url: address.url(target) };
        let exchange = async {
            let stream = self.connect(address, &trace).await?;
            let request = build(address, self.proxies.to(address), target, (outgoing, body))?;
            converse(stream, request, &trace, take).await
        };
        self.runtime.block_on(async {
            tokio::select! {
                // What has come is taken before it is found to be late.
                biased;
                reply = exchange => reply,
                overdue = pace.overdue() => Err(trace.overdue(overdue)),
            }
        })
    }

    async fn connect(&self, address: &Address, trace: &Trace) -> Result<Box<dyn Stream>, ClientError> {
        match &address.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| trace.unreached("unix", path, &error))?;
                Ok(Box::new(stream))
            }
            Endpoint::Tcp(host, port) => {
                let proxy = self.proxies.to(address);
                let (kind, to) = match proxy {
                    Some(proxy) => ("proxy", (proxy.host.as_str(), proxy.port)),
                    None => ("tcp", (host.as_str(), *port)),
                };
                let place = format!("{}:{}", to.0, to.1);
                let unreached = |error: Error| trace.unreached(kind, &place, &error);
                let mut stream = TcpStream::connect(to).await.map_err(unreached)?;
                // One small request and its answer: waiting to fill packets only delays it.
                stream.set_nodelay(true).map_err(unreached)?;
                if !address.is_tls {
                    return Ok(Box::new(stream));
                }
                if let Some(proxy) = proxy {
                    proxy.tunnel(&mut stream, host, *port).await.map_err(unreached)?;
                }
                let stream = self.tls.handshake(host, stream).await.map_err(|error| trace.handshake(&error))?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// What error messages say about the request.
struct Trace {
    method: String,
    url: String,
}

impl Trace {
    fn unreached(&self, kind: &str, place: &str, error: &Error) -> ClientError {
        // A proxy that turned us away says why itself.
        let is_refused = error.kind() == ErrorKind::ConnectionRefused && error.get_ref().is_none();
        let text = match kind {
            "proxy" if is_refused => format!("proxyconnect tcp: dial tcp {place}: connect: connection refused"),
            "proxy" => format!("proxyconnect tcp: {place}: {}", plain_io(error)),
            _ if is_refused => format!("dial {kind} {place}: connect: connection refused"),
            "unix" => format!("dial unix {place}: connect: {}", plain_io(error)),
            _ => format!("dial tcp {place}: {}", plain_io(error)),
        };
        let at = match kind {
            "unix" => format!("unix://{place}"),
            "proxy" => format!("http://{place}"),
            _ => origin(&self.url).to_owned(),
        };
        ClientError::Connect {
            method: self.method.clone(),
            url: self.url.clone(),
            at,
            source: Error::new(error.kind(), text),
        }
    }

    fn handshake(&self, error: &Error) -> ClientError {
        if let Some(alert) = refused_certificate(error) {
            return ClientError::Certificate { method: self.method.clone(), url: self.url.clone(), alert };
        }
        let text = error.to_string();
        let text = if text.contains("InvalidContentType") {
            "http: server gave HTTP response to HTTPS client".to_owned()
        } else {
            format!("tls: {}", bulkhead_server::handshake_fault(error))
        };
        ClientError::Tls { method: self.method.clone(), url: self.url.clone(), source: Error::new(error.kind(), text) }
    }

    fn overdue(&self, overdue: Overdue) -> ClientError {
        let (method, url) = (self.method.clone(), self.url.clone());
        match overdue {
            Overdue::Answer { secs } => ClientError::Timeout { method, url, secs },
            Overdue::Pause { secs } => ClientError::Http { method, url, what: format!("nothing went on for {secs} s") },
        }
    }

    fn broken(&self, error: &hyper::Error) -> ClientError {
        let (method, url) = (self.method.clone(), self.url.clone());
        match refused_certificate(error) {
            Some(alert) => ClientError::Certificate { method, url, alert },
            None => ClientError::Http { method, url, what: error.to_string() },
        }
    }
}

/// `Get`, `Put` and so on, as Go's errors begin.
fn go_method(method: &str) -> String {
    let (first, rest) = method.split_at(1.min(method.len()));
    format!("{first}{}", rest.to_ascii_lowercase())
}

fn build<B>(
    address: &Address,
    proxy: Option<&Proxy>,
    target: &str,
    (outgoing, body): (&Outgoing, B),
) -> Result<Request<B>, ClientError> {
    // Behind TLS a proxy is heard no more; without it, it is told where to go.
    let proxy = proxy.filter(|_| !address.is_tls);
    let uri = if proxy.is_some() { address.url(target) } else { target.to_owned() };
    let mut request = Request::builder().method(outgoing.method.as_str()).uri(uri).header(HOST, &address.authority);
    if let Some(credentials) = proxy.and_then(Proxy::credentials) {
        let value = HeaderValue::from_str(credentials);
        let mut value =
            value.map_err(|error| ClientError::Settings(format!("the proxy's user is unusable: {error}")))?;
        value.set_sensitive(true);
        request = request.header(PROXY_AUTHORIZATION, value);
    }
    for (name, value) in &outgoing.headers {
        request = request.header(name, value);
    }
    if !outgoing.token.expose().is_empty() {
        let mut value = HeaderValue::from_str(outgoing.token.expose()).map_err(|_| {
            ClientError::Settings(
                "configured Vault token contains non-printable characters and cannot be used".to_owned(),
            )
        })?;
        value.set_sensitive(true);
        request = request.header("X-Vault-Token", value);
    }
    request.body(body).map_err(|error| ClientError::Settings(format!("the request cannot be sent: {error}")))
}

async fn converse<B>(
    stream: Box<dyn Stream>,
    request: Request<B>,
    trace: &Trace,
    take: &mut Take<'_>,
) -> Result<Reply, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| trace.broken(&error))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|error| trace.broken(&error))?;
        // The sender is dropped with this block, which ends the connection below.
        read(response, trace, take).await
    };
    let (reply, _) = tokio::join!(exchange, connection);
    reply
}

async fn read(response: Response<Incoming>, trace: &Trace, take: &mut Take<'_>) -> Result<Reply, ClientError> {
    let (head, body) = response.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (location, namespace) = (header(LOCATION.as_str()), header("x-vault-namespace"));
    let status = head.status.as_u16();
    let unread = |error: &dyn std::fmt::Display| ClientError::Http {
        method: trace.method.clone(),
        url: trace.url.clone(),
        what: format!("reading the answer: {error}"),
    };
    let body = match take {
        Take::Streamed(out, pace) if status == 200 => {
            streamed(body, *out, pace).await.map_err(|error| unread(&error))?;
            Vec::new()
        }
        _ => {
            let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| unread(&error))?;
            whole.to_bytes().to_vec()
        }
    };
    Ok(Reply { status, body, location, namespace })
}

/// Writes an answer as it comes.
async fn streamed(mut body: Incoming, out: &mut dyn Write, pace: &Pace) -> Result<(), String> {
    loop {
        pace.went_on();
        match body.frame().await {
            None => return Ok(()),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    out.write_all(&piece).map_err(|error| plain_io(&error))?;
                }
            }
        }
    }
}

/// Faults that may be gone in a moment: no connection, a busy or failing server, and
/// 412, which a standby answers that has not seen the caller's last write yet.
fn is_worth_retrying(result: &Result<Reply, ClientError>) -> bool {
    match result {
        Ok(reply) => matches!(reply.status, 412 | 429 | 500 | 502..=599),
        Err(ClientError::Connect { .. } | ClientError::Http { .. }) => true,
        Err(_) => false,
    }
}
