//! Who may keep a connection. Strangers, who have shown no certificate yet, have places of
//! their own, and few for each address; where none is left the one that has dawdled longest
//! makes way, so that whoever proves itself at once gets through. Nodes have others, so that
//! no stranger can take them.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Strangers at a time. Source: ours. Why: each costs a descriptor and a handshake.
const STRANGERS_MAX: usize = 128;

/// Strangers of one address at a time. Source: ours. Why: several nodes may come from one
/// address, with three connections each.
const STRANGERS_OF_ADDRESS_MAX: usize = 32;

/// Connections of one node at a time. Why: one for each lane, and those they replace.
const OF_NODE_MAX: usize = 8;

/// Nodes with connections at a time. Why: as many as this node keeps lines to.
const NODES_MAX: usize = super::LINES_MAX;

/// All places.
#[derive(Default)]
pub(super) struct Places(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// The oldest first.
    strangers: VecDeque<(IpAddr, Holder)>,
    nodes: BTreeMap<u64, VecDeque<Holder>>,
    next: u64,
}

/// Whose place it is. It learns that it lost it once this is dropped.
struct Holder {
    id: u64,
    _held: oneshot::Sender<()>,
}

/// A place; given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    /// The node it belongs to; `None`: a stranger.
    node: Option<u64>,
    id: u64,
    lost: oneshot::Receiver<()>,
}

impl Places {
    /// A place for whoever comes from this address. Another may lose its own.
    pub(super) fn for_stranger(self: &Arc<Self>, address: IpAddr) -> Place {
        let address = network(address);
        let mut books = self.0.lock();
        let of_address = books.strangers.iter().filter(|(other, _)| *other == address).count();
        if of_address >= STRANGERS_OF_ADDRESS_MAX {
            let oldest = books.strangers.iter().position(|(other, _)| *other == address);
            oldest.and_then(|at| books.strangers.remove(at));
        } else if books.strangers.len() >= STRANGERS_MAX {
            books.strangers.pop_front();
        }
        let (holder, place) = self.made(&mut books, None);
        books.strangers.push_back((address, holder));
        place
    }

    fn made(self: &Arc<Self>, books: &mut Books, node: Option<u64>) -> (Holder, Place) {
        let (held, lost) = oneshot::channel();
        books.next += 1;
        let id = books.next;
        (Holder { id, _held: held }, Place { places: Arc::clone(self), node, id, lost })
    }
}

impl Place {
    /// Its holder has proved that it is this node. `None`: too many nodes are here.
    pub(super) fn of_node(self, number: u64) -> Option<Self> {
        let mut books = self.places.0.lock();
        if !books.nodes.contains_key(&number) && books.nodes.len() >= NODES_MAX {
            return None;
        }
        let (holder, place) = self.places.made(&mut books, Some(number));
        let here = books.nodes.entry(number).or_default();
        if here.len() >= OF_NODE_MAX {
            here.pop_front();
        }
        here.push_back(holder);
        drop(books);
        Some(place)
    }

    /// Returns once the place is lost to another.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        drop((&mut self.lost).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut books = self.places.0.lock();
        match self.node {
            None => books.strangers.retain(|(_, holder)| holder.id != self.id),
            Some(number) => {
                let Some(here) = books.nodes.get_mut(&number) else { return };
                here.retain(|holder| holder.id != self.id);
                if here.is_empty() {
                    books.nodes.remove(&number);
                }
            }
        }
    }
}

/// What counts as one address: who has one of IPv6 has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        older => older,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.to_be_bytes().into())
    }

    fn is_lost(place: &mut Place) -> bool {
        matches!(place.lost.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn an_address_takes_places_from_itself_alone_and_the_oldest_goes_first() {
        let places = Arc::new(Places::default());
        let mut other = places.for_stranger(address(1));
        let mut many: Vec<Place> = (0..40).map(|_| places.for_stranger(address(2))).collect();
        let lost: Vec<bool> = many.iter_mut().map(is_lost).collect();
        assert!(lost[..8].iter().all(|lost| *lost) && lost[8..].iter().all(|lost| !lost), "{lost:?}");
        assert!(!is_lost(&mut other));
        drop(many);
        assert_eq!(places.0.lock().strangers.len(), 1);
    }

    #[test]
    fn strangers_of_many_addresses_push_each_other_out_and_no_node() {
        let places = Arc::new(Places::default());
        let mut node = places.for_stranger(address(1)).of_node(7).unwrap();
        let mut many: Vec<Place> = (0..500).map(|n| places.for_stranger(address(n))).collect();
        assert_eq!(many.iter_mut().map(is_lost).filter(|lost| !lost).count(), STRANGERS_MAX);
        assert!(!is_lost(&mut node));
    }

    #[test]
    fn a_node_that_comes_again_loses_its_oldest_place() {
        let places = Arc::new(Places::default());
        let enter = |number| places.for_stranger(address(1)).of_node(number);
        let mut all: Vec<Place> = (0..9).map(|_| enter(7).unwrap()).collect();
        assert_eq!(all.iter_mut().map(is_lost).collect::<Vec<_>>()[..2], [true, false]);
        let others: Vec<Option<Place>> = (100..200).map(enter).collect();
        assert_eq!(others.iter().flatten().count(), NODES_MAX - 1);
        drop((all, others));
        assert!(places.0.lock().nodes.is_empty());
    }

    #[test]
    fn a_network_of_the_newer_protocol_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
