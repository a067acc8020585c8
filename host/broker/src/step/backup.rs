//! Snapshots that are due: the leader takes them by itself, one after the other, and notes
//! what became of each.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::seam::shelf::{ShelfPlace, SnapshotShelf};

use crate::book::plans::{self, Outcome, Plan};
use crate::cluster::restoring;
use crate::fault::Fault;
use crate::open::Open;

/// How often it looks. Source: ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    let Some(shelf) = open.parts.shelf.clone() else { return };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !open.ledger().standing().leader {
            continue;
        }
        match due(&open) {
            Ok(due) => {
                for (name, plan, last) in due {
                    take(&open, &shelf, &name, (&plan, last)).await;
                }
            }
            Err(fault) => tracing::warn!(cause = ?fault, "the plans for snapshots could not be read"),
        }
    }
}

/// Plans whose time has come.
fn due(open: &Open) -> Result<Vec<(String, Plan, Outcome)>, Fault> {
    let now_ms = open.parts.clock.now_ms();
    let mut tx = open.begin()?;
    let mut due = Vec::new();
    for name in plans::names(&mut tx)? {
        let Some(plan) = plans::plan(&mut tx, &name)? else { continue };
        let last = plans::outcome(&mut tx, &name)?;
        if plan.due_ms(&last, now_ms) <= now_ms {
            due.push((name, plan, last));
        }
    }
    Ok(due)
}

async fn take(open: &Open, shelf: &Arc<dyn SnapshotShelf>, name: &str, (plan, last): (&Plan, Outcome)) {
    let started_ms = open.parts.clock.now_ms();
    let laid = lay(open, shelf, plan, started_ms).await;
    let ended_ms = open.parts.clock.now_ms();
    let outcome = match laid {
        Ok(url) => Outcome { started_ms, ended_ms, error: String::new(), url, errors: 0 },
        Err(error) => {
            tracing::error!(plan = %name, %error, "a snapshot that was due could not be taken");
            Outcome { started_ms, ended_ms, error, url: last.url, errors: last.errors + 1 }
        }
    };
    if let Err(fault) = note(open, name, &outcome).await {
        tracing::warn!(cause = ?fault, plan = %name, "what became of a snapshot could not be noted");
    }
}

async fn lay(open: &Open, shelf: &Arc<dyn SnapshotShelf>, plan: &Plan, number: u64) -> Result<String, String> {
    let told = |fault: Fault| fault.into_failure().errors.join("; ");
    let Some(cluster) = open.ledger().cluster() else { return Err("the storage keeps no cluster".to_owned()) };
    let mut saved = restoring::save(open, cluster).await.map_err(told)?;
    let place = ShelfPlace {
        path_prefix: plan.path_prefix.clone(),
        file_prefix: plan.file_prefix.clone(),
        number,
        retain: plan.retain,
    };
    let shelf = Arc::clone(shelf);
    let laying = tokio::task::spawn_blocking(move || shelf.lay(&place, &mut *saved.stream));
    laying.await.map_err(|error| error.to_string())?
}

async fn note(open: &Open, name: &str, outcome: &Outcome) -> Result<(), Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let mut tx = open.begin()?;
        // It may have been removed meanwhile.
        if plans::plan(&mut tx, name)?.is_none() {
            return Ok(());
        }
        plans::note(&mut tx, name, outcome)?;
        match open.commit(tx).await {
            Err(Fault::Conflict) => {}
            done => return done,
        }
    }
    Err(Fault::Conflict)
}
