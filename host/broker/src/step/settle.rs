//! Turns what a guest returned into an answer, a lease or a token, and commits the
//! visit: one change, one log entry.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::plugin::{GuestResponse, LeaseGrant};
use bulkhead_model::reply::{Envelope, LeaseInfo, Reply};
use bulkhead_model::request::Request;
use bulkhead_model::seam::plugin::Returned;

use crate::book::kept::Kept;
use crate::book::leases::{self, LeaseRecord};
use crate::book::tokens::TokenHash;
use crate::fault::Fault;
use crate::mint::{self, Granted};
use crate::open::Open;
use crate::step::dispatch::{GuestAnswer, mismatched};
use crate::step::mfa::Standing;
use crate::step::route::GuestTarget;
use crate::step::{identify, intent, mfa, room};
use crate::tally::Seat;
use crate::visit::{After, Visit, enveloped};

/// The answer to a guest's response, with the lease or token it granted written into
/// the visit's transaction. `role`: that of a login; empty: none that a quota of leases is for.
///
/// # Errors
/// [`Fault`] from the store, or a grant that cannot be given.
pub(crate) fn guest_answer(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    (answer, role): (GuestAnswer, String),
) -> Result<Reply, Fault> {
    match answer.returned {
        Returned::Secret { response, lease: Some(_) } | Returned::Login { response, auth: Some(_) }
            if has_failed(&response) =>
        {
            Err(granted_and_refused(guest))
        }
        Returned::Secret { mut response, lease } => {
            let (headers, wrap_secs) = taken_out(&mut response, guest);
            let mut reply = response_reply(response, answer.warnings, lease.is_some())?;
            if let (Some(grant), Reply::Envelope(envelope)) = (lease, &mut reply) {
                envelope.lease = Some(grant_lease(visit, request, guest, grant, &mut envelope.warnings)?);
            }
            finished(visit, request, reply, headers, wrap_secs)
        }
        Returned::Login { mut response, auth } => {
            let (headers, wrap_secs) = taken_out(&mut response, guest);
            let mut reply = response_reply(response, answer.warnings, auth.is_some())?;
            if let (Some(grant), Reply::Envelope(envelope)) = (auth, &mut reply) {
                let granted = mint::granted(visit, request, (&*guest.mount, role), *grant)?;
                login(visit, (request, wrap_secs), guest, granted, envelope)?;
            }
            finished(visit, request, reply, headers, wrap_secs)
        }
        _ => Err(mismatched()),
    }
}

/// What an auth method said to a login that a request brought along.
pub(crate) enum Brought {
    /// Who it is; no token is made.
    Granted(Box<Granted>),
    /// Nobody is logged in.
    Answered(Reply),
}

/// What becomes of a login whose token is not to be stored.
///
/// # Errors
/// [`Fault`] from the store, a grant that cannot be given, or a refusal.
pub(crate) fn brought(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    answer: GuestAnswer,
) -> Result<Brought, Fault> {
    let (response, auth) = match answer.returned {
        Returned::Login { response, auth: Some(_) } if has_failed(&response) => return Err(granted_and_refused(guest)),
        Returned::Login { response, auth } => (response, auth),
        _ => return Err(mismatched()),
    };
    let Some(grant) = auth else {
        return response_reply(response, answer.warnings, false).map(Brought::Answered);
    };
    let granted = mint::granted(visit, request, (&*guest.mount, String::new()), *grant)?;
    match mfa::demand(visit, (request, None), &guest.mount, granted)? {
        Standing::Proven(proven) => Ok(Brought::Granted(Box::new(proven.into_granted()))),
        // The request cannot wait, and nothing is committed of what would have.
        Standing::Waits(_) => {
            let text = "this login has to prove more: send a passcode in X-Vault-MFA";
            Err(Failure::new(FailureKind::Denied, text).into())
        }
    }
}

fn has_failed(response: &GuestResponse) -> bool {
    response.status.is_some_and(|status| status >= 400)
}

/// A plugin granted something and said that it had failed. What nobody is told of must not be there
/// (CVE-2026-46405): nothing of the call counts, and what it began outside is undone.
fn granted_and_refused(guest: &GuestTarget) -> Fault {
    let (accessor, kind) = (&guest.mount.entry.accessor, &guest.mount.entry.kind);
    tracing::error!(mount = %accessor, plugin = %kind, "plugin granted a lease or a token with an answer that failed");
    Failure::internal().into()
}

type Headers = Vec<(String, String)>;

/// The headers that the operator lets this mount set, and how long the plugin wants its
/// answer wrapped.
fn taken_out(response: &mut GuestResponse, guest: &GuestTarget) -> (Headers, Option<u64>) {
    let allowed = &guest.mount.entry.tuning.allowed_response_headers;
    let mut headers = std::mem::take(&mut response.headers);
    headers.retain(|(name, _)| allowed.iter().any(|a| a.eq_ignore_ascii_case(name)));
    (headers, response.force_wrap.filter(|secs| *secs > 0))
}

/// Wraps the answer if the plugin wants that, else sets its headers.
fn finished(
    visit: &mut Visit,
    request: &Request,
    reply: Reply,
    headers: Headers,
    wrap_secs: Option<u64>,
) -> Result<Reply, Fault> {
    match (reply, wrap_secs) {
        (Reply::Envelope(envelope), Some(secs)) if envelope.data.is_some() || envelope.auth.is_some() => {
            // As in Vault, of the plugin's time and the caller's the shorter one.
            let secs = request.wrap_ttl_secs.filter(|asked| *asked > 0).map_or(secs, |asked| asked.min(secs));
            mint::wrap_envelope(visit, secs, request, &envelope)
        }
        (Reply::Raw { status, .. }, Some(_)) if status < 300 => {
            tracing::error!(request = %request.id, "a plugin wants bytes of its own wrapped, which cannot be");
            Err(Failure::internal().into())
        }
        (Reply::Envelope(mut envelope), _) => {
            envelope.headers = headers;
            Ok(Reply::Envelope(envelope))
        }
        (Reply::Raw { status, content_type, bytes, .. }, _) => Ok(Reply::Raw { status, content_type, bytes, headers }),
        (other, _) => Ok(other),
    }
}

/// A response as the envelope has it. `full`: there is more to come than the response.
fn response_reply(response: GuestResponse, mut warnings: Vec<String>, full: bool) -> Result<Reply, Fault> {
    if let Some((content_type, bytes)) = response.raw {
        return Ok(Reply::Raw { status: response.status.unwrap_or(200), content_type, bytes, headers: Vec::new() });
    }
    let failed = has_failed(&response);
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
    warnings: &mut Vec<String>,
) -> Result<LeaseInfo, Fault> {
    // Nothing would end it: what was made outside is undone.
    if visit.who.as_ref().is_some_and(|who| who.brought) {
        return Err(Fault::invalid("requests with inline authentication cannot generate leases"));
    }
    let is_last_use = visit.who.as_ref().is_some_and(|who| who.is_counted && who.record.num_uses == 1);
    let (default_ttl, max_ttl) = guest.mount.ttls();
    let longest = grant.max_ttl.filter(|t| *t > 0).map_or(max_ttl, |t| t.min(max_ttl));
    let wanted = grant.ttl.filter(|t| *t > 0).unwrap_or(default_ttl);
    warnings.extend(mint::capped("TTL", wanted, longest));
    let ttl_secs = wanted.min(longest);
    // What a batch token was given ends with it (CVE-2020-25816), or before that with its
    // parent: it is not stored, so nothing else could keep the two together.
    let batch = visit.who.as_ref().filter(|who| who.record.is_batch());
    let left_secs = batch.map_or(u64::MAX, |who| who.record.secs_left(visit.now_ms));
    let (ttl_secs, longest) = (ttl_secs.min(left_secs), longest.min(left_secs));
    let token = batch.map_or_else(|| visit.who.as_ref().map(|who| who.hash), |who| who.record.parent);
    let expires_ms = visit.now_ms.saturating_add(ttl_secs.saturating_mul(1000));
    // From the root, so that leases of one namespace are never among those of another.
    let path = format!("{}{}", guest.mount.full_path, guest.rest.trim_end_matches('/'));
    let record = LeaseRecord {
        id: format!("{path}/{}", visit.random_text(24)),
        path,
        mount: guest.mount.space.0,
        kind: grant.kind,
        token,
        issued_ms: visit.now_ms,
        expires_ms,
        max_expires_ms: visit.now_ms.saturating_add(longest.saturating_mul(1000)),
        ttl_secs,
        renewed_ms: 0,
        renewable: grant.renewable,
        internal: Kept::from(grant.internal),
        data: Kept::default(),
        data_version: guest.plugin.descriptor().data_version,
        failures: 0,
        due_ms: expires_ms,
    };
    let seat = room::seat(visit, &record.path, request.path.as_str())?;
    leases::save(&mut visit.tx, None, &record)?;
    room::give(visit, seat, &leases::digest(&record.id));
    if is_last_use {
        // It goes with the token, which ends with this request: nobody is told of what is being taken away.
        let now_ms = visit.now_ms;
        leases::fall_due(&mut visit.tx, &record, now_ms)?;
        visit.after.push(After::LookForDue);
        let text = "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.";
        return Err(Fault::AnswerAndCommit(Failure::new(FailureKind::Invalid, text)));
    }
    tracing::debug!(request = %request.id, "lease granted");
    Ok(LeaseInfo {
        id: guest.mount.namespace.shown_lease(&record.id),
        renewable: record.renewable,
        duration_secs: ttl_secs,
    })
}

fn login(
    visit: &mut Visit,
    (request, wrap_secs): (&Request, Option<u64>),
    guest: &GuestTarget,
    granted: Granted,
    envelope: &mut Envelope,
) -> Result<(), Fault> {
    match mfa::demand(visit, (request, wrap_secs), &guest.mount, granted)? {
        Standing::Proven(proven) => {
            let minted = mint::from_login(visit, proven)?;
            envelope.warnings.extend(minted.warnings);
            envelope.auth = Some(minted.auth);
        }
        Standing::Waits(requirement) => {
            envelope.data = None;
            envelope.warnings.push(mfa::WAITS.to_owned());
            envelope.mfa = Some(requirement);
        }
    }
    Ok(())
}

/// Commits what the visit wrote, and does what was to be done after.
///
/// # Errors
/// [`Fault::Conflict`]: the visit must run again. Others: nothing, or something
/// unknown, was committed.
pub(crate) async fn commit(visit: Visit) -> Result<Vec<After>, Fault> {
    let Visit { open, mut tx, after, held, mut seats, who, now_ms, .. } = visit;
    if let Some(who) = who.filter(|who| who.is_counted) {
        identify::count_use(&open, &mut tx, &who.hash, now_ms)?;
    }
    seats.iter_mut().for_each(Seat::commits);
    let committed = open.commit(tx).await;
    room::settle(seats, &committed);
    match committed {
        Ok(()) => held.committed(),
        Err(Fault::Conflict) => {
            intent::fall_due(&open, held.ended()).await;
            return Err(Fault::Conflict);
        }
        Err(fault) => return Err(fault),
    }
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
pub(crate) async fn after(open: &Open, what_waited: Vec<After>) -> bool {
    let mut sealing = false;
    for what in what_waited {
        match what {
            After::Rotated(rotated) => open.barrier.install(rotated),
            After::AuditDevices(opened) => Box::pin(crate::sys::audit::follow_book(open, opened)).await,
            After::LookForDue => open.due.notify_one(),
            After::Count(token) => token.count(),
            After::LoginWaits => mfa::one_more_waits(open),
            After::DropCache(mount) => open.cache.drop_mount(mount),
            After::CeremonyEnded(nonce) => open.ceremonies().ended(&nonce),
            After::Refresh => {
                if let Err(fault) = open.refresh() {
                    tracing::error!(cause = ?fault, "a change shows with the next request, not at once");
                }
            }
            After::Autopilot => {
                if let Err(fault) = crate::sys::raft::apply_autopilot(open) {
                    tracing::error!(cause = ?fault, "the autopilot goes by its old settings");
                }
            }
            After::Seal => sealing = true,
            After::Close => open.fence.close(),
        }
    }
    sealing
}
