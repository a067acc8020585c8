//! `sys/plugins/intents`: what plugins were about to do outside and did not bring to an end, for
//! whoever wants to know what is still to be undone, and why it is not. Of what it is, only what the plugin
//! says for operators to read.

use bulkhead_barrier::SpaceId;
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::step::intent::{self, IntentRecord};

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
