//! Which proxy a request goes through, if any: the one that the setting `PROXY_ADDR` names (or the
//! older `HTTP_PROXY`), whatever the server; else the one of the system's variables `http_proxy` and
//! `https_proxy`, but for servers that `no_proxy` names and those on this machine.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::cidr::Network;
use bulkhead_model::hidden::Hidden;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::address::{Address, Endpoint};
use super::error::ClientError;
use crate::env::Environment;

/// Longest head of a proxy's answer, in bytes. Source: ours, a server's own bound for one.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A proxy that speaks HTTP.
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    credentials: Option<Hidden<String>>,
}

/// Where it is, and not who goes through it.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The proxies there are.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    /// For every server.
    all: Option<Proxy>,
    /// For servers without and with TLS, except some.
    plain: Option<Proxy>,
    tls: Option<Proxy>,
    except: Vec<Exception>,
}

/// Servers that are asked without the system's proxy.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    All,
    Network(Network),
    /// A name without a dot in front, whether it stands for itself too, and a port if it is one port alone.
    Name(String, bool, Option<u16>),
    Address(IpAddr, Option<u16>),
}

impl Proxies {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`ClientError::Settings`]: a proxy that cannot be used. To go without it would be to go where nobody wanted.
    pub(super) fn read(env: &Environment) -> Result<Self, ClientError> {
        for setting in ["PROXY_ADDR", "HTTP_PROXY"] {
            if let Some(text) = env.setting(setting) {
                return Ok(Self { all: Some(Proxy::parse(setting, text)?), ..Self::default() });
            }
        }
        let any = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, env.raw(name)?)));
        let of_system = |names| {
            let given: Option<(&str, &str)> = any(names);
            // As curl and Go have it, the scheme may be left out.
            let named = |(name, text): (&str, &str)| {
                if text.contains("://") {
                    Proxy::parse(name, text)
                } else {
                    Proxy::parse(name, &format!("http://{text}"))
                }
            };
            given.map(named).transpose()
        };
        Ok(Self {
            all: None,
            plain: of_system(["HTTP_PROXY", "http_proxy"])?,
            tls: of_system(["HTTPS_PROXY", "https_proxy"])?,
            except: any(["NO_PROXY", "no_proxy"]).map(|(_, text)| exceptions(text)).unwrap_or_default(),
        })
    }

    /// The one on the way to a server.
    pub(super) fn to(&self, address: &Address) -> Option<&Proxy> {
        let Endpoint::Tcp(host, port) = &address.endpoint else { return None };
        if self.all.is_some() {
            return self.all.as_ref();
        }
        let of_system = if address.is_tls { &self.tls } else { &self.plain };
        of_system.as_ref().filter(|_| !self.is_excepted(&host.to_lowercase(), *port))
    }

    fn is_excepted(&self, host: &str, port: u16) -> bool {
        let ip: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        self.except.iter().any(|exception| match exception {
            Exception::All => true,
            Exception::Network(network) => ip.is_some_and(|ip| network.contains(ip)),
            Exception::Address(address, only) => ip == Some(*address) && only.is_none_or(|only| only == port),
            Exception::Name(name, itself, only) => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|front| front.ends_with('.'));
                (below || (*itself && host == name)) && only.is_none_or(|only| only == port)
            }
        })
    }
}

fn exceptions(text: &str) -> Vec<Exception> {
    let entries = text.split(',').map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty());
    entries.map(|entry| exception(&entry)).collect()
}

fn exception(entry: &str) -> Exception {
    if entry == "*" {
        return Exception::All;
    }
    if let Some(network) = Network::parse(entry).filter(|_| entry.contains('/')) {
        return Exception::Network(network);
    }
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_owned();
    if let Ok(address) = bare(entry).parse() {
        return Exception::Address(address, None);
    }
    let (name, port) = match entry.rsplit_once(':').map(|(name, port)| (name, port.parse().ok())) {
        Some((name, Some(port))) => (name, Some(port)),
        _ => (entry, None),
    };
    if let Ok(address) = bare(name).parse() {
        return Exception::Address(address, port);
    }
    match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
        Some(name) => Exception::Name(name.to_owned(), false, port),
        None => Exception::Name(name.to_owned(), true, port),
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port`. Errors do not quote it: a password may be in it.
    fn parse(setting: &str, text: &str) -> Result<Self, ClientError> {
        let unusable = |why: &str| ClientError::Settings(format!("the proxy in {setting} cannot be used: {why}"));
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| unusable("write it with its scheme, such as http://127.0.0.1:3128"))?;
        if scheme != "http" {
            return Err(unusable("its scheme must be http, by which TLS to the server goes too"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let address = Address::parse(&format!("http://{place}")).map_err(|_| unusable("it names no host and port"))?;
        let Endpoint::Tcp(host, port) = address.endpoint else { return Err(unusable("it names no host and port")) };
        let credentials = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let pair = Hidden::new([decoded(name), b":".to_vec(), decoded(password)].concat());
            Hidden::new(format!("Basic {}", STANDARD.encode(pair.expose())))
        });
        Ok(Self { host, port, credentials })
    }

    /// The value of `Proxy-Authorization`, if it asks for one.
    pub(super) fn credentials(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.expose().as_str())
    }

    /// Has the proxy connect to a server; what is sent from then on goes there.
    ///
    /// # Errors
    /// It does not, or does not answer.
    pub(super) async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> std::io::Result<()> {
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let credentials = self.credentials().map(|value| format!("Proxy-Authorization: {value}\r\n"));
        let credentials = Hidden::new(credentials.unwrap_or_default());
        let asked = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{}\r\n", credentials.expose());
        stream.write_all(Hidden::new(asked).expose().as_bytes()).await?;
        let mut head = Vec::new();
        // Sign by sign: what follows the head is the server's already.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_BYTES_MAX {
                return Err(Error::new(ErrorKind::InvalidData, "the proxy's answer has no end"));
            }
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        let status = head.lines().next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status).trim();
        if status.starts_with("200") {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ConnectionRefused, format!("the proxy does not connect to {place}: {status}")))
    }
}

/// With bytes in the place of `%41` and the like.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut out) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let [first, rest @ ..] = bytes {
        let coded = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match coded.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                bytes = &rest[2..];
            }
            None => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
