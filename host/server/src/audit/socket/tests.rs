use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::*;

fn sink(pairs: &[(&str, &str)]) -> Result<Arc<dyn AuditSink>, String> {
    make(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line
}

#[test]
fn unusable_options_are_refused_with_a_reason() {
    for (pairs, message) in [
        (&[][..], "address is required"),
        (&[("address", "a:1"), ("socket_type", "sctp")], "socket_type \"sctp\" is not one of tcp, udp, unix, unixgram"),
        (&[("address", "a:1"), ("write_timeout", "x")], "write_timeout \"x\" is not a duration such as 2s"),
        (&[("address", "a:1"), ("write_timeout", "0")], "write_timeout \"0\" is not between 0s and 60s"),
        (&[("address", "a:1"), ("write_timeout", "61s")], "write_timeout \"61s\" is not between 0s and 60s"),
    ] {
        assert_eq!(sink(pairs).err().as_deref(), Some(message));
    }
}

#[tokio::test]
async fn lines_go_over_one_connection_and_over_another_once_it_was_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let sink = sink(&[("address", &address)]).expect("a device");
    sink.write(b"one").await.expect("taken");
    sink.write(b"two").await.expect("taken");
    let (first, _) = listener.accept().expect("a connection");
    let mut reader = BufReader::new(first);
    assert_eq!((line(&mut reader), line(&mut reader)), ("one\n".into(), "two\n".into()));
    drop(reader);
    sink.write(b"three").await.expect("taken");
    let (second, _) = listener.accept().expect("another connection");
    assert_eq!(line(&mut BufReader::new(second)), "three\n");
}

#[tokio::test]
async fn an_end_is_noticed_behind_whatever_was_said_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    // What is said on a socket of this kind is there at once.
    let listener = UnixListener::bind(&path).expect("a socket");
    let sink = sink(&[("address", path.to_str().expect("UTF-8")), ("socket_type", "unix")]).expect("a device");
    sink.write(b"one").await.expect("taken");
    let mut reader = BufReader::new(listener.accept().expect("a connection").0);
    assert_eq!(line(&mut reader), "one\n");
    reader.get_mut().write_all(&[b'x'; 10_000]).expect("says much");
    drop(reader);
    sink.write(b"two").await.expect("taken");
    let (second, _) = listener.accept().expect("another connection");
    assert_eq!(line(&mut BufReader::new(second)), "two\n");
}

#[tokio::test]
async fn where_nobody_listens_a_line_is_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    drop(listener);
    let refused = sink(&[("address", &address)]).expect("a device").write(b"x").await;
    assert!(refused.expect_err("nobody listens").contains("refused"));
    let missing = sink(&[("address", "/nonexistent/x"), ("socket_type", "unix")]).expect("a device").write(b"x").await;
    assert!(missing.expect_err("there is no socket").contains("No such file"));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let sink = sink(&[("address", &address), ("write_timeout", "200ms")]).expect("a device");
    let large = vec![b'x'; 32 * 1024 * 1024];
    let began = Instant::now();
    sink.write(&large).await.expect_err("more than fits into the buffers");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn lines_go_to_unix_sockets_and_as_datagrams() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let listener = UnixListener::bind(path("stream")).expect("a socket");
    let stream = sink(&[("address", &path("stream")), ("socket_type", "unix")]).expect("a device");
    stream.write(b"one").await.expect("taken");
    assert_eq!(line(&mut BufReader::new(listener.accept().expect("a connection").0)), "one\n");

    let mut buffer = [0; 64];
    let datagrams = UnixDatagram::bind(path("dgram")).expect("a socket");
    let dgram = sink(&[("address", &path("dgram")), ("socket_type", "unixgram")]).expect("a device");
    dgram.write(b"two").await.expect("taken");
    let count = datagrams.recv(&mut buffer).expect("a datagram");
    assert_eq!(&buffer[..count], b"two\n");

    let packets = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = packets.local_addr().expect("its address").to_string();
    let udp = sink(&[("address", &address), ("socket_type", "udp")]).expect("a device");
    udp.write(b"three").await.expect("taken");
    let count = packets.recv(&mut buffer).expect("a packet");
    assert_eq!(&buffer[..count], b"three\n");
}
