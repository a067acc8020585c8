//! What nodes said of themselves: their name, where their API is reached, what version
//! they run. It is not in the log, because it changes with every restart and nothing
//! depends on its being agreed upon.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::peer::wire::About;

/// Most nodes remembered. Why: members come and go under ever new numbers.
const NODES_MAX: usize = 256;

/// What is known of other nodes, by their numbers.
#[derive(Default)]
pub(crate) struct Roster(Mutex<BTreeMap<u64, About>>);

impl Roster {
    /// A node spoke of itself.
    pub(crate) fn note(&self, number: u64, about: About) {
        let mut known = self.0.lock();
        if known.len() < NODES_MAX || known.contains_key(&number) {
            known.insert(number, about);
        }
    }

    /// What a node said last.
    pub(crate) fn of(&self, number: u64) -> Option<About> {
        self.0.lock().get(&number).cloned()
    }

    /// Forgets all nodes but these.
    pub(crate) fn keep(&self, members: impl Fn(u64) -> bool) {
        self.0.lock().retain(|number, _| members(*number));
    }
}
