//! Intents: what a plugin is about to do outside, written down before it does it. One
//! whose call did not commit is undone by the plugin, however often that takes.

use std::sync::Arc;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::HiddenJson;
use bulkhead_model::seam::entropy::uuid;
use bulkhead_model::seam::plugin::Call;
use serde::{Deserialize, Serialize};

use super::expire::plugin_of;
use crate::book::kept::{self, Kept};
use crate::book::leases::{self, Due};
use crate::book::mounts::{self, Mount};
use crate::book::{jobs, opaque, space};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::dispatch;
use crate::visit::Visit;

/// Kind byte of an intent in the due index.
pub(crate) const DUE_INTENT: u8 = b'i';
/// How long a call may be at work before its intents are undone, in milliseconds.
const INTENT_MS: u64 = 120_000;

#[derive(Serialize, Deserialize)]
pub(crate) struct IntentRecord {
    pub mount: [u8; 16],
    pub kind: String,
    /// JSON text.
    data: Kept,
    pub due_ms: u64,
    /// Attempts to undo it that failed.
    pub failures: u32,
}

fn key_of(digest: &[u8; 32]) -> Key {
    opaque(space::INTENTS, digest)
}

/// The intent that a place in the due index leads to.
pub(crate) fn at(tx: &mut Transaction, due: &Due) -> Result<Option<IntentRecord>, StoreError> {
    match tx.get(&key_of(&due.id))? {
        Some(bytes) => decoded(bytes.expose()).map(Some),
        None => Ok(None),
    }
}

/// Intents there are, by the digests of their ids, in the order of these: of calls at work, and of
/// those that are to be undone.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn pending(tx: &mut Transaction, limit: u32) -> Result<Vec<(String, IntentRecord)>, StoreError> {
    let digests = tx.opaque_range_untracked(space::INTENTS, &[0; 32], &[0xff; 33], limit)?;
    let mut found = Vec::with_capacity(digests.len());
    for digest in digests {
        if let Some(bytes) = tx.get_untracked(&opaque(space::INTENTS, &digest))? {
            found.push((hex::encode(&digest), decoded(bytes.expose())?));
        }
    }
    Ok(found)
}

/// Whether there are any of a mount: made by calls that are under way, or still to be undone.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn is_any_of(tx: &mut Transaction, mount: SpaceId) -> Result<bool, StoreError> {
    Ok(pending(tx, u32::MAX)?.iter().any(|(_, record)| record.mount == mount.0))
}

fn decoded(bytes: &[u8]) -> Result<IntentRecord, StoreError> {
    // One from before failures were counted has none; a zero at the end says so.
    let counted =
        postcard::from_bytes(bytes).or_else(|_| postcard::from_bytes(Hidden::new([bytes, &[0]].concat()).expose()));
    counted.map_err(|_| crate::book::damaged(space::INTENTS, "an intent"))
}

/// Writes an intent and its place in the due index.
pub(crate) fn save(tx: &mut Transaction, digest: &[u8; 32], record: &IntentRecord) -> Result<(), StoreError> {
    let bytes = kept::encoded(&[], record);
    tx.put(&key_of(digest), bytes.expose())?;
    tx.put(&leases::due_key(record.due_ms, DUE_INTENT, digest), &[])
}

/// An intent of a call that is still at work.
pub(crate) struct Pending {
    pub id: String,
    due_ms: u64,
    /// Of its record: the call's own snapshot is older.
    version: Version,
}

/// Makes an intent durable, in an entry of its own, before the outside is touched.
pub(crate) async fn intend(
    open: &Arc<Open>,
    mount: &Mount,
    kind: &str,
    data: &HiddenJson,
    now_ms: u64,
) -> Result<Pending, Fault> {
    let id = uuid(&*open.parts.entropy);
    let due_ms = now_ms.saturating_add(INTENT_MS);
    let (kind, data) = (kind.to_owned(), Kept::of(data));
    let record = IntentRecord { mount: mount.space.0, kind, data, due_ms, failures: 0 };
    let write = async {
        let mut tx = open.begin()?;
        // Bound to what is seen: a mount that goes waits for its intents, and has no new ones then.
        if !mounts::is_there(&mut tx, &mount.entry)? {
            return Err(Fault::invalid("the mount is being disabled"));
        }
        save(&mut tx, &leases::digest(&id), &record)?;
        open.write(tx).await
    };
    let version = write.await?;
    Ok(Pending { id, due_ms, version })
}

/// Drops an intent in the commit that makes it good. If it was undone meanwhile, that commit
/// conflicts: what it would say is not so any more.
pub(crate) fn fulfil(tx: &mut Transaction, pending: &Pending) -> Result<(), StoreError> {
    let digest = leases::digest(&pending.id);
    tx.delete_later(&key_of(&digest), pending.version)?;
    tx.delete(&leases::due_key(pending.due_ms, DUE_INTENT, &digest))
}

/// Drops an intent of an earlier call, if it is this mount's.
pub(crate) fn resolve(tx: &mut Transaction, mount: SpaceId, id: &str) -> Result<(), StoreError> {
    let digest = leases::digest(id);
    let key = key_of(&digest);
    let Some(bytes) = tx.get(&key)? else { return Ok(()) };
    let Ok(record) = decoded(bytes.expose()) else { return Ok(()) };
    if record.mount == mount.0 {
        tx.delete(&key)?;
        tx.delete(&leases::due_key(record.due_ms, DUE_INTENT, &digest))?;
    }
    Ok(())
}

/// Has the guest undo an intent whose call did not commit in time. It goes only when it
/// is undone, or its mount is gone: until then something outside may still be there.
pub(crate) async fn undo(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    jobs::forget(&mut visit.tx, due)?;
    let Some(record) = at(&mut visit.tx, due)? else { return Ok(()) };
    if let Some(mount) = visit.config.mounts.with_space(SpaceId(record.mount)).cloned() {
        let plugin = plugin_of(&visit.open, &mount).await?;
        let call = Call::Rollback { kind: record.kind, data: record.data.into_hidden() };
        if let Err(error) = dispatch::call(visit, &mount, &plugin, call, "rollback").await? {
            tracing::warn!(mount = %mount.entry.accessor, "rollback refused: {}", error.kind());
            return Err(Fault::invalid("the plugin refused to undo the intent"));
        }
    }
    visit.tx.delete(&key_of(&due.id)).map_err(Fault::from)
}
