//! Rotates the keys that sign identity tokens when that is due: a duty of the node that leads.

use std::sync::Arc;
use std::time::Duration;

use crate::book::namespaces::Namespace;
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
    let keys = match all(open) {
        Ok(keys) => keys,
        Err(fault) => return tell(&fault),
    };
    for (namespace, name) in keys {
        match rotate(open, &namespace, &name).await {
            // Somebody else changes it just now.
            Ok(()) | Err(Fault::Conflict) => {}
            Err(fault) => tell(&fault),
        }
    }
}

/// The names of all keys, each with its namespace.
fn all(open: &Arc<Open>) -> Result<Vec<(Arc<Namespace>, String)>, Fault> {
    let config = expire::visit(open, open.parts.clock.now_ms())?.config;
    let root = config.namespaces.root();
    let mut found = Vec::new();
    for namespace in [root].into_iter().chain(config.namespaces.below(root, true)) {
        // A transaction each, as one has a bound.
        let names = keys::names(&mut open.begin_in(namespace)?)?;
        found.extend(names.into_iter().map(|name| (namespace.clone(), name)));
    }
    Ok(found)
}

fn tell(fault: &Fault) {
    tracing::warn!(cause = ?fault, "a key of identity tokens could not be rotated; it is tried again");
}

async fn rotate(open: &Arc<Open>, namespace: &Arc<Namespace>, name: &str) -> Result<(), Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    visit.enter(namespace);
    if key::rotate_if_due(&mut visit, name).await? {
        let after = settle::commit(visit).await?;
        settle::after(open, after).await;
    }
    Ok(())
}
