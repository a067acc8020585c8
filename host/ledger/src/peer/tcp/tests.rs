use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bulkhead_model::seam::peer::{PeerCredentials, Validity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::peer::authority::{Authority, NodeKey};
use crate::peer::frame::{self, Greeting};

struct Always(Arc<PeerCredentials>);

impl PeerIdentity for Always {
    fn current(&self) -> Option<Arc<PeerCredentials>> {
        Some(Arc::clone(&self.0))
    }
}

/// Gives back what it is sent, and counts.
#[derive(Default)]
struct Echo(AtomicUsize);

impl Service for Echo {
    fn take(&self, _: u64, request: Bytes) -> BoxFuture<'static, Bytes> {
        self.0.fetch_add(1, SeqCst);
        Box::pin(async move { request })
    }

    fn hears(&self, from: u64) -> bool {
        from != DEAF_TO
    }
}

/// Whom an echo does not hear.
const DEAF_TO: u64 = 66;

const SILENCE: Duration = Duration::from_secs(2);

fn network(authority: &Authority, number: u64) -> (PeerNetwork, String) {
    let key = NodeKey::generate().unwrap();
    let years = Validity { from_secs: 1_500_000_000, until_secs: 4_000_000_000 };
    let certificate = authority.issue(number, &key.request().unwrap(), years).unwrap();
    let authorities = vec![authority.certificate().to_vec()];
    let identity =
        Arc::new(Always(Arc::new(PeerCredentials { certificate, key: key.into_key(), authorities, validity: years })));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (PeerNetwork { listener, identity }, address)
}

fn authority() -> Authority {
    Authority::found(Validity { from_secs: 1_500_000_000, until_secs: 4_000_000_000 }).unwrap()
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_answer() {
    let authority = authority();
    let (there, address) = network(&authority, 2);
    let (server, echo) = (TcpLink::new(2, there, SILENCE).unwrap(), Arc::new(Echo::default()));
    server.serve(echo.clone());
    let client = TcpLink::new(1, network(&authority, 1).0, SILENCE).unwrap();
    let target = Target { number: 2, address };
    let calls = (0..200_u32).map(|n| client.call(&target, Lane::Talk, n.to_be_bytes().to_vec().into()));
    let answers = futures::future::join_all(calls.collect::<Vec<_>>()).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(&answer.unwrap()[..], (n as u32).to_be_bytes());
    }
    client.close().await;
    server.close().await;
    assert!(client.call(&target, Lane::Talk, Bytes::new()).await.is_err(), "it was closed");
    assert_eq!(echo.0.load(SeqCst), 200);
}

#[tokio::test]
async fn a_frame_over_its_limit_ends_the_connection_and_is_not_acted_on() {
    let authority = authority();
    let (there, address) = network(&authority, 2);
    let (server, echo) = (TcpLink::new(2, there, SILENCE).unwrap(), Arc::new(Echo::default()));
    server.serve(echo.clone());
    let settings = Tls::new(network(&authority, 1).0.identity).settings().unwrap();
    for length in [u32::MAX, 0, 3] {
        let stream = TcpStream::connect(&address).await.unwrap();
        let mut stream = settings.connect(stream, 2).await.unwrap();
        frame::greet(&mut stream, Greeting { from: 1, to: 2 }).await.unwrap();
        stream.write_u32(length).await.unwrap();
        stream.write_all(&[0; 64]).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty(), "{length}");
    }
    assert_eq!(echo.0.load(SeqCst), 0);
    server.close().await;
}

#[tokio::test]
async fn nobody_waits_long_for_a_node_that_is_not_there() {
    let client = TcpLink::new(1, network(&authority(), 1).0, SILENCE).unwrap();
    // A socket that was bound and let go: nobody listens.
    let address = network(&authority(), 2).1;
    let target = Target { number: 2, address };
    let began = std::time::Instant::now();
    for _ in 0..20 {
        assert!(client.call(&target, Lane::Talk, Bytes::new()).await.is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    client.close().await;
}

#[tokio::test]
async fn strangers_who_dawdle_keep_no_node_out() {
    let authority = authority();
    let (there, address) = network(&authority, 2);
    let server = TcpLink::new(2, there, SILENCE).unwrap();
    server.serve(Arc::new(Echo::default()));
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(TcpStream::connect(&address).await.unwrap());
    }
    let client = TcpLink::new(1, network(&authority, 1).0, SILENCE).unwrap();
    let target = Target { number: 2, address };
    let began = std::time::Instant::now();
    client.call(&target, Lane::Talk, Bytes::new()).await.unwrap();
    assert!(began.elapsed() < CONNECT_WITHIN / 2, "{:?}", began.elapsed());
    client.close().await;
    server.close().await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_ended_by_either_side_and_made_anew() {
    let authority = authority();
    let (there, address) = network(&authority, 2);
    let short = Duration::from_millis(10);
    let server = TcpLink::new(2, there, short).unwrap();
    server.serve(Arc::new(Echo::default()));
    // One that greets and falls silent.
    let settings = Tls::new(network(&authority, 1).0.identity).settings().unwrap();
    let stream = TcpStream::connect(&address).await.unwrap();
    let mut stream = settings.connect(stream, 2).await.unwrap();
    frame::greet(&mut stream, Greeting { from: 1, to: 2 }).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "it is kept");
    let client = TcpLink::new(1, network(&authority, 1).0, SILENCE).unwrap();
    let target = Target { number: 2, address };
    client.call(&target, Lane::Talk, Bytes::new()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    client.call(&target, Lane::Talk, Bytes::new()).await.unwrap();
    client.close().await;
    server.close().await;
}

#[tokio::test]
async fn whoever_is_not_heard_is_not_let_in() {
    let authority = authority();
    let (there, address) = network(&authority, 2);
    let server = TcpLink::new(2, there, SILENCE).unwrap();
    server.serve(Arc::new(Echo::default()));
    let target = Target { number: 2, address };
    for (number, expected) in [(DEAF_TO, false), (DEAF_TO + 1, true)] {
        let client = TcpLink::new(number, network(&authority, number).0, SILENCE).unwrap();
        assert_eq!(client.call(&target, Lane::Talk, Bytes::new()).await.is_ok(), expected);
        client.close().await;
    }
    server.close().await;
}
