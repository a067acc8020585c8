//! Work that outlives the call that asked for it. A job commits together with the
//! call that scheduled it, and runs on the active node.

use bulkhead_barrier::{Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::kept::{self, Kept};
use super::leases::{DUE_JOB, Due, due_key};
use super::space;

/// A scheduled job.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub mount: [u8; 16],
    pub job: String,
    pub key: String,
    /// JSON text.
    pub payload: Kept,
    pub due_ms: u64,
    /// Runs that failed in a row.
    pub failures: u32,
}

/// Names a job: the same mount, job and key is the same job.
pub(crate) fn id(mount: &[u8; 16], job: &str, key: &str) -> [u8; 32] {
    super::leases::digest(&format!("{}/{job}/{key}", hex::encode(mount)))
}

fn key_of(id: &[u8; 32]) -> Key {
    super::opaque(space::JOBS, id)
}

/// The job with this id.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, id: &[u8; 32]) -> Result<Option<JobRecord>, StoreError> {
    let Some(bytes) = tx.get(&key_of(id))? else { return Ok(None) };
    postcard::from_bytes(bytes.expose()).map(Some).map_err(|_| super::damaged(space::JOBS, "a job"))
}

/// Schedules a job, or moves it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, record: &JobRecord) -> Result<(), StoreError> {
    let id = id(&record.mount, &record.job, &record.key);
    if let Some(old) = get(tx, &id)? {
        tx.delete(&due_key(old.due_ms, DUE_JOB, &id))?;
    }
    let bytes = kept::encoded(&[], record);
    tx.put(&key_of(&id), bytes.expose())?;
    tx.put(&due_key(record.due_ms, DUE_JOB, &id), &[])
}

/// Takes a job back, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, id: &[u8; 32]) -> Result<(), StoreError> {
    if let Some(old) = get(tx, id)? {
        tx.delete(&due_key(old.due_ms, DUE_JOB, id))?;
        tx.delete(&key_of(id))?;
    }
    Ok(())
}

/// Strikes a place in the due index that leads nowhere.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn forget(tx: &mut Transaction, due: &Due) -> Result<(), StoreError> {
    tx.delete(&due_key(due.at_ms, due.kind, &due.id))
}
