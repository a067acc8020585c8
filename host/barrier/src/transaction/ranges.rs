//! The stretches of keys a transaction walked over, as its change will have them checked.
//! Bounded: what could not be committed any more is not kept.

use bulkhead_model::change::{RangeCheck, keys_digest};
use bulkhead_model::limits::CHANGE_BYTES_MAX;
use bulkhead_model::seam::ledger::View;

use super::RECORDS_MAX;
use crate::error::StoreError;

/// Bytes of a check beside its two keys.
const CHECK_BYTES: usize = 40;

/// Checks of stretches, and what they will cost.
#[derive(Default)]
pub(super) struct Ranges {
    checks: Vec<RangeCheck>,
    /// Keys the state machines walk over again when the change is applied; an empty
    /// stretch counts as one.
    keys: usize,
    /// Of the checks in the change.
    bytes: usize,
}

impl Ranges {
    /// Whether no change can hold all of them. Then they are not kept: a transaction that
    /// only reads needs none, and one that writes is refused.
    pub(super) fn is_over(&self) -> bool {
        self.keys > RECORDS_MAX || self.bytes > CHANGE_BYTES_MAX
    }

    /// Adds a stretch in which so many keys were found.
    pub(super) fn add(&mut self, check: RangeCheck, keys: usize) {
        self.keys += keys.max(1);
        self.bytes += check.from.len() + check.end.len() + CHECK_BYTES;
        if self.is_over() {
            self.checks = Vec::new();
        } else {
            self.checks.push(check);
        }
    }

    /// Whether the same keys are in all stretches of this state. Never, once too many were
    /// walked over to know.
    ///
    /// # Errors
    /// [`StoreError::Ledger`].
    pub(super) fn hold_in(&self, view: &dyn View) -> Result<bool, StoreError> {
        if self.is_over() {
            return Ok(false);
        }
        for check in &self.checks {
            let keys = view.keys(&check.from, &check.end, check.limit)?;
            if keys_digest(keys.iter().map(Vec::as_slice)) != check.digest {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The checks, for a change that reads and writes so many records beside.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] or [`StoreError::TooLarge`].
    pub(super) fn into_checks(self, touched: usize) -> Result<Vec<RangeCheck>, StoreError> {
        if self.keys + touched > RECORDS_MAX {
            return Err(StoreError::TooMany { what: "records", limit: RECORDS_MAX });
        }
        if self.bytes > CHANGE_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "change", limit: CHANGE_BYTES_MAX });
        }
        Ok(self.checks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key_bytes: usize) -> RangeCheck {
        RangeCheck { from: vec![0; key_bytes], end: vec![1; key_bytes], limit: 1, digest: [0; 32] }
    }

    #[test]
    fn checks_are_kept_up_to_what_a_change_may_hold() {
        let mut ranges = Ranges::default();
        ranges.add(check(10), RECORDS_MAX - 1);
        ranges.add(check(10), 0);
        assert!(!ranges.is_over());
        assert_eq!(ranges.into_checks(0).expect("within the limit").len(), 2);
    }

    #[test]
    fn too_many_keys_are_refused_and_not_kept() {
        let mut ranges = Ranges::default();
        ranges.add(check(10), RECORDS_MAX);
        ranges.add(check(10), 0);
        ranges.add(check(10), 0);
        assert!(ranges.is_over() && ranges.checks.is_empty());
        assert!(matches!(ranges.into_checks(0), Err(StoreError::TooMany { .. })));
    }

    #[test]
    fn records_read_and_written_count_beside_the_keys() {
        let mut ranges = Ranges::default();
        ranges.add(check(10), 10);
        assert!(matches!(ranges.into_checks(RECORDS_MAX - 9), Err(StoreError::TooMany { .. })));
    }

    #[test]
    fn long_keys_are_refused_and_not_kept() {
        let mut ranges = Ranges::default();
        for _ in 0..100 {
            ranges.add(check(48 * 1024), 1);
        }
        assert!(ranges.is_over() && ranges.checks.is_empty());
        assert!(matches!(ranges.into_checks(0), Err(StoreError::TooLarge { what: "change", .. })));
    }
}
