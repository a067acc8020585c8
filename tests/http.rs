//! A small blocking HTTP/1.1 client, one connection a request. What lives here:
//! what goes over the wire, also when it is malformed on purpose. What must not:
//! any knowledge of Vault beyond the token header.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for a byte of an answer. Why: no request of these tests is slow.
pub const ANSWER_SECS_MAX: u64 = 30;

/// An answer, as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from chunks.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What lies at a dotted path in the body, `Null` where nothing does.
    pub fn at(&self, path: &str) -> Value {
        self.json().pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or(Value::Null)
    }
}

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request for `target` (path and query, sent as it stands).
    pub fn new(method: &str, target: &str) -> Request {
        Request { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: None }
    }

    /// With a token.
    #[must_use]
    pub fn token(self, token: &str) -> Request {
        self.header("X-Vault-Token", token)
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Request {
        self.body(body.to_string().into_bytes())
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Request {
        self.body = Some(body);
        self
    }

    /// The bytes on the wire.
    fn bytes(&self, port: u16) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let writes = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if self.body.is_some() || writes {
            let length = self.body.as_ref().map_or(0, Vec::len);
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends it to a port of this machine.
    ///
    /// # Errors
    /// If nobody answers in time, or the answer is not HTTP.
    pub fn send(&self, port: u16) -> io::Result<Reply> {
        let answer = raw(port, &self.bytes(port))?;
        parse(&answer, self.method == "HEAD")
    }

    /// Sends it over a connection that is open already, which ends with it.
    ///
    /// # Errors
    /// If no answer comes, or none of HTTP.
    pub fn send_over(&self, stream: &mut (impl Read + Write)) -> io::Result<Reply> {
        stream.write_all(&self.bytes(0))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer, self.method == "HEAD")
    }
}

/// Sends bytes as they are, and returns all that comes back until the other side closes.
///
/// # Errors
/// If the port is closed or silent.
pub fn raw(port: u16, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(port)?;
    let sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let read = read_answer(&mut stream, &mut answer);
    // A server may refuse a body before it has read it all: the answer counts.
    if answer.is_empty() {
        sent?;
        read?;
    }
    Ok(answer)
}

/// An open connection to a port of this machine, with time limits.
///
/// # Errors
/// If the port is closed.
pub fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECS_MAX)))?;
    stream.set_write_timeout(Some(Duration::from_secs(ANSWER_SECS_MAX)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    let read = stream.read_to_end(answer).map(|_| ());
    // Nothing more to say; a failure to say so changes nothing.
    let _ = stream.shutdown(Shutdown::Both);
    read
}

/// Reads one whole answer.
///
/// # Errors
/// If it is not HTTP/1, or shorter than it says.
pub fn parse(answer: &[u8], headless_body: bool) -> io::Result<Reply> {
    let bad = |what: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{what}: {:?}", String::from_utf8_lossy(&answer[..answer.len().min(200)])),
        )
    };
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| bad("no end of the head"))?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| bad("head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| bad("no status line"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: answer[end + 4..].to_vec() };
    if status == 100 {
        return parse(&reply.body, headless_body);
    }
    if reply.header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        reply.body = unchunk(&reply.body).ok_or_else(|| bad("broken chunks"))?;
    } else if let Some(length) = reply.header("Content-Length").and_then(|length| length.parse::<usize>().ok())
        && reply.body.len() != length
        && !headless_body
    {
        return Err(bad("body and Content-Length differ"));
    }
    Ok(reply)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
