//! Rotates the keys that sign identity tokens when that is due: a duty of the node that leads.

use std::sync::Arc;
use std::time::Duration;

use crate::book::oidc::keys;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::{expire, settle};
use crate::sys::identity::oidc::key;

/// How often it looks. Source: ours. Why: no key rotates more often than once a minute.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if open.ledger().standing().leader {
            rotate_due(&open).await;
        }
    }
}

/// Rotates each key that is due, in a change of its own: none waits for the success of another.
pub(crate) async fn rotate_due(open: &Arc<Open>) {
    let names = open.begin().and_then(|mut tx| keys::names(&mut tx).map_err(Fault::from));
    let names = match names {
        Ok(names) => names,
        Err(fault) => return tell(&fault),
    };
    for name in names {
        match rotate(open, &name).await {
            // Somebody else changes it just now.
            Ok(()) | Err(Fault::Conflict) => {}
            Err(fault) => tell(&fault),
        }
    }
}

fn tell(fault: &Fault) {
    tracing::warn!(cause = ?fault, "a key of identity tokens could not be rotated; it is tried again");
}

async fn rotate(open: &Arc<Open>, name: &str) -> Result<(), Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    if key::rotate_if_due(&mut visit, name).await? {
        let after = settle::commit(visit).await?;
        settle::after(open, after).await;
    }
    Ok(())
}
