//! Connections on the bench: real ones, without TLS, or those to a peer that the test plays. And
//! of keys what TLS needs.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::mounted::bulkhead::plugin::net::{Error, TlsInfo};
use crate::net::Tls;

/// What is sent, and what comes back.
type Answer = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>>>;

/// A server that a test plays: it is given what was sent, nothing at first, and gives back what it
/// answers; `None` ends the connection.
pub struct Peer {
    answer: Answer,
    tls: Option<TlsInfo>,
}

impl Peer {
    /// A server without TLS.
    pub fn new(answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + 'static) -> Self {
        Self { answer: Box::new(answer), tls: None }
    }

    /// One that takes part in TLS, which comes to this. On the bench nothing is encrypted.
    #[must_use]
    pub fn with_tls(mut self, info: TlsInfo) -> Self {
        self.tls = Some(info);
        self
    }
}

/// Who answers at an address.
pub(super) type Switch = Box<dyn FnMut(&str) -> Result<Peer, Error>>;

/// What is around the driver of a bench.
#[derive(Default)]
pub(super) struct Wires {
    /// Who answers; without it, whoever really listens.
    pub(super) switch: Option<Switch>,
    pub(super) parked: BTreeMap<String, Vec<(net::Connection, Vec<u8>)>>,
    /// The addresses of all connections that were made.
    pub(super) made: Vec<String>,
    /// What was asked of TLS, each time.
    pub(super) tls_asked: Vec<Tls>,
}

thread_local! {
    static WIRES: RefCell<Option<Wires>> = const { RefCell::new(None) };
}

/// Runs a call with these wires around it.
pub(super) fn with<R>(wires: &mut Wires, call: impl FnOnce() -> R) -> R {
    WIRES.with(|around| *around.borrow_mut() = Some(std::mem::take(wires)));
    let result = call();
    *wires = WIRES.with(|around| around.borrow_mut().take()).expect("put there above");
    result
}

/// What is mounted, and seals, have no wires.
fn current<R>(act: impl FnOnce(&mut Wires) -> R) -> Option<R> {
    WIRES.with(|around| around.borrow_mut().as_mut().map(act))
}

/// `net`.
pub(crate) mod net {
    use std::cell::RefCell;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpStream, ToSocketAddrs};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::{Peer, current};
    use crate::bindings::mounted::bulkhead::plugin::net::{Error, TlsInfo, Verification};
    use crate::net::Tls;

    pub(crate) struct TlsConfig(RefCell<Tls>);

    impl TlsConfig {
        pub(crate) fn new() -> Self {
            Self(RefCell::default())
        }

        pub(crate) fn asked(&self) -> Tls {
            self.0.borrow().clone()
        }

        pub(crate) fn server_name(&self, name: &str) {
            self.0.borrow_mut().server_name = Some(name.to_owned());
        }

        pub(crate) fn roots_pem(&self, pem: &[u8]) -> Result<(), Error> {
            self.0.borrow_mut().roots_pem = Some(String::from_utf8_lossy(pem).into_owned());
            Ok(())
        }

        pub(crate) fn client_identity(&self, chain_pem: &[u8], key: &super::keys::Key) -> Result<(), Error> {
            let chain_pem = String::from_utf8_lossy(chain_pem).into_owned();
            self.0.borrow_mut().client = Some(crate::net::ClientIdentity::new(chain_pem, key.pem()));
            Ok(())
        }

        pub(crate) fn verification(&self, level: Verification) {
            self.0.borrow_mut().verification = level;
        }
    }

    enum Wire {
        Tcp(TcpStream),
        Unix(UnixStream),
        Played { peer: Box<Peer>, unread: Vec<u8>, ended: bool, tls: Option<TlsInfo> },
    }

    /// The other end of a connection.
    pub(crate) struct Connection(RefCell<Wire>);

    impl core::fmt::Debug for Connection {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("Connection")
        }
    }

    impl Connection {
        pub(crate) fn read(&self, max: u32, timeout_ms: u32) -> Result<Vec<u8>, Error> {
            let mut buffer = vec![0; max as usize];
            let wire = &mut *self.0.borrow_mut();
            let length = match wire {
                Wire::Tcp(stream) => {
                    stream.set_read_timeout(wait(timeout_ms)).map_err(broken)?;
                    stream.read(&mut buffer).map_err(broken)?
                }
                Wire::Unix(stream) => {
                    stream.set_read_timeout(wait(timeout_ms)).map_err(broken)?;
                    stream.read(&mut buffer).map_err(broken)?
                }
                // A peer that says nothing more says nothing for ever.
                Wire::Played { unread, ended: false, .. } if unread.is_empty() => return Err(Error::Timeout),
                Wire::Played { unread, .. } => {
                    let length = unread.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&unread[..length]);
                    unread.drain(..length);
                    length
                }
            };
            buffer.truncate(length);
            Ok(buffer)
        }

        pub(crate) fn write(&self, bytes: &[u8], timeout_ms: u32) -> Result<(), Error> {
            match &mut *self.0.borrow_mut() {
                Wire::Tcp(stream) => {
                    stream.set_write_timeout(wait(timeout_ms)).map_err(broken)?;
                    stream.write_all(bytes).map_err(broken)
                }
                Wire::Unix(stream) => {
                    stream.set_write_timeout(wait(timeout_ms)).map_err(broken)?;
                    stream.write_all(bytes).map_err(broken)
                }
                Wire::Played { ended: true, .. } => Err(Error::Closed),
                Wire::Played { peer, unread, ended, .. } => {
                    match (peer.answer)(bytes) {
                        Some(answer) => unread.extend(answer),
                        None => *ended = true,
                    }
                    Ok(())
                }
            }
        }

        pub(crate) fn start_tls(&self, config: &TlsConfig, _timeout_ms: u32) -> Result<(), Error> {
            current(|wires| wires.tls_asked.push(config.asked()));
            match &mut *self.0.borrow_mut() {
                Wire::Played { peer, tls, .. } if peer.tls.is_some() => {
                    tls.clone_from(&peer.tls);
                    Ok(())
                }
                _ => Err(Error::Tls("the bench speaks no TLS".to_owned())),
            }
        }

        pub(crate) fn tls(&self) -> Option<TlsInfo> {
            match &*self.0.borrow() {
                Wire::Played { tls, .. } => tls.clone(),
                _ => None,
            }
        }

        pub(crate) fn park(connection: Self, pool: &str, state: &[u8], _idle: u64) {
            current(|wires| wires.parked.entry(pool.to_owned()).or_default().push((connection, state.to_vec())));
        }
    }

    pub(crate) fn connect(address: &str, tls: Option<&TlsConfig>, timeout_ms: u32) -> Result<Connection, Error> {
        let played = current(|wires| {
            wires.made.push(address.to_owned());
            wires.switch.as_mut().map(|switch| switch(address))
        });
        let wire = match played {
            None => return Err(Error::Denied(address.to_owned())),
            Some(Some(peer)) => play(peer?),
            Some(None) => real(address, timeout_ms)?,
        };
        let connection = Connection(RefCell::new(wire));
        if let Some(config) = tls {
            connection.start_tls(config, timeout_ms)?;
        }
        Ok(connection)
    }

    pub(crate) fn unpark(pool: &str) -> Option<(Connection, Vec<u8>)> {
        current(|wires| wires.parked.get_mut(pool).and_then(Vec::pop)).flatten()
    }

    fn play(mut peer: Peer) -> Wire {
        let greeting = (peer.answer)(b"");
        Wire::Played {
            peer: Box::new(peer),
            ended: greeting.is_none(),
            unread: greeting.unwrap_or_default(),
            tls: None,
        }
    }

    fn real(address: &str, timeout_ms: u32) -> Result<Wire, Error> {
        if let Some(path) = address.strip_prefix("unix://") {
            let refused = |error: std::io::Error| Error::Refused(format!("dial unix {path}: {error}"));
            return Ok(Wire::Unix(UnixStream::connect(path).map_err(refused)?));
        }
        let place = address.strip_prefix("tcp://").ok_or_else(|| Error::Other(format!("no address: {address}")))?;
        let mut found = place.to_socket_addrs().map_err(|error| Error::Resolve(format!("{place}: {error}")))?;
        let first = found.next().ok_or_else(|| Error::Resolve(format!("{place} has no address")))?;
        let wait = Duration::from_millis(u64::from(timeout_ms.max(1)));
        let refused = |error: std::io::Error| match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::Timeout,
            _ => Error::Refused(format!("dial tcp {place}: {error}")),
        };
        let stream = TcpStream::connect_timeout(&first, wait).map_err(refused)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Wire::Tcp(stream))
    }

    /// No time at all would mean no end.
    fn wait(timeout_ms: u32) -> Option<Duration> {
        Some(Duration::from_millis(u64::from(timeout_ms.max(1))))
    }

    fn broken(error: std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::Timeout,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Error::Closed,
            _ => Error::Other(error.to_string()),
        }
    }
}

/// `keys`: there are no keys on the bench but for what TLS is told of.
pub(crate) mod keys {
    use crate::Secret;
    use crate::bindings::mounted::bulkhead::plugin::keys::Error;

    /// A key that nothing is done with.
    #[derive(Debug)]
    pub(crate) struct Key(Secret<String>);

    impl Key {
        pub(crate) fn pem(&self) -> Secret<String> {
            self.0.clone()
        }
    }

    pub(crate) fn import(_algorithm: &str, format: &str, bytes: &[u8], _exportable: bool) -> Result<Key, Error> {
        let pem = core::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN "));
        match (format, pem) {
            ("pem", Some(pem)) => Ok(Key(Secret::new(pem.to_owned()))),
            ("pem", None) => Err(Error::Failed("it is not PEM".to_owned())),
            _ => Err(Error::Unsupported(format!("the bench knows no keys in the format {format}"))),
        }
    }
}
