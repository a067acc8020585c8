//! Snapshots that are taken regularly: when and where to, and what became of the last one.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::space;

/// When snapshots are taken, and where they are laid down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub interval_secs: u64,
    pub retain: u64,
    pub path_prefix: String,
    pub file_prefix: String,
}

/// What became of the last attempts. Times are in milliseconds since 1970; 0: never.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub started_ms: u64,
    pub ended_ms: u64,
    /// Why the last one failed; empty if it did not.
    pub error: String,
    /// Where the last one is that did not fail.
    pub url: String,
    /// Failures since.
    pub errors: u64,
}

/// Longest wait after a failure, in milliseconds. Source: ours.
const RETRY_MS_MAX: u64 = 300_000;

impl Plan {
    /// When the next one is due, as the clock says now. One begun so far in the future that it
    /// would be waited for longer than twice was begun by a wrong clock, and counts for nothing;
    /// one a little in the future, by another node's.
    pub(crate) fn due_ms(&self, last: &Outcome, now_ms: u64) -> u64 {
        let interval_ms = self.interval_secs.saturating_mul(1000);
        let wait_ms = if last.errors > 0 { interval_ms.min(RETRY_MS_MAX) } else { interval_ms };
        let never = last.started_ms == 0 || last.started_ms > now_ms.saturating_add(wait_ms);
        if never { 0 } else { last.started_ms.saturating_add(wait_ms) }
    }
}

fn damaged() -> StoreError {
    super::damaged(space::SNAPSHOT_PLANS, "a plan for snapshots")
}

fn record<T: for<'a> Deserialize<'a>>(
    tx: &mut Transaction,
    key: Result<Key, StoreError>,
) -> Result<Option<T>, StoreError> {
    let Ok(key) = key else { return Ok(None) };
    let Some(bytes) = tx.get(&key)? else { return Ok(None) };
    serde_json::from_slice(bytes.expose()).map(Some).map_err(|_| damaged())
}

fn plan_key(name: &str) -> Result<Key, StoreError> {
    Ok(Key::leaf(space::SNAPSHOT_PLANS, name)?)
}

fn outcome_key(name: &str) -> Result<Key, StoreError> {
    Ok(Key::leaf(space::SNAPSHOT_OUTCOMES, name)?)
}

/// The plan of this name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn plan(tx: &mut Transaction, name: &str) -> Result<Option<Plan>, StoreError> {
    record(tx, plan_key(name))
}

/// What became of the plan so far.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn outcome(tx: &mut Transaction, name: &str) -> Result<Outcome, StoreError> {
    Ok(record(tx, outcome_key(name))?.unwrap_or_default())
}

/// Keeps a plan.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, name: &str, plan: &Plan) -> Result<(), StoreError> {
    tx.put(&plan_key(name)?, &serde_json::to_vec(plan).expect("texts and numbers are JSON"))
}

/// Keeps what became of it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn note(tx: &mut Transaction, name: &str, outcome: &Outcome) -> Result<(), StoreError> {
    tx.put(&outcome_key(name)?, &serde_json::to_vec(outcome).expect("texts and numbers are JSON"))
}

/// Removes a plan, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, name: &str) -> Result<(), StoreError> {
    // A name that is no key has no plan.
    for key in [plan_key(name), outcome_key(name)].into_iter().flatten() {
        tx.delete(&key)?;
    }
    Ok(())
}

/// All names.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    Ok(tx.scan(&Folder::root(space::SNAPSHOT_PLANS), None, usize::MAX)?.keys)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Plan};

    #[test]
    fn a_snapshot_is_due_an_interval_after_the_last_and_a_wrong_clock_delays_it_no_longer_than_another() {
        let plan =
            Plan { interval_secs: 3600, retain: 1, path_prefix: String::new(), file_prefix: "snapshot".to_owned() };
        let now_ms = 1_000_000_000;
        let hour_ms = 3_600_000;
        for (started_ms, errors, due_ms) in [
            (0, 0, 0),
            (now_ms - 1, 0, now_ms - 1 + hour_ms),
            (now_ms - 1, 1, now_ms - 1 + 300_000),
            (now_ms + 2000, 0, now_ms + 2000 + hour_ms),
            (now_ms + hour_ms, 0, now_ms + 2 * hour_ms),
            (now_ms + hour_ms + 1, 0, 0),
            (now_ms + 300_001, 1, 0),
            (u64::MAX, 0, 0),
        ] {
            let last = Outcome { started_ms, errors, ..Outcome::default() };
            assert_eq!(plan.due_ms(&last, now_ms), due_ms, "begun at {started_ms} after {errors} failures");
        }
    }
}
