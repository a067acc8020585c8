//! Bytes that may be under way at a time, for whoever asks before any are taken in hand.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in steps of so many. Why: what counts them ends at four billion.
const STEP_BYTES: usize = 1024;

/// So many bytes, shared by those who take of them.
pub(super) struct Budget(Arc<Semaphore>);

/// Bytes taken; given back when it is dropped.
pub(super) struct Taken(#[expect(dead_code, reason = "it gives back what it holds when dropped")] OwnedSemaphorePermit);

impl Budget {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / STEP_BYTES)))
    }

    /// Takes so many, if there are as many left. Nobody waits.
    pub(super) fn take(&self, bytes: usize) -> Option<Taken> {
        let steps = u32::try_from(bytes.div_ceil(STEP_BYTES)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(steps).ok().map(Taken)
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn what_is_taken_is_given_back_and_never_more_than_there_is() {
        let budget = Budget::of(10 * 1024);
        let first = budget.take(7 * 1024).expect("there is as much");
        assert!(budget.take(3 * 1024 + 1).is_none());
        let second = budget.take(3 * 1024).expect("that is left");
        assert!(budget.take(1).is_none());
        drop((first, second));
        assert!(budget.take(10 * 1024).is_some() && budget.take(usize::MAX).is_none());
    }
}
