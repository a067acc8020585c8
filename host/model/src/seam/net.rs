//! Connections to servers outside, as plugins hold them: bytes each way, and TLS on top where
//! the plugin asks for it. The sandbox checks what is asked and granted; the server dials.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::egress::{EgressError, EgressTls};
use crate::hidden::Hidden;

/// Longest path of a socket, in bytes. Source: `sockaddr_un` of Linux, with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetAddress {
    /// A name in lower case or an address, and a port.
    Tcp {
        /// IPv6 without brackets.
        host: String,
        /// Never zero.
        port: u16,
    },
    /// A socket of this machine.
    Unix {
        /// Absolute, without `..`.
        path: String,
    },
}

impl NetAddress {
    /// Reads `tcp://host:port` or `unix:///path`; `None` where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            let sound = path.starts_with('/')
                && path.len() <= SOCKET_PATH_BYTES_MAX
                && !path.contains('\0')
                && path.split('/').all(|part| part != "..");
            return sound.then(|| Self::Unix { path: path.to_owned() });
        }
        let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())?,
            None => host,
        };
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_host = host.parse::<IpAddr>().is_ok() || (!host.is_empty() && host.bytes().all(of_name));
        is_host.then(|| Self::Tcp { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for NetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix { path } => write!(f, "unix://{path}"),
        }
    }
}

/// The certificate that a client shows, and its key.
pub struct ClientIdentity {
    /// The chain, PEM, its own certificate first.
    pub chain_pem: Vec<u8>,
    /// The private key, PKCS#8.
    pub key: Hidden<Vec<u8>>,
}

/// What TLS asks of the server, and shows it.
#[derive(Default)]
pub struct NetTls {
    /// What it asks.
    pub asked: EgressTls,
    /// What it shows, if anything.
    pub identity: Option<Arc<ClientIdentity>>,
    /// Nothing below TLS 1.3.
    pub only_tls13: bool,
}

/// What came of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `1.2` or `1.3`.
    pub version: String,
    /// What the server showed, DER, leaf first.
    pub peer_certificates: Vec<Vec<u8>>,
    /// RFC 5929, `tls-server-end-point`: a digest of the server's certificate; empty where its
    /// signature has none.
    pub channel_binding: Vec<u8>,
}

/// Whether an address may be connected to, to which a name led.
pub type Admits<'a> = &'a (dyn Fn(IpAddr) -> bool + Send + Sync);

/// A connection. Each call ends within its time.
#[async_trait]
pub trait Wire: Send {
    /// Some of what comes, at most so many bytes; nothing at all is the end.
    ///
    /// # Errors
    /// [`EgressError`].
    async fn read(&mut self, bytes_max: usize, within: Duration) -> Result<Hidden<Vec<u8>>, EgressError>;

    /// Writes all of it.
    ///
    /// # Errors
    /// [`EgressError`]; part of it may be written.
    async fn write(&mut self, bytes: &[u8], within: Duration) -> Result<(), EgressError>;

    /// Speaks TLS from now on. `name` is what the certificate is for, where `tls` has no other.
    ///
    /// # Errors
    /// [`EgressError`]; the connection is of no more use then.
    async fn start_tls(&mut self, name: &str, tls: &NetTls, within: Duration) -> Result<(), EgressError>;

    /// What came of TLS, if it is spoken.
    fn tls(&self) -> Option<TlsFacts>;

    /// Whether nothing has come that nobody asked for, not even the end. What has come is lost.
    fn is_quiet(&mut self) -> bool;
}

/// Makes connections. Heeds no proxy.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// Connects to the first address that the name has, is admitted, and takes it.
    ///
    /// # Errors
    /// [`EgressError`]; [`EgressError::Denied`] where none of its addresses is admitted.
    async fn connect(
        &self,
        address: &NetAddress,
        admits: Admits<'_>,
        within: Duration,
    ) -> Result<Box<dyn Wire>, EgressError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in ["tcp://db.example:5432", "tcp://[::1]:1", "tcp://10.0.0.1:65535", "unix:///run/db.sock"] {
            assert_eq!(NetAddress::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(NetAddress::parse("tcp://DB:1").expect("an address").to_string(), "tcp://db:1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:///{}", "x".repeat(SOCKET_PATH_BYTES_MAX));
        for text in [
            "",
            "tcp://",
            "tcp://a",
            "tcp://a:0",
            "tcp://a:70000",
            "tcp://a b:1",
            "tcp://[a]:1",
            "tcp://a/b:1",
            "udp://a:1",
            "unix://x",
            "unix:///a/../b",
            &long,
        ] {
            assert_eq!(NetAddress::parse(text), None, "{text}");
        }
    }
}
