//! A listener with a stand-in behind it, and a client that sends bytes as they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulkhead_model::answer::Answer;
use bulkhead_model::cors::{Cors, Crossing};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Request, Unread, Verb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::{Api, Behind, Bound, Front, Listener, ListenerLimits, Tls};

/// Answers with what it was asked.
#[derive(Default)]
pub(super) struct Mirror {
    /// Requests to `wait` are answered once this is told.
    pub(super) go: Notify,
    /// Requests answered.
    pub(super) answered: AtomicUsize,
}

impl Front for Mirror {
    async fn answer(&self, request: Request, time_max: Duration) -> Answer {
        match request.path.as_str() {
            "wait" if tokio::time::timeout(time_max, self.go.notified()).await.is_err() => {
                return Reply::from(Failure::new(FailureKind::Timeout, "as asked")).into();
            }
            "panic" => panic!("as asked"),
            _ => {}
        }
        if request.path.as_str() == "sys/storage/raft/snapshot" && request.verb == Verb::Read {
            let stream = Box::new(std::io::Cursor::new(vec![b'x'; 200_000]));
            let headers = vec![("content-disposition".to_owned(), "attachment".to_owned())];
            return Reply::Stream { content_type: "application/gzip", headers, stream }.into();
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        let body = match &request.body {
            Body::Empty => 0,
            Body::Unread(_) if request.token.is_none() => 0,
            Body::Unread(body) => match drained(body).await {
                Ok(bytes) => bytes,
                Err(failure) => return Reply::from(failure).into(),
            },
            Body::Json(json) => json.expose().len(),
            Body::Raw { bytes, .. } => bytes.expose().len(),
        };
        let json = serde_json::json!({
            "id": request.id, "verb": format!("{:?}", request.verb), "path": request.path.as_str(), "body": body,
            "token": request.token.map(|t| t.expose().clone()), "certificates": request.origin.certificates.len(),
            "address": request.origin.address, "port": request.origin.port,
        });
        let reply = Reply::Bare { status: 200, json: Hidden::new(json.to_string().into_bytes()) };
        Answer { reply, headers: vec![("retry-after", "7".to_owned())] }
    }

    fn crossing(&self, origin: &str, method: &str, asked: Option<&str>) -> Option<Crossing> {
        let cors = Cors::new(vec!["http://page".to_owned()], Vec::new(), false).expect("is possible");
        (origin != "http://unruled").then(|| cors.decide(origin, method, asked))
    }
}

/// Reads a body to its end; gives its length.
async fn drained(body: &Unread) -> Result<usize, Failure> {
    let mut pieces = body.take().expect("nobody has taken it");
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await? {
        bytes += piece.len();
    }
    Ok(bytes)
}

/// A running listener.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) mirror: Arc<Mirror>,
    pub(super) api: Arc<Api<Mirror>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Served {
    pub(super) async fn start(tls: Option<Arc<Tls>>, limits: ListenerLimits) -> Self {
        Self::start_behind(tls, limits, Behind::default()).await
    }

    pub(super) async fn start_behind(tls: Option<Arc<Tls>>, limits: ListenerLimits, behind: Behind) -> Self {
        let mirror = Arc::new(Mirror::default());
        let api = Api::new(Arc::clone(&mirror), Arc::new(FakeEntropy::seeded(1)), Arc::default());
        let listener = Listener::bind("127.0.0.1:0", tls, limits).await.expect("binds").behind(behind);
        let Bound::Tcp(address) = listener.address() else { panic!("it listens on TCP") };
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(listener.serve(Arc::clone(&api), stopping));
        Self { address, mirror, api, stop, serving }
    }

    pub(super) async fn plain() -> Self {
        Self::start(None, ListenerLimits::default()).await
    }

    pub(super) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.expect("connects"), read: Vec::new() }
    }

    /// One request on a connection of its own; gives status and the whole answer.
    pub(super) async fn ask(&self, bytes: &[u8]) -> (u16, String) {
        let mut client = self.connect().await;
        client.send(bytes).await;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        client.answer().await.unwrap_or_else(|| panic!("no answer to {start:?}"))
    }

    pub(super) fn tell_to_stop(&self) {
        self.stop.send(true).expect("is serving");
    }

    pub(super) async fn ended(self) {
        tokio::time::timeout(Duration::from_secs(20), self.serving).await.expect("ends in time").expect("ends well");
    }
}

pub(super) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        // A server that has answered already may have closed its side.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer, or `None` if the connection ended first.
    pub(super) async fn answer(&mut self) -> Option<(u16, String)> {
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, self.read_answer()).await.expect("an answer or the end, in time")
    }

    /// What else comes until the connection ends.
    pub(super) async fn rest(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.read);
        let reading = self.stream.read_to_end(&mut rest);
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the end, in time").expect("reads");
        String::from_utf8(rest).expect("UTF-8")
    }

    async fn read_answer(&mut self) -> Option<(u16, String)> {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let length: usize = length.unwrap_or(0);
                if body.len() >= length {
                    self.read.drain(..head.len() + 4 + length);
                    let status = head.split(' ').nth(1)?.parse().ok()?;
                    return Some((status, format!("{head}\r\n\r\n{}", &body[..length])));
                }
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// A request without a body.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
}

/// A request with one.
pub(super) fn post(path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
