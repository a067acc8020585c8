//! What a mount's plugin was granted, in the words in which operators give it. The default is
//! nothing; a denial says which words are missing.
//!
//! ```text
//! net tcp://db.example:5432        a name and a port; * is any port
//! net tcp://*.db.example:5432      names below another
//! net tcp://10.0.0.0/8:5432        addresses, whatever the name that led there
//! net tcp://*:*                    any name and public or private address
//! net unix:///run/db.sock          a socket of the machine
//! http https://kms.example:443     requests to an origin
//! insecure-tls                     leave certificates unverified, in part or whole
//! driver postgresql-database-plugin    have a driver work; * is any that the server brings
//! keys.export                      take private keys out of the host
//! ```
//!
//! Addresses that mean the machine itself, the link or a cloud's metadata are reached only where
//! a grant names them as addresses: what a name leads to is its owner's choice, not the operator's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cidr::Network;
use crate::seam::egress::Origin;
use crate::seam::net::NetAddress;

/// Longest grant, in bytes. Source: ours.
const GRANT_BYTES_MAX: usize = 512;

/// Most grants of a mount. Source: ours. Why: each is compared with at every connection.
const GRANTS_MAX: usize = 256;

/// What is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    each: Vec<Grant>,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Connections to these.
    Tcp(Hosts, Option<u16>),
    /// Connections to a socket of the machine.
    Unix(String),
    /// Requests to an origin.
    Http(Origin),
    /// Certificates may be left unverified.
    InsecureTls,
    /// A driver may be called; none: any that the server brings.
    Driver(Option<String>),
    /// Private keys may be taken out of the host.
    ExportKeys,
}

/// Whom a grant of connections means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Anybody, but for special addresses.
    Any,
    /// A name.
    Name(String),
    /// The names below one; it begins with a dot.
    Below(String),
    /// Addresses, special ones too.
    Block(Network),
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Some(network) = Network::parse(bare) {
            return Some(Self::Block(network));
        }
        let below = text.strip_prefix('*').filter(|rest| rest.starts_with('.'));
        let name = below.unwrap_or(text).to_ascii_lowercase();
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (!name.is_empty() && name.bytes().all(sound)).then_some(match below {
            Some(_) => Self::Below(name),
            None => Self::Name(name),
        })
    }

    /// Whether this name, or address written as one, could be meant.
    fn may_mean(&self, host: &str) -> bool {
        match (self, host.parse::<IpAddr>()) {
            (Self::Any, _) => true,
            (Self::Block(network), Ok(address)) => network.contains(address),
            // Where the name leads is not known yet.
            (Self::Block(_), Err(_)) => true,
            (Self::Name(name), _) => name == host,
            (Self::Below(end), _) => host.ends_with(end.as_str()) && host.len() > end.len(),
        }
    }

    /// Whether this address is meant, to which that name led.
    fn means(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Block(network) => network.contains(address),
            // RFC 6761: this name is the machine's own, whoever is asked.
            Self::Name(name) if name == "localhost" => name == host && address.to_canonical().is_loopback(),
            named => named.may_mean(host) && !is_special(address),
        }
    }
}

impl Grant {
    /// Reads one grant.
    ///
    /// # Errors
    /// A sentence for whoever gives it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "{text:?} is no grant: say \"net tcp://host:port\", \"net unix:///path\", \"http https://host:port\", \
                 \"driver name\", \"insecure-tls\" or \"keys.export\""
            )
        };
        if text.len() > GRANT_BYTES_MAX {
            return Err(format!("a grant may have {GRANT_BYTES_MAX} bytes at most"));
        }
        let (what, whom) = text.split_once(' ').map_or((text, ""), |(what, whom)| (what, whom.trim()));
        match (what, whom) {
            ("insecure-tls", "") => Ok(Self::InsecureTls),
            ("keys.export", "") => Ok(Self::ExportKeys),
            ("driver", "*") => Ok(Self::Driver(None)),
            ("driver", name) if is_name(name) => Ok(Self::Driver(Some(name.to_owned()))),
            ("http", origin) => match Origin::split(origin) {
                Some((origin, path)) if path == "/" => Ok(Self::Http(origin)),
                _ => Err(unknown()),
            },
            ("net", address) => net(address).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
}

fn net(address: &str) -> Option<Grant> {
    if let Some(path) = address.strip_prefix("unix://") {
        return NetAddress::parse(address).map(|_| Grant::Unix(path.to_owned()));
    }
    let (host, port) = address.strip_prefix("tcp://")?.rsplit_once(':')?;
    let port = match port {
        "*" => None,
        digits => Some(digits.parse().ok().filter(|port: &u16| *port > 0)?),
    };
    Some(Grant::Tcp(Hosts::parse(host)?, port))
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(hosts, port) => {
                let port = port.map_or_else(|| "*".to_owned(), |port| port.to_string());
                match hosts {
                    Hosts::Any => write!(f, "net tcp://*:{port}"),
                    Hosts::Name(name) => write!(f, "net tcp://{name}:{port}"),
                    Hosts::Below(end) => write!(f, "net tcp://*{end}:{port}"),
                    Hosts::Block(network) if network.is_v6() => write!(f, "net tcp://[{network}]:{port}"),
                    Hosts::Block(network) => write!(f, "net tcp://{network}:{port}"),
                }
            }
            Self::Unix(path) => write!(f, "net unix://{path}"),
            Self::Http(origin) => write!(f, "http {origin}"),
            Self::InsecureTls => f.write_str("insecure-tls"),
            Self::Driver(None) => f.write_str("driver *"),
            Self::Driver(Some(name)) => write!(f, "driver {name}"),
            Self::ExportKeys => f.write_str("keys.export"),
        }
    }
}

impl Grants {
    /// Reads grants.
    ///
    /// # Errors
    /// A sentence for whoever gives them.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, String> {
        if texts.len() > GRANTS_MAX {
            return Err(format!("a mount may have {GRANTS_MAX} grants at most"));
        }
        let mut each: Vec<Grant> = Vec::new();
        for text in texts {
            let grant = Grant::parse(text.as_ref())?;
            if !each.contains(&grant) {
                each.push(grant);
            }
        }
        Ok(Self { each })
    }

    /// In the words in which they are given.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.each.iter().map(Grant::to_string).collect()
    }

    /// Whether a connection there could be granted, before it is known where a name leads. Nobody
    /// is asked for a name that cannot be.
    #[must_use]
    pub fn may_connect(&self, address: &NetAddress) -> bool {
        self.each.iter().any(|grant| match (grant, address) {
            (Grant::Tcp(hosts, port), NetAddress::Tcp { host, port: asked }) => {
                port.is_none_or(|port| port == *asked) && hosts.may_mean(host)
            }
            (Grant::Unix(path), NetAddress::Unix { path: asked }) => path == asked,
            _ => false,
        })
    }

    /// Whether this address may be connected to, to which that name led.
    #[must_use]
    pub fn admits(&self, host: &str, port: u16, address: IpAddr) -> bool {
        self.each.iter().any(|grant| match grant {
            Grant::Tcp(hosts, at) => at.is_none_or(|at| at == port) && hosts.means(host, address),
            _ => false,
        })
    }

    /// Whether requests to an origin are granted.
    #[must_use]
    pub fn admits_origin(&self, origin: &Origin) -> bool {
        self.each.iter().any(|grant| matches!(grant, Grant::Http(granted) if granted == origin))
    }

    /// Whether certificates may be left unverified.
    #[must_use]
    pub fn insecure_tls(&self) -> bool {
        self.each.contains(&Grant::InsecureTls)
    }

    /// Whether a driver may be called; `brought`: the server brings it.
    #[must_use]
    pub fn admits_driver(&self, name: &str, brought: bool) -> bool {
        self.each.iter().any(|grant| match grant {
            Grant::Driver(None) => brought,
            Grant::Driver(Some(granted)) => granted == name,
            _ => false,
        })
    }

    /// Whether private keys may be taken out of the host.
    #[must_use]
    pub fn exports_keys(&self) -> bool {
        self.each.contains(&Grant::ExportKeys)
    }
}

/// Addresses of the machine itself, its link, many at once, or a cloud's metadata. One of IPv4
/// within one of IPv6 is what it leads to.
fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_special_v4(inner),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || address.is_unicast_link_local()
                    // Amazon's and Google's metadata services.
                    || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                    || address == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
            }
        },
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    // Alibaba's metadata service, Oracle's, and Azure's.
    const METADATA: [Ipv4Addr; 3] =
        [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
    address.is_loopback()
        || address.octets()[0] == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA.contains(&address)
}

/// RFC 6052 and RFC 8215 (NAT64), RFC 3056 (6to4), RFC 2765 (SIIT) and RFC 4291's compatible form.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => of(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => of(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
