//! How many calls run at once: over all, and for one mount.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::plugin::CallFailure;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::PoolLimits;

/// Mounts remembered with no call running; beyond this they are forgotten at once.
/// Why: remembering saves an allocation per call, forgetting bounds the map.
const IDLE_MOUNTS_MAX: usize = 10_000;

/// Counts calls in.
pub(crate) struct Admission {
    instances: Semaphore,
    mounts: Mutex<HashMap<Arc<str>, u32>>,
    per_mount: u32,
    wait: Duration,
}

/// A mount's place, given back when dropped.
pub(crate) struct Place<'a> {
    admission: &'a Admission,
    mount: Arc<str>,
}

/// Proof that a call may take an instance; gives both places back when dropped, so it
/// must be dropped after the store.
pub(crate) struct Admitted<'a> {
    _instance: SemaphorePermit<'a>,
    _place: Place<'a>,
}

impl Admission {
    pub(crate) fn new(limits: &PoolLimits) -> Self {
        Self {
            instances: Semaphore::new(limits.instances as usize),
            mounts: Mutex::new(HashMap::new()),
            per_mount: limits.per_mount,
            wait: Duration::from_millis(limits.wait_ms),
        }
    }

    /// Counts a call of this mount in, unless the mount has used its share.
    ///
    /// # Errors
    /// [`CallFailure::Busy`].
    pub(crate) fn enter(&self, mount: &str) -> Result<Place<'_>, CallFailure> {
        let mut mounts = self.mounts.lock();
        let name = match mounts.get_key_value(mount) {
            Some((name, _)) => Arc::clone(name),
            None => mount.into(),
        };
        let running = mounts.entry(Arc::clone(&name)).or_insert(0);
        if *running >= self.per_mount {
            return Err(CallFailure::Busy);
        }
        *running += 1;
        Ok(Place { admission: self, mount: name })
    }

    fn leave(&self, mount: &str) {
        let mut mounts = self.mounts.lock();
        let running = mounts.get_mut(mount).expect("whoever leaves has entered");
        *running -= 1;
        if *running == 0 && mounts.len() > IDLE_MOUNTS_MAX {
            mounts.remove(mount);
        }
    }
}

impl<'a> Place<'a> {
    /// Waits, not for long, for an instance.
    ///
    /// # Errors
    /// [`CallFailure::Busy`] when none came free in time.
    pub(crate) async fn instance(self) -> Result<Admitted<'a>, CallFailure> {
        let admission = self.admission;
        let permit = match admission.instances.try_acquire() {
            Ok(permit) => permit,
            Err(_) if admission.wait.is_zero() => return Err(CallFailure::Busy),
            Err(_) => match tokio::time::timeout(admission.wait, admission.instances.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) | Err(_) => return Err(CallFailure::Busy),
            },
        };
        Ok(Admitted { _instance: permit, _place: self })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.admission.leave(&self.mount);
    }
}
