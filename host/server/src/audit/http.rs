//! The `http` audit device: each line is the body of a POST. Whatever is not answered with
//! a 2xx counts as not taken; redirects are not followed.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::seam::audit::AuditSink;

use super::queue::{Carrier, Queue};
use super::{given, write_timeout};
use crate::connect::stream::{Stream, late};
use crate::connect::target::Target;
use crate::connect::tls::{Channel, Tls};

/// Longest head of an answer read, in bytes. Source: ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest body of an answer that is read to keep the connection. Source: ours.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// An `http` device with these options.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn make(options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
    let uri = given(options, "uri").ok_or("uri is required")?;
    let target = Target::parse(uri).ok_or_else(|| format!("uri {uri:?} is not of the form https://host:port/path"))?;
    let timeout = write_timeout(options)?;
    let tls = match target.tls {
        true => Some(Tls::new(std::env::var_os("SSL_CERT_FILE").map(Into::into))?),
        false => None,
    };
    let headers = headers(given(options, "headers").unwrap_or("{}"))?;
    let name = format!("http {}", target.address);
    Queue::start(name, timeout, Poster { head: head(&target, &headers), target, tls, channel: None })
}

/// The option `headers`: a JSON object of names with lists of values.
fn headers(json: &str) -> Result<Vec<(String, String)>, String> {
    let wrong = || "headers is not a JSON object of lists, such as {\"X-Name\": [\"value\"]}".to_owned();
    let named: BTreeMap<String, Vec<String>> = serde_json::from_str(json).map_err(|_| wrong())?;
    let mut headers = Vec::new();
    for (name, values) in named {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let ours = ["host", "content-length", "content-type", "connection", "transfer-encoding"];
        if name.is_empty() || !name.bytes().all(of_name) || ours.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(format!("header {name:?} cannot be set"));
        }
        for value in values {
            if value.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(format!("the value of header {name:?} holds a control character"));
            }
            headers.push((name.clone(), value));
        }
    }
    Ok(headers)
}

/// All of a request's head but the length of its body.
fn head(target: &Target, headers: &[(String, String)]) -> Hidden<Vec<u8>> {
    let mut head = HiddenBuffer::with_capacity(1024);
    head.push(format!("POST {} HTTP/1.1\r\nHost: {}\r\n", target.path, target.authority).as_bytes());
    head.push(b"Content-Type: application/json\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        head.push(format!("User-Agent: Bulkhead/{}\r\n", crate::version::VERSION).as_bytes());
    }
    for (name, value) in headers {
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.push(part);
        }
    }
    head.push(b"Content-Length: ");
    head.into_hidden()
}

struct Poster {
    target: Target,
    head: Hidden<Vec<u8>>,
    tls: Option<Tls>,
    channel: Option<Channel>,
}

impl Poster {
    fn connect(&self, deadline: Instant) -> io::Result<Channel> {
        let stream = Stream::tcp(&self.target.address, deadline)?;
        match &self.tls {
            Some(tls) => tls.over(stream, &self.target.host),
            None => Ok(Channel::Plain(stream)),
        }
    }

    /// Posts over this connection, and keeps it if it can be used again.
    fn post(&mut self, mut channel: Channel, body: &[u8], deadline: Instant) -> io::Result<()> {
        channel.stream().bound(deadline)?;
        let mut request = HiddenBuffer::with_capacity(self.head.expose().len() + body.len() + 32);
        for part in [self.head.expose(), body.len().to_string().as_bytes(), b"\r\n\r\n", body] {
            request.push(part);
        }
        channel.write_all(request.into_hidden().expose()).map_err(late)?;
        channel.flush().map_err(late)?;
        let answer = Answer::read(&mut channel, deadline)?;
        if answer.keeps_connection {
            self.channel = Some(channel);
        }
        match answer.status {
            200..=299 => Ok(()),
            status => Err(io::Error::other(format!("it answered with status {status}"))),
        }
    }
}

impl Carrier for Poster {
    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        // Never twice: the line may have arrived although no answer came. So a connection that
        // the server has closed meanwhile is not used, nor one with anything on it that could
        // be taken for the answer.
        let kept = self.channel.take().and_then(|mut kept| kept.is_quiet().then_some(kept));
        let channel = match kept {
            Some(channel) => channel,
            None => self.connect(deadline)?,
        };
        self.post(channel, line, deadline)
    }

    fn close(&mut self) {
        self.channel = None;
    }
}

struct Answer {
    status: u16,
    keeps_connection: bool,
}

impl Answer {
    fn read(channel: &mut Channel, deadline: Instant) -> io::Result<Self> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("its answer has too long a head"));
            }
            channel.stream().bound(deadline)?;
            match channel.read(&mut buffer).map_err(late)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        };
        let (head, body) = (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.len() - end - 4);
        let mut answer = Self::parse(&head).ok_or_else(|| io::Error::other("it does not answer in HTTP"))?;
        answer.keeps_connection &= skipped(channel, length(&head, answer.status), body, deadline);
        Ok(answer)
    }

    fn parse(head: &str) -> Option<Self> {
        let line = head.lines().next()?;
        let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let closes = field(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Some(Self { status, keeps_connection: line.starts_with("HTTP/1.1") && !closes })
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// How long the body is, if the head says so.
fn length(head: &str, status: u16) -> Option<usize> {
    if status == 204 { Some(0) } else { field(head, "content-length")?.parse().ok() }
}

/// Reads past a body of which so much has come. False if the connection is of no more use.
fn skipped(channel: &mut Channel, length: Option<usize>, come: usize, deadline: Instant) -> bool {
    let Some(mut rest) = length.filter(|length| *length <= BODY_BYTES_MAX).and_then(|all| all.checked_sub(come)) else {
        return false;
    };
    let mut buffer = [0; 4096];
    while rest > 0 {
        let wanted = rest.min(buffer.len());
        match channel.stream().bound(deadline).and_then(|()| channel.read(&mut buffer[..wanted])) {
            Ok(0) | Err(_) => return false,
            Ok(count) => rest -= count,
        }
    }
    true
}

#[cfg(test)]
mod tests;
