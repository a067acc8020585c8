//! Connections that calls hold: how many a mount may have, and those that wait, idle, for its
//! next call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressError, Verification};
use bulkhead_model::seam::net::{NetAddress, NetTls, Wire};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{CONNECTIONS_MAX, PARKED_MAX, PARKED_SECS_MAX, PER_ADDRESS_MAX};

/// How often connections that waited long enough are ended.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// An open connection.
pub(crate) struct Line {
    pub(crate) wire: Box<dyn Wire>,
    pub(crate) address: NetAddress,
    /// Whether the server's certificate was left unverified, in part or in whole.
    pub(crate) unverified: bool,
    /// Its place among those of the mount, given back with it.
    _place: Place,
}

impl Line {
    pub(crate) fn new(wire: Box<dyn Wire>, address: NetAddress, place: Place) -> Self {
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

/// A place among the connections of a mount, and among those to one address.
pub(crate) struct Place {
    _of_mount: OwnedSemaphorePermit,
    _of_address: OwnedSemaphorePermit,
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
    places: Arc<Semaphore>,
    /// Of each address, so that one that does not answer leaves places for the others.
    by_address: HashMap<NetAddress, Arc<Semaphore>>,
    parked: Vec<Parked>,
    /// How many wait for a place.
    waiting: Arc<AtomicUsize>,
}

/// Of all mounts.
#[derive(Default)]
pub(crate) struct Outlets {
    mounts: Mutex<HashMap<String, Mount>>,
    /// Whether somebody ends what waited long enough.
    is_swept: AtomicBool,
}

/// Counted among those who wait.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn one(of: &Arc<AtomicUsize>) -> Self {
        of.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(of))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Outlets {
    /// A place for one more connection of a mount. Where there is none, one that waits is ended for it.
    pub(crate) async fn place(&self, mount: &str, address: &NetAddress, within: Duration) -> Option<Place> {
        let (of_mount, of_address, _waiting) = {
            let mut mounts = self.mounts.lock();
            let mount = mounts.entry(mount.to_owned()).or_insert_with(Mount::new);
            mount.by_address.retain(|_, places| places.available_permits() < PER_ADDRESS_MAX);
            let per_address = || Arc::new(Semaphore::new(PER_ADDRESS_MAX));
            let of_address = mount.by_address.entry(address.clone()).or_insert_with(per_address);
            let of_address = Arc::clone(of_address);
            let is_short = mount.places.available_permits() == 0 || of_address.available_permits() == 0;
            if is_short && !mount.parked.is_empty() {
                drop(mount.parked.remove(0));
            }
            (Arc::clone(&mount.places), of_address, Waiting::one(&mount.waiting))
        };
        // The address first: whoever waits for one that does not answer keeps nobody else waiting.
        let both = async {
            let of_address = of_address.acquire_owned().await.ok()?;
            Some(Place { _of_mount: of_mount.acquire_owned().await.ok()?, _of_address: of_address })
        };
        tokio::time::timeout(within, both).await.ok()?
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
        if mount.waiting.load(Ordering::SeqCst) > 0 {
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
        Self {
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            by_address: HashMap::new(),
            parked: Vec::new(),
            waiting: Arc::default(),
        }
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
