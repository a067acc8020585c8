//! The PROXY protocol's header: what a proxy says before a connection of whom it is. What must
//! not live here: which proxies are believed, and reading from a connection.
//!
//! Source: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>. Both versions are read; what
//! follows the addresses in version 2 is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Longest header of version 1, in bytes, with its end. Source: the protocol.
pub const TEXT_BYTES_MAX: usize = 107;

/// Longest header of version 2, in bytes. Source: ours. Why: it is held until it is whole; addresses
/// take 232 bytes at most, and what proxies add to them a few hundred.
pub const BINARY_BYTES_MAX: usize = 4096;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// So far it may become a header.
    Undecided,
    /// No header.
    Other,
    /// A header of so many bytes.
    Header(usize, Client),
}

/// Whom a proxy speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Somebody at this address.
    At(SocketAddr),
    /// Somebody without an address: it came over a Unix socket.
    Nowhere,
    /// Itself, or it does not know.
    Itself,
}

/// A header that cannot be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PROXY header {0}")]
pub struct Malformed(&'static str);

/// Reads the beginning of a connection, of which these bytes have come.
///
/// # Errors
/// [`Malformed`]: it is a header and cannot be read, whatever else comes.
pub fn read(bytes: &[u8]) -> Result<Beginning, Malformed> {
    if bytes.starts_with(TEXT) {
        return text(bytes);
    }
    if bytes.starts_with(BINARY) {
        return binary(bytes);
    }
    let may_become = TEXT.starts_with(bytes) || BINARY.starts_with(bytes);
    Ok(if may_become { Beginning::Undecided } else { Beginning::Other })
}

const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn text(bytes: &[u8]) -> Result<Beginning, Malformed> {
    let window = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        let is_full = window.len() == TEXT_BYTES_MAX;
        return if is_full { Err(Malformed("has no end")) } else { Ok(Beginning::Undecided) };
    };
    let line = std::str::from_utf8(&window[TEXT.len()..end]).map_err(|_| Malformed("is no text"))?;
    let fields: Vec<&str> = line.split(' ').collect();
    let client = match fields[..] {
        ["UNKNOWN", ..] => Client::Itself,
        ["TCP4", source, destination, from, to] => addresses::<Ipv4Addr>([source, destination], [from, to])?,
        ["TCP6", source, destination, from, to] => addresses::<Ipv6Addr>([source, destination], [from, to])?,
        _ => return Err(Malformed("has other fields than it should")),
    };
    Ok(Beginning::Header(end + 2, client))
}

/// The first of two addresses and of two ports, if all of them are some.
fn addresses<A: FromStr + Into<IpAddr>>(hosts: [&str; 2], ports: [&str; 2]) -> Result<Client, Malformed> {
    let host = |text: &str| text.parse::<A>().map_err(|_| Malformed("names an address that is none"));
    // A number for the parser may begin with a plus.
    let port = |text: &str| {
        let plain = text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| plain).ok_or(Malformed("names a port that is none"))
    };
    let (source, _) = (host(hosts[0])?, host(hosts[1])?);
    let (from, _) = (port(ports[0])?, port(ports[1])?);
    Ok(Client::At(SocketAddr::new(source.into(), from)))
}

/// Bytes of version 2 before the addresses.
const FIXED_BYTES: usize = 16;

fn binary(bytes: &[u8]) -> Result<Beginning, Malformed> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else { return Ok(Beginning::Undecided) };
    let [version_and_command, family, high, low] = fixed[BINARY.len()..] else {
        return Ok(Beginning::Undecided);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED_BYTES + length > BINARY_BYTES_MAX {
        return Err(Malformed("is too long"));
    }
    let speaks_for_itself = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed("is of an unknown version or command")),
    };
    let Some(body) = rest.get(..length) else { return Ok(Beginning::Undecided) };
    let client = if speaks_for_itself { Client::Itself } else { source(family, body)? };
    Ok(Beginning::Header(FIXED_BYTES + length, client))
}

/// The source's address of a family and transport: of TCP and its like alone.
fn source(family: u8, body: &[u8]) -> Result<Client, Malformed> {
    const SHORT: Malformed = Malformed("is shorter than its addresses");
    match family {
        0x00 => Ok(Client::Itself),
        0x11 => {
            let fields: &[u8; 12] = body.first_chunk().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *fields;
            Ok(Client::At((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()))
        }
        0x21 => {
            let fields: &[u8; 36] = body.first_chunk().ok_or(SHORT)?;
            let source: &[u8; 16] = fields.first_chunk().ok_or(SHORT)?;
            let port = u16::from_be_bytes([fields[32], fields[33]]);
            Ok(Client::At((Ipv6Addr::from(*source), port).into()))
        }
        0x31 if body.len() >= 216 => Ok(Client::Nowhere),
        0x31 => Err(SHORT),
        _ => Err(Malformed("is of another transport than TCP")),
    }
}

#[cfg(test)]
mod tests;
