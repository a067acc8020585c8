use super::super::history::{Call, NEVER, Operation, Outcome};
use super::linearizable;

fn op(began: u64, ended: u64, call: Call, outcome: Outcome) -> Operation {
    Operation { call, outcome, began, ended }
}

fn write(began: u64, ended: u64, value: u64, version: u64) -> Operation {
    op(began, ended, Call::Write { value }, Outcome::Written { version })
}

fn lost(began: u64, value: u64) -> Operation {
    op(began, NEVER, Call::Write { value }, Outcome::Unknown)
}

fn read(began: u64, ended: u64, version: u64, value: u64) -> Operation {
    op(began, ended, Call::Read, Outcome::Found { version, value })
}

fn cas(began: u64, ended: u64, expected: u64, value: u64, outcome: Outcome) -> Operation {
    op(began, ended, Call::Cas { expected, value }, outcome)
}

#[test]
fn one_after_the_other() {
    assert!(linearizable(&[]));
    assert!(linearizable(&[read(0, 1, 0, 0), write(2, 3, 7, 1), read(4, 5, 1, 7)]));
    assert!(!linearizable(&[write(0, 1, 7, 1), read(2, 3, 0, 0)]), "a stale read");
    assert!(!linearizable(&[write(0, 1, 7, 1), write(2, 3, 8, 1)]), "a version given twice");
    assert!(!linearizable(&[write(0, 1, 7, 1), write(2, 3, 8, 3)]), "a version that nobody wrote");
    assert!(!linearizable(&[write(0, 1, 7, 1), read(2, 3, 1, 8)]), "a value that nobody wrote");
}

#[test]
fn side_by_side() {
    assert!(linearizable(&[write(0, 9, 7, 1), read(1, 2, 1, 7), read(3, 4, 1, 7)]));
    assert!(linearizable(&[write(0, 9, 7, 1), read(1, 2, 0, 0), read(3, 4, 1, 7)]));
    assert!(!linearizable(&[write(0, 9, 7, 1), read(1, 2, 1, 7), read(3, 4, 0, 0)]), "back in time");
    assert!(linearizable(&[write(0, 9, 7, 2), write(0, 9, 8, 1), read(10, 11, 2, 7)]));
    assert!(!linearizable(&[write(0, 9, 7, 2), write(0, 9, 8, 1), read(10, 11, 2, 8)]));
}

#[test]
fn what_got_no_answer_may_have_happened_at_any_time_or_never() {
    let history = [write(0, 1, 7, 1), lost(2, 8)];
    assert!(linearizable(&[&history[..], &[read(4, 5, 1, 7)]].concat()));
    assert!(linearizable(&[&history[..], &[read(4, 5, 2, 8)]].concat()));
    assert!(linearizable(&[&history[..], &[read(4, 5, 1, 7), read(6, 7, 2, 8)]].concat()));
    assert!(!linearizable(&[&history[..], &[read(4, 5, 2, 8), read(6, 7, 1, 7)]].concat()), "undone");
    assert!(!linearizable(&[lost(2, 8), read(0, 1, 1, 8)]), "before it was asked");
}

#[test]
fn check_and_set() {
    let set = |expected, version| cas(2, 3, expected, 8, Outcome::Written { version });
    assert!(linearizable(&[write(0, 1, 7, 1), set(1, 2), read(4, 5, 2, 8)]));
    assert!(!linearizable(&[write(0, 1, 7, 1), set(0, 2)]), "set at another version");
    assert!(linearizable(&[write(0, 1, 7, 1), cas(2, 3, 0, 8, Outcome::Refused)]));
    assert!(!linearizable(&[write(0, 1, 7, 1), cas(2, 3, 1, 8, Outcome::Refused)]), "refused for nothing");
    let both = |one, other| [cas(0, 9, 0, 7, one), cas(0, 9, 0, 8, other)];
    assert!(linearizable(&both(Outcome::Written { version: 1 }, Outcome::Refused)));
    assert!(!linearizable(&both(Outcome::Written { version: 1 }, Outcome::Written { version: 1 })), "both won");
    assert!(!linearizable(&both(Outcome::Refused, Outcome::Refused)), "nobody won");
}

/// As many operations as the run gives one secret, many of them at once and some unanswered.
#[test]
fn a_long_history_is_searched_in_no_time() {
    let mut history = Vec::new();
    for version in 1..=300 {
        let at = version * 10;
        history.push(write(at, at + 35, version, version));
        history.push(read(at + 30, at + 60, version, version));
        if version % 10 == 0 {
            history.push(lost(at, 1_000_000 + version));
        }
    }
    assert!(linearizable(&history));
    history.push(read(4_000, 4_001, 299, 299));
    assert!(!linearizable(&history));
}

/// As a leader leaves it that dies again and again: most of what was under way has no answer.
#[test]
fn many_without_an_answer_are_searched_in_no_time() {
    let mut history = Vec::new();
    let mut version = 0;
    for round in 1..=60 {
        let at = round * 100;
        for nth in 0..12 {
            history.push(lost(at + nth, 1_000_000 + round * 100 + nth));
            history.push(op(at + nth, NEVER, Call::Read, Outcome::Unknown));
            history.push(cas(at + nth, NEVER, version, 2_000_000 + round * 100 + nth, Outcome::Unknown));
        }
        // One of those lost was seen; two others took effect, which nobody saw.
        history.push(read(at + 50, at + 60, version + 1, 1_000_000 + round * 100 + 5));
        version += 4;
        history.push(write(at + 70, at + 80, round, version));
    }
    assert!(linearizable(&history));
    let mut stale = history.clone();
    stale.push(read(5_990, 5_995, version - 8, 58));
    assert!(!linearizable(&stale));
    history.push(read(6_090, 6_095, version + 1, 1_000_000 + 6_005));
    assert!(!linearizable(&history), "what was seen four versions ago");
}

#[test]
fn one_without_an_answer_that_wants_a_version_comes_at_that() {
    // To come to version 3 both must have happened, the one that wants version 1 first.
    let set = cas(2, NEVER, 1, 8, Outcome::Unknown);
    assert!(linearizable(&[write(0, 1, 7, 1), lost(2, 9), set, write(10, 11, 5, 4)]));
    assert!(!linearizable(&[write(0, 1, 7, 1), set, write(10, 11, 5, 4)]));
    let late = cas(2, NEVER, 2, 8, Outcome::Unknown);
    assert!(linearizable(&[write(0, 1, 7, 1), lost(2, 9), late, write(10, 11, 5, 4)]));
}
