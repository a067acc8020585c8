use super::{FailedLogins, LockoutRule, LockoutRules, LockoutTuning, Tally};

/// An auth method.
const M: &str = "auth_m_1";
const ANN: [u8; 32] = [1; 32];
const BOB: [u8; 32] = [2; 32];

fn rule(threshold: u64, duration_secs: u64, counter_reset_secs: u64) -> LockoutRule {
    LockoutRule { threshold, duration_secs, counter_reset_secs, is_disabled: false }
}

#[test]
fn the_fifth_wrong_login_locks_where_nothing_is_said() {
    let rule = LockoutRule::default();
    assert!(!rule.locks(4));
    assert!(rule.locks(5));
    assert!(LockoutRule { threshold: 0, ..rule }.locks(1), "nobody is locked without a wrong login");
    assert!(!LockoutRule { threshold: 0, ..rule }.locks(0));
}

#[test]
fn a_lock_holds_for_its_time_whichever_way_a_clock_is_off() {
    let rule = rule(5, 60, 1);
    for (now_ms, holds) in [(100_000, true), (159_999, true), (160_000, false), (40_001, true), (40_000, false)] {
        assert_eq!(rule.holds(100_000, now_ms), holds, "{now_ms}");
    }
    assert!(!LockoutRule { duration_secs: 0, ..rule }.holds(100_000, 100_000));
    assert!(LockoutRule { duration_secs: u64::MAX, ..rule }.holds(0, u64::MAX - 1));
    assert_eq!(rule.forgotten_ms(100_000), 160_000);
}

#[test]
fn wrong_logins_count_until_none_followed_for_long_enough() {
    let (mut counts, rule) = (FailedLogins::default(), rule(5, 60, 10));
    for (now_ms, failures) in [(0, 1), (9_999, 2), (19_998, 3), (29_998, 1), (29_999, 2)] {
        assert_eq!(counts.failed(M, ANN, &rule, now_ms), failures, "{now_ms}");
    }
    assert_eq!(counts.failed(M, BOB, &rule, 29_999), 1);
    counts.forget(M, &ANN);
    assert_eq!(counts.failed(M, ANN, &rule, 29_999), 1);
    let without = LockoutRule { counter_reset_secs: 0, ..rule };
    assert_eq!(counts.failed(M, ANN, &without, 29_999), 1, "nothing is remembered");
}

#[test]
fn counts_have_a_bound_and_forget_what_has_not_failed_for_longest() {
    let (mut counts, rule) = (FailedLogins::bounded(6), LockoutRule::default());
    for n in 0..100 {
        counts.failed(M, [n; 32], &rule, 0);
        // It goes on failing, and is not forgotten for all the others.
        assert_eq!(counts.failed(M, [200; 32], &rule, 0), u64::from(n) + 1);
        assert!(counts.len() <= 6);
    }
    assert_eq!(counts.failed(M, [0; 32], &rule, 0), 1);
}

#[test]
fn who_tries_names_at_one_method_has_nothing_forgotten_of_another() {
    let (mut counts, rule) = (FailedLogins::bounded(6), LockoutRule::default());
    counts.failed(M, ANN, &rule, 0);
    for n in 0..100 {
        counts.failed("auth_other_1", [n; 32], &rule, 0);
        assert!(counts.len() <= 6);
    }
    assert_eq!(counts.failed(M, ANN, &rule, 0), 2);
    assert_eq!(counts.failed("auth_other_1", ANN, &rule, 0), 1, "each has names of its own");
}

#[test]
fn a_lock_that_is_kept_here_alone_ends_like_any_other() {
    let (mut counts, rule) = (FailedLogins::default(), rule(1, 60, 60));
    counts.failed(M, ANN, &rule, 0);
    assert!(!counts.is_locked(M, &ANN, &rule, 0), "the lock is kept elsewhere");
    counts.lock(M, &ANN);
    assert!(counts.is_locked(M, &ANN, &rule, 59_999));
    assert!(!counts.is_locked(M, &ANN, &rule, 60_000));
    counts.forget(M, &ANN);
    assert!(!counts.is_locked(M, &ANN, &rule, 0));
}

#[test]
fn a_lock_is_due_from_the_login_on_that_locks() {
    let (mut counts, rule) = (FailedLogins::default(), rule(2, 60, 3600));
    counts.failed(M, ANN, &rule, 0);
    assert!(!counts.is_due(M, &ANN, &rule, 0));
    counts.failed(M, ANN, &rule, 1_000);
    assert!(counts.is_due(M, &ANN, &rule, 60_999));
    assert!(!counts.is_due(M, &ANN, &rule, 61_000), "it is over, though the wrong logins are remembered");
    assert!(!counts.is_due(M, &BOB, &rule, 1_000));
    counts.forget(M, &ANN);
    assert!(!counts.is_due(M, &ANN, &rule, 1_000));
}

#[test]
fn a_mount_is_tuned_over_its_method_and_the_environment_over_all() {
    let rules = LockoutRules {
        all: rule(3, 30, 30),
        by_method: [("approle".to_owned(), LockoutRule { is_disabled: true, ..rule(9, 90, 90) })].into(),
        is_disabled: None,
    };
    assert_eq!(rules.of("userpass", None), Some(rule(3, 30, 30)));
    let tuning = LockoutTuning { threshold: 7, ..LockoutTuning::default() };
    assert_eq!(rules.of("userpass", Some(&tuning)), Some(rule(7, 30, 30)));
    assert_eq!(rules.of("userpass", Some(&LockoutTuning { is_disabled: true, ..tuning })), None);
    assert_eq!(rules.of("approle", Some(&tuning)), None, "a mount cannot undo what the config says");
    let (off, on) =
        (LockoutRules { is_disabled: Some(true), ..rules.clone() }, LockoutRules { is_disabled: Some(false), ..rules });
    assert_eq!(off.of("userpass", None), None);
    assert_eq!(on.of("approle", Some(&tuning)), Some(rule(7, 90, 90)));
}

#[test]
fn what_was_counted_in_another_term_says_nothing() {
    let (mut tally, rule) = (Tally::default(), LockoutRule::default());
    assert_eq!(tally.in_term(1).failed.failed(M, ANN, &rule, 0), 1);
    assert_eq!(tally.in_term(1).failed.failed(M, ANN, &rule, 0), 2);
    assert_eq!(tally.in_term(2).failed.failed(M, ANN, &rule, 0), 1);
    tally.in_term(2).failed.lock(M, &ANN);
    assert!(tally.in_term(2).failed.is_locked(M, &ANN, &rule, 0));
    assert!(!tally.in_term(3).failed.is_locked(M, &ANN, &rule, 0));
}

#[test]
fn stored_locks_are_counted_once_and_anew_when_there_seems_to_be_no_room() {
    let mut tally = Tally::default();
    assert_eq!(tally.take_room(3, 0), None);
    tally.counted(1, 0);
    assert_eq!(tally.take_room(3, 0), Some(true));
    assert_eq!(tally.take_room(3, 0), Some(true));
    assert_eq!(tally.take_room(3, 59_999), Some(false));
    assert_eq!(tally.take_room(3, 60_000), None);
    tally.counted(3, 60_000);
    assert_eq!(tally.take_room(3, 60_001), Some(false));
    assert_eq!(tally.in_term(1).take_room(3, 60_001), None);
}

#[test]
fn what_is_only_asked_for_takes_no_room() {
    let mut tally = Tally::default();
    assert_eq!(tally.has_room(2, 0), None);
    tally.counted(1, 0);
    for _ in 0..3 {
        assert_eq!(tally.has_room(2, 0), Some(true));
    }
    tally.took();
    assert_eq!((tally.stored(), tally.has_room(2, 59_999), tally.has_room(2, 60_000)), (Some(2), Some(false), None));
}
