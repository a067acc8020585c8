//! HTTP/1.1 as load generators need it: requests that are bytes already, one buffer, no
//! allocation per exchange. They share the machine with what they ask.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

/// Largest answer read, in bytes. Why: one buffer per connection, never grown.
pub(crate) const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// A keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, borrowed from the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects; every answer may take so long.
    pub(crate) fn open(address: SocketAddr, answer_max: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(answer_max))?;
        Ok(Self { stream, buffer: vec![0; ANSWER_BYTES_MAX] })
    }

    /// Sends a whole request and reads a whole answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            filled += self.fill(filled)?;
            if let Some(whole) = whole(&self.buffer[..filled])? {
                return Ok(Answer { status: whole.status, body: &self.buffer[whole.body] });
            }
        }
    }

    fn fill(&mut self, filled: usize) -> io::Result<usize> {
        if filled == self.buffer.len() {
            return Err(io::Error::other("an answer is larger than the generator's buffer"));
        }
        match self.stream.read(&mut self.buffer[filled..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

/// A request with a JSON body, as bytes.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let token = if token.is_empty() { String::new() } else { format!("X-Vault-Token: {token}\r\n") };
    request_with(&token, method, path, body)
}

/// As [`request`], with these header lines, each with its end.
pub(crate) fn request_with(headers: &str, method: &str, path: &str, body: &str) -> Vec<u8> {
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} /v1/{path} HTTP/1.1\r\nHost: server\r\n{headers}{content}\r\n{body}").into_bytes()
}

/// Where an answer's parts are in what was received.
pub(crate) struct Whole {
    pub(crate) status: u16,
    body: Range<usize>,
}

/// The answer, once all of it is there.
///
/// # Errors
/// It is no answer.
pub(crate) fn whole(received: &[u8]) -> io::Result<Option<Whole>> {
    let Some(head) = find(received, b"\r\n\r\n").map(|end| end + 4) else { return Ok(None) };
    let text = std::str::from_utf8(&received[..head]).map_err(io::Error::other)?;
    let status = status_of(text)?;
    let end = match length_of(text)? {
        Length::Bytes(bytes) => Some(head + bytes).filter(|end| *end <= received.len()),
        Length::Chunked => received[head..].ends_with(b"0\r\n\r\n").then_some(received.len()),
    };
    Ok(end.map(|end| Whole { status, body: head..end }))
}

enum Length {
    Bytes(usize),
    Chunked,
}

fn status_of(head: &str) -> io::Result<u16> {
    head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(|| io::Error::other("no status line"))
}

fn length_of(head: &str) -> io::Result<Length> {
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().map(Length::Bytes).map_err(io::Error::other);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Length::Chunked);
        }
    }
    Ok(Length::Bytes(0))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
