//! Proxies in front of a listener that say in `X-Forwarded-For` for whom they ask, and which of
//! them are believed. Others may send the header as well: it says nothing then.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bulkhead_model::cidr::Network;
use bulkhead_model::request::Origin;
use hyper::header::{HeaderMap, HeaderName};

use crate::encode::Encoded;
use crate::status;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which proxies are believed: the keys `x_forwarded_for_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Where they ask from.
    pub authorized: Vec<Network>,
    /// How many of the last addresses are those of proxies behind the one that is believed.
    pub hop_skips: usize,
    /// Refuses requests without the header, whoever sends them.
    pub reject_not_present: bool,
    /// Refuses requests with the header of those who are not believed.
    pub reject_not_authorized: bool,
}

impl Forwarded {
    /// Where a request comes from, with these headers on a connection of this origin.
    ///
    /// # Errors
    /// The answer, in Vault's words.
    pub(crate) fn origin(&self, of_connection: &Arc<Origin>, headers: &HeaderMap) -> Result<Arc<Origin>, Encoded> {
        let mut given = headers.get_all(FORWARDED_FOR).iter().peekable();
        if given.peek().is_none() {
            return if self.reject_not_present { Err(refused(NOT_PRESENT)) } else { Ok(Arc::clone(of_connection)) };
        }
        let is_named = |address| self.authorized.iter().any(|network| network.contains(address));
        if !of_connection.address.is_some_and(is_named) {
            return if self.reject_not_authorized {
                Err(refused(NOT_AUTHORIZED))
            } else {
                Ok(Arc::clone(of_connection))
            };
        }
        // Several headers are one list, and the last of it was written by the nearest proxy.
        let chain: Vec<&[u8]> = given.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
        let Some(place) = chain.len().checked_sub(1 + self.hop_skips) else {
            let (skips, length) = (self.hop_skips, chain.len());
            return Err(refused(&format!(
                "malformed x-forwarded-for configuration or request, hops to skip ({skips}) would skip before earliest \
                 chain link (chain length {length})"
            )));
        };
        let address = address(chain[place]).ok_or_else(|| refused(NO_ADDRESS))?;
        Ok(Arc::new(Origin { address: Some(address.to_canonical()), ..Origin::clone(of_connection) }))
    }
}

const NOT_PRESENT: &str = "missing x-forwarded-for header and configured to reject when not present";
const NOT_AUTHORIZED: &str = "client address not authorized for x-forwarded-for and configured to reject connection";
const NO_ADDRESS: &str = "malformed x-forwarded-for request: the client's address is none";

fn refused(text: &str) -> Encoded {
    Encoded::errors(status::MALFORMED, &[text.to_owned()])
}

/// An address, perhaps with a port as some proxies write it, or in brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests;
