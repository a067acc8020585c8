//! Whether passcodes are right: each is tried against its secret once, counted before, and used up
//! by it. All that is decided is in the visit's transaction, and holds when that is committed.

use bulkhead_model::hidden::Hidden;

use super::credentials::{Credentials, passcode};
use crate::book::identity::{Id, id_text};
use crate::book::mfa::enforcements::EnforcementRecord;
use crate::book::mfa::methods::MethodRecord;
use crate::book::mfa::secrets::{self, SecretRecord};
use crate::fault::{Fault, wrapped_all};
use crate::visit::Visit;

/// What is not told apart: no passcode, a wrong one, and one that was used.
const INCORRECT: &str = "MFA credentials not supplied or incorrect";
/// For how many periods it is remembered that a code was used. Source: ours. Why: it holds for three
/// at most, but a new leader's clock may be behind.
const REMEMBERED_STEPS: u64 = 20;
/// Used periods that are remembered. Source: ours. Why: a clock that jumps must not fill a record.
const USED_MAX: usize = 64;

/// Which demand was not met, and why.
pub(super) struct Refused {
    pub enforcement: String,
    pub why: String,
}

/// What became of a try: nothing, or what the caller is told.
type Tried = Result<(), String>;

/// Tries what was sent against all that is demanded of an entity.
///
/// # Errors
/// [`Fault`] from the store.
pub(super) fn prove(
    visit: &mut Visit,
    entity: &Id,
    demanded: &[EnforcementRecord],
    sent: &Credentials,
) -> Result<Result<(), Refused>, Fault> {
    // A method that several demand is tried once: one code is enough for all of them.
    let mut tried = Vec::new();
    for enforcement in demanded {
        if let Err(why) = satisfy(visit, (entity, enforcement), sent, &mut tried)? {
            return Ok(Err(Refused { enforcement: enforcement.name.clone(), why }));
        }
    }
    Ok(Ok(()))
}

/// Tries the methods of which one has to be passed, until one is.
fn satisfy(
    visit: &mut Visit,
    (entity, enforcement): (&Id, &EnforcementRecord),
    sent: &Credentials,
    tried: &mut Vec<(Id, Tried)>,
) -> Result<Tried, Fault> {
    let (mut wrong, mut lacking) = (Vec::new(), Vec::new());
    for id in &enforcement.methods {
        let (shown, method) = (id_text(id), super::method(visit, id)?);
        let Some(method) = method else {
            lacking.push(format!("failed to find MFA config for method ID {shown}"));
            continue;
        };
        let Some(texts) = sent.of(&shown, &method.name) else {
            lacking.push(format!(
                "failed to find MFA credentials associated with an MFA method ID {shown}, method name {}",
                method.name
            ));
            continue;
        };
        let known = tried.iter().find(|(have, _)| have == id).map(|(_, outcome)| outcome.clone());
        let outcome = match known {
            Some(outcome) => outcome,
            None => {
                let outcome = try_once(visit, entity, &method, texts)?;
                tried.push((*id, outcome.clone()));
                outcome
            }
        };
        match outcome {
            Ok(()) => return Ok(Ok(())),
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() && !lacking.is_empty() {
        return Ok(Err(format!("failed to sanitize MFA creds, {}", wrapped_all(&lacking))));
    }
    let ids: Vec<String> = enforcement.methods.iter().map(id_text).collect();
    wrong.push(format!("login MFA validation failed for methodID: [{}]", ids.join(" ")));
    Ok(Err(wrapped_all(&wrong)))
}

fn try_once(visit: &mut Visit, entity: &Id, method: &MethodRecord, texts: &[Hidden<String>]) -> Result<Tried, Fault> {
    let code = match passcode(texts) {
        Ok(code) => code,
        Err(why) => return Ok(Err(format!("failed to parse MFA factor, {why}"))),
    };
    let Some(mut secret) = secrets::get(&mut visit.tx, &method.id, entity)? else {
        let (name, entity) = (&method.name, id_text(entity));
        return Ok(Err(format!("MFA secret for method name {name:?} not present in entity {entity:?}")));
    };
    let Some(code) = code else { return Ok(Err(INCORRECT.to_owned())) };
    if !secret.take_attempt(method.attempts_max, visit.now_ms) {
        tracing::warn!(method = %id_text(&method.id), "an entity tried too many passcodes");
        let (tries, most, secs) =
            (method.attempts_max.saturating_add(1), method.attempts_max, secret.scheme.period_secs);
        return Ok(Err(format!(
            "maximum TOTP validation attempts {tries} exceeded the allowed attempts {most}. Please try again in {secs} \
             seconds"
        )));
    }
    let is_right = secret.takes(code, visit.now_ms);
    secrets::update(&mut visit.tx, (&method.id, entity), &secret)?;
    Ok(if is_right { Ok(()) } else { Err(INCORRECT.to_owned()) })
}

impl SecretRecord {
    /// Counts an attempt. False: there were as many as there may be in one period.
    fn take_attempt(&mut self, attempts_max: u32, now_ms: u64) -> bool {
        let period_ms = u64::from(self.scheme.period_secs).saturating_mul(1000);
        // Either way: a new leader's clock may be behind.
        if self.attempts == 0 || now_ms.abs_diff(self.began_ms) >= period_ms {
            (self.attempts, self.began_ms) = (0, now_ms);
        }
        if self.attempts >= attempts_max {
            return false;
        }
        self.attempts += 1;
        true
    }

    /// Uses up a code, if it is right and was not used.
    fn takes(&mut self, code: &str, now_ms: u64) -> bool {
        let secret = self.secret.duplicate();
        let steps = self.scheme.steps_of(secret.expose(), code, now_ms);
        // Where the codes of two periods are the same, it is one code.
        if steps.is_empty() || steps.iter().any(|step| self.used.contains(step)) {
            return false;
        }
        let now = self.scheme.step_at(now_ms);
        self.used.retain(|step| step.saturating_add(REMEMBERED_STEPS) >= now);
        self.used.extend(steps);
        let over = self.used.len().saturating_sub(USED_MAX);
        self.used.drain(..over);
        self.attempts = 0;
        true
    }
}
