//! The `socket` audit device: lines over TCP, UDP or a Unix socket.

use std::collections::BTreeMap;
use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::audit::AuditSink;

use super::queue::{Carrier, Queue};
use super::{given, write_timeout};
use crate::connect::stream::{Stream, left};

/// A `socket` device with these options.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn make(options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
    let address = given(options, "address").ok_or("address is required")?.to_owned();
    let timeout = write_timeout(options)?;
    let name = format!("socket {address}");
    match given(options, "socket_type").unwrap_or("tcp") {
        "tcp" => Queue::start(name, timeout, Connection { to: To::Tcp(address), stream: None }),
        "unix" => Queue::start(name, timeout, Connection { to: To::Unix(address.into()), stream: None }),
        "udp" => Queue::start(name, timeout, Datagrams { to: To::Tcp(address), socket: None }),
        "unixgram" => Queue::start(name, timeout, Datagrams { to: To::Unix(address.into()), socket: None }),
        other => Err(format!("socket_type {other:?} is not one of tcp, udp, unix, unixgram")),
    }
}

enum To {
    /// Host and port.
    Tcp(String),
    Unix(PathBuf),
}

/// Lines one after the other, each with its newline.
struct Connection {
    to: To,
    stream: Option<Stream>,
}

impl Connection {
    /// The connection there is, if the other side still has it, or a new one.
    fn stream(&mut self, deadline: Instant) -> io::Result<&mut Stream> {
        let kept = self.stream.take().and_then(|mut stream| (!stream.is_ended()).then_some(stream));
        let stream = match (kept, &self.to) {
            (Some(stream), _) => stream,
            (None, To::Tcp(address)) => Stream::tcp(address, deadline)?,
            (None, To::Unix(path)) => Stream::unix(path)?,
        };
        Ok(self.stream.insert(stream))
    }
}

impl Carrier for Connection {
    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        // In one piece, or the newline would be a packet of its own.
        let line = Hidden::new([line, b"\n"].concat());
        let kept = self.stream.is_some();
        let written = self.stream(deadline)?.write_within(line.expose(), deadline);
        if written.is_err() && kept {
            // It broke in between: once more over a new one, from the line's beginning.
            self.close();
            return self.stream(deadline)?.write_within(line.expose(), deadline);
        }
        written
    }

    fn close(&mut self) {
        self.stream = None;
    }
}

/// Each line a datagram.
struct Datagrams {
    to: To,
    socket: Option<Datagram>,
}

enum Datagram {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagram {
    fn connect(to: &To) -> io::Result<Self> {
        match to {
            To::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
            To::Tcp(address) => {
                let peer = address.to_socket_addrs()?.next();
                let peer = peer.ok_or_else(|| io::Error::other(format!("{address} has no address")))?;
                let socket = UdpSocket::bind(if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(peer)?;
                Ok(Self::Udp(socket))
            }
        }
    }

    fn send(&self, line: &[u8], deadline: Instant) -> io::Result<()> {
        let left = Some(left(deadline)?);
        match self {
            Self::Udp(socket) => socket.set_write_timeout(left).and_then(|()| socket.send(line)),
            Self::Unix(socket) => socket.set_write_timeout(left).and_then(|()| socket.send(line)),
        }
        .map(|_| ())
    }
}

impl Carrier for Datagrams {
    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        let line = Hidden::new([line, b"\n"].concat());
        if let Some(socket) = &self.socket {
            // An error may be about the datagram before: nobody listened then.
            if socket.send(line.expose(), deadline).is_ok() {
                return Ok(());
            }
        }
        self.socket.insert(Datagram::connect(&self.to)?).send(line.expose(), deadline)
    }

    fn close(&mut self) {
        self.socket = None;
    }
}

#[cfg(test)]
mod tests;
