//! Proxies in front of a listener that say in a PROXY header for whom they speak, and which of
//! them are believed. The header is read here; what it looks like is the model's.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use bulkhead_model::cidr::Network;
use bulkhead_model::proxy_header::{self, Beginning, Client};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::replayed::Replayed;

/// Who may say for whom a connection is: `proxy_protocol_behavior`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// `use_always`: whoever connects.
    UseAlways,
    /// `allow_authorized`: whoever connects from these networks. Headers of others count for nothing.
    AllowAuthorized(Vec<Network>),
    /// `deny_unauthorized`: likewise, and nobody else is served.
    DenyUnauthorized(Vec<Network>),
}

/// What a peer may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Speak for others, by the list of networks.
    Authorized,
    /// Speak for others, as anybody may.
    Anybody,
    /// Speak for itself.
    Itself,
    /// Nothing.
    Refused,
}

impl Proxies {
    pub(crate) fn trust(&self, peer: IpAddr) -> Trust {
        let named = |networks: &[Network]| networks.iter().any(|network| network.contains(peer));
        match self {
            Self::UseAlways => Trust::Anybody,
            Self::AllowAuthorized(networks) | Self::DenyUnauthorized(networks) if named(networks) => Trust::Authorized,
            Self::AllowAuthorized(_) => Trust::Itself,
            Self::DenyUnauthorized(_) => Trust::Refused,
        }
    }
}

/// Takes the header off a connection, if there is one, and gives the client's address: `None`
/// where it has none. Without a header it is the peer's. The caller keeps the deadline.
///
/// # Errors
/// The header is malformed, or the connection ended before it was whole.
pub(crate) async fn take_header<S: AsyncRead + Unpin>(
    mut stream: S,
    peer: SocketAddr,
) -> io::Result<(Replayed<S>, Option<SocketAddr>)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 256]);
    loop {
        // Ends within a bound: beyond that of a header, it is malformed.
        let count = match stream.read(&mut piece).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => count,
        };
        bytes.extend_from_slice(&piece[..count]);
        match proxy_header::read(&bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))? {
            Beginning::Undecided => {}
            Beginning::Other => return Ok((Replayed::new(bytes, stream), Some(peer))),
            Beginning::Header(length, client) => {
                bytes.drain(..length);
                let client = match client {
                    Client::At(address) => Some(address),
                    Client::Nowhere => None,
                    Client::Itself => Some(peer),
                };
                return Ok((Replayed::new(bytes, stream), client));
            }
        }
    }
}
