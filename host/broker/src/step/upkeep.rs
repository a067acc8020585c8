//! What an active node does for itself from time to time: it rotates the barrier's key when
//! that is due.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::open::Open;
use crate::step::{expire, settle};

/// How often it looks. Source: ours. Why: a key is due after days or billions of uses.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !open.ledger().standing().leader {
            continue;
        }
        match rotate(&open).await {
            // Somebody else rotates just now.
            Ok(()) | Err(Fault::Conflict) => {}
            Err(fault) => tracing::warn!(cause = ?fault, "the encryption key could not be rotated; it is tried again"),
        }
    }
}

async fn rotate(open: &Arc<Open>) -> Result<(), Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    crate::sys::keys::rotate_if_due(&mut visit)?;
    let after = settle::commit(visit).await?;
    settle::after(open, after).await;
    Ok(())
}
