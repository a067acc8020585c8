//! `sys/plugins/intents`: what plugins were about to do outside and did not bring to an end, for
//! whoever wants to know what is still to be undone. Not what it is: that is the plugin's own.

use bulkhead_barrier::SpaceId;
use bulkhead_model::reply::Reply;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::step::intent;

use crate::visit::{Ask, Visit, data};

/// Intents shown at most. Source: ours. Why: they are read one by one.
const SHOWN_MAX: u32 = 1_000;

pub(super) fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let pending = intent::pending(&mut visit.tx.afresh(), SHOWN_MAX)?;
    let shown = |(id, record): (String, intent::IntentRecord)| {
        let mount = visit.config.mounts.with_space(SpaceId(record.mount));
        json!({
            "id": id,
            "kind": record.kind,
            "mount": mount.map_or("", |mount| mount.full_path.as_str()),
            "undone_after": rfc3339(record.due_ms),
            "failures": record.failures,
        })
    };
    let intents: Vec<Value> = pending.into_iter().map(shown).collect();
    Ok(data(&json!({ "count": intents.len(), "intents": intents })))
}
