//! Requests that are being served, so that whoever may ask can see which. Each costs two short
//! locks, one of several, so that they do not wait for each other.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_model::path::ApiPath;
use bulkhead_model::request::{Request, Verb};
use parking_lot::Mutex;

use crate::book::tokens::TokenHash;
use crate::step::remove::InHand;
use crate::underway::Underway;
use crate::visit::Who;

/// Parts of the list, each under a lock of its own. Source: ours.
const PARTS: usize = 16;

/// All of a node, and what they are at that others leave alone.
#[derive(Default)]
pub(crate) struct InFlight {
    /// Removals that requests work at.
    pub in_hand: InHand,
    /// What they are about to do outside.
    pub underway: Arc<Underway>,
    parts: [Mutex<HashMap<u64, Entry>>; PARTS],
    begun: AtomicU64,
    count: AtomicU64,
}

/// What is told of one.
#[derive(Clone)]
pub(crate) struct Entry {
    pub id: String,
    pub began_ms: u64,
    pub address: Option<IpAddr>,
    pub port: u16,
    pub path: ApiPath,
    pub verb: Verb,
    pub client: Client,
}

/// Who asks.
#[derive(Clone)]
pub(crate) enum Client {
    /// Not known, or not yet.
    Unknown,
    /// The token of this hash.
    Token(TokenHash),
    /// The client of this id, whose token is not stored.
    Named(String),
}

impl InFlight {
    /// Lists a request until the stay is dropped.
    pub(crate) fn begin(self: &Arc<Self>, request: &Request, began_ms: u64) -> Stay {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            id: request.id.clone(),
            began_ms,
            address: request.origin.address,
            port: request.origin.port,
            path: request.path.clone(),
            verb: request.verb,
            client: Client::Unknown,
        };
        self.part(number).lock().insert(number, entry);
        Stay { all: self.clone(), number }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Each of them, as it is at some moment of the look.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.parts.iter().flat_map(|part| part.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    fn part(&self, number: u64) -> &Mutex<HashMap<u64, Entry>> {
        &self.parts[(number % PARTS as u64) as usize]
    }
}

/// A request in the list.
pub(crate) struct Stay {
    all: Arc<InFlight>,
    number: u64,
}

impl Stay {
    /// Notes who asks, if that is known.
    pub(crate) fn is_of(&self, who: Option<&Who>) {
        let Some(who) = who else { return };
        let client = match who.record.is_batch() {
            true => Client::Named(crate::sys::misc::client_id(&who.record)),
            false => Client::Token(who.hash),
        };
        if let Some(entry) = self.all.part(self.number).lock().get_mut(&self.number) {
            entry.client = client;
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.all.part(self.number).lock().remove(&self.number);
        self.all.count.fetch_sub(1, Ordering::Relaxed);
    }
}
