use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread::JoinHandle;

use super::*;
use crate::connect::tls::tests::{answer, server_config};

fn sink(pairs: &[(&str, &str)]) -> Result<Arc<dyn AuditSink>, String> {
    make(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// A request's head, line by line, and its body.
type Asked = (Vec<String>, String);

fn request(reader: &mut BufReader<TcpStream>) -> Asked {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    reader.read_exact(&mut body).expect("a body");
    (lines, String::from_utf8(body).expect("UTF-8"))
}

/// Answers one connection's requests with these answers, and gives back what was asked.
fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<Asked>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("http://{}/in?x=1", listener.local_addr().expect("its address"));
    let served = std::thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().expect("a connection").0);
        let answer = |text: &&str| {
            let asked = request(&mut reader);
            reader.get_mut().write_all(text.as_bytes()).expect("answers");
            asked
        };
        answers.iter().map(answer).collect()
    });
    (uri, served)
}

#[tokio::test]
async fn lines_are_posted_over_one_connection_with_the_headers_asked_for() {
    let (uri, served) = server(&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", "HTTP/1.1 204 No Content\r\n\r\n"]);
    let sink = sink(&[("uri", &uri), ("headers", r#"{"X-Key": ["a", "b"], "X-None": []}"#)]).expect("a device");
    sink.write(b"{\"a\":1}").await.expect("taken");
    sink.write(b"{\"b\":2}").await.expect("taken");
    let asked = served.join().expect("it served");
    assert_eq!(asked.iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>(), ["{\"a\":1}", "{\"b\":2}"]);
    for line in ["POST /in?x=1 HTTP/1.1", "Content-Type: application/json", "X-Key: a", "X-Key: b"] {
        assert!(asked[0].0.iter().any(|known| known == line), "{line} in {:?}", asked[0].0);
    }
}

#[tokio::test]
async fn what_is_not_answered_with_success_was_not_taken() {
    for (answer, told) in [
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "it answered with status 500"),
        ("HTTP/1.1 302 There\r\nLocation: /x\r\n\r\n", "it answered with status 302"),
        ("SSH-2.0\r\n\r\n", "it does not answer in HTTP"),
    ] {
        let answers: &'static [&'static str] = Box::leak(Box::new([answer]));
        let (uri, served) = server(answers);
        let refused = sink(&[("uri", &uri)]).expect("a device").write(b"x").await.expect_err("refused");
        assert!(refused.ends_with(told), "{refused}");
        served.join().expect("it served");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("http://{}", listener.local_addr().expect("its address"));
    let sink = sink(&[("uri", &uri), ("write_timeout", "200ms")]).expect("a device");
    let began = Instant::now();
    sink.write(b"x").await.expect_err("nobody answers");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn an_address_is_split_into_what_is_needed() {
    let target = |uri| Target::parse(uri).map(|t| (t.tls, t.authority, t.address, t.path));
    let of = |tls, authority: &str, address: &str, path: &str| {
        Some((tls, authority.to_owned(), address.to_owned(), path.to_owned()))
    };
    assert_eq!(target("https://log.example/in"), of(true, "log.example", "log.example:443", "/in"));
    assert_eq!(target("http://h:8080?q=1#f"), of(false, "h:8080", "h:8080", "/?q=1"));
    assert_eq!(target("HTTP://[::1]"), of(false, "[::1]", "[::1]:80", "/"));
    assert_eq!(target("http://[::1]:9/x"), of(false, "[::1]:9", "[::1]:9", "/x"));
    for wrong in
        ["", "log.example", "ftp://a", "http://", "http://u:p@h/", "http://h:port/", "http://h/a b", "http://:1/"]
    {
        assert_eq!(Target::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn unusable_options_are_refused_with_a_reason() {
    let at = ("uri", "http://127.0.0.1:1/");
    for (pairs, message) in [
        (&[][..], "uri is required"),
        (&[("uri", "nowhere")], "uri \"nowhere\" is not of the form https://host:port/path"),
        (&[at, ("headers", "[]")], "headers is not a JSON object of lists, such as {\"X-Name\": [\"value\"]}"),
        (&[at, ("headers", r#"{"Host": ["x"]}"#)], "header \"Host\" cannot be set"),
        (&[at, ("headers", r#"{"A b": ["x"]}"#)], "header \"A b\" cannot be set"),
        (&[at, ("headers", r#"{"A": ["x\r\nB: y"]}"#)], "the value of header \"A\" holds a control character"),
    ] {
        assert_eq!(sink(pairs).err().as_deref(), Some(message));
    }
}

/// Longer than what is looked at, and what could be taken for an answer.
const UNASKED: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 40\r\n\r\n\
                       You did not ask anything for too long...";

/// Waits until something is there to be read on the connection that is kept.
fn await_unasked(poster: &mut Poster) {
    let channel = poster.channel.as_mut().expect("the connection is kept");
    let Stream::Tcp(tcp) = channel.stream() else { panic!("no other connection is made") };
    assert_ne!(tcp.peek(&mut [0]).expect("something comes"), 0);
}

#[test]
fn a_connection_on_which_something_came_unasked_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = Target::parse(&format!("http://{}/", listener.local_addr().expect("its address")));
    let target = target.expect("an address");
    let mut poster = Poster { head: head(&target, &[]), target, tls: None, channel: None };
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    let speak = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = BufReader::new(listener.accept().expect("a connection").0);
            assert_eq!(request(&mut first).1, "one");
            first.get_mut().write_all(b"HTTP/1.1 204 Ok\r\n\r\n").expect("answers");
            speak.wait();
            first.get_mut().write_all(UNASKED.as_bytes()).expect("speaks");
            let mut second = BufReader::new(listener.accept().expect("another connection").0);
            assert_eq!(request(&mut second).1, "two");
            second.get_mut().write_all(b"HTTP/1.1 204 Ok\r\n\r\n").expect("answers");
        });
        poster.carry(b"one", deadline).expect("taken");
        speak.wait();
        await_unasked(&mut poster);
        poster.carry(b"two", deadline).expect("taken");
    });
}

#[test]
fn neither_is_one_over_tls_of_which_part_of_a_record_was_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, made.cert.pem()).expect("writes");
    let config = server_config(made.cert.der().to_vec(), made.signing_key.serialize_der());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let target = Target::parse(&format!("https://localhost:{port}/")).expect("an address");
    let tls = Some(Tls::new(Some(roots)).expect("roots"));
    let mut poster = Poster { head: head(&target, &[]), target, tls, channel: None };
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    let speak = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let accept = || listener.accept().expect("a connection").0;
            let mut first = answer(&config, accept(), b"HTTP/1.1 204 Ok\r\n\r\n");
            speak.wait();
            first.write_all(UNASKED.as_bytes()).and_then(|()| first.flush()).expect("speaks");
            drop(answer(&config, accept(), b"HTTP/1.1 204 Ok\r\n\r\n"));
        });
        poster.carry(b"one", deadline).expect("taken");
        speak.wait();
        await_unasked(&mut poster);
        poster.carry(b"two", deadline).expect("taken");
    });
}

/// A TLS server with a certificate of its own, and the file that vouches for it.
fn tls_server(dir: &std::path::Path) -> (u16, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let roots = dir.join("roots.pem");
    std::fs::write(&roots, made.cert.pem()).expect("writes");
    let config = server_config(made.cert.der().to_vec(), made.signing_key.serialize_der());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            drop(answer(&config, stream.expect("a connection"), b"HTTP/1.1 204 Ok\r\n\r\n"));
        }
    });
    (port, roots)
}

#[test]
fn over_tls_only_a_server_that_the_roots_vouch_for_gets_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, roots) = tls_server(dir.path());
    let target = Target::parse(&format!("https://localhost:{port}/")).expect("an address");
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    let post = |tls| {
        let head = head(&target, &[]);
        let target = Target::parse(&format!("https://localhost:{port}/")).expect("an address");
        Poster { head, target, tls: Some(tls), channel: None }.carry(b"{}", deadline)
    };
    post(Tls::new(Some(roots)).expect("roots")).expect("taken");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let others = dir.path().join("others.pem");
    std::fs::write(&others, other.cert.pem()).expect("writes");
    let refused = post(Tls::new(Some(others)).expect("roots")).expect_err("nobody vouches for it");
    assert!(refused.to_string().contains("certificate"), "{refused}");
}
