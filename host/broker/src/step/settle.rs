//! Turns what a guest returned into an answer, a lease or a token, and commits the
//! visit: one change, one log entry.

use std::sync::Arc;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::plugin::{AuthGrant, GuestResponse, LeaseGrant};
use bulkhead_model::reply::{Envelope, LeaseInfo, Reply};
use bulkhead_model::request::Request;
use bulkhead_model::seam::plugin::Returned;

use crate::book::leases::{self, LeaseRecord};
use crate::book::tokens::TokenHash;
use crate::fault::Fault;
use crate::mint;
use crate::open::Open;
use crate::step::dispatch::{GuestAnswer, mismatched};
use crate::step::identify;
use crate::step::route::GuestTarget;
use crate::visit::{After, Visit, enveloped};

/// The answer to a guest's response, with the lease or token it granted written into
/// the visit's transaction.
///
/// # Errors
/// [`Fault`] from the store, or a grant that cannot be given.
pub(crate) fn guest_answer(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    answer: GuestAnswer,
) -> Result<Reply, Fault> {
    match answer.returned {
        Returned::Secret { response, lease } => {
            let granted = lease.is_some();
            let mut reply = response_reply(response, answer.warnings, granted)?;
            if let (Some(grant), Reply::Envelope(envelope)) = (lease, &mut reply) {
                envelope.lease = Some(grant_lease(visit, request, guest, grant, envelope)?);
            }
            Ok(reply)
        }
        Returned::Login { response, auth } => {
            let mut reply = response_reply(response, answer.warnings, auth.is_some())?;
            if let (Some(grant), Reply::Envelope(envelope)) = (auth, &mut reply) {
                login(visit, request, guest, *grant, envelope)?;
            }
            Ok(reply)
        }
        _ => Err(mismatched()),
    }
}

/// A response as the envelope has it. `full`: there is more to come than the response.
fn response_reply(response: GuestResponse, mut warnings: Vec<String>, full: bool) -> Result<Reply, Fault> {
    if let Some((content_type, bytes)) = response.raw {
        return Ok(Reply::Raw { status: response.status.unwrap_or(200), content_type, bytes });
    }
    let failed = response.status.is_some_and(|s| s >= 400);
    // A failure that only warns (kv v2's deleted versions of old) is an answer, not an error.
    if failed && response.data.is_none() && (response.warnings.is_empty() || !response.errors.is_empty()) {
        let kind = failed_kind(response.status.unwrap_or(500));
        return Err(Fault::AnswerAndCommit(Failure { kind, errors: response.errors }));
    }
    if !full && response.data.is_none() && response.warnings.is_empty() && response.status.is_none_or(|s| s == 204) {
        return Ok(Reply::Empty);
    }
    warnings.extend(response.warnings);
    let lifetime = response.extra.iter().find(|(name, _)| name == "lease-duration");
    let secs = lifetime.and_then(|(_, json)| serde_json::from_slice::<u64>(json.expose()).ok());
    Ok(enveloped(Envelope {
        lease: secs.map(|duration_secs| LeaseInfo { id: String::new(), renewable: false, duration_secs }),
        data: response.data,
        warnings,
        status: response.status,
        errors: response.errors,
        ..Envelope::default()
    }))
}

fn failed_kind(status: u16) -> FailureKind {
    match status {
        403 => FailureKind::Denied,
        404 => FailureKind::NotFound,
        405 => FailureKind::Unsupported,
        412 => FailureKind::Precondition,
        429 => FailureKind::Limited,
        502 => FailureKind::Upstream,
        503 => FailureKind::Unavailable,
        400..=499 => FailureKind::Invalid,
        _ => FailureKind::Internal,
    }
}

/// Registers a lease: it commits together with the secret it is for.
fn grant_lease(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    grant: LeaseGrant,
    envelope: &Envelope,
) -> Result<LeaseInfo, Fault> {
    let (default_ttl, max_ttl) = guest.mount.ttls();
    let longest = grant.max_ttl.filter(|t| *t > 0).map_or(max_ttl, |t| t.min(max_ttl));
    let ttl_secs = grant.ttl.filter(|t| *t > 0).unwrap_or(default_ttl).min(longest);
    let expires_ms = visit.now_ms.saturating_add(ttl_secs.saturating_mul(1000));
    let path = format!("{}{}", guest.mount.full_path, guest.rest.trim_end_matches('/'));
    let record = LeaseRecord {
        id: format!("{path}/{}", visit.random_text(24)),
        path,
        mount: guest.mount.space.0,
        kind: grant.kind,
        token: visit.who.as_ref().map(|who| who.hash),
        issued_ms: visit.now_ms,
        expires_ms,
        max_expires_ms: visit.now_ms.saturating_add(longest.saturating_mul(1000)),
        ttl_secs,
        renewed_ms: 0,
        renewable: grant.renewable,
        internal: grant.internal.expose().clone(),
        data: envelope.data.as_ref().map(|d| d.expose().clone()).unwrap_or_default(),
        data_version: guest.plugin.descriptor().data_version,
        failures: 0,
        due_ms: expires_ms,
    };
    leases::save(&mut visit.tx, None, &record)?;
    tracing::debug!(request = %request.id, "lease granted");
    Ok(LeaseInfo { id: record.id.clone(), renewable: record.renewable, duration_secs: ttl_secs })
}

fn login(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    grant: AuthGrant,
    envelope: &mut Envelope,
) -> Result<(), Fault> {
    let minted = mint::from_login(visit, request, &guest.mount, grant)?;
    envelope.warnings.extend(minted.warnings);
    envelope.auth = Some(minted.auth);
    Ok(())
}

/// Commits what the visit wrote, and does what was to be done after.
///
/// # Errors
/// [`Fault::Conflict`]: the visit must run again. Others: nothing, or something
/// unknown, was committed.
pub(crate) async fn commit(visit: Visit) -> Result<Vec<After>, Fault> {
    let Visit { open, mut tx, after, held, who, now_ms, .. } = visit;
    if let Some(who) = who.filter(|who| who.record.num_uses > 0) {
        identify::count_use(&open, &mut tx, &who.hash, now_ms)?;
    }
    open.commit(tx).await?;
    drop(held);
    Ok(after)
}

/// Commits the use of a use-limited token whose request was refused.
///
/// # Errors
/// [`Fault`]: the use could not be counted.
pub(crate) async fn commit_use(open: &Open, hash: &TokenHash) -> Result<(), Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let mut tx = open.begin()?;
        identify::count_use(open, &mut tx, hash, open.parts.clock.now_ms())?;
        match open.commit(tx).await {
            Err(Fault::Conflict) => {}
            done => return done,
        }
    }
    Err(Fault::Conflict)
}

/// Does what waited for the commit; says whether the node is to seal itself.
pub(crate) fn after(open: &Open, what_waited: Vec<After>) -> bool {
    let mut sealing = false;
    for what in what_waited {
        match what {
            After::Rotated(rotated) => open.barrier.install(rotated),
            After::AuditDevices(devices) => *open.devices.write() = Arc::new(devices),
            After::LookForDue => open.due.notify_one(),
            After::Seal => sealing = true,
        }
    }
    sealing
}
