//! What ends with a transaction's commit, for whoever counts what there is. The barrier only
//! carries it: it is part of no change.

use super::Transaction;

impl Transaction {
    /// Notes that a thing ends with the commit. It may be noted again, here or by another.
    pub fn note_end(&mut self, id: [u8; 32]) {
        self.ended.push(id);
    }

    /// What was noted, taken out.
    pub fn take_ended(&mut self) -> Vec<[u8; 32]> {
        std::mem::take(&mut self.ended)
    }
}
