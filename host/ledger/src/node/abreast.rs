//! At a start: has log and state tell the same. Each comes to the disk by itself, and an entry is
//! applied once a majority has it, of which this node need not be one. So when the power goes, the
//! state may hold what the log has lost, or has other entries in the place of. What was applied
//! was committed: the state is right, and the log follows it.
//!
//! Where this node is the only voter there was no other majority: the disk has lost what it
//! said it had, and nobody knows how much. The operator decides what becomes of that.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bulkhead_model::seam::ledger::LedgerError;

use crate::fault::storage;
use crate::files::{Files, RealFiles};
use crate::log::LogStore;
use crate::machine::state::{Meta, State, records_and_apart};
use crate::snapshot::Snapshots;

/// An empty file in the data directory with this name accepts that acknowledged writes are lost.
const ACCEPTED: &str = "accept-lost-writes";

/// Drops entries that something else was applied in the place of. What the log lacks of what
/// was applied goes into a snapshot, behind which it goes on: others could not be brought up
/// to date from an older one, nor the state be made anew.
///
/// # Errors
/// [`LedgerError::Damaged`] where this node is the only voter; [`LedgerError`] from any of the
/// three. A crash in between is met by the next start.
pub(super) fn bring(
    (directory, number): (&Path, u64),
    log: &LogStore,
    (state, meta): (&Arc<State>, &Meta),
    snapshots: &Snapshots,
) -> Result<(), LedgerError> {
    let kept = snapshots.current()?.map(|snapshot| snapshot.meta);
    let of_kept = kept.as_ref().map(|meta| (meta.last_log_id, &meta.last_membership));
    let kept = of_kept.and_then(|(id, _)| id);
    let told = [of_kept, Some((meta.applied, &meta.membership))].into_iter().flatten();
    let newest = told.filter_map(|(id, members)| Some((id?, members))).max_by_key(|(id, _)| id.index);
    let Some((newest, members)) = newest.filter(|(id, _)| !log.holds(*id)) else { return Ok(()) };
    if members.membership().voter_ids().all(|voter| voter == number) {
        accepted(directory, newest.index)?;
    }
    tracing::warn!(index = newest.index, "the state is ahead of the log, as the loss of power may leave it");
    log.drop_from(newest.index)?;
    if kept != Some(newest) {
        snapshots.write(meta, records_and_apart(&state.disk()?.view()))?;
    }
    Ok(())
}

/// Whether the operator goes on without what is lost. Said once, it is not said of another time.
fn accepted(directory: &Path, index: u64) -> Result<(), LedgerError> {
    let file = directory.join(ACCEPTED);
    match std::fs::remove_file(&file) {
        // Else a loss of power brings it back, for another loss.
        Ok(()) => RealFiles.sync_dir(directory).map_err(|e| storage("syncing the data directory", &e)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(LedgerError::Damaged {
            what: format!(
                "the log ends before entry {index}, which is in the state: the disk lost what it had reported as \
                 written, and with it acknowledged writes, of which no other node has a copy. Restore a snapshot into \
                 a new node; or, to go on with the state as it is, create the empty file {} and start again",
                file.display()
            ),
        }),
        Err(error) => Err(storage("removing the file that accepts lost writes", &error)),
    }
}
