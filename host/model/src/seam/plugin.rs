//! Plugins, and what a call of one may ask of the host. The sandbox implements
//! [`Plugin`]; the broker implements [`CallHost`] over the request's transaction.
//! Everything passed is plain data, so that a call could also run in another process.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;

use crate::grants::Grants;
use crate::plugin::{
    AuthGrant, Descriptor, DriverAnswer, DriverCall, GuestError, GuestLease, GuestRequest, GuestResponse, IssuedAuth,
    JobOutcome, LeaseGrant, MountFacts, PluginKind, Reason, Renewal, Seconds, TimestampMs, UpgradeStep,
};
use crate::reply::HiddenJson;
use crate::template::Subject;

/// How loud a guest's log line is.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Names found by `list` or `scan`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePage {
    /// Relative to the prefix: of a list in byte order, of a scan in the store's own. A
    /// slash at the end marks a folder.
    pub keys: Vec<String>,
    /// Pass as `after` to go on.
    pub next: Option<String>,
}

/// Why storage refused a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// Over this limit, in bytes; the guest is told.
    TooLarge(u64),
    /// Not this guest's to touch; the guest is told.
    Denied(String),
    /// The store failed; the guest is told without details.
    Backend(String),
    /// The call must end here, and the guest gets no say: see [`Stop`].
    Stop(Stop),
}

/// Why the host ends a call from within one of its functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A write on a standby: the request goes to the leader.
    Forward,
    /// The call used up a budget of the host.
    Budget(&'static str),
    /// What the call has read has changed meanwhile: the request runs again.
    Conflict,
}

/// What a guest is told that asks for something of a mount where there is none.
const NO_MOUNT: &str = "this plugin has no mount";

fn denied<T>() -> Result<T, StorageError> {
    Err(StorageError::Denied(NO_MOUNT.to_owned()))
}

fn refused<T>() -> Result<T, String> {
    Err(NO_MOUNT.to_owned())
}

/// What the host does for one call. The guest never says which mount it is: the
/// implementation knows. What belongs to a mount is refused unless the implementation has one.
#[async_trait]
pub trait CallHost: Send {
    /// Facts about the mount.
    fn mount(&self) -> &MountFacts;
    /// The time, in milliseconds; the same during the whole call.
    fn now_ms(&self) -> TimestampMs;
    /// Random bytes.
    fn random(&mut self, buffer: &mut [u8]);
    /// The cluster's id.
    fn cluster_id(&self) -> String {
        String::new()
    }
    /// A line for the operator's log.
    fn log(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]);

    /// What was granted; nothing is what is not said.
    fn grants(&self) -> Arc<Grants> {
        Arc::default()
    }
    /// Something outside is about to be touched: the call cannot be run a second time.
    ///
    /// # Errors
    /// [`Stop`]: another node is to do it.
    fn touch_outside(&mut self) -> Result<(), Stop> {
        Ok(())
    }
    /// Drivers of databases that there are, and that are granted.
    fn drivers(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// Has a driver do something, under this call's grants.
    ///
    /// # Errors
    /// What the driver says, or why it cannot be asked.
    async fn drive(&mut self, _driver: &str, _call: DriverCall) -> Result<DriverAnswer, GuestError> {
        Err(GuestError::UnsupportedOperation)
    }

    /// A stored value.
    ///
    /// # Errors
    /// [`StorageError`].
    fn get(&mut self, _key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        denied()
    }
    /// Buffers a write until the call commits.
    ///
    /// # Errors
    /// [`StorageError`].
    fn put(&mut self, _key: &str, _value: Vec<u8>) -> Result<(), StorageError> {
        denied()
    }
    /// Buffers a removal.
    ///
    /// # Errors
    /// [`StorageError`].
    fn delete(&mut self, _key: &str) -> Result<(), StorageError> {
        denied()
    }
    /// Names directly below a prefix (empty, or ending in a slash).
    ///
    /// # Errors
    /// [`StorageError`].
    fn list(&mut self, _prefix: &str, _after: Option<&str>, _limit: u32) -> Result<NamePage, StorageError> {
        denied()
    }
    /// All keys below a prefix, depth first.
    ///
    /// # Errors
    /// [`StorageError`].
    fn scan(&mut self, _prefix: &str, _after: Option<&str>, _limit: u32) -> Result<NamePage, StorageError> {
        denied()
    }
    /// Waits for the mount's advisory lock of this name; held until the call's changes are
    /// committed. Reads after it see what whoever held it before has committed.
    ///
    /// # Errors
    /// [`StorageError`]; `Backend` when the time is up.
    async fn acquire(&mut self, _name: &str, _timeout_ms: u32) -> Result<(), StorageError> {
        denied()
    }

    /// A value from the node's cache.
    fn cache_get(&mut self, _key: &str) -> Option<Vec<u8>> {
        None
    }
    /// Keeps a value until one of these storage keys (or folders) changes.
    fn cache_put(&mut self, _key: &str, _value: Vec<u8>, _ttl: Seconds, _depends_on: &[String]) {}
    /// Forgets a value.
    fn cache_remove(&mut self, _key: &str) {}

    /// Makes an intent durable before returning; gives its id.
    ///
    /// # Errors
    /// A sentence for the guest.
    async fn intend(&mut self, _kind: &str, _data: HiddenJson) -> Result<String, String> {
        refused()
    }
    /// Drops an intent with this call's commit.
    fn resolve(&mut self, _id: &str) {}
    /// Runs a job later, if this call commits.
    ///
    /// # Errors
    /// A sentence for the guest.
    fn schedule(&mut self, _job: &str, _key: &str, _payload: HiddenJson, _at: TimestampMs) -> Result<(), String> {
        refused()
    }
    /// Takes a scheduled job back.
    fn cancel(&mut self, _job: &str, _key: &str) {}

    /// A password by a named policy, or by the built-in one.
    ///
    /// # Errors
    /// A sentence for the guest.
    fn generate_password(&mut self, _policy: Option<&str>) -> Result<String, String> {
        refused()
    }
    /// Puts data behind a single-use wrapping token.
    ///
    /// # Errors
    /// A sentence for the guest.
    async fn wrap(&mut self, _data: HiddenJson, _ttl: Seconds) -> Result<String, String> {
        refused()
    }

    /// The entity behind a caller or token, with the groups it is in.
    fn entity(&mut self, _entity_id: &str) -> Option<HostEntity> {
        None
    }
    /// A template of identity, expanded for this entity.
    ///
    /// # Errors
    /// A sentence for the guest.
    fn expand(&mut self, _template: &str, _entity_id: &str) -> Result<String, String> {
        refused()
    }

    /// Gives the broker its own type back after the call.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// An entity, as a guest may know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEntity {
    /// Its id, name, metadata, aliases and groups.
    pub subject: Subject,
    /// Whether its tokens are refused.
    pub disabled: bool,
}

/// One export to call, with its arguments.
#[allow(missing_docs)]
pub enum Call {
    Exists(GuestRequest),
    Handle(GuestRequest),
    RenewLease { lease: GuestLease, increment: Option<Seconds> },
    RevokeLease(GuestLease),
    RenewAuth { auth: IssuedAuth, increment: Option<Seconds> },
    Initialize(Reason),
    Upgrade { from: u32, cursor: Option<String> },
    RunJob { job: String, key: String, payload: HiddenJson },
    Rollback { kind: String, data: HiddenJson },
    Driver(DriverCall),
}

/// What an export returned. Which variant belongs to which call is fixed.
#[allow(missing_docs)]
pub enum Returned {
    Exists(bool),
    /// A secrets engine's outcome.
    Secret {
        response: GuestResponse,
        lease: Option<LeaseGrant>,
    },
    /// An auth method's outcome.
    Login {
        response: GuestResponse,
        auth: Option<Box<AuthGrant>>,
    },
    Renewed(Renewal),
    RenewedAuth(Box<AuthGrant>),
    Upgraded(UpgradeStep),
    JobDone(JobOutcome),
    Driven(DriverAnswer),
    Done,
}

/// Why a call brought no answer at all. The store is gone; nothing is committed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallFailure {
    /// The guest trapped; the text is for the operator's log only.
    #[error("plugin trapped: {0}")]
    Trap(String),
    /// Out of wall-clock or CPU time.
    #[error("plugin ran out of time")]
    Timeout,
    /// All instances are busy; worth retrying.
    #[error("no plugin instance is free")]
    Busy,
    /// The host ended the call.
    #[error("the host ended the call")]
    Stopped(Stop),
}

/// What came of a call that ran to its end: the host object, whose transaction the
/// broker now settles, and what the guest returned.
pub struct Finished {
    /// The host object the call was given.
    pub host: Box<dyn CallHost>,
    /// The guest's answer.
    pub result: Result<Returned, GuestError>,
}

/// Makes a plugin of a component's bytes, which may come from anybody.
#[async_trait]
pub trait Compiler: Send + Sync {
    /// Compiles it within the sandbox's limits. Takes up to seconds of processor time.
    ///
    /// # Errors
    /// A sentence for whoever registers it.
    async fn compile(&self, wasm: Vec<u8>) -> Result<Arc<dyn Plugin>, String>;
}

/// A compiled component. Each call gets an instance of its own, dropped with the call.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// What the component says about itself.
    fn descriptor(&self) -> &Descriptor;
    /// Which world it implements.
    fn kind(&self) -> PluginKind;
    /// SHA-256 of the component's bytes, in lower-case hexadecimal.
    fn sha256(&self) -> &str;
    /// The `bulkhead:plugin` interfaces it imports: what it asks to be granted.
    fn imports(&self) -> &[String];
    /// Runs one export on a fresh instance.
    ///
    /// # Errors
    /// [`CallFailure`]; the host object is then lost, and with it the transaction.
    async fn call(&self, host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure>;
}
