//! What a seal has of the node: time, randomness and a line in the log. There is no mount, so
//! everything that belongs to one is refused; the linker does not even offer it.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::plugin::{MountFacts, Seconds, TimestampMs};
use bulkhead_model::reply::HiddenJson;
use bulkhead_model::seam::plugin::{CallHost, HostEntity, LogLevel, NamePage, StorageError};
use bulkhead_model::seam::seal::SealKind;

use super::Means;

/// What a guest is told that asks for something of a mount.
const NO_MOUNT: &str = "a seal has no mount";

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

fn denied<T>() -> Result<T, StorageError> {
    Err(StorageError::Denied(NO_MOUNT.to_owned()))
}

fn refused<T>() -> Result<T, String> {
    Err(NO_MOUNT.to_owned())
}

#[async_trait]
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

    fn cluster_id(&self) -> String {
        String::new()
    }

    fn log(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        (self.means.log)(level, message, fields);
    }

    fn get(&mut self, _key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        denied()
    }

    fn put(&mut self, _key: &str, _value: Vec<u8>) -> Result<(), StorageError> {
        denied()
    }

    fn delete(&mut self, _key: &str) -> Result<(), StorageError> {
        denied()
    }

    fn list(&mut self, _prefix: &str, _after: Option<&str>, _limit: u32) -> Result<NamePage, StorageError> {
        denied()
    }

    fn scan(&mut self, _prefix: &str, _after: Option<&str>, _limit: u32) -> Result<NamePage, StorageError> {
        denied()
    }

    async fn acquire(&mut self, _name: &str, _timeout_ms: u32) -> Result<(), StorageError> {
        denied()
    }

    fn cache_get(&mut self, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn cache_put(&mut self, _key: &str, _value: Vec<u8>, _ttl: Seconds, _depends_on: &[String]) {}

    fn cache_remove(&mut self, _key: &str) {}

    async fn intend(&mut self, _kind: &str, _data: HiddenJson) -> Result<String, String> {
        refused()
    }

    fn resolve(&mut self, _id: &str) {}

    fn schedule(&mut self, _job: &str, _key: &str, _payload: HiddenJson, _at: TimestampMs) -> Result<(), String> {
        refused()
    }

    fn cancel(&mut self, _job: &str, _key: &str) {}

    fn generate_password(&mut self, _policy: Option<&str>) -> Result<String, String> {
        refused()
    }

    async fn wrap(&mut self, _data: HiddenJson, _ttl: Seconds) -> Result<String, String> {
        refused()
    }

    fn entity(&mut self, _entity_id: &str) -> Option<HostEntity> {
        None
    }

    fn expand(&mut self, _template: &str, _entity_id: &str) -> Result<String, String> {
        refused()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
