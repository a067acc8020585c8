//! Connections with a deadline, on sockets that block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is read what a peer says that nobody asked, before a line. Source: ours.
/// Why: one that never ends would keep every line waiting.
const UNASKED_READS_MAX: usize = 64;

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What is left until the deadline; never nothing, since that would mean for ever.
pub(crate) fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(timed_out()) } else { Ok(left) }
}

pub(crate) fn timed_out() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it took too long")
}

/// A socket's own timeout says that it would block.
pub(crate) fn late(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { timed_out() } else { error }
}

/// The addresses of `host:port`; there is one.
pub(crate) fn resolved(address: &str) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = address.to_socket_addrs()?.collect();
    let nothing = || io::Error::new(ErrorKind::NotFound, format!("{address} has no address"));
    if found.is_empty() { Err(nothing()) } else { Ok(found) }
}

impl Stream {
    /// Connects to `host:port`, trying each address that the name has.
    pub(crate) fn tcp(address: &str, deadline: Instant) -> io::Result<Self> {
        Self::to(&resolved(address)?, deadline)
    }

    /// Connects to the first of these addresses that takes it.
    pub(crate) fn to(addresses: &[SocketAddr], deadline: Instant) -> io::Result<Self> {
        let mut last = ErrorKind::NotFound.into();
        for (at, socket) in addresses.iter().enumerate() {
            // One that does not answer leaves time for the others.
            let share = left(deadline)? / u32::try_from(addresses.len() - at).unwrap_or(1);
            match TcpStream::connect_timeout(socket, share.max(Duration::from_millis(1))) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
    }

    /// Whether the other side has ended the connection. A write into such a one succeeds,
    /// and what was written is lost. What it said before is passed over: the end is behind it,
    /// and closing a connection with something unread takes back what was written last.
    pub(crate) fn is_ended(&mut self) -> bool {
        let mut unasked = [0; 4096];
        for _ in 0..UNASKED_READS_MAX {
            match self.come(&mut unasked) {
                Ok(Some(1..)) => {}
                Ok(None) => return false,
                Ok(Some(0)) | Err(_) => return true,
            }
        }
        false
    }

    /// Whether nothing has come, not even the end. What has come is lost: a connection that
    /// is not quiet between question and answer is of no more use.
    pub(crate) fn is_quiet(&mut self) -> bool {
        matches!(self.come(&mut [0]), Ok(None))
    }

    /// Reads what is there already, if anything is; nothing at all is the end.
    fn come(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.set_nonblocking(true)?;
        let read = self.read(buffer);
        self.set_nonblocking(false)?;
        match read {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    /// Bounds every single read and write from now on.
    pub(crate) fn bound(&self, deadline: Instant) -> io::Result<()> {
        let left = Some(left(deadline)?);
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)),
            Self::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)),
        }
    }

    /// Writes all of it before the deadline.
    pub(crate) fn write_within(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.bound(deadline)?;
            match self.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(timed_out()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
