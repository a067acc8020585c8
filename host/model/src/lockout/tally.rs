//! What the node that leads counts for lockouts, and for how long that means anything.

use super::FailedLogins;

/// How long a book of locks that seemed full is believed to be, in milliseconds. Source: ours.
/// Why: to look is to read the keys of all locks.
const FULL_MS: u64 = 60_000;

/// What was counted in one term of leading: what another node made of it since is not known.
#[derive(Debug, Default)]
pub struct Tally {
    /// Wrong logins.
    pub failed: FailedLogins,
    term: u64,
    /// Locks stored, or more, and when they were counted.
    stored: Option<(usize, u64)>,
}

impl Tally {
    /// What was counted in this term: nothing, where it is a new one.
    pub fn in_term(&mut self, term: u64) -> &mut Self {
        if self.term != term {
            *self = Self { term, ..Self::default() };
        }
        self
    }

    /// Takes room for one more stored lock, of so many at most; `None`: the locks are to be
    /// [counted](Self::counted) first. Those that ended are noticed when the book seems full.
    pub fn take_room(&mut self, locks_max: usize, now_ms: u64) -> Option<bool> {
        let (stored, counted_ms) = self.stored?;
        if stored < locks_max {
            self.stored = Some((stored + 1, counted_ms));
            return Some(true);
        }
        (now_ms.abs_diff(counted_ms) < FULL_MS).then_some(false)
    }

    /// Whether one more may be stored, of so many at most; as [`take_room`](Self::take_room), but it
    /// is counted when it [was](Self::took).
    #[must_use]
    pub fn has_room(&self, max: usize, now_ms: u64) -> Option<bool> {
        let (stored, counted_ms) = self.stored?;
        if stored < max {
            return Some(true);
        }
        (now_ms.abs_diff(counted_ms) < FULL_MS).then_some(false)
    }

    /// One more was stored.
    pub fn took(&mut self) {
        if let Some((stored, _)) = &mut self.stored {
            *stored = stored.saturating_add(1);
        }
    }

    /// How many are stored, as far as is known.
    #[must_use]
    pub fn stored(&self) -> Option<usize> {
        self.stored.map(|(stored, _)| stored)
    }

    /// Notes how many locks are stored.
    pub fn counted(&mut self, stored: usize, now_ms: u64) {
        self.stored = Some((stored, now_ms));
    }
}
