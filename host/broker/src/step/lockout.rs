//! Keeps whoever guesses from guessing on. The alias of a login is asked of its auth method before
//! anything costly is done, and a locked one is turned away whatever it brings. Names that nobody
//! has are counted like those of users: what is locked must not tell who there is.

use std::sync::Arc;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::lockout::{LockoutRule, Tally};
use bulkhead_model::plugin::{GuestResponse, Operation};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Request;
use bulkhead_model::seam::plugin::Returned;

use crate::book::jobs;
use crate::book::leases::Due;
use crate::book::lockouts::{self, ALIAS_BYTES_MAX, AliasId, LOCKS_MAX, LockRecord};
use crate::book::mounts::Mount;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::dispatch::{GuestAnswer, call_guest, mismatched};
use crate::step::route::GuestTarget;
use crate::visit::Visit;

/// By this name, beside a status that refuses, a plugin says that the credentials were wrong.
const WRONG_CREDENTIALS: &str = "wrong-credentials";

/// A login that is let in to be looked at.
pub(crate) struct Attempt {
    mount: Arc<Mount>,
    rule: LockoutRule,
    id: AliasId,
    alias: String,
    verdict: Verdict,
}

/// What the plugin said to a login.
#[derive(PartialEq)]
enum Verdict {
    Granted,
    WrongCredentials,
    /// It was refused for another reason, or not looked at.
    Other,
}

/// Lets a login in, unless its alias is locked; `None` for what is no login, or where nobody is
/// locked.
///
/// # Errors
/// 403 for a locked alias; and what the plugin says to a login without one.
pub(crate) async fn admit(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    operation: Operation,
) -> Result<Option<Attempt>, Fault> {
    // Which of the two it is, is for the method to say.
    let writes = matches!(operation, Operation::Create | Operation::Update);
    let Some(rule) = guest.mount.lockout.filter(|_| writes && names_alias(guest)) else { return Ok(None) };
    let Returned::Login { auth: Some(grant), .. } =
        call_guest(visit, (request, &request.body), guest, Operation::AliasLookahead).await?.returned
    else {
        return Err(mismatched());
    };
    let alias = grant.alias.ok_or_else(mismatched)?.name;
    let id = visit.open.names.alias_digest(&guest.mount.entry.accessor, &alias);
    let stored = lockouts::get(&mut visit.tx, &id)?;
    if stored.is_some_and(|lock| rule.holds(lock.failed_ms, visit.now_ms)) {
        return Err(locked());
    }
    let attempt = Attempt { mount: guest.mount.clone(), rule, id, alias, verdict: Verdict::Other };
    attempt.refuse_locked(visit)?;
    Ok(Some(attempt))
}

fn locked() -> Fault {
    Failure::new(FailureKind::Denied, "permission denied").into()
}

/// Whether a login is one whose alias can be asked for.
fn names_alias(guest: &GuestTarget) -> bool {
    let route = guest.route();
    route.unauthenticated && route.operations.iter().any(|doc| doc.operation == Operation::AliasLookahead)
}

impl Attempt {
    /// Notes what the plugin said to it.
    pub(crate) fn judged(self, answer: &GuestAnswer) -> Self {
        let verdict = match &answer.returned {
            Returned::Login { auth: Some(_), .. } => Verdict::Granted,
            Returned::Login { response, auth: None } if says_wrong(response) => Verdict::WrongCredentials,
            _ => Verdict::Other,
        };
        Self { verdict, ..self }
    }

    /// Accessor of the auth method.
    fn method(&self) -> &str {
        &self.mount.entry.accessor
    }

    /// Counts it: a wrong one may lock the alias, and one that got a token begins anew. One that
    /// waits for a second factor has none, and changes nothing yet. A lock is
    /// part of the visit's change, which no login that was let in before it can pass: one that
    /// writes meets a conflict. A batch token is not written, so what is counted decides as well.
    ///
    /// # Errors
    /// 403 if the alias was locked meanwhile; [`Fault`] from the store.
    pub(crate) fn counted(self, visit: &mut Visit, answered: &Result<Reply, Fault>) -> Result<(), Fault> {
        let Ok(reply) = answered else { return self.concluded(visit, None) };
        let waits = matches!(reply, Reply::Envelope(envelope) if envelope.mfa.is_some());
        self.concluded(visit, Some(waits))
    }

    /// `waits`: whether it waits for a second factor; none: it was not granted.
    ///
    /// # Errors
    /// As of [`Self::counted`].
    pub(crate) fn concluded(self, visit: &mut Visit, waits: Option<bool>) -> Result<(), Fault> {
        self.refuse_locked(visit)?;
        match self.verdict {
            Verdict::WrongCredentials => self.failed(visit),
            Verdict::Granted if let Some(waits) = waits => {
                let is_due =
                    tally(&visit.open, |tally| tally.failed.is_due(self.method(), &self.id, &self.rule, visit.now_ms));
                match (is_due, waits) {
                    (true, _) => Err(locked()),
                    (false, true) => Ok(()),
                    (false, false) => forget(visit, self.method(), &self.id),
                }
            }
            Verdict::Granted | Verdict::Other => Ok(()),
        }
    }

    /// Refuses it if its alias has a lock that is not stored.
    fn refuse_locked(&self, visit: &Visit) -> Result<(), Fault> {
        let is_locked =
            tally(&visit.open, |tally| tally.failed.is_locked(self.method(), &self.id, &self.rule, visit.now_ms));
        if is_locked { Err(locked()) } else { Ok(()) }
    }

    fn failed(self, visit: &mut Visit) -> Result<(), Fault> {
        let (open, now_ms) = (visit.open.clone(), visit.now_ms);
        let failures = tally(&open, |tally| tally.failed.failed(self.method(), self.id, &self.rule, now_ms));
        // A lock that is over counts on, whoever leads by now.
        let stored = lockouts::get(&mut visit.tx, &self.id)?;
        let counts_on = stored.is_some_and(|lock| self.rule.remembers(lock.failed_ms, now_ms));
        if !counts_on && !self.rule.locks(failures) {
            return Ok(());
        }
        let accessor = &self.mount.entry.accessor;
        tracing::warn!(mount = %accessor, "an alias is locked out: too many wrong logins");
        if self.alias.len() > ALIAS_BYTES_MAX || !take_room(&open, now_ms)? {
            tally(&open, |tally| tally.failed.lock(self.method(), &self.id));
            return Ok(());
        }
        let lock = LockRecord {
            mount_accessor: accessor.clone(),
            alias: self.alias,
            failed_ms: now_ms,
            due_ms: self.rule.forgotten_ms(now_ms),
        };
        lockouts::save(&mut visit.tx, &self.id, &lock).map_err(Fault::from)
    }
}

fn says_wrong(response: &GuestResponse) -> bool {
    let said = response.extra.iter().find(|(name, _)| name == WRONG_CREDENTIALS);
    let is_said = said.and_then(|(_, json)| serde_json::from_slice(json.expose()).ok()).unwrap_or(false);
    is_said && response.status.is_some_and(|status| status >= 400)
}

fn forget(visit: &mut Visit, method: &str, id: &AliasId) -> Result<(), Fault> {
    tally(&visit.open, |tally| tally.failed.forget(method, id));
    lockouts::remove(&mut visit.tx, id).map_err(Fault::from)
}

/// Whether one more lock may be stored.
fn take_room(open: &Open, now_ms: u64) -> Result<bool, Fault> {
    if let Some(has_room) = tally(open, |tally| tally.take_room(LOCKS_MAX, now_ms)) {
        return Ok(has_room);
    }
    let stored = lockouts::count(&mut open.begin()?)?;
    tally(open, |tally| tally.counted(stored, now_ms));
    Ok(tally(open, |tally| tally.take_room(LOCKS_MAX, now_ms)).unwrap_or(false))
}

/// Works with what was counted since this node leads.
fn tally<T>(open: &Open, work: impl FnOnce(&mut Tally) -> T) -> T {
    let term = open.ledger().standing().term;
    work(open.catalog.lockouts.lock().in_term(term))
}

/// Ends a lock: nothing is counted of the alias any more. This node leads.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn unlock(visit: &mut Visit, mount_accessor: &str, alias: &str) -> Result<(), Fault> {
    let id = visit.open.names.alias_digest(mount_accessor, alias);
    forget(visit, mount_accessor, &id)
}

/// Drops a lock that is of no use any more. Where its method was tuned meanwhile it may be.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn drop_ended(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    let Some(lock) = lockouts::get(&mut visit.tx, &due.id)?.filter(|lock| lock.due_ms == due.at_ms) else {
        return jobs::forget(&mut visit.tx, due).map_err(Fault::from);
    };
    let mount = visit.config.mounts.with_accessor(&lock.mount_accessor);
    match mount.and_then(|mount| mount.lockout).map(|rule| rule.forgotten_ms(lock.failed_ms)) {
        Some(due_ms) if due_ms > visit.now_ms => {
            lockouts::save(&mut visit.tx, &due.id, &LockRecord { due_ms, ..lock })?;
        }
        _ => lockouts::remove(&mut visit.tx, &due.id)?,
    }
    Ok(())
}
