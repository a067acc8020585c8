//! Whether a history of one secret is linearizable: whether all operations can be put into
//! one order that keeps to what each client saw and to what came before what in time.
//! The search is the one of Wing and Gong with Lowe's memory of states that led nowhere.
//! Sources: Wing, Gong: Testing and Verifying Concurrent Objects, 1993; Lowe: Testing for
//! linearizability, 2017.

use std::collections::HashSet;

use super::history::{Call, Operation, Outcome};

/// A secret: its version, 0 for none, and its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Secret {
    version: u64,
    value: u64,
}

/// Whether such an order exists. The secret does not exist before the first operation.
pub(crate) fn linearizable(history: &[Operation]) -> bool {
    let mut operations = history.to_vec();
    operations.sort_unstable_by_key(|operation| operation.began);
    let done = vec![0; operations.len().div_ceil(64)];
    let known = operations.iter().filter(|operation| operation.outcome != Outcome::Unknown).count();
    Search { operations, done, hopeless: HashSet::new() }.goes_on(Secret::default(), known)
}

struct Search {
    /// By the time they began.
    operations: Vec<Operation>,
    /// Which ones have their place, a bit each.
    done: Vec<u64>,
    hopeless: HashSet<(Vec<u64>, Secret)>,
}

impl Search {
    /// Whether the rest has an order from here. Those of unknown outcome need no place: they
    /// may have had no effect, which is the same as one after everything else.
    fn goes_on(&mut self, secret: Secret, known_left: usize) -> bool {
        if known_left == 0 {
            return true;
        }
        if !self.hopeless.insert((self.done.clone(), secret)) {
            return false;
        }
        // Whatever began after another's end cannot come before it, and versions never go back:
        // without this, writes of unknown outcome would be tried in every order.
        let left = || (0..self.operations.len()).filter(|at| !self.is_done(*at)).map(|at| self.operations[at]);
        let horizon = left().map(|operation| operation.ended).min().unwrap_or_default();
        if left().filter_map(|operation| latest_version_before(&operation)).any(|latest| secret.version > latest) {
            return false;
        }
        for at in 0..self.operations.len() {
            let operation = self.operations[at];
            if operation.began > horizon {
                break;
            }
            if self.is_done(at) {
                continue;
            }
            if let Some(next) = after(secret, &operation) {
                self.done[at / 64] ^= 1 << (at % 64);
                if self.goes_on(next, known_left - usize::from(operation.outcome != Outcome::Unknown)) {
                    return true;
                }
                self.done[at / 64] ^= 1 << (at % 64);
            }
        }
        false
    }

    fn is_done(&self, at: usize) -> bool {
        self.done[at / 64] & (1 << (at % 64)) != 0
    }
}

/// The highest version at which this can still have been told.
fn latest_version_before(operation: &Operation) -> Option<u64> {
    match operation.outcome {
        Outcome::Found { version, .. } => Some(version),
        Outcome::Written { version } => Some(version.saturating_sub(1)),
        Outcome::Refused | Outcome::Unknown => None,
    }
}

/// The secret after this operation, if its client could have been told what it was.
fn after(secret: Secret, operation: &Operation) -> Option<Secret> {
    let written = |value| Secret { version: secret.version + 1, value };
    match (operation.call, operation.outcome) {
        (Call::Read, Outcome::Found { version, value }) => (secret == Secret { version, value }).then_some(secret),
        (Call::Write { value }, Outcome::Written { version }) => {
            (version == secret.version + 1).then(|| written(value))
        }
        (Call::Cas { expected, value }, Outcome::Written { version }) => {
            (expected == secret.version && version == secret.version + 1).then(|| written(value))
        }
        (Call::Cas { expected, .. }, Outcome::Refused) => (expected != secret.version).then_some(secret),
        (Call::Write { value }, Outcome::Unknown) => Some(written(value)),
        (Call::Cas { expected, value }, Outcome::Unknown) => {
            Some(if expected == secret.version { written(value) } else { secret })
        }
        (Call::Read, Outcome::Unknown) => Some(secret),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
