//! Connections that calls hold: how many a mount may have, and those that wait, idle, for its
//! next call.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressError, Verification};
use bulkhead_model::seam::net::{NetAddress, NetTls, Wire};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{CONNECTIONS_MAX, PARKED_MAX, PARKED_SECS_MAX};

/// How often connections that waited long enough are ended.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// An open connection.
pub(crate) struct Line {
    pub(crate) wire: Box<dyn Wire>,
    pub(crate) address: NetAddress,
    /// Whether the server's certificate was left unverified, in part or in whole.
    pub(crate) unverified: bool,
    /// Its place among those of the mount, given back with it.
    _place: OwnedSemaphorePermit,
}

impl Line {
    pub(crate) fn new(wire: Box<dyn Wire>, address: NetAddress, place: OwnedSemaphorePermit) -> Self {
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
    places: Arc<Semaphore>,
    parked: Vec<Parked>,
}

/// Of all mounts.
#[derive(Default)]
pub(crate) struct Outlets {
    mounts: Mutex<HashMap<String, Mount>>,
}

impl Outlets {
    /// A place for one more connection of a mount. Where there is none, one that waits is ended for it.
    pub(crate) async fn place(&self, mount: &str, within: Duration) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut mounts = self.mounts.lock();
            let mount = mounts.entry(mount.to_owned()).or_insert_with(Mount::new);
            if mount.places.available_permits() == 0 && !mount.parked.is_empty() {
                drop(mount.parked.remove(0));
            }
            Arc::clone(&mount.places)
        };
        tokio::time::timeout(within, places.acquire_owned()).await.ok()?.ok()
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
        let is_first = mounts.values().all(|mount| mount.parked.is_empty());
        let mount = mounts.entry(mount.to_owned()).or_insert_with(Mount::new);
        if mount.parked.len() >= PARKED_MAX {
            drop(mount.parked.remove(0));
        }
        mount.parked.push(Parked { line, whose, state, until });
        drop(mounts);
        if is_first {
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
            // One with a connection in use is somebody's still.
            !mount.parked.is_empty() || mount.places.available_permits() < CONNECTIONS_MAX
        });
        mounts.values().any(|mount| !mount.parked.is_empty())
    }
}

impl Mount {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), parked: Vec::new() }
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
