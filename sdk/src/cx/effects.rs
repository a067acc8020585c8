//! What outlives the call or goes beyond it: intents, jobs, locks, wrapped data.

use serde::Serialize;

use super::Cx;
use crate::bindings::mounted::bulkhead::plugin::types::Timestamp;
use crate::{Error, Result, Seconds, Secret, host};

/// Names an intent until its call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentId(String);

/// An advisory lock, held until it is dropped or the call ends. Keep it in a variable
/// with a name: `let _ = …` drops at once.
#[derive(Debug)]
#[must_use = "a lock that is dropped is no longer held"]
pub struct Lock {
    _held: host::storage::Lock,
}

impl Cx {
    /// Says what is about to be done outside, before it is done: once this returns, the
    /// intent survives a crash. If the call commits, the host forgets it; else it calls
    /// the `#[rollback]` handler of this kind with `data` until that succeeds. The handler
    /// cannot know how far the call came. From here on the call is not run again.
    ///
    /// Where `data` has a member `about` that is text, operators read it in the list of what is still to be
    /// undone: say what it is about, and nothing secret. The rest of `data` is shown to nobody.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the host's sentence: nothing was written down, so do
    /// nothing outside.
    pub fn intend(&self, kind: &str, data: &impl Serialize) -> Result<IntentId> {
        let data = written(data, "an intent")?;
        host::effects::intend(kind, &data).map(IntentId).map_err(Error::Unavailable)
    }

    /// Forgets an intent early, if this call commits: what it was for is settled.
    pub fn resolve(&self, intent: IntentId) {
        host::effects::resolve(&intent.0);
    }

    /// Runs a job later, if this call commits; the same job and key replaces.
    ///
    /// # Errors
    /// [`Error::Internal`] with the host's sentence.
    pub fn schedule(&self, job: &str, key: &str, payload: &[u8], at_ms: Timestamp) -> Result<()> {
        host::effects::schedule(job, key, payload, at_ms).map_err(Error::Internal)
    }

    /// Takes a scheduled job back, if this call commits; that there is none is no error.
    pub fn cancel(&self, job: &str, key: &str) {
        host::effects::cancel(job, key);
    }

    /// Waits for the mount's lock of this name. Take it before the first read: what was
    /// read earlier may be out of date, and then the call runs again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if another call holds it for all that time.
    pub fn acquire(&self, name: &str, timeout_ms: u32) -> Result<Lock> {
        use crate::bindings::mounted::bulkhead::plugin::storage::Error as Refused;
        match host::storage::acquire(name, timeout_ms) {
            Ok(held) => Ok(Lock { _held: held }),
            Err(Refused::Backend(text)) => Err(Error::Unavailable(text)),
            Err(other) => Err(other.into()),
        }
    }

    /// Puts data behind a token that gives it out once, within this time.
    ///
    /// # Errors
    /// [`Error::Internal`] with the host's sentence, or if it cannot be written as JSON.
    pub fn wrap(&self, data: &impl Serialize, ttl: Seconds) -> Result<Secret<String>> {
        let data = written(data, "wrapped data")?;
        host::system::wrap(&data, ttl.0).map(Secret::new).map_err(Error::Internal)
    }
}

fn written(data: &impl Serialize, what: &str) -> Result<Vec<u8>> {
    serde_json::to_vec(data).map_err(|error| Error::internal(format!("encoding {what}: {error}")))
}
