//! `sys/plugins/intents`: what plugins were about to do outside and did not bring to an end, for
//! whoever wants to know what is still to be undone, and why it is not. Of what it is, only what the plugin
//! says for operators to read. And the way to let one go of which it is known that it never will be.

use bulkhead_barrier::SpaceId;
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::step::intent::{self, IntentRecord, NotLetGo};
use crate::visit::{Ask, Visit, enveloped};

/// Intents shown at most. Source: ours. Why: they are read one by one.
const SHOWN_MAX: u32 = 1_000;

pub(super) fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let count = intent::count(&mut visit.tx.afresh())?;
    let pending = intent::pending(&mut visit.tx.afresh(), SHOWN_MAX)?;
    let intents: Vec<Value> = pending.iter().map(|(digest, record)| shown(visit, digest, record)).collect();
    let warnings = (count > intents.len()).then(|| format!("only {} of {count} are shown", intents.len()));
    let told = json!({ "count": count, "intents": intents });
    Ok(enveloped(Envelope {
        data: Some(hidden_json(&told)),
        warnings: warnings.into_iter().collect(),
        ..Envelope::default()
    }))
}

/// Lets one go without undoing it, as `revoke-force` does with leases.
pub(super) fn forget(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let unknown = || Fault::invalid("there is no intent with this id");
    let mut digest = [0; 32];
    hex::decode_to_slice(ask.capture("id"), &mut digest).map_err(|_| unknown())?;
    let record = match intent::let_go(visit, digest)? {
        Ok(record) => record,
        Err(NotLetGo::Unknown) => return Err(unknown()),
        Err(NotLetGo::AtWork(left_ms)) => {
            let left = left_ms.map(|left_ms| format!(", in {} seconds at the latest", left_ms.div_ceil(1000)));
            let text = "the call of this intent may be at work still: it can be let go when that is over";
            return Err(Fault::invalid([text, &left.unwrap_or_default()].concat()));
        }
    };
    let mount = visit.config.mounts.with_space(SpaceId(record.mount));
    tracing::warn!(
        mount = mount.map_or("", |mount| mount.entry.accessor.as_str()),
        kind = %record.kind,
        thing = &ask.capture("id")[..32],
        attempts = record.failures,
        "an operator has an intent let go: what it has begun outside is not undone"
    );
    Ok(Reply::Empty)
}

fn shown(visit: &Visit, digest: &[u8; 32], record: &IntentRecord) -> Value {
    let mount = visit.config.mounts.with_space(SpaceId(record.mount));
    let underway = &visit.open.in_flight.underway;
    let left_ms = underway.left_ms(digest, visit.open.parts.clock.steady_ms());
    // Where it is not known how long its call takes, nor when it is undone.
    let next_ms = left_ms.map(|left_ms| record.due_ms.max(visit.now_ms.saturating_add(left_ms)));
    json!({
        "about": record.about(),
        "attempts": record.failures,
        "begun_at": (record.begun_ms > 0).then(|| rfc3339(record.begun_ms)),
        "id": hex::encode(digest),
        "kind": record.kind,
        "last_error": record.refusal,
        "mount": mount.map_or("", |mount| mount.full_path.as_str()),
        "next_attempt": next_ms.map(rfc3339),
        "plugin": mount.map_or("", |mount| mount.entry.kind.as_str()),
    })
}
