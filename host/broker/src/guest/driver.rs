//! The broker's side of a driver's call: a driver works for a mount, under its grants, and sees
//! nothing of it.

use std::any::Any;
use std::sync::Arc;

use bulkhead_model::grants::Grants;
use bulkhead_model::plugin::{DriverAnswer, DriverCall, GuestError, MountFacts, TimestampMs};
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, LogLevel, Plugin, Returned, Stop};

use crate::book::mounts::Mount;
use crate::open::Open;

/// What one call of a driver works with.
pub(super) struct DriverHost {
    open: Arc<Open>,
    mount: Arc<Mount>,
    now_ms: u64,
    request_id: String,
}

impl DriverHost {
    pub(super) fn new(open: &Arc<Open>, mount: &Arc<Mount>, now_ms: u64, request_id: &str) -> Self {
        Self { open: open.clone(), mount: mount.clone(), now_ms, request_id: request_id.to_owned() }
    }
}

/// Has a driver do something.
///
/// # Errors
/// What the driver says, or why it brought no answer.
pub(super) async fn call(
    host: DriverHost,
    plugin: &Arc<dyn Plugin>,
    call: DriverCall,
) -> Result<DriverAnswer, GuestError> {
    let name = &plugin.descriptor().name;
    let finished = plugin.call(Box::new(host), Call::Driver(call)).await;
    match finished.map_err(|failure| unanswered(name, &failure))?.result? {
        Returned::Driven(answer) => Ok(answer),
        _ => Err(GuestError::Internal(format!("the driver {name} answered in the shape of another export"))),
    }
}

fn unanswered(name: &str, failure: &CallFailure) -> GuestError {
    match failure {
        CallFailure::Trap(text) => GuestError::Internal(format!("the driver {name} trapped: {text}")),
        CallFailure::Timeout => GuestError::Unavailable(format!("the driver {name} ran out of time")),
        CallFailure::Busy => GuestError::Unavailable(format!("all instances of the driver {name} are busy; try again")),
        CallFailure::Stopped(stop) => {
            GuestError::Internal(format!("the driver {name} was ended by the host: {stop:?}"))
        }
    }
}

impl CallHost for DriverHost {
    fn mount(&self) -> &MountFacts {
        &self.mount.facts
    }

    fn now_ms(&self) -> TimestampMs {
        self.now_ms
    }

    fn random(&mut self, buffer: &mut [u8]) {
        self.open.parts.entropy.fill(buffer);
    }

    fn log(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        super::log(level, (&self.request_id, &self.mount), message, fields);
    }

    fn grants(&self) -> Arc<Grants> {
        self.mount.grants.clone()
    }

    fn touch_outside(&mut self) -> Result<(), Stop> {
        // Nobody else would do it over again: that is for the engine's call to see to.
        if self.open.ledger().standing().leader { Ok(()) } else { Err(Stop::Forward) }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
