//! How many calls run at once: over all, and for one mount.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::plugin::CallFailure;

use crate::limits::PoolLimits;
use crate::shares::{Bounds, Share, Shares};

/// Calls that wait for an instance, over all. Source: ours. Why: each holds its request.
const WAITING_MAX: usize = 256;
/// Of these, calls of one mount, or of its drivers at one database. Source: ours.
const WAITING_OF_MOUNT_MAX: usize = 128;

/// Counts calls in.
pub(crate) struct Admission {
    instances: Arc<Shares>,
    wait: Duration,
}

/// Proof that a call may take an instance; gives its place back when dropped, so it
/// must be dropped after the store.
pub(crate) struct Admitted {
    _instance: Share,
}

impl Admission {
    pub(crate) fn new(limits: &PoolLimits) -> Self {
        let instances = Shares::new(Bounds {
            in_all: limits.instances as usize,
            each: limits.per_mount as usize,
            waiting: WAITING_MAX,
            waiting_each: WAITING_OF_MOUNT_MAX,
        });
        Self { instances, wait: Duration::from_millis(limits.wait_ms) }
    }

    /// Counts a call of this mount in, once there is an instance for it, for which it waits, not for long.
    ///
    /// # Errors
    /// [`CallFailure::Busy`] when none came free in time, or too many wait.
    pub(crate) async fn enter(&self, mount: &str) -> Result<Admitted, CallFailure> {
        let instance = self.instances.take(mount, self.wait).await.ok_or(CallFailure::Busy)?;
        Ok(Admitted { _instance: instance })
    }
}
