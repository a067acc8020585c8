//! What counts as an answer, byte by byte as it may come.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::connect::stream::Stream;

/// A server that reads what is asked, and says this.
fn server(says: &[&[u8]]) -> (Channel, JoinHandle<Vec<u8>>) {
    let says: Vec<Vec<u8>> = says.iter().map(|part| part.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut asked = vec![0; 4096];
        let count = stream.read(&mut asked).expect("a question");
        asked.truncate(count);
        for part in says {
            // A client that has turned away is as good.
            let _ = stream.write_all(&part).and_then(|()| stream.flush());
            thread::yield_now();
        }
        asked
    });
    let deadline = Instant::now() + Duration::from_secs(5);
    (Channel::Plain(Stream::to(&[address], deadline).expect("a connection")), serving)
}

fn asked(method: &str, says: &[&[u8]]) -> io::Result<(u16, Vec<u8>)> {
    let (mut channel, serving) = server(says);
    let body = Hidden::new(Vec::new());
    let question = Question { method, path: "/", authority: "a.example", headers: &[], body: &body };
    let answer = ask(&mut channel, &question, Instant::now() + Duration::from_secs(5), 64);
    drop(channel);
    serving.join().expect("it served");
    answer.map(|answer| (answer.status, answer.body.expose().clone()))
}

#[test]
fn the_question_is_written_with_its_headers_and_its_length() {
    let (mut channel, serving) = server(&[b"HTTP/1.1 204 No Content\r\n\r\n"]);
    let (headers, body) = ([("X-Token".to_owned(), Hidden::new("t".to_owned()))], Hidden::new(b"{}".to_vec()));
    let question =
        Question { method: "POST", path: "/v1/x?a=1", authority: "a.example", headers: &headers, body: &body };
    let answer = ask(&mut channel, &question, Instant::now() + Duration::from_secs(5), 64).expect("an answer");
    assert_eq!((answer.status, answer.body.expose().len()), (204, 0));
    let said = String::from_utf8(serving.join().expect("it served")).expect("text");
    assert_eq!(
        said,
        "POST /v1/x?a=1 HTTP/1.1\r\nHost: a.example\r\nX-Token: t\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    );
}

#[test]
fn a_body_ends_as_its_head_says() {
    let cases: [(&[&[u8]], &[u8]); 5] = [
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"hello and more"], b"hello"),
        (&[b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"], b""),
        (&[b"HTTP/1.0 200 OK\r\n\r\nto the ", b"end"], b"to the end"),
        (
            &[
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r",
                b"\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n",
            ],
            b"hello",
        ),
        (
            &[b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nyes"],
            b"yes",
        ),
    ];
    for (says, body) in cases {
        assert_eq!(asked("GET", says).expect("an answer"), (200, body.to_vec()));
    }
    let headless: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"];
    assert_eq!(asked("HEAD", headless).expect("an answer"), (200, Vec::new()));
}

#[test]
fn what_can_be_read_in_two_ways_or_none_is_no_answer() {
    for says in [
        &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ] {
        let error = asked("GET", &[says]).expect_err("it is no answer");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{:?}: {error}", String::from_utf8_lossy(says));
    }
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    for says in [
        &[][..],
        &[&b"HTTP/1.1 200 OK\r\nContent-"[..]],
        &[&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"[..]],
        &[&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"[..]],
    ] {
        let kind = asked("GET", says).expect_err("it breaks off").kind();
        assert!(matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{kind:?}");
    }
}

#[test]
fn a_body_over_its_bound_is_given_up_before_it_is_read() {
    for says in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n01234567890123456789012345678901\r\n21\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n01234567890123456789012345678901234567890123456789012345678901234",
    ] {
        let error = asked("GET", &[says]).expect_err("it is too long");
        assert_eq!(error.to_string(), "its answer is over 64 bytes");
    }
}

#[test]
fn a_head_without_an_end_is_given_up() {
    let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 40_000]].concat();
    let error = asked("GET", &[&long]).expect_err("it is too long");
    assert_eq!(error.to_string(), "its answer has too long a head");
}

#[test]
fn a_server_that_drips_does_not_outlast_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let began = Instant::now();
    let mut channel = Channel::Plain(Stream::to(&[address], began + Duration::from_secs(5)).expect("a connection"));
    let body = Hidden::new(Vec::new());
    let question = Question { method: "GET", path: "/", authority: "a.example", headers: &[], body: &body };
    let error = ask(&mut channel, &question, began + Duration::from_millis(300), 1 << 20).err().expect("it is late");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(3));
    drop(channel);
    serving.join().expect("it served");
}
