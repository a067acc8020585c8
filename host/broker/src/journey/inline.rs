//! The journey of a login that a request brings along. It is a request of its own, with its own audit lines, and is
//! over before the one it is for begins: what a login uses up is used up, whatever becomes of that.

use std::sync::Arc;

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Request;
use bulkhead_model::seam::entropy::uuid;
use tokio::time::Instant;

use super::{arrived, finish};
use crate::book::config::Config;
use crate::book::mounts::Table;
use crate::book::namespaces::Namespace;
use crate::book::tokens::{TokenHash, TokenRecord};
use crate::cluster::consistency::Consistency;
use crate::fault::Fault;
use crate::mint::{self, Granted};
use crate::node::Node;
use crate::open::Open;
use crate::step::authorize::{Authorized, Denied, DeniedBy, authorize};
use crate::step::record::{Audited, Trail};
use crate::step::route::Target;
use crate::step::settle::Brought;
use crate::step::{dispatch, identify, inline, lockout, quota, record, settle};
use crate::visit::{Visit, Who, enveloped};

/// Whom a request has logged in, for itself alone. It is in the form of a batch token, so that all holds for it that
/// holds for what is not stored.
pub(super) struct Login {
    pub(super) hash: TokenHash,
    pub(super) record: TokenRecord,
}

impl Login {
    /// The caller, if the login still holds.
    pub(super) fn identified(
        &self,
        place: (&Config, &Namespace, &Target),
        tx: &mut Transaction,
        request: &Request,
        now_ms: u64,
    ) -> Result<Who, Fault> {
        identify::brought(place, tx, request, (self.hash, self.record.clone()), now_ms)
    }
}

/// What becomes of a request whose login got nobody in.
pub(super) enum Ended {
    Answered(Audited),
    /// This node does not lead, and does not count wrong logins.
    NotHere,
}

/// Until when a login may take, and how new the state must be that it is answered from.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t> {
    pub(super) deadline: Instant,
    pub(super) consistency: &'t Consistency,
}

/// Whom the request logs in; none, if it brings no login along.
///
/// # Errors
/// The answer to the request, which is not served.
pub(super) async fn login(
    node: &Arc<Node>,
    open: &Arc<Open>,
    request: &Request,
    terms: Terms<'_>,
) -> Result<Option<Login>, Ended> {
    if !inline::is_asked(request) {
        return Ok(None);
    }
    if node.parts.peers.is_some() && !open.ledger().standing().leader {
        return Err(Ended::NotHere);
    }
    let mut asked = match inline::login_of(request, uuid(&*open.parts.entropy)) {
        Ok(asked) => asked,
        Err(failure) => return Err(answered(Audited::unrecorded(failure.clone().into()), is_denied(&failure))),
    };
    let asked = &mut asked;
    quota::admit(node, asked).await.map_err(Ended::Answered)?;
    let began = Instant::now();
    let mut trail = Trail::new(open, asked);
    let _stay = open.in_flight.begin(asked, open.parts.clock.now_ms());
    let late = |_| Err(Failure::new(FailureKind::Timeout, "the request took too long").into());
    let outcome = tokio::time::timeout_at(terms.deadline, attempts(open, terms, asked, &mut trail)).await;
    let (reply, login, is_own) = match outcome.unwrap_or_else(late) {
        Ok((reply, login)) => (reply, login, true),
        Err(fault) if fault.is_not_leader() && node.parts.peers.is_some() => {
            let moved = Failure::new(FailureKind::Unavailable, "leadership moved: the request goes to another node");
            record::response(open, asked, trail, moved.into()).await;
            return Err(Ended::NotHere);
        }
        Err(fault) if trail.is_denied() => (Reply::Failed(fault.into_failure()), None, true),
        Err(fault) => (Reply::Failed(inline::told(fault.into_failure())), None, false),
    };
    let counted = trail.counted();
    let audited = record::response(open, asked, trail, finish(reply, asked)).await;
    open.catalog.figures.mounts.took(&counted, began.elapsed());
    match login {
        Some(login) if !audited.has_failed() => Ok(Some(login)),
        // Nobody recorded it: nothing is done for it.
        Some(_) => Err(Ended::Answered(audited)),
        None => Err(answered(audited, is_own)),
    }
}

fn is_denied(failure: &Failure) -> bool {
    failure.kind == FailureKind::Denied
}

/// An answer, marked where it is the login's own.
fn answered(audited: Audited, is_own: bool) -> Ended {
    let mark = if is_own { vec![(inline::FAILED, "true".to_owned())] } else { Vec::new() };
    Ended::Answered(audited.with(mark))
}

/// Runs the login until its commit meets no conflict.
async fn attempts(
    open: &Arc<Open>,
    terms: Terms<'_>,
    asked: &mut Request,
    trail: &mut Trail,
) -> Result<(Reply, Option<Login>), Fault> {
    for attempt in 0..CONFLICT_RETRIES_MAX {
        match once((open, attempt), terms, asked, trail).await {
            Err(Fault::Conflict) => {}
            Err(Fault::Store(StoreError::UnknownTerm { .. })) if open.learn_keys()? => {}
            done => return done,
        }
    }
    Err(Fault::Conflict)
}

async fn once(
    (open, attempt): (&Arc<Open>, u32),
    terms: Terms<'_>,
    asked: &mut Request,
    trail: &mut Trail,
) -> Result<(Reply, Option<Login>), Fault> {
    terms.consistency.fresh(open).await?;
    let (mut visit, routed) = arrived(open, asked, trail, (attempt, terms.deadline)).await?;
    let passed = match is_login(&routed.target) {
        true => authorize(&mut visit, asked, routed).await,
        false => Err(Denied { fault: Failure::bad_token().into(), by: DeniedBy::Nobody }),
    };
    let passed = match passed {
        Ok(passed) => passed,
        Err(Denied { fault, by }) => {
            trail.denied(by);
            record::request(open, asked, trail).await?;
            return Err(fault);
        }
    };
    trail.authorized(&passed);
    record::request(open, asked, trail).await?;
    let done = match logged_in(&mut visit, asked, &passed).await {
        Err(Fault::AnswerAndCommit(failure)) => (Reply::Failed(failure), None),
        done => done?,
    };
    let outside = visit.outside;
    match settle::commit(visit).await {
        Ok(after) => settle::after(open, after).await,
        // What was done outside cannot be done twice.
        Err(fault) if outside && (matches!(fault, Fault::Conflict) || fault.is_not_leader()) => {
            return Err(Failure::new(FailureKind::Unavailable, "the data changed meanwhile; try again").into());
        }
        Err(fault) => return Err(fault),
    };
    Ok(done)
}

/// Whether a path is one of an auth method that asks for no token.
fn is_login(target: &Target) -> bool {
    matches!(target, Target::Guest(guest) if guest.mount.entry.table == Table::Auth) && target.is_unauthenticated()
}

/// Has the auth method look at the login, and counts what comes of it.
async fn logged_in(visit: &mut Visit, asked: &Request, passed: &Authorized) -> Result<(Reply, Option<Login>), Fault> {
    let Target::Guest(guest) = &passed.routed.target else { return Err(Failure::bad_token().into()) };
    let attempt = lockout::admit(visit, asked, guest, passed.operation).await?;
    let returned = dispatch::call_guest(visit, (asked, &asked.body), guest, passed.operation).await?;
    let attempt = attempt.map(|attempt| attempt.judged(&returned));
    let brought = settle::brought(visit, asked, guest, returned);
    attempt.map_or(Ok(()), |attempt| attempt.concluded(visit, brought.is_ok().then_some(false)))?;
    match brought? {
        Brought::Answered(reply) => Ok((reply, None)),
        Brought::Granted(granted) => unstored(visit, *granted).map(|(reply, login)| (reply, Some(login))),
    }
}

/// The token of a login that is not stored, and what the audit log is told of it.
fn unstored(visit: &mut Visit, granted: Granted) -> Result<(Reply, Login), Fault> {
    let Granted { record, warnings, .. } = granted;
    let record = TokenRecord {
        created_ms: visit.now_ms,
        creation_ttl_secs: record.ttl_secs,
        expires_ms: visit.now_ms.saturating_add(record.ttl_secs.max(1).saturating_mul(1000)),
        renewable: false,
        // This one use is all there is.
        num_uses: 0,
        ..record
    };
    let hash = visit.open.salt.hash(&visit.random_text(24));
    let auth = mint::auth_info(visit, &record, Hidden::new(String::new()))?;
    Ok((enveloped(Envelope { auth: Some(auth), warnings, ..Envelope::default() }), Login { hash, record }))
}
