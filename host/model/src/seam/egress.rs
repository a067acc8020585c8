//! Requests to servers outside, as plugins send them. The sandbox checks what a plugin asks for
//! and grants it; the server makes the connection and keeps every bound named here.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::hidden::Hidden;

/// Scheme, host and port: what a request goes to, and what a grant of `http` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// A name in lower case, or an address; IPv6 in brackets.
    pub host: String,
    /// The port, that of the scheme where none is named.
    pub port: u16,
}

impl Origin {
    /// Takes apart an address of the form `https://host:port/path?query`: where it leads, and
    /// path and query. A fragment is left out. `None` where it is anything else; credentials in
    /// an address would be shown wherever the address is.
    #[must_use]
    pub fn split(url: &str) -> Option<(Self, String)> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = path.split('#').next().unwrap_or_default();
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let colon = authority.rfind(':').filter(|at| authority.rfind(']').is_none_or(|end| end < *at));
        let (host, port) = match colon {
            Some(at) => (&authority[..at], Some(port(&authority[at + 1..])?)),
            None => (authority, None),
        };
        is_host(host).then(|| (Self { tls, host: host.to_ascii_lowercase(), port: port.unwrap_or(default(tls)) }, path))
    }

    /// Host and port, to connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// As in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == default(self.tls) { self.host.clone() } else { self.address() }
    }
}

/// With its port, always: `https://vault.example:443`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.address())
    }
}

fn default(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    }
}

/// How a server's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Its chain and its name.
    #[default]
    Full,
    /// Its chain; it may be for another name.
    ChainOnly,
    /// Not at all: whoever is on the way can read and change everything.
    Insecure,
}

/// What TLS asks of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressTls {
    /// The name its certificate must have; that of the origin where none is given.
    pub server_name: Option<String>,
    /// The authorities that are believed, PEM; those of the machine where none are given.
    pub roots_pem: Option<Vec<u8>>,
    /// How it is looked at.
    pub verification: Verification,
}

/// A request, checked: its method, path and headers can be written as they are.
pub struct EgressRequest {
    /// Where to.
    pub origin: Origin,
    /// What TLS asks, where it is spoken.
    pub tls: EgressTls,
    /// The method, in capitals.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, without those that frame the message.
    pub headers: Vec<(String, Hidden<String>)>,
    /// The body.
    pub body: Hidden<Vec<u8>>,
    /// Longest time for all of it.
    pub within: Duration,
    /// Longest body of the answer, in bytes.
    pub body_bytes_max: usize,
}

/// An answer.
pub struct EgressResponse {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, whole.
    pub body: Hidden<Vec<u8>>,
    /// What the server showed in TLS, DER, leaf first.
    pub peer_certificates: Vec<Vec<u8>>,
}

/// Why no answer came. The texts hold nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Where it leads is not granted; the text is the grant that is missing.
    #[error("it needs the grant {0:?}")]
    Denied(String),
    /// The name has no address.
    #[error("{0}")]
    Resolve(String),
    /// No connection was made.
    #[error("{0}")]
    Refused(String),
    /// The time is up.
    #[error("it took too long")]
    Timeout,
    /// The server ended the connection before its answer.
    #[error("the connection was ended before the answer")]
    Closed,
    /// The server's certificate, or TLS otherwise.
    #[error("{0}")]
    Tls(String),
    /// Anything else: no HTTP, or an answer over its bound.
    #[error("{0}")]
    Other(String),
}

/// The way out. Follows no redirect and heeds no proxy.
#[async_trait]
pub trait Egress: Send + Sync {
    /// Sends a request once, over a connection of its own.
    ///
    /// # Errors
    /// [`EgressError`].
    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError>;
}

#[cfg(test)]
mod tests;
