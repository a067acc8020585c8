//! Intents: what a plugin is about to do outside, written down before it does it. One
//! whose call did not commit is undone by the plugin, however often that takes, and not before
//! nothing can become of the call any more ([`crate::underway`]).

use std::sync::Arc;

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::change::Version;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::HiddenJson;
use bulkhead_model::seam::entropy::uuid;
use bulkhead_model::seam::plugin::Call;
use serde::{Deserialize, Serialize};

use super::again::{self, back_off};
use super::expire::plugin_of;
use crate::book::kept::{self, Kept};
use crate::book::lane::Lane;
use crate::book::leases::{self, Due, Refusal};
use crate::book::mounts::{self, Mount};
use crate::book::{jobs, opaque, space};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::dispatch;
use crate::underway::{AtWork, CALL_MS_MAX, Going};
use crate::visit::Visit;

/// Kind byte of an intent in the due index.
pub(crate) const DUE_INTENT: u8 = b'i';
/// Intents that a leader looks through at most. Source: ours. Why: they are read one by one.
const REVIEWED_MAX: u32 = 10_000;
/// Bytes of intents that it moves in one change, roughly. Source: ours, an eighth of what one may have.
const REVIEWED_BYTES: usize = bulkhead_model::limits::CHANGE_BYTES_MAX / 8;

#[derive(Serialize, Deserialize)]
pub(crate) struct IntentRecord {
    pub mount: [u8; 16],
    pub kind: String,
    /// JSON text.
    data: Kept,
    pub due_ms: u64,
    /// Attempts to undo it that failed.
    pub failures: u32,
    /// When it was made; 0: before that was kept.
    pub begun_ms: u64,
    /// Why the last attempt failed. For operators: a plugin's words, which the log must not have.
    pub refusal: String,
}

/// Fields at the end of an [`IntentRecord`] that were not always there. Each is written as a zero where it
/// is nothing.
const LATER_FIELDS: usize = 3;

/// Characters shown of what an intent is about. Source: ours.
const ABOUT_MAX: usize = 512;

/// The member of an intent's data that is for operators.
#[derive(Deserialize)]
struct About {
    about: String,
}

impl IntentRecord {
    /// What it would undo, in the words of its plugin, if that has any. The rest of the data is the
    /// plugin's own, and may be secret.
    pub(crate) fn about(&self) -> String {
        let found = serde_json::from_slice::<About>(self.data.duplicate().expose());
        found.map_or_else(|_| String::new(), |found| found.about.chars().take(ABOUT_MAX).collect())
    }

    /// The part of its mount that it is about.
    pub(crate) fn lane(&self) -> Lane {
        Lane::of(self.mount, self.data.expose())
    }
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
pub(crate) fn pending(tx: &mut Transaction, limit: u32) -> Result<Vec<([u8; 32], IntentRecord)>, StoreError> {
    let digests = tx.opaque_range_untracked(space::INTENTS, &[0; 32], &[0xff; 33], limit)?;
    let mut found = Vec::with_capacity(digests.len());
    for digest in digests {
        let Ok(digest) = <[u8; 32]>::try_from(digest) else { continue };
        if let Some(bytes) = tx.get_untracked(&key_of(&digest))? {
            found.push((digest, decoded(bytes.expose())?));
        }
    }
    Ok(found)
}

/// How many there are, of all mounts.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn count(tx: &mut Transaction) -> Result<usize, StoreError> {
    Ok(tx.opaque_range_untracked(space::INTENTS, &[0; 32], &[0xff; 33], u32::MAX)?.len())
}

/// Whether there are any of a mount: made by calls that are under way, or still to be undone.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn is_any_of(tx: &mut Transaction, mount: SpaceId) -> Result<bool, StoreError> {
    Ok(pending(tx, u32::MAX)?.iter().any(|(_, record)| record.mount == mount.0))
}

fn decoded(bytes: &[u8]) -> Result<IntentRecord, StoreError> {
    // As few zeros as it takes: with more, one that is damaged could be read as another.
    let read = |zeros| {
        let bytes = Hidden::new([bytes, &[0; LATER_FIELDS][..zeros]].concat());
        postcard::from_bytes(bytes.expose()).ok()
    };
    (0..=LATER_FIELDS).find_map(read).ok_or(crate::book::damaged(space::INTENTS, "an intent"))
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
    at_work: AtWork,
}

/// Makes an intent durable, in an entry of its own, before the outside is touched.
pub(crate) async fn intend(open: &Arc<Open>, mount: &Mount, kind: &str, data: &HiddenJson) -> Result<Pending, Fault> {
    let id = uuid(&*open.parts.entropy);
    let (digest, clock) = (leases::digest(&id), &open.parts.clock);
    let begun_ms = clock.now_ms();
    let due_ms = begun_ms.saturating_add(CALL_MS_MAX);
    let record = IntentRecord {
        mount: mount.space.0,
        kind: kind.to_owned(),
        data: Kept::of(data),
        due_ms,
        failures: 0,
        begun_ms,
        refusal: String::new(),
    };
    // First, so that whoever undoes intents never sees it alone.
    let at_work = open.in_flight.underway.begin(digest, record.lane(), clock.steady_ms());
    let at_work = at_work.ok_or_else(|| {
        let text = "too much that was begun outside waits to be undone first: see sys/plugins/intents";
        Failure::new(FailureKind::Unavailable, text)
    })?;
    let write = async {
        let mut tx = open.begin()?;
        // Bound to what is seen: a mount that goes waits for its intents, and has no new ones then.
        if !mounts::is_there(&mut tx, &mount.entry)? {
            return Err(Fault::invalid("the mount is being disabled"));
        }
        save(&mut tx, &digest, &record)?;
        open.write(tx).await
    };
    let version = write.await?;
    Ok(Pending { id, due_ms, version, at_work })
}

/// Drops an intent in the commit that makes it good; its call is at work until that has ended. If it
/// was undone meanwhile, the commit conflicts: what it would say is not so any more.
pub(crate) fn fulfil(tx: &mut Transaction, pending: Pending) -> Result<AtWork, StoreError> {
    let digest = leases::digest(&pending.id);
    tx.delete_later(&key_of(&digest), pending.version)?;
    tx.delete(&leases::due_key(pending.due_ms, DUE_INTENT, &digest))?;
    Ok(pending.at_work)
}

/// Whether a thing that is due is an intent that must not be undone yet.
pub(crate) fn is_underway(open: &Open, due: &Due) -> bool {
    due.kind == DUE_INTENT && !open.in_flight.underway.is_over(&due.id, open.parts.clock.steady_ms())
}

/// What was begun while the clock was ahead, that of an earlier leader or this node's own, would be undone
/// as much later: it falls due now. Looked through when nothing that a leader found can be at work any more,
/// and then from time to time.
///
/// # Errors
/// [`Fault`]: it is to be tried again.
pub(crate) async fn review(open: &Open) -> Result<(), Fault> {
    let steady_ms = open.parts.clock.steady_ms();
    let underway = &open.in_flight.underway;
    if !underway.is_review_due(steady_ms) {
        return Ok(());
    }
    let now_ms = open.parts.clock.now_ms();
    let mut tx = open.begin()?;
    let (mut bytes, mut is_all) = (0, true);
    let all = pending(&mut tx, REVIEWED_MAX)?;
    let lanes = all.iter().map(|(digest, record)| (*digest, record.lane())).collect();
    underway.found(&lanes, all.len() < REVIEWED_MAX as usize, steady_ms);
    for (digest, found) in all {
        let wait_ms = if found.failures == 0 { 0 } else { back_off(found.failures) };
        if found.due_ms <= now_ms.saturating_add(wait_ms) || !underway.is_over(&digest, steady_ms) {
            continue;
        }
        let due = Due { at_ms: found.due_ms, kind: DUE_INTENT, id: digest };
        let Some(record) = at(&mut tx, &due)?.filter(|record| record.due_ms == found.due_ms) else { continue };
        jobs::forget(&mut tx, &due)?;
        bytes += record.data.len();
        save(&mut tx, &digest, &IntentRecord { due_ms: now_ms, ..record })?;
        if bytes > REVIEWED_BYTES {
            // The next look goes on.
            is_all = false;
            break;
        }
    }
    open.commit(tx).await?;
    if is_all {
        underway.reviewed(steady_ms);
    }
    open.due.notify_one();
    Ok(())
}

/// Intents of a call that had ended, and whose commit came to nothing: they need not wait. Where this fails they
/// do, as any other.
pub(crate) async fn fall_due(open: &Open, digests: Vec<[u8; 32]>) {
    if digests.is_empty() {
        return;
    }
    let now_ms = open.parts.clock.now_ms();
    let moved = async {
        let mut tx = open.begin()?;
        for digest in &digests {
            let Some(record) = at(&mut tx, &Due { at_ms: now_ms, kind: DUE_INTENT, id: *digest })? else { continue };
            jobs::forget(&mut tx, &Due { at_ms: record.due_ms, kind: DUE_INTENT, id: *digest })?;
            save(&mut tx, digest, &IntentRecord { due_ms: now_ms, ..record })?;
        }
        open.commit(tx).await
    };
    match moved.await {
        Ok(()) => open.due.notify_one(),
        Err(fault) => tracing::warn!(cause = %fault.cause(), "what came to nothing is undone later than it could be"),
    }
}

/// Drops an intent of an earlier call, if it is this mount's; gives what goes with the commit then.
pub(crate) fn resolve(
    open: &Open,
    tx: &mut Transaction,
    mount: SpaceId,
    id: &str,
) -> Result<Option<Going>, StoreError> {
    let digest = leases::digest(id);
    let Some(bytes) = tx.get(&key_of(&digest))? else { return Ok(None) };
    match decoded(bytes.expose()) {
        Ok(record) if record.mount == mount.0 => drop_one(open, tx, &digest, &record).map(Some),
        _ => Ok(None),
    }
}

fn drop_one(open: &Open, tx: &mut Transaction, digest: &[u8; 32], record: &IntentRecord) -> Result<Going, StoreError> {
    tx.delete(&key_of(digest))?;
    tx.delete(&leases::due_key(record.due_ms, DUE_INTENT, digest))?;
    Ok(open.in_flight.underway.going(*digest))
}

/// Why an intent cannot be let go.
pub(crate) enum NotLetGo {
    /// There is none.
    Unknown,
    /// Something may become of its call yet, for so many milliseconds, if that is known.
    AtWork(Option<u64>),
}

/// Drops an intent that nobody is to undo any more, with the commit of the visit. One whose call may be at work stays:
/// that could not commit any more, and what it does outside nobody would know of.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn let_go(visit: &mut Visit, digest: [u8; 32]) -> Result<Result<IntentRecord, NotLetGo>, StoreError> {
    let Some(bytes) = visit.tx.get(&key_of(&digest))? else { return Ok(Err(NotLetGo::Unknown)) };
    let left_ms = visit.open.in_flight.underway.left_ms(&digest, visit.open.parts.clock.steady_ms());
    if left_ms != Some(0) {
        return Ok(Err(NotLetGo::AtWork(left_ms)));
    }
    let record = decoded(bytes.expose())?;
    let going = drop_one(&visit.open, &mut visit.tx, &digest, &record)?;
    visit.held.going.push(going);
    Ok(Ok(record))
}

/// Moves an intent that could not be undone to its next attempt; gives the space of its mount.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn put_off(
    tx: &mut Transaction,
    due: &Due,
    later: &impl Fn(&mut u32, &mut u64),
    refusal: &Refusal,
) -> Result<Option<[u8; 16]>, StoreError> {
    let found = at(tx, due)?;
    jobs::forget(tx, due)?;
    let Some(mut record) = found.filter(|record| record.due_ms == due.at_ms) else { return Ok(None) };
    later(&mut record.failures, &mut record.due_ms);
    record.refusal.clone_from(&refusal.text);
    save(tx, &due.id, &record)?;
    Ok(Some(record.mount))
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
            return Err(again::refused(&mount, &due.id, "undoing an intent", &error));
        }
    }
    visit.tx.delete(&key_of(&due.id))?;
    visit.held.going.push(visit.open.in_flight.underway.going(due.id));
    Ok(())
}
