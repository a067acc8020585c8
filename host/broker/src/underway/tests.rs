use std::sync::Arc;

use bulkhead_model::seam::ledger::Standing;

use super::{CALL_MS_MAX, Held, Underway};

const ONE: [u8; 32] = [1; 32];

fn leads_in(term: u64) -> Standing {
    Standing { leader: true, term, committed_index: 0, applied_index: 0 }
}

fn follows() -> Standing {
    Standing { leader: false, ..leads_in(1) }
}

#[test]
fn what_a_leader_finds_is_over_when_it_has_led_for_as_long_as_a_call_may_take() {
    let underway = Underway::default();
    assert_eq!(underway.left_ms(&ONE, 1_000_000), None);
    underway.stands(&leads_in(3), 500);
    underway.stands(&leads_in(3), 1_500);
    assert_eq!(underway.left_ms(&ONE, 1_500), Some(CALL_MS_MAX - 1_000));
    assert!(!underway.is_over(&ONE, 499 + CALL_MS_MAX));
    assert!(underway.is_over(&ONE, 500 + CALL_MS_MAX));
}

#[test]
fn leadership_that_was_lost_counts_anew() {
    let underway = Underway::default();
    underway.stands(&leads_in(3), 0);
    // Whether it was seen to be lost or only is another one.
    underway.stands(&leads_in(4), 1_000);
    assert_eq!(underway.left_ms(&ONE, 1_000), Some(CALL_MS_MAX));
    underway.stands(&follows(), 2_000);
    assert_eq!(underway.left_ms(&ONE, CALL_MS_MAX * 2), None);
    underway.stands(&leads_in(4), 3_000);
    assert_eq!(underway.left_ms(&ONE, 3_000), Some(CALL_MS_MAX));
}

#[test]
fn a_call_at_work_is_never_over_and_one_that_ended_is_after_its_time() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    let at_work = underway.begin(ONE, 300_000);
    underway.stands(&leads_in(1), 900_000);
    assert_eq!(underway.left_ms(&ONE, 900_000), None);
    drop(at_work);
    assert!(underway.is_over(&ONE, 900_000));
    drop(underway.begin(ONE, 900_000));
    assert_eq!(underway.left_ms(&ONE, 900_001), Some(CALL_MS_MAX - 1));
}

#[test]
fn what_has_committed_or_is_long_over_is_not_kept() {
    let underway = Arc::<Underway>::default();
    let mut held = Held::default();
    held.at_work.push(underway.begin(ONE, 0));
    held.committed();
    assert_eq!(underway.0.lock().own.len(), 0);
    drop(underway.begin(ONE, 0));
    let _at_work = underway.begin([2; 32], 0);
    underway.stands(&follows(), CALL_MS_MAX - 1);
    assert_eq!(underway.0.lock().own.len(), 2);
    underway.stands(&follows(), CALL_MS_MAX);
    assert_eq!(underway.0.lock().own.len(), 1);
}

#[test]
fn intents_are_to_be_looked_through_when_what_was_found_is_over_and_from_time_to_time() {
    let underway = Underway::default();
    assert!(!underway.is_review_due(CALL_MS_MAX));
    underway.stands(&leads_in(1), 0);
    assert!(!underway.is_review_due(CALL_MS_MAX - 1) && underway.is_review_due(CALL_MS_MAX));
    underway.reviewed(CALL_MS_MAX);
    assert!(!underway.is_review_due(CALL_MS_MAX * 2 - 1) && underway.is_review_due(CALL_MS_MAX * 2));
    underway.stands(&leads_in(2), CALL_MS_MAX * 2);
    assert!(!underway.is_review_due(CALL_MS_MAX * 3 - 1) && underway.is_review_due(CALL_MS_MAX * 3));
}
