//! What failed is tried again, later and later. Nothing of a failed attempt is kept but that there was
//! one, and of leases and intents why it failed: for operators who ask, and as a class alone for the log.

use std::cell::Cell;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::plugin::GuestError;

use crate::book::leases::{self, DUE_JOB, DUE_LEASE, Due, LeaseRecord, Refusal};
use crate::book::lockouts::{self, DUE_LOCK};
use crate::book::mfa::waiting::{self, DUE_WAITING};
use crate::book::removals::DUE_REMOVAL;
use crate::book::tokens::{self, DUE_TOKEN};
use crate::book::{jobs, mounts::Mount};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::intent::{self, DUE_INTENT};
use crate::step::upgrade::{self, DUE_UPGRADE};
use crate::step::{job, remove};

/// First wait after a failed attempt, doubled each time, in milliseconds. Source: Vault, 10 s.
const RETRY_MS: u64 = 10_000;
/// Longest wait between attempts, in milliseconds: a day, as Vault retries irrevocable leases.
const RETRY_MS_MAX: u64 = 86_400_000;
/// Bytes kept of why something failed. Source: ours. Why: it is kept for each thing that fails, of which
/// there may be as many as leases.
const REFUSAL_BYTES_MAX: usize = 1_024;

/// How long to wait after so many failures in a row, in milliseconds.
pub(crate) fn back_off(failures: u32) -> u64 {
    RETRY_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(RETRY_MS_MAX)
}

/// A plugin could not do what the host wants of it. What it says is told to whoever may ask; the log has
/// its class.
pub(crate) fn refused(mount: &Mount, thing: &[u8; 32], what: &str, error: &GuestError) -> Fault {
    let (accessor, plugin) = (&mount.entry.accessor, &mount.entry.kind);
    tracing::warn!(mount = %accessor, %plugin, thing = %short(thing), class = error.kind(), "{what} failed");
    told(error, format!("{what} failed: {}", words(error).unwrap_or(error.kind())))
}

/// What a plugin says to whoever asked. None of what it says of its own insides, which is nobody's concern.
pub(crate) fn words(error: &GuestError) -> Option<&str> {
    use GuestError as E;
    match error {
        E::InvalidRequest(text)
        | E::PermissionDenied(text)
        | E::PreconditionFailed(text)
        | E::RateLimited(text)
        | E::Upstream(text)
        | E::Unavailable(text) => Some(text),
        E::NotFound | E::UnsupportedOperation | E::Internal(_) => None,
    }
}

/// The fault for this error of a plugin. Clients try again what is unavailable, and not what is wrong about
/// a request.
pub(crate) fn told(error: &GuestError, text: String) -> Fault {
    match error {
        GuestError::Unavailable(_) => Failure::new(FailureKind::Unavailable, text).into(),
        _ => Fault::invalid(text),
    }
}

/// How the log names a thing: the first half of what lists of such things have, which for a lease is the
/// SHA-256 of its id.
fn short(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..16])
}

/// Has a thing that failed tried again later. One that somebody moved meanwhile stays where they put it.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) async fn put_off(open: &Open, due: &Due, fault: &Fault) -> Result<(), Fault> {
    // Not the time of the attempt: it may have taken longer than the wait.
    let now_ms = open.parts.clock.now_ms();
    let mut tx = open.begin()?;
    let wait_max_ms = if due.kind == DUE_JOB { job::wait_max_ms(open, &mut tx, due)? } else { u64::MAX };
    let moved = match move_on(&mut tx, due, (now_ms, wait_max_ms), &refusal(now_ms, fault)) {
        Err(StoreError::Damaged { .. }) => set_aside(&mut tx, due, now_ms).map(|()| Moved::default())?,
        done => done?,
    };
    open.commit(tx).await?;
    if due.kind == DUE_LEASE && moved.failures > 0 {
        open.catalog.figures.expiry.lease_failed(due.id, moved.failures);
    }
    tell(open, due, &moved, fault);
    Ok(())
}

/// A thing that was moved to its next attempt.
#[derive(Default)]
struct Moved {
    /// Space of its mount, if it has one.
    mount: Option<[u8; 16]>,
    failures: u32,
    wait_ms: u64,
}

fn move_on(
    tx: &mut Transaction,
    due: &Due,
    (now_ms, wait_max_ms): (u64, u64),
    refusal: &Refusal,
) -> Result<Moved, StoreError> {
    let moved = Cell::new((0, 0));
    let later = |failures: &mut u32, due_ms: &mut u64| {
        *failures = failures.saturating_add(1);
        let wait_ms = back_off(*failures).min(wait_max_ms);
        *due_ms = now_ms.saturating_add(wait_ms);
        moved.set((*failures, wait_ms));
    };
    let mount = retry_later(tx, due, &later, refusal)?;
    let (failures, wait_ms) = moved.get();
    Ok(Moved { mount, failures, wait_ms })
}

/// Has a lease of a mount that goes tried again later. It is over: nobody can renew it meanwhile.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) async fn put_off_lease(open: &Open, id: &str, fault: &Fault) -> Result<(), Fault> {
    let mut tx = open.begin()?;
    let Some(lease) = leases::get(&mut tx, id)? else { return Ok(()) };
    let now_ms = open.parts.clock.now_ms();
    let failures = lease.failures.saturating_add(1);
    let wait_ms = back_off(failures);
    let (due_ms, expires_ms) = (now_ms.saturating_add(wait_ms), lease.expires_ms.min(now_ms));
    leases::save(&mut tx, Some(&lease), &LeaseRecord { failures, due_ms, expires_ms, ..lease.clone() })?;
    leases::note_refusal(&mut tx, id, &refusal(now_ms, fault))?;
    open.commit(tx).await?;
    let due = Due { at_ms: due_ms, kind: DUE_LEASE, id: leases::digest(id) };
    open.catalog.figures.expiry.lease_failed(due.id, failures);
    tell(open, &due, &Moved { mount: Some(lease.mount), failures, wait_ms }, fault);
    Ok(())
}

/// Why an attempt failed, as it is kept.
fn refusal(now_ms: u64, fault: &Fault) -> Refusal {
    let mut text = fault.told();
    text.truncate(text.floor_char_boundary(REFUSAL_BYTES_MAX));
    Refusal { at_ms: now_ms, text }
}

fn tell(open: &Open, due: &Due, moved: &Moved, fault: &Fault) {
    let config = open.known_config();
    let mount = config.as_ref().and_then(|config| config.mounts.with_space(SpaceId(moved.mount?)));
    tracing::warn!(
        kind = %char::from(due.kind),
        mount = mount.map_or("", |mount| mount.entry.accessor.as_str()),
        thing = %short(&due.id),
        attempts = moved.failures,
        again_in_secs = moved.wait_ms / 1000,
        cause = %fault.cause(),
        "could not be ended; it is tried again"
    );
}

/// Moves a thing to its next attempt; gives the space of its mount, if it has one.
fn retry_later(
    tx: &mut Transaction,
    due: &Due,
    later: &impl Fn(&mut u32, &mut u64),
    refusal: &Refusal,
) -> Result<Option<[u8; 16]>, StoreError> {
    match due.kind {
        DUE_LEASE => {
            let Some(id) = leases::id_at(tx, due)? else { return Ok(None) };
            let Some(old) = leases::get(tx, &id)?.filter(|old| old.due_ms == due.at_ms) else {
                return jobs::forget(tx, due).map(|()| None);
            };
            let mut new = old.clone();
            later(&mut new.failures, &mut new.due_ms);
            leases::save(tx, Some(&old), &new)?;
            leases::note_refusal(tx, &id, refusal)?;
            Ok(Some(old.mount))
        }
        DUE_JOB => {
            let Some(mut job) = jobs::get(tx, &due.id)?.filter(|job| job.due_ms == due.at_ms) else {
                return jobs::forget(tx, due).map(|()| None);
            };
            later(&mut job.failures, &mut job.due_ms);
            jobs::save(tx, &job)?;
            Ok(Some(job.mount))
        }
        DUE_INTENT => intent::put_off(tx, due, later, refusal),
        DUE_UPGRADE => upgrade::put_off(tx, due, later).map(|()| None),
        DUE_REMOVAL => remove::retry_later(tx, due, later).map(|()| None),
        // What cannot be read fails here as well, and is set aside.
        DUE_TOKEN => tokens::get(tx, &due.id).map(|_| None),
        DUE_LOCK => lockouts::get(tx, &due.id).map(|_| None),
        DUE_WAITING => waiting::get(tx, &due.id).map(|_| None),
        // The host's own work fails only with the store, for all alike.
        _ => Ok(None),
    }
}

/// Moves the place of a thing whose record cannot be read. The record stays for whoever
/// looks into the damage.
fn set_aside(tx: &mut Transaction, due: &Due, now_ms: u64) -> Result<(), StoreError> {
    let place = tx.get(&leases::due_key(due.at_ms, due.kind, &due.id))?;
    let Some(place) = place else { return Ok(()) };
    jobs::forget(tx, due)?;
    tx.put(&leases::due_key(now_ms.saturating_add(RETRY_MS_MAX), due.kind, &due.id), place.expose())
}
