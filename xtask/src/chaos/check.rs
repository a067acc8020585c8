//! Whether a history of one secret is linearizable: whether all operations can be put into
//! one order that keeps to what each client saw and to what came before what in time.
//! The search is the one of Wing and Gong with Lowe's memory of states that led nowhere.
//! Sources: Wing, Gong: Testing and Verifying Concurrent Objects, 1993; Lowe: Testing for
//! linearizability, 2017.

use std::collections::{HashMap, HashSet};

use super::history::{Call, Operation, Outcome};

/// A secret: its version, 0 for none, and its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Secret {
    version: u64,
    value: u64,
}

/// States of a search at most. Why: each takes memory; a history that takes more has no order, or
/// none that can be found.
const STATES_MAX: usize = 5_000_000;

/// Whether such an order exists, and is found. The secret does not exist before the first operation,
/// and no value is written twice.
pub(crate) fn linearizable(history: &[Operation]) -> bool {
    let mut operations = history.to_vec();
    operations.sort_unstable_by_key(|operation| operation.began);
    let Some(known) = known(&operations) else { return false };
    let seen = known.values().copied().collect();
    let done = vec![0; operations.len().div_ceil(64)];
    let left = operations.iter().filter(|operation| operation.outcome != Outcome::Unknown).count();
    Search { operations, known, seen, done, hopeless: HashSet::new() }.goes_on(Secret::default(), left)
}

/// The values of versions, as far as somebody was told; `None`: of one version, two were told.
fn known(operations: &[Operation]) -> Option<HashMap<u64, u64>> {
    let mut known = HashMap::from([(0, 0)]);
    for operation in operations {
        let (version, value) = match (operation.call, operation.outcome) {
            (_, Outcome::Found { version, value }) => (version, value),
            (Call::Write { value } | Call::Cas { value, .. }, Outcome::Written { version }) => (version, value),
            _ => continue,
        };
        if known.insert(version, value).is_some_and(|other| other != value) {
            return None;
        }
    }
    Some(known)
}

struct Search {
    /// By the time they began.
    operations: Vec<Operation>,
    /// Values of versions.
    known: HashMap<u64, u64>,
    /// These values.
    seen: HashSet<u64>,
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
        if self.hopeless.len() >= STATES_MAX || !self.hopeless.insert((self.done.clone(), secret)) {
            return false;
        }
        // Whatever began after another's end cannot come before it, and versions never go back:
        // without this, writes of unknown outcome would be tried in every order.
        let left = || (0..self.operations.len()).filter(|at| !self.is_done(*at)).map(|at| self.operations[at]);
        let horizon = left().map(|operation| operation.ended).min().unwrap_or_default();
        if left().filter_map(|operation| latest_version_before(&operation)).any(|latest| secret.version > latest) {
            return false;
        }
        for at in self.candidates(secret, horizon) {
            let operation = self.operations[at];
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

    /// Operations that may come next. Of those of unknown outcome, only one that wrote what is
    /// known of the next version; or, where nothing is, one of those whose value nobody saw. Any
    /// of them does as well as another, since none ever has to come: first one that could not come
    /// later, as it wants the version that there is now.
    fn candidates(&self, secret: Secret, horizon: u64) -> Vec<usize> {
        let now = || {
            let begun = self.operations.iter().take_while(move |operation| operation.began <= horizon).enumerate();
            begun.filter(|(at, _)| !self.is_done(*at))
        };
        let told = now().filter(|(_, operation)| operation.outcome != Outcome::Unknown).map(|(at, _)| at);
        let mut candidates: Vec<usize> = told.collect();
        let next = self.known.get(&(secret.version + 1));
        let fits = |value: u64| next.map_or_else(|| !self.seen.contains(&value), |known| *known == value);
        let untold = || now().filter(|(_, operation)| operation.outcome == Outcome::Unknown);
        let set = untold().find(|(_, operation)| {
            matches!(operation.call, Call::Cas { expected, value } if expected == secret.version && fits(value))
        });
        let written = || untold().find(|(_, operation)| matches!(operation.call, Call::Write { value } if fits(value)));
        candidates.extend(set.or_else(written).map(|(at, _)| at));
        candidates
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
        (Call::Cas { expected, value }, Outcome::Unknown) => (expected == secret.version).then(|| written(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
