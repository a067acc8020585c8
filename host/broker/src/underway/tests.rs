use std::collections::HashMap;
use std::sync::Arc;

use bulkhead_model::seam::ledger::Standing;

use super::{AtWork, CALL_MS_MAX, Held, OF_LANE_MAX, OF_MOUNT_MAX, Underway};
use crate::book::lane::Lane;

const ONE: [u8; 32] = [1; 32];
const MOUNT: [u8; 16] = [3; 16];
const LANE: Lane = Lane::whole(MOUNT);

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
    let at_work = underway.begin(ONE, LANE, 300_000).expect("there is room");
    underway.stands(&leads_in(1), 900_000);
    assert_eq!(underway.left_ms(&ONE, 900_000), None);
    drop(at_work);
    assert!(underway.is_over(&ONE, 900_000));
    drop(underway.begin(ONE, LANE, 900_000));
    assert_eq!(underway.left_ms(&ONE, 900_001), Some(CALL_MS_MAX - 1));
}

#[test]
fn what_has_committed_or_is_long_over_is_not_kept() {
    let underway = Arc::<Underway>::default();
    let mut held = Held::default();
    held.at_work.extend(underway.begin(ONE, LANE, 0));
    held.committed();
    assert_eq!(underway.0.lock().all.len(), 0);
    drop(underway.begin(ONE, LANE, 0));
    let _at_work = underway.begin([2; 32], LANE, 0);
    underway.stands(&follows(), CALL_MS_MAX - 1);
    assert_eq!(underway.0.lock().all.len(), 2);
    underway.stands(&follows(), CALL_MS_MAX);
    assert_eq!(underway.0.lock().all.len(), 1);
}

#[test]
fn what_is_known_to_have_come_to_nothing_is_over_at_once_if_this_node_leads() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    let mut held = Held::default();
    held.at_work.extend(underway.begin(ONE, LANE, 1));
    assert_eq!(underway.left_ms(&ONE, 2), None);
    assert_eq!(held.ended(), [ONE]);
    assert!(underway.is_over(&ONE, 2));
    underway.stands(&follows(), 3);
    assert_eq!(underway.left_ms(&ONE, 3), None);
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

/// The lane of this mount that goes by a number.
fn lane(mount: [u8; 16], nth: usize) -> Lane {
    Lane::of(mount, format!(r#"{{"lane":"{nth}"}}"#).as_bytes())
}

fn digest(nth: usize) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&nth.to_be_bytes());
    digest
}

/// So many calls of a lane, from this number on, that ended without a commit.
fn left(underway: &Arc<Underway>, lane: Lane, from: usize, count: usize) {
    let begun: Option<Vec<AtWork>> = (from..from + count).map(|nth| underway.begin(digest(nth), lane, 0)).collect();
    drop(begun.expect("there is room"));
}

#[test]
fn a_lane_has_no_more_intents_waiting_than_so_many_and_others_have_theirs() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    left(&underway, lane(MOUNT, 1), 0, OF_LANE_MAX - 1);
    let at_work: Vec<_> = (0..2).map(|nth| underway.begin(digest(5_000 + nth), lane(MOUNT, 1), 0)).collect();
    assert!(at_work.iter().all(Option::is_some), "calls at work are not waited for yet");
    drop(at_work);
    assert!(underway.begin(digest(6_000), lane(MOUNT, 1), 0).is_none());
    assert!(underway.begin(digest(6_000), lane(MOUNT, 2), 0).is_some());
    assert!(underway.begin(digest(6_001), lane([4; 16], 1), 0).is_some());
    // Time alone does not undo them.
    underway.stands(&leads_in(1), CALL_MS_MAX * 9);
    assert!(underway.begin(digest(6_000), lane(MOUNT, 1), CALL_MS_MAX * 9).is_none());
}

#[test]
fn a_mount_has_no_more_intents_than_so_many_whatever_their_lanes() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    for nth in 0..OF_MOUNT_MAX / OF_LANE_MAX {
        assert!(underway.begin(digest(9_000_000), lane(MOUNT, 99), 0).is_some(), "{nth} dead lanes leave room");
        left(&underway, lane(MOUNT, nth), nth * OF_LANE_MAX, OF_LANE_MAX - usize::from(nth == 0));
    }
    assert!(underway.begin(digest(9_000_001), lane(MOUNT, 99), 0).is_none());
    assert!(underway.begin(digest(9_000_001), lane([4; 16], 99), 0).is_some());
}

#[test]
fn what_has_gone_makes_room_at_once_and_what_did_not_commit_makes_none() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    left(&underway, LANE, 0, OF_LANE_MAX);
    let begin = |nth| underway.begin(digest(nth), LANE, 0);
    let going = |nth| Held { going: vec![underway.going(digest(nth))], ..Held::default() };
    assert_eq!(going(1).ended(), Vec::<[u8; 32]>::new());
    drop(going(1));
    assert!(begin(1_000).is_none(), "its commit came to nothing");
    going(1).committed();
    going(1).committed();
    assert!(begin(1_000).is_some() && begin(1_001).is_none());
}

#[test]
fn a_look_finds_what_others_left_and_that_what_was_known_is_gone() {
    let underway = Arc::<Underway>::default();
    underway.stands(&leads_in(1), 0);
    let found: HashMap<_, _> = (0..OF_LANE_MAX).map(|nth| (digest(nth), LANE)).collect();
    underway.found(&found, true, 1);
    underway.found(&found, true, 2);
    assert!(underway.begin(digest(1_000), LANE, 3).is_none());
    underway.found(&HashMap::new(), false, 4);
    assert!(underway.begin(digest(1_000), LANE, 5).is_none(), "it did not see them all");
    underway.found(&HashMap::new(), true, 6);
    let at_work = underway.begin(digest(1_000), LANE, 7);
    underway.found(&HashMap::new(), true, 8);
    assert_eq!(underway.left_ms(&digest(1_000), 9), None, "it is younger than the look");
    drop(at_work);
    assert_eq!(underway.0.lock().all.len(), 1);
    underway.found(&HashMap::new(), true, 7 + CALL_MS_MAX);
    assert_eq!(underway.0.lock().all.len(), 0);
}
