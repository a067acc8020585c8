//! What a seal has of the node: time, randomness and a line in the log. There is no mount, so
//! everything that belongs to one is refused; the linker does not even offer it.

use std::any::Any;
use std::sync::Arc;

use bulkhead_model::plugin::{MountFacts, TimestampMs};
use bulkhead_model::seam::plugin::{CallHost, LogLevel};
use bulkhead_model::seam::seal::SealKind;

use super::Means;

/// One call's host.
pub(super) struct SealHost {
    facts: MountFacts,
    means: Arc<Means>,
}

impl SealHost {
    pub(super) fn new(kind: SealKind, means: Arc<Means>) -> Self {
        let id = format!("seal/{}", kind.name());
        Self { facts: MountFacts { id, ..MountFacts::default() }, means }
    }

    /// Where its calls are counted; no mount's id is like it.
    pub(super) fn place(&self) -> &str {
        &self.facts.id
    }
}

impl CallHost for SealHost {
    fn mount(&self) -> &MountFacts {
        &self.facts
    }

    fn now_ms(&self) -> TimestampMs {
        self.means.clock.now_ms()
    }

    fn random(&mut self, buffer: &mut [u8]) {
        self.means.entropy.fill(buffer);
    }

    fn log(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        (self.means.log)(level, message, fields);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
