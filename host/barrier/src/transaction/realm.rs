//! Whose books a transaction is over: those that every namespace has for itself are reached through
//! it, so that whoever works within one cannot reach another's by a wrong name.

use super::Transaction;
use crate::key::Realm;

impl Transaction {
    /// Whose books it is over.
    #[must_use]
    pub fn realm(&self) -> Realm {
        self.realm
    }

    /// From here on it is over the books of this realm; before that, over those of the root.
    pub fn enter(&mut self, realm: Realm) {
        if self.realm != realm {
            self.realm = realm;
            // They are of books that are now others.
            self.found.forget();
        }
    }

    /// Does something over the books of another realm.
    pub fn within<T>(&mut self, realm: Realm, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.realm;
        self.enter(realm);
        let done = work(self);
        self.enter(before);
        done
    }
}
