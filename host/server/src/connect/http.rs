//! HTTP/1.1 as a client speaks it: one request, one answer, and the connection ends. An answer is
//! read strictly: where two readers could take it for two things, it is refused.

use std::io::{self, ErrorKind};
use std::time::Instant;

use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use zeroize::Zeroizing;

use super::tls::Channel;

/// Longest head of an answer, or the trailers behind it, in bytes. Source: ours.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Longest line that tells the size of a chunk, in bytes. Source: ours.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// What tells the sizes of an answer's chunks, in bytes in all. Source: ours.
const FRAMING_BYTES_MAX: usize = 64 * 1024;
/// Interim answers passed over. Source: ours. Why: one could be followed by the next for ever.
const INTERIM_MAX: usize = 8;
/// Read at a time, in bytes.
const READ_BYTES: usize = 8 * 1024;

/// A request. Its parts are written as they are.
pub(crate) struct Question<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) headers: &'a [(String, Hidden<String>)],
    pub(crate) body: &'a Hidden<Vec<u8>>,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Hidden<Vec<u8>>,
}

/// Asks, and reads the answer before the deadline.
///
/// # Errors
/// The connection fails, the time is up, or the answer is no HTTP or longer than this.
pub(crate) fn ask(
    channel: &mut Channel,
    question: &Question<'_>,
    deadline: Instant,
    body_bytes_max: usize,
) -> io::Result<Answer> {
    channel.handshake(deadline)?;
    channel.write_within(question.bytes().expose(), deadline)?;
    let mut reader = Reader { channel, deadline, come: HiddenBuffer::with_capacity(READ_BYTES), at: 0 };
    for _ in 0..=INTERIM_MAX {
        let head = reader.head()?;
        if !(100..200).contains(&head.status) {
            let body = reader.body(&head, question.method == "HEAD", body_bytes_max)?;
            return Ok(Answer { status: head.status, headers: head.headers, body });
        }
    }
    Err(wrong("it does not come to an answer"))
}

impl Question<'_> {
    fn bytes(&self) -> Hidden<Vec<u8>> {
        let mut bytes = HiddenBuffer::with_capacity(1024 + self.body.expose().len());
        let first = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.authority);
        let last = format!("Connection: close\r\nContent-Length: {}\r\n\r\n", self.body.expose().len());
        bytes.push(first.as_bytes());
        for (name, value) in self.headers {
            for part in [name.as_bytes(), b": ", value.expose().as_bytes(), b"\r\n"] {
                bytes.push(part);
            }
        }
        bytes.push(last.as_bytes());
        bytes.push(self.body.expose());
        bytes.into_hidden()
    }
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunks,
    End,
}

impl Head {
    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let (version, status) = lines.next()?.split_once(' ')?;
        let status = status.get(..3).filter(|_| matches!(status.as_bytes().get(3), None | Some(b' ')))?;
        let digits = status.bytes().all(|byte| byte.is_ascii_digit());
        let status = status.parse().ok().filter(|status| digits && (100..1000).contains(status))?;
        let headers = lines.map(field).collect::<Option<Vec<_>>>()?;
        matches!(version, "HTTP/1.1" | "HTTP/1.0").then_some(Self { status, headers })
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn framing(&self) -> io::Result<Framing> {
        let mut codings = self.values("transfer-encoding");
        let mut lengths = self.values("content-length");
        match (codings.next(), lengths.next()) {
            (None, None) => Ok(Framing::End),
            (None, Some(length)) if lengths.all(|other| other == length) && is_number(length) => {
                length.parse().map(Framing::Length).map_err(|_| wrong("its answer has no length"))
            }
            (Some(coding), None) if codings.next().is_none() && coding.eq_ignore_ascii_case("chunked") => {
                Ok(Framing::Chunks)
            }
            _ => Err(wrong("how long its answer is can be read in two ways")),
        }
    }
}

/// A line of the head. One that goes on in the next is refused with whatever else has no name.
fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let of_value = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
    let sound = !name.is_empty() && name.bytes().all(of_name) && value.bytes().all(of_value);
    sound.then(|| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

struct Reader<'a> {
    channel: &'a mut Channel,
    deadline: Instant,
    come: HiddenBuffer,
    /// How much of it was taken.
    at: usize,
}

impl Reader<'_> {
    /// Reads on. False: the other side has ended.
    fn more(&mut self) -> io::Result<bool> {
        if self.at > READ_BYTES {
            // What was taken goes, or the framing of many small parts would pile up.
            let mut rest = HiddenBuffer::with_capacity(READ_BYTES.max(self.come.expose().len() - self.at));
            rest.push(&self.come.expose()[self.at..]);
            (self.come, self.at) = (rest, 0);
        }
        let mut buffer = Zeroizing::new([0; READ_BYTES]);
        let count = self.channel.read_within(&mut buffer[..], self.deadline)?;
        self.come.push(&buffer[..count]);
        Ok(count > 0)
    }

    fn needed(&mut self) -> io::Result<()> {
        if self.more()? { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Takes what comes before `end`, of at most so many bytes.
    fn until(&mut self, end: &[u8], bytes_max: usize) -> io::Result<String> {
        loop {
            let rest = &self.come.expose()[self.at..];
            let found = rest.windows(end.len()).position(|window| window == end);
            // Of the end itself, all but its last byte may have come.
            if found.unwrap_or((rest.len() + 1).saturating_sub(end.len())) > bytes_max {
                return Err(wrong("its answer has too long a head"));
            }
            if let Some(length) = found {
                let text = String::from_utf8_lossy(&rest[..length]).into_owned();
                self.at += length + end.len();
                return Ok(text);
            }
            self.needed()?;
        }
    }

    fn head(&mut self) -> io::Result<Head> {
        let head = self.until(b"\r\n\r\n", HEAD_BYTES_MAX)?;
        Head::parse(&head).ok_or_else(|| wrong("it does not answer in HTTP"))
    }

    fn body(&mut self, head: &Head, headless: bool, bytes_max: usize) -> io::Result<Hidden<Vec<u8>>> {
        let mut body = HiddenBuffer::with_capacity(READ_BYTES);
        if headless || matches!(head.status, 204 | 304) {
            return Ok(body.into_hidden());
        }
        match head.framing()? {
            Framing::Length(length) => self.take(length, &mut body, bytes_max)?,
            Framing::Chunks => self.chunks(&mut body, bytes_max)?,
            Framing::End => {
                while self.come.expose().len() - self.at <= bytes_max && self.more()? {}
                self.take(self.come.expose().len() - self.at, &mut body, bytes_max)?;
            }
        }
        Ok(body.into_hidden())
    }

    /// Takes so many bytes into the body, if it then is not longer than it may be.
    fn take(&mut self, length: usize, body: &mut HiddenBuffer, bytes_max: usize) -> io::Result<()> {
        if length > bytes_max - body.expose().len() {
            return Err(wrong(&format!("its answer is over {bytes_max} bytes")));
        }
        while self.come.expose().len() - self.at < length {
            self.needed()?;
        }
        body.push(&self.come.expose()[self.at..self.at + length]);
        self.at += length;
        Ok(())
    }

    fn chunks(&mut self, body: &mut HiddenBuffer, bytes_max: usize) -> io::Result<()> {
        let mut framing = 0;
        loop {
            let line = self.until(b"\r\n", CHUNK_LINE_BYTES_MAX)?;
            framing += line.len();
            if framing > FRAMING_BYTES_MAX {
                return Err(wrong("its answer comes in too many parts"));
            }
            let size = line.split(';').next().unwrap_or_default().trim_end();
            let digits = (1..=8).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit());
            let size = usize::from_str_radix(size, 16).ok().filter(|_| digits);
            match size.ok_or_else(|| wrong("a part of its answer has no length"))? {
                0 => return self.trailers(),
                size => self.take(size, body, bytes_max)?,
            }
            if !self.until(b"\r\n", 0)?.is_empty() {
                return Err(wrong("a part of its answer is longer than it says"));
            }
        }
    }

    /// Reads past what follows the last chunk.
    fn trailers(&mut self) -> io::Result<()> {
        let mut bytes = 0;
        while bytes <= HEAD_BYTES_MAX {
            match self.until(b"\r\n", HEAD_BYTES_MAX)?.len() {
                0 => return Ok(()),
                length => bytes += length,
            }
        }
        Err(wrong("its answer has too long an end"))
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests;
