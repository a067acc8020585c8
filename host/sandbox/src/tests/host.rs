//! A broker in memory: what the sandbox's tests and its bench run guests over.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{Caller, GuestRequest, MountFacts, Operation};
use bulkhead_model::reply::HiddenJson;
use bulkhead_model::seam::plugin::{CallHost, HostEntity, LogLevel, NamePage, Stop, StorageError};
use parking_lot::Mutex;

/// A log line as the broker got it.
pub(crate) type LogLine = (LogLevel, String, Vec<(String, String)>);

/// What outlives a call.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) values: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) cache: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) log: Mutex<Vec<LogLine>>,
    pub(crate) standby: bool,
}

/// One call's host.
pub(crate) struct FakeHost {
    facts: Arc<MountFacts>,
    pub(crate) shared: Arc<Shared>,
}

impl FakeHost {
    pub(crate) fn boxed(facts: &Arc<MountFacts>, shared: &Arc<Shared>) -> Box<dyn CallHost> {
        Box::new(Self { facts: Arc::clone(facts), shared: Arc::clone(shared) })
    }
}

/// A mount of this id, with one option.
pub(crate) fn mount(id: &str) -> Arc<MountFacts> {
    let options = vec![("version".to_owned(), "2".to_owned())];
    Arc::new(MountFacts { id: id.to_owned(), path: "probe/".to_owned(), options, ..MountFacts::default() })
}

/// A request with all twelve members filled in.
pub(crate) fn request(path: &str) -> GuestRequest {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    GuestRequest {
        id: "8a1d5a8e-63f4-4a3c-9c1e-2f54a5a4c9d1".to_owned(),
        operation: Operation::Read,
        path: path.to_owned(),
        route: 3,
        captures: vec![pair("path", "app/db")],
        data: Hidden::new(b"{\"version\":1}".to_vec()),
        supplied: vec!["version".to_owned()],
        body: None,
        headers: vec![pair("x-request", "yes")],
        caller: Caller {
            authenticated: true,
            entity_id: Some("entity".to_owned()),
            display_name: "token-app".to_owned(),
            token_fingerprint: Some("f".repeat(32)),
            remote_address: "10.1.2.3".to_owned(),
            remote_port: 4321,
            client_certificates: vec![],
            metadata: vec![pair("role", "app")],
        },
        wrap_ttl: Some(60),
    }
}

/// What a kv engine has stored for one secret.
pub(crate) fn secret_stored(shared: &Shared) {
    let metadata = format!("{{\"versions\":{{\"1\":{{}}}},\"note\":{:?}}}", "m".repeat(300));
    let value = format!("{{\"username\":\"app\",\"password\":{:?}}}", "p".repeat(200));
    let mut values = shared.values.lock();
    values.insert("config".to_owned(), b"{\"max_versions\":10}".to_vec());
    values.insert("metadata/app".to_owned(), metadata.into_bytes());
    values.insert("versions/app/1".to_owned(), value.into_bytes());
}

fn page(keys: impl Iterator<Item = String>, after: Option<&str>, limit: u32) -> NamePage {
    let mut keys: Vec<String> = keys.filter(|key| after.is_none_or(|after| key.as_str() > after)).collect();
    keys.dedup();
    let more = keys.len() > limit as usize;
    keys.truncate(limit as usize);
    NamePage { next: keys.last().filter(|_| more).cloned(), keys }
}

#[async_trait]
impl CallHost for FakeHost {
    fn mount(&self) -> &MountFacts {
        &self.facts
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn random(&mut self, buffer: &mut [u8]) {
        buffer.fill(7);
    }

    fn cluster_id(&self) -> String {
        "cluster".to_owned()
    }

    fn log(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        self.shared.log.lock().push((level, message.to_owned(), fields.to_vec()));
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.shared.values.lock().get(key).cloned())
    }

    fn put(&mut self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        if self.shared.standby {
            return Err(StorageError::Stop(Stop::Forward));
        }
        self.shared.values.lock().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), StorageError> {
        self.shared.values.lock().remove(key);
        Ok(())
    }

    fn list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<NamePage, StorageError> {
        let values = self.shared.values.lock();
        let below = values.keys().filter_map(|key| key.strip_prefix(prefix));
        Ok(page(below.map(|key| key.split_inclusive('/').next().unwrap_or_default().to_owned()), after, limit))
    }

    fn scan(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<NamePage, StorageError> {
        let values = self.shared.values.lock();
        Ok(page(values.keys().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned), after, limit))
    }

    async fn acquire(&mut self, name: &str, _timeout_ms: u32) -> Result<(), StorageError> {
        if name.starts_with("ok") {
            return Ok(());
        }
        std::future::pending().await
    }

    fn cache_get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.shared.cache.lock().get(key).cloned()
    }

    fn cache_put(&mut self, key: &str, value: Vec<u8>, _ttl: u64, _depends_on: &[String]) {
        self.shared.cache.lock().insert(key.to_owned(), value);
    }

    fn cache_remove(&mut self, key: &str) {
        self.shared.cache.lock().remove(key);
    }

    async fn intend(&mut self, _kind: &str, _data: HiddenJson) -> Result<String, String> {
        Ok("intent".to_owned())
    }

    fn resolve(&mut self, _id: &str) {}

    fn schedule(&mut self, _job: &str, _key: &str, _payload: HiddenJson, _at: u64) -> Result<(), String> {
        Ok(())
    }

    fn cancel(&mut self, _job: &str, _key: &str) {}

    fn generate_password(&mut self, _policy: Option<&str>) -> Result<String, String> {
        Ok("generated".to_owned())
    }

    async fn wrap(&mut self, _data: HiddenJson, _ttl: u64) -> Result<String, String> {
        Ok("wrapped".to_owned())
    }

    fn entity(&mut self, _entity_id: &str) -> Option<HostEntity> {
        None
    }

    fn expand(&mut self, _template: &str, _entity_id: &str) -> Result<String, String> {
        Err("there is no such entity".into())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
