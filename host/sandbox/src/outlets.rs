//! Connections that calls hold: how many a mount may have, and those that wait, idle, for its
//! next call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressError, Verification};
use bulkhead_model::seam::net::{NetAddress, NetTls, Wire};
use parking_lot::Mutex;

use crate::limits::{CONNECTIONS_MAX, PARKED_MAX, PARKED_SECS_MAX, PER_ADDRESS_MAX, WAITING_FOR_CONNECTIONS_MAX};
use crate::shares::{Bounds, Share, Shares};

/// How often connections that waited long enough are ended.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// An open connection.
pub(crate) struct Line {
    pub(crate) wire: Box<dyn Wire>,
    pub(crate) address: NetAddress,
    /// Whether the server's certificate was left unverified, in part or in whole.
    pub(crate) unverified: bool,
    /// Its place among those of the mount, given back with it.
    _place: Share,
}

impl Line {
    pub(crate) fn new(wire: Box<dyn Wire>, address: NetAddress, place: Share) -> Self {
        Self { wire, address, unverified: false, _place: place }
    }

    /// Speaks TLS from now on.
    ///
    /// # Errors
    /// [`EgressError`]; the connection is of no more use then.
    pub(crate) async fn start_tls(&mut self, tls: &NetTls, within: Duration) -> Result<(), EgressError> {
        self.unverified |= tls.asked.verification != Verification::Full;
        let name = match &self.address {
            NetAddress::Tcp { host, .. } => host,
            NetAddress::Unix { .. } => "localhost",
        };
        self.wire.start_tls(name, tls, within).await
    }
}

/// A connection that waits.
struct Parked {
    line: Line,
    /// Digest of the component that left it, and the name it gave to such connections.
    whose: (String, String),
    state: Hidden<Vec<u8>>,
    until: Instant,
}

/// Of one mount.
struct Mount {
    /// By the address that connections lead to.
    places: Arc<Shares>,
    parked: Vec<Parked>,
}

/// Of all mounts.
#[derive(Default)]
pub(crate) struct Outlets {
    mounts: Mutex<HashMap<String, Mount>>,
    /// Whether somebody ends what waited long enough.
    is_swept: AtomicBool,
}

impl Outlets {
    /// A place for one more connection of a mount. Where there is none, one that waits is ended for it.
    pub(crate) async fn place(&self, mount: &str, address: &NetAddress, within: Duration) -> Option<Share> {
        let name = address.to_string();
        let places = {
            let mut mounts = self.mounts.lock();
            let mount = mounts.entry(mount.to_owned()).or_insert_with(Mount::new);
            if !mount.places.has_room(&name) {
                drop(mount.evict(address, &name));
            }
            Arc::clone(&mount.places)
        };
        places.take(&name, within).await
    }

    /// Leaves a connection for a later call of the mount by the same component.
    pub(crate) fn park(
        self: &Arc<Self>,
        mount: &str,
        whose: (String, String),
        (line, state): (Line, Hidden<Vec<u8>>),
        idle: Duration,
    ) {
        let until = Instant::now() + idle.min(Duration::from_secs(PARKED_SECS_MAX));
        let mut mounts = self.mounts.lock();
        let mount = mounts.entry(mount.to_owned()).or_insert_with(Mount::new);
        // Somebody waits for its place.
        if mount.places.is_wanted_of(&line.address.to_string()) {
            return;
        }
        if mount.parked.len() >= PARKED_MAX {
            drop(mount.parked.remove(0));
        }
        mount.parked.push(Parked { line, whose, state, until });
        drop(mounts);
        if !self.is_swept.swap(true, Ordering::SeqCst) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// The connection that was left last under this name, and is still good.
    pub(crate) fn unpark(&self, mount: &str, whose: &(String, String)) -> Option<(Line, Hidden<Vec<u8>>)> {
        let now = Instant::now();
        loop {
            let mut parked = {
                let mut mounts = self.mounts.lock();
                let mount = mounts.get_mut(mount)?;
                let at = mount.parked.iter().rposition(|parked| parked.whose == *whose)?;
                mount.parked.remove(at)
            };
            if parked.until > now && parked.line.wire.is_quiet() {
                return Some((parked.line, parked.state));
            }
        }
    }

    /// Ends those that waited long enough. Says whether others still wait.
    fn ended(&self) -> bool {
        let now = Instant::now();
        let mut mounts = self.mounts.lock();
        mounts.retain(|_, mount| {
            mount.parked.retain(|parked| parked.until > now);
            // One with a connection in use, or asked for, is somebody's still.
            !mount.parked.is_empty() || Arc::strong_count(&mount.places) > 1
        });
        let is_swept = mounts.values().any(|mount| !mount.parked.is_empty());
        self.is_swept.store(is_swept, Ordering::SeqCst);
        is_swept
    }
}

impl Mount {
    fn new() -> Self {
        let places = Shares::new(Bounds {
            in_all: CONNECTIONS_MAX,
            each: PER_ADDRESS_MAX,
            waiting: WAITING_FOR_CONNECTIONS_MAX,
            waiting_each: WAITING_FOR_CONNECTIONS_MAX,
        });
        Self { places, parked: Vec::new() }
    }

    /// One that waits whose place is one for this address: another to the same, or any where all places are taken and
    /// this address has none. What others left is not ended for who has his share.
    fn evict(&mut self, address: &NetAddress, name: &str) -> Option<Parked> {
        let same = self.parked.iter().position(|parked| parked.line.address == *address);
        let any = (!self.parked.is_empty() && self.places.is_full_for(name)).then_some(0);
        same.or(any).map(|at| self.parked.remove(at))
    }
}

async fn sweep(outlets: Weak<Outlets>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if !outlets.upgrade().is_some_and(|outlets| outlets.ended()) {
            return;
        }
    }
}
