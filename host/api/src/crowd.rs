//! How many connections each client has to a listener. Without a bound of its own, a
//! single client takes all connections that the node has room for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::CROWDED_LOG_PAUSE;

/// The connections of one listener, counted by client.
pub(crate) struct Crowd {
    each_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Clients with at least one connection, so never more than there are connections.
    open: HashMap<Client, usize>,
    /// Refused since the log last said so.
    refused: u64,
    logged: Option<Instant>,
}

impl Crowd {
    pub(crate) fn new(each_max: usize) -> Arc<Self> {
        Arc::new(Self { each_max, counts: Mutex::default() })
    }

    /// A place for one more connection of this address, unless it has as many as one may. All
    /// who have none, as over a Unix socket, count as one.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let client = address.map(network);
        let refused = {
            let mut counts = self.counts.lock();
            let open = counts.open.entry(client).or_default();
            if *open < self.each_max {
                *open += 1;
                return Some(Place { crowd: Arc::clone(self), client });
            }
            counts.refused(Instant::now())
        };
        if let Some(refused) = refused {
            let most = self.each_max;
            let address = address.map(tracing::field::display);
            tracing::warn!(address, refused, most, "refused connections: max_connections_per_address");
        }
        None
    }

    fn leave(&self, client: Client) {
        let mut counts = self.counts.lock();
        if let Some(open) = counts.open.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                counts.open.remove(&client);
            }
        }
    }
}

impl Counts {
    /// How many were refused since the last line of the log, if it is time for another:
    /// a flood of connections must not become one of lines.
    fn refused(&mut self, now: Instant) -> Option<u64> {
        self.refused += 1;
        if self.logged.is_some_and(|logged| now - logged < CROWDED_LOG_PAUSE) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.refused))
    }
}

/// One connection's place; given back when it drops.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    client: Client,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.leave(self.client);
    }
}

/// Who is counted.
type Client = Option<IpAddr>;

/// Who an address stands for: in IPv6 a client has a whole /64 to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The upper half of an IPv6 address.
const NETWORK: u128 = !(u64::MAX as u128);

#[cfg(test)]
mod tests;
