//! Has a login prove a second time who it is, where that is demanded of it: at once, with what its
//! header brings, or later, for as long as it waits. No token is there before: what lets one be
//! made comes from here alone.

mod credentials;
mod prove;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::{MfaConstraint, MfaMethod, MfaRequirement};
use bulkhead_model::request::Request;

use crate::book::identity::persona::Persona;
use crate::book::identity::{Id, id_text};
use crate::book::mfa::enforcements::{self, EnforcementRecord, Target};
use crate::book::mfa::methods::{self, MethodRecord};
use crate::book::mfa::waiting::{self, WAIT_MS, WAITING_MAX, WaitingRecord};
use crate::book::mounts::Mount;
use crate::fault::Fault;
use crate::mint::Granted;
use crate::open::Open;
use crate::step::lockout;
use crate::visit::{After, Visit};

pub(crate) use credentials::Credentials;
use prove::{Refused, prove};

/// What a login is told that waits.
pub(crate) const WAITS: &str = "A login request was issued that is subject to MFA validation. Please make sure to \
                                validate the login by sending another request to mfa/validate endpoint.";

/// The only type of method there is.
pub(crate) const TOTP: &str = "totp";

/// A login that has proven all that is demanded of it. Only this step makes one, so holding it is
/// what lets a token be made.
pub(crate) struct Proven(Box<Granted>);

impl Proven {
    /// What the token will be like.
    pub(crate) fn into_granted(self) -> Granted {
        *self.0
    }
}

/// How far a login came.
pub(crate) enum Standing {
    Proven(Proven),
    /// It waits until it has proven more.
    Waits(MfaRequirement),
}

/// Asks of a login what is demanded of it. Where it brought passcodes they decide; where not, it waits.
///
/// # Errors
/// 403 for passcodes that are not right: what was tried is committed.
pub(crate) fn demand(
    visit: &mut Visit,
    (request, wrap_secs): (&Request, Option<u64>),
    mount: &Mount,
    granted: Granted,
) -> Result<Standing, Fault> {
    if !may_be(visit)? {
        return Ok(Standing::Proven(Proven(Box::new(granted))));
    }
    let persona = visit.config.clone().persona(&mut visit.tx, &granted.record.entity_id)?;
    let demanded = demanded(visit, mount, persona.as_deref())?;
    if demanded.is_empty() {
        return Ok(Standing::Proven(Proven(Box::new(granted))));
    }
    let Some(persona) = persona else {
        let text = "MFA is demanded of this login, but its auth method does not say whose it is";
        return Err(Failure::new(FailureKind::Denied, text).into());
    };
    let sent = Credentials::of_headers(&request.headers)?;
    if sent.is_empty() {
        // Whoever asked for a wrapped answer gets none in the open.
        let asked = request.wrap_ttl_secs.filter(|secs| *secs > 0);
        let wrap_secs = wrap_secs.into_iter().chain(asked).min();
        let address = request.origin.address.map(|address| address.to_string()).unwrap_or_default();
        let login = (granted, wrap_secs, address.as_str());
        return wait(visit, &persona.entity.id, &demanded, login).map(Standing::Waits);
    }
    match prove(visit, &persona.entity.id, &demanded, &sent)? {
        Ok(()) => Ok(Standing::Proven(Proven(Box::new(granted)))),
        Err(_) => Err(Fault::AnswerAndCommit(Failure::new(FailureKind::Denied, "permission denied"))),
    }
}

/// What is demanded of the logins of somebody at a mount, in the order of names. What a namespace
/// above demands of a type of auth method, it demands of those below as well.
fn demanded(visit: &mut Visit, mount: &Mount, persona: Option<&Persona>) -> Result<Vec<EnforcementRecord>, Fault> {
    let mut targets = vec![Target::Accessor(&mount.entry.accessor), Target::Type(&mount.entry.kind)];
    if let Some(persona) = persona {
        targets.push(Target::Entity(&persona.entity.id));
        targets.extend(persona.groups.iter().map(|group| Target::Group(&group.id)));
    }
    let names = &visit.open.names;
    let mut demanded = enforcements::about(&mut visit.tx, names, &targets)?;
    for above in visit.config.clone().namespaces.above(&visit.namespace) {
        let of_type = [Target::Type(&mount.entry.kind)];
        let inherited = visit.tx.within(above.realm(), |tx| enforcements::about(tx, names, &of_type))?;
        for mut enforcement in inherited {
            // One of the same name is another.
            if demanded.iter().any(|have| have.name == enforcement.name) {
                enforcement.name = format!("{}@{}", enforcement.name, above.shown_id());
            }
            demanded.push(enforcement);
        }
    }
    demanded.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(demanded)
}

/// Whether anything may be demanded in the visit's namespace.
fn may_be(visit: &mut Visit) -> Result<bool, Fault> {
    if enforcements::may_be(&mut visit.tx)? {
        return Ok(true);
    }
    for above in visit.config.clone().namespaces.above(&visit.namespace) {
        if visit.tx.within(above.realm(), enforcements::may_be)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A method of the visit's namespace, or of one above.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn method(visit: &mut Visit, id: &Id) -> Result<Option<MethodRecord>, Fault> {
    if let Some(method) = methods::get(&mut visit.tx, id)? {
        return Ok(Some(method));
    }
    for above in visit.config.clone().namespaces.above(&visit.namespace) {
        if let Some(method) = visit.tx.within(above.realm(), |tx| methods::get(tx, id))? {
            return Ok(Some(method));
        }
    }
    Ok(None)
}

/// Has a login wait.
fn wait(
    visit: &mut Visit,
    entity: &Id,
    demanded: &[EnforcementRecord],
    (granted, wrap_secs, address): (Granted, Option<u64>, &str),
) -> Result<MfaRequirement, Fault> {
    let mfa_request_id = visit.uuid();
    let Granted { record: token, is_batch, warnings } = granted;
    let due_ms = visit.now_ms.saturating_add(WAIT_MS);
    let record = WaitingRecord { entity: *entity, token, is_batch, warnings, wrap_secs, due_ms };
    let id = visit.open.salt.hash(&mfa_request_id);
    // One that takes another's place needs no room, and what is not committed takes none.
    if waiting::add(&mut visit.tx, &id, &record, address)? {
        if !has_room(&visit.open, visit.now_ms)? {
            let text = "too many logins wait for their second factor: try again later";
            return Err(Failure::new(FailureKind::Unavailable, text).into());
        }
        visit.after.push(After::LoginWaits);
    }
    let mut mfa_constraints = Vec::with_capacity(demanded.len());
    for enforcement in demanded {
        let mut any = Vec::with_capacity(enforcement.methods.len());
        for id in &enforcement.methods {
            let Some(method) = method(visit, id)? else { continue };
            any.push(MfaMethod { kind: TOTP.to_owned(), id: id_text(id), uses_passcode: true, name: method.name });
        }
        mfa_constraints.push(MfaConstraint { name: enforcement.name.clone(), any });
    }
    Ok(MfaRequirement { mfa_request_id, mfa_constraints })
}

/// Whether one more login may wait. As with locks, the node that leads counts.
fn has_room(open: &Open, now_ms: u64) -> Result<bool, Fault> {
    let term = open.ledger().standing().term;
    let tally = &open.catalog.waiting_logins;
    if let Some(has_room) = tally.lock().in_term(term).has_room(WAITING_MAX, now_ms) {
        return Ok(has_room);
    }
    let stored = waiting::count(&mut open.begin()?)?;
    let mut tally = tally.lock();
    let tally = tally.in_term(term);
    tally.counted(stored, now_ms);
    Ok(tally.has_room(WAITING_MAX, now_ms).unwrap_or(false))
}

/// Counts one more login that waits.
pub(crate) fn one_more_waits(open: &Open) {
    open.catalog.waiting_logins.lock().in_term(open.ledger().standing().term).took();
}

/// Goes on with a login that waits, and waits no more if these passcodes are right. Gives also for
/// how long its answer is to be wrapped.
///
/// # Errors
/// 400 if nothing waits by this id; 403 for passcodes that are not right: what was tried is
/// committed, and the login waits on.
pub(crate) fn go_on(visit: &mut Visit, request_id: &str, sent: &Credentials) -> Result<(Proven, Option<u64>), Fault> {
    let (id, now_ms) = (visit.open.salt.hash(request_id), visit.now_ms);
    let found = waiting::get(&mut visit.tx, &id)?.filter(|record| record.due_ms > now_ms);
    // A login goes on in the namespace that it is of.
    let found = found.filter(|record| record.token.namespace == visit.namespace.record.id);
    let nothing_waits = || Fault::invalid("invalid request ID");
    let WaitingRecord { entity, token, is_batch, warnings, wrap_secs, .. } = found.ok_or_else(nothing_waits)?;
    let config = visit.config.clone();
    let mount = visit.mount_with(&token.mount_accessor).cloned().ok_or_else(nothing_waits)?;
    let persona = config.persona(&mut visit.tx, &id_text(&entity))?.filter(|persona| !persona.entity.disabled);
    let denied = || Failure::new(FailureKind::Denied, "permission denied");
    let persona = persona.ok_or_else(denied)?;
    let demanded = demanded(visit, &mount, Some(&persona))?;
    if demanded.is_empty() {
        return Err(Fault::invalid("nothing is demanded of this login any more: log in again"));
    }
    match prove(visit, &persona.entity.id, &demanded, sent)? {
        Ok(()) => {
            waiting::remove(&mut visit.tx, &id)?;
            // What it had to prove before its token is proven: wrong logins before it count no more.
            let alias = persona.entity.aliases.iter().find(|alias| alias.mount_accessor == token.mount_accessor);
            if let Some(alias) = alias {
                lockout::unlock(visit, &token.mount_accessor, &alias.name)?;
            }
            Ok((Proven(Box::new(Granted { record: token, is_batch, warnings })), wrap_secs))
        }
        Err(Refused { enforcement, why }) => {
            let text = format!("failed to satisfy enforcement {enforcement}. error: {why}");
            Err(Fault::AnswerAndCommit(Failure::new(FailureKind::Denied, text)))
        }
    }
}
