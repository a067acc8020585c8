use std::sync::Arc;

use bulkhead_model::seam::ledger::Standing;

use super::{CALL_MS_MAX, Held, OF_MOUNT_MAX, Underway};

const ONE: [u8; 32] = [1; 32];
const MOUNT: [u8; 16] = [3; 16];

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
    let at_work = underway.begin(ONE, MOUNT, 300_000).expect("there is room");
    underway.stands(&leads_in(1), 900_000);
    assert_eq!(underway.left_ms(&ONE, 900_000), None);
    drop(at_work);
    assert!(underway.is_over(&ONE, 900_000));
    drop(underway.begin(ONE, MOUNT, 900_000));
    assert_eq!(underway.left_ms(&ONE, 900_001), Some(CALL_MS_MAX - 1));
}

#[test]
fn what_has_committed_or_is_long_over_is_not_kept() {
    let underway = Arc::<Underway>::default();
    let mut held = Held::default();
    held.at_work.extend(underway.begin(ONE, MOUNT, 0));
    assert_eq!(held.ended(), [ONE]);
    assert_eq!(underway.0.lock().own.len(), 0);
    drop(underway.begin(ONE, MOUNT, 0));
    let _at_work = underway.begin([2; 32], MOUNT, 0);
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

#[test]
fn a_mount_has_no_more_intents_than_so_many_and_others_have_theirs() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    underway.found([(MOUNT, OF_MOUNT_MAX - 1)].into());
    let digest = |nth: u8| [nth; 32];
    let at_work = underway.begin(digest(1), MOUNT, 0);
    assert!(at_work.is_some() && underway.begin(digest(2), MOUNT, 0).is_none());
    assert!(underway.begin(digest(3), [4; 16], 0).is_some());
    // What has become of it is no longer in the way, once nothing can.
    drop(at_work);
    assert!(underway.begin(digest(2), MOUNT, 1).is_none());
    underway.stands(&leads_in(1), CALL_MS_MAX);
    assert!(underway.begin(digest(2), MOUNT, CALL_MS_MAX).is_some());
}
