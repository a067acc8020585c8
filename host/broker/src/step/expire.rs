//! The same way at night: what is due is ended. Tokens are removed with all below
//! them, leases go to their guest's revoke, jobs are run, intents are undone. The work
//! follows an index ordered by time, so it costs nothing until something is due.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{GuestLease, JobOutcome};
use bulkhead_model::reply::HiddenJson;
use bulkhead_model::seam::entropy::uuid;
use bulkhead_model::seam::plugin::{Call, Returned};
use serde::{Deserialize, Serialize};

use crate::book::jobs::{self, JobRecord};
use crate::book::leases::{self, DUE_JOB, DUE_LEASE, Due, LeaseRecord};
use crate::book::mounts::{Engine, Mount};
use crate::book::tokens::{self, DUE_TOKEN};
use crate::book::{opaque, space};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::dispatch::{self, mismatched};
use crate::visit::{After, Visit};

/// How often the index's head is looked at, in milliseconds. Source: ours. Why: an end
/// is checked at every use anyway; this only bounds how long remains stay.
const LOOK_EVERY_MS: u64 = 1_000;
/// Things ended in one look. Source: ours.
const BATCH: u32 = 256;
/// First wait after a failed attempt, doubled each time, in milliseconds. Source: Vault, 10 s.
const RETRY_MS: u64 = 10_000;
/// Longest wait between attempts, in milliseconds: a day, as Vault retries irrevocable leases.
const RETRY_MS_MAX: u64 = 86_400_000;
/// How long a call may be at work before its intents are undone, in milliseconds.
const INTENT_MS: u64 = 120_000;
/// Records of a removed mount dropped in one change. Source: ours.
const DROP_SLICE: u32 = 1_000;
/// Kind byte of a removed mount's storage in the due index.
const DUE_DROP: u8 = b'd';
/// Kind byte of an intent in the due index.
const DUE_INTENT: u8 = b'i';

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    loop {
        let wait = open.due.notified();
        let _ = tokio::time::timeout(Duration::from_millis(LOOK_EVERY_MS), wait).await;
        if !open.ledger().standing().leader {
            continue;
        }
        if let Err(fault) = look(&open).await {
            tracing::warn!(cause = ?fault, "what is due could not be settled; it is tried again");
        }
    }
}

async fn look(open: &Arc<Open>) -> Result<(), Fault> {
    let now_ms = open.parts.clock.now_ms();
    let mut tx = open.begin()?;
    let due = leases::due(&mut tx, now_ms, BATCH)?;
    drop(tx);
    for one in due {
        match settle(open, &one, now_ms).await {
            // Somebody else changed it meanwhile: it is looked at again.
            Ok(()) | Err(Fault::Conflict) => {}
            Err(fault) => tracing::warn!(kind = %char::from(one.kind), cause = ?fault, "could not be ended"),
        }
    }
    Ok(())
}

async fn settle(open: &Arc<Open>, due: &Due, now_ms: u64) -> Result<(), Fault> {
    let mut visit = visit(open, now_ms)?;
    match due.kind {
        DUE_TOKEN => {
            let ended = tokens::get(&mut visit.tx, &due.id)?.is_some_and(|record| record.is_expired(now_ms));
            if ended {
                tokens::remove_tree(&mut visit.tx, &open.salt, &due.id, now_ms)?;
            }
            jobs::forget(&mut visit.tx, due)?;
        }
        DUE_LEASE => match leases::id_at(&mut visit.tx, due)? {
            Some(id) => end_lease(&mut visit, &id).await?,
            None => jobs::forget(&mut visit.tx, due)?,
        },
        DUE_JOB => run_job(&mut visit, due).await?,
        DUE_INTENT => undo(&mut visit, due).await?,
        DUE_DROP => drop_slice(&mut visit, due)?,
        _ => jobs::forget(&mut visit.tx, due)?,
    }
    let more = crate::step::settle::commit(visit).await?;
    if more.iter().any(|after| matches!(after, After::LookForDue)) {
        open.due.notify_one();
    }
    Ok(())
}

/// A visit that no request asked for.
pub(crate) fn visit(open: &Arc<Open>, now_ms: u64) -> Result<Visit, Fault> {
    let mut tx = open.begin()?;
    let config = open.config(&mut tx)?;
    Ok(Visit { open: open.clone(), config, tx, now_ms, who: None, after: Vec::new(), outside: false, held: Vec::new() })
}

/// Ends a lease: its guest revokes, then it is struck from the book. What cannot be
/// revoked is tried again, later and later.
pub(crate) async fn end_lease(visit: &mut Visit, id: &str) -> Result<(), Fault> {
    let Some(record) = leases::get(&mut visit.tx, id)? else { return Ok(()) };
    match revoke(visit, &record, false).await {
        Ok(()) => leases::remove(&mut visit.tx, &record).map_err(Fault::from),
        Err(Fault::Conflict) => Err(Fault::Conflict),
        Err(fault) => {
            tracing::warn!(mount = %hex::encode(record.mount), cause = ?fault, "a lease could not be revoked");
            *visit = self::visit(&visit.open.clone(), visit.now_ms)?;
            let failures = record.failures.saturating_add(1);
            let due_ms = visit.now_ms.saturating_add(back_off(failures));
            let later = LeaseRecord { failures, due_ms, ..record.clone() };
            leases::save(&mut visit.tx, Some(&record), &later).map_err(Fault::from)
        }
    }
}

fn back_off(failures: u32) -> u64 {
    RETRY_MS.saturating_mul(1 << failures.min(20)).min(RETRY_MS_MAX)
}

/// Has the guest revoke what a lease stands for. Idempotent on the guest's side.
pub(crate) async fn revoke(visit: &mut Visit, record: &LeaseRecord, unmounting: bool) -> Result<(), Fault> {
    let Some(mount) = visit.config.mounts.with_space(SpaceId(record.mount)).cloned() else { return Ok(()) };
    let Engine::Plugin(plugin, _) = &mount.engine else {
        return Err(Fault::invalid("the plugin of this lease's mount is not on this server"));
    };
    let lease = guest_lease(record, unmounting);
    let plugin = plugin.clone();
    match dispatch::call(visit, &mount, &plugin, Call::RevokeLease(lease), &record.id).await? {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(mount = %mount.entry.accessor, "plugin refused to revoke: {error:?}");
            Err(Fault::invalid("the plugin refused to revoke the lease"))
        }
    }
}

/// A lease as its guest gets it back.
pub(crate) fn guest_lease(record: &LeaseRecord, unmounting: bool) -> GuestLease {
    GuestLease {
        id: record.id.clone(),
        kind: record.kind.clone(),
        path: record.path.clone(),
        issued_at: record.issued_ms,
        expires_at: record.expires_ms,
        internal: Hidden::new(record.internal.clone()),
        data_version: record.data_version,
        unmounting,
    }
}

async fn run_job(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    let Some(record) = jobs::get(&mut visit.tx, &due.id)? else {
        return jobs::forget(&mut visit.tx, due).map_err(Fault::from);
    };
    let mount = visit.config.mounts.with_space(SpaceId(record.mount)).cloned();
    let Some((mount, plugin)) = mount.and_then(|mount| match &mount.engine {
        Engine::Plugin(plugin, _) => Some((mount.clone(), plugin.clone())),
        _ => None,
    }) else {
        return jobs::remove(&mut visit.tx, &due.id).map_err(Fault::from);
    };
    jobs::remove(&mut visit.tx, &due.id)?;
    let payload = Hidden::new(record.payload.clone());
    let call = Call::RunJob { job: record.job.clone(), key: record.key.clone(), payload };
    match dispatch::call(visit, &mount, &plugin, call, "job").await {
        Ok(Ok(Returned::JobDone(JobOutcome::Done))) => Ok(()),
        Ok(Ok(Returned::JobDone(JobOutcome::Again(due_ms, payload)))) => {
            let again = JobRecord { payload: payload.expose().clone(), due_ms, failures: 0, ..record };
            visit.after.push(After::LookForDue);
            jobs::save(&mut visit.tx, &again).map_err(Fault::from)
        }
        Ok(Ok(_)) => Err(mismatched()),
        Ok(Err(error)) => retry_job(visit, &mount, record, &format!("{error:?}")),
        Err(fault) => retry_job(visit, &mount, record, &format!("{fault:?}")),
    }
}

fn retry_job(visit: &mut Visit, mount: &Mount, record: JobRecord, cause: &str) -> Result<(), Fault> {
    tracing::warn!(mount = %mount.entry.accessor, job = %record.job, "job failed: {cause}");
    *visit = self::visit(&visit.open.clone(), visit.now_ms)?;
    let failures = record.failures.saturating_add(1);
    let due_ms = visit.now_ms.saturating_add(back_off(failures));
    jobs::save(&mut visit.tx, &JobRecord { failures, due_ms, ..record }).map_err(Fault::from)
}

/// Has a removed mount's storage dropped, in slices, from now on.
pub(crate) fn schedule_drop(visit: &mut Visit, space_id: SpaceId) -> Result<(), StoreError> {
    let mut id = [0; 32];
    id[..16].copy_from_slice(&space_id.0);
    visit.tx.put(&leases::due_key(visit.now_ms, DUE_DROP, &id), &[])
}

/// Drops a slice of a removed mount's storage; the rest follows in the next look.
fn drop_slice(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    let mut space_id = SpaceId([0; 16]);
    space_id.0.copy_from_slice(&due.id[..16]);
    let mounted = visit.config.mounts.with_space(space_id).is_some();
    if mounted || !visit.tx.drop_space(space_id, DROP_SLICE)? {
        return jobs::forget(&mut visit.tx, due).map_err(Fault::from);
    }
    visit.after.push(After::LookForDue);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct IntentRecord {
    mount: [u8; 16],
    kind: String,
    /// JSON text.
    data: Vec<u8>,
    due_ms: u64,
}

/// Makes an intent durable, in an entry of its own, before the outside is touched.
pub(crate) async fn intend(
    open: &Arc<Open>,
    mount: &Mount,
    kind: &str,
    data: &HiddenJson,
    now_ms: u64,
) -> Result<String, String> {
    let id = uuid(&*open.parts.entropy);
    let due_ms = now_ms.saturating_add(INTENT_MS);
    let record = IntentRecord { mount: mount.space.0, kind: kind.to_owned(), data: data.expose().clone(), due_ms };
    let write = async {
        let mut tx = open.begin()?;
        let bytes = postcard::to_stdvec(&record).expect("an intent is plain data");
        let digest = leases::digest(&id);
        tx.put(&opaque(space::INTENTS, &digest), &bytes)?;
        tx.put(&leases::due_key(due_ms, DUE_INTENT, &digest), &[])?;
        open.commit(tx).await
    };
    write.await.map_err(|fault| fault.into_failure().errors.join("; "))?;
    Ok(id)
}

/// Drops an intent in the commit that makes it good, if it is this mount's.
pub(crate) fn resolve_intent(tx: &mut Transaction, mount: SpaceId, id: &str) -> Result<(), StoreError> {
    let digest = leases::digest(id);
    let key = opaque(space::INTENTS, &digest);
    let Some(bytes) = tx.get(&key)? else { return Ok(()) };
    let Ok(record) = postcard::from_bytes::<IntentRecord>(bytes.expose()) else { return Ok(()) };
    if record.mount == mount.0 {
        tx.delete(&key)?;
        tx.delete(&leases::due_key(record.due_ms, DUE_INTENT, &digest))?;
    }
    Ok(())
}

/// Has the guest undo an intent whose call did not commit in time.
async fn undo(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    jobs::forget(&mut visit.tx, due)?;
    let key = opaque(space::INTENTS, &due.id);
    let Some(bytes) = visit.tx.get(&key)? else { return Ok(()) };
    let Ok(record) = postcard::from_bytes::<IntentRecord>(bytes.expose()) else {
        return Err(crate::book::damaged(space::INTENTS, "an intent").into());
    };
    let mount = visit.config.mounts.with_space(SpaceId(record.mount)).cloned();
    if let Some(mount) = mount
        && let Engine::Plugin(plugin, _) = &mount.engine
    {
        let call = Call::Rollback { kind: record.kind.clone(), data: Hidden::new(record.data.clone()) };
        let plugin = plugin.clone();
        if let Err(error) = dispatch::call(visit, &mount, &plugin, call, "rollback").await? {
            tracing::warn!(mount = %mount.entry.accessor, "rollback refused: {error:?}");
            return later(visit, due, record);
        }
    }
    visit.tx.delete(&key).map_err(Fault::from)
}

fn later(visit: &mut Visit, due: &Due, record: IntentRecord) -> Result<(), Fault> {
    *visit = self::visit(&visit.open.clone(), visit.now_ms)?;
    jobs::forget(&mut visit.tx, due)?;
    let due_ms = visit.now_ms.saturating_add(INTENT_MS);
    let record = IntentRecord { due_ms, ..record };
    let bytes = postcard::to_stdvec(&record).expect("an intent is plain data");
    visit.tx.put(&opaque(space::INTENTS, &due.id), &bytes)?;
    visit.tx.put(&leases::due_key(due_ms, DUE_INTENT, &due.id), &[]).map_err(Fault::from)
}
