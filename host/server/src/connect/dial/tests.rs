//! Against servers on loopback.

use std::net::IpAddr;

use tokio::net::TcpListener;

use super::*;

const WITHIN: Duration = Duration::from_secs(10);

fn everybody(_: IpAddr) -> bool {
    true
}

async fn listening() -> (TcpListener, NetAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    (listener, NetAddress::Tcp { host: "localhost".to_owned(), port })
}

#[tokio::test]
async fn what_is_written_comes_back_and_silence_is_told_from_an_end() {
    let (listener, address) = listening().await;
    let mut wire = NetDialer.connect(&address, &everybody, WITHIN).await.expect("a connection");
    let (mut peer, _) = listener.accept().await.expect("it came");
    wire.write(b"hello", WITHIN).await.expect("written");
    let mut come = [0; 5];
    peer.read_exact(&mut come).await.expect("read");
    assert_eq!(&come, b"hello");
    assert!(wire.is_quiet());
    peer.write_all(b"world").await.expect("written");
    assert_eq!(wire.read(3, WITHIN).await.expect("read").expose().as_slice(), b"wor");
    assert_eq!(wire.read(64, WITHIN).await.expect("read").expose().as_slice(), b"ld");
    assert!(matches!(wire.read(1, Duration::from_millis(20)).await, Err(EgressError::Timeout)));
    drop(peer);
    assert!(wire.read(1, WITHIN).await.expect("the end").expose().is_empty());
    assert!(!wire.is_quiet());
}

// what counts is the address that is connected to.
#[tokio::test]
async fn no_connection_is_made_where_a_name_leads_to_what_is_not_admitted() {
    let (listener, address) = listening().await;
    let nobody = |_: IpAddr| false;
    let refused = NetDialer.connect(&address, &nobody, WITHIN).await.err().expect("it is refused");
    assert!(matches!(&refused, EgressError::Denied(grant) if grant.starts_with("net tcp://")), "{refused}");
    assert!(timeout(Duration::from_millis(50), listener.accept()).await.is_err(), "somebody was connected to");
}

#[tokio::test]
async fn whom_nobody_answers_for_is_told_as_refused() {
    let (listener, address) = listening().await;
    drop(listener);
    let refused = NetDialer.connect(&address, &everybody, WITHIN).await.err().expect("nobody listens");
    assert!(matches!(refused, EgressError::Refused(_)), "{refused}");
}
