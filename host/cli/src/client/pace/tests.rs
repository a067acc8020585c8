use std::io::{Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bulkhead_model::hidden::Hidden;

use super::super::error::ClientError;
use super::super::settings::Settings;
use super::super::{Call, Client};
use crate::env::Environment;
use crate::flags::{HTTP, parse};

/// A client of this listener that waits for a fifth of a second.
fn client(listener: &TcpListener) -> Client {
    let address = format!("-address=http://{}", listener.local_addr().expect("an address"));
    let env = Environment::of(&[("VAULT_CLIENT_TIMEOUT", "200ms")]);
    let flags = parse(HTTP, &[address], &env).expect("the flags are right");
    Client::new(Settings::read(&flags, &env).expect("settings"), Hidden::new(String::new())).expect("a client")
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Reads as long as something comes.
fn drain(mut stream: &TcpStream) -> usize {
    let (mut buffer, mut bytes) = ([0; 4096], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        bytes += read;
    }
    bytes
}

fn file_of(bytes: usize) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&vec![7; bytes]).and_then(|()| file.rewind()).expect("a file");
    file
}

#[test]
fn a_download_that_is_not_answered_ends() {
    let listener = listener();
    let client = client(&listener);
    // The system takes the connection; nobody reads from it.
    let result = client.download(&Call::new("GET", "sys/storage/raft/snapshot"), &mut Vec::new());
    assert!(matches!(result, Err(ClientError::Timeout { .. })), "{result:?}");
}

#[test]
fn an_upload_that_is_not_answered_ends_once_all_of_it_was_sent() {
    let listener = listener();
    let client = client(&listener);
    let reading = thread::spawn(move || drain(&listener.accept().expect("a connection").0));
    let result = client.upload(&Call::new("POST", "sys/storage/raft/snapshot"), &file_of(300_000));
    assert!(matches!(result, Err(ClientError::Timeout { .. })), "{result:?}");
    assert!(reading.join().expect("it reads") > 300_000);
}

#[test]
fn what_goes_on_may_take_longer_than_an_answer() {
    let listener = listener();
    let client = client(&listener);
    let answering = thread::spawn(move || {
        let mut stream = listener.accept().expect("a connection").0;
        assert_ne!(stream.read(&mut [0; 4096]).expect("a request"), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").expect("a client");
        for byte in b"whole" {
            thread::sleep(std::time::Duration::from_millis(80));
            stream.write_all(&[*byte]).expect("a client");
        }
    });
    let mut out = Vec::new();
    let result = client.download(&Call::new("GET", "sys/storage/raft/snapshot"), &mut out);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(out, b"whole");
    answering.join().expect("it answers");
}
