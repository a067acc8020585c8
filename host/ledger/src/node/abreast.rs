//! At a start: has log and state tell the same. Each comes to the disk by itself, and an entry is
//! applied once a majority has it, of which this node need not be one. So when the power goes, the
//! state may hold what the log has lost, or has other entries in the place of. What was applied
//! was committed: the state is right, and the log follows it.

use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use crate::log::LogStore;
use crate::machine::state::{Meta, State, records_and_apart};
use crate::snapshot::Snapshots;

/// Drops entries that something else was applied in the place of. What the log lacks of what
/// was applied goes into a snapshot, behind which it goes on: others could not be brought up
/// to date from an older one, nor the state be made anew.
///
/// # Errors
/// [`LedgerError`] from any of the three. A crash in between is met by the next start.
pub(super) fn bring(
    log: &LogStore,
    (state, meta): (&Arc<State>, &Meta),
    snapshots: &Snapshots,
) -> Result<(), LedgerError> {
    let kept = snapshots.current()?.and_then(|snapshot| snapshot.meta.last_log_id);
    let newest = [kept, meta.applied].into_iter().flatten().max_by_key(|id| id.index);
    let Some(newest) = newest.filter(|id| !log.holds(*id)) else { return Ok(()) };
    tracing::warn!(index = newest.index, "the state is ahead of the log, as the loss of power may leave it");
    log.drop_from(newest.index)?;
    if kept != Some(newest) {
        snapshots.write(meta, records_and_apart(&state.disk()?.view()))?;
    }
    Ok(())
}
