//! What clients of a register saw, and whether there is an order of events that explains
//! it: each operation takes effect at one moment between its call and its return. The
//! search is Wing and Gong's with Lowe's memory of what was tried.

use std::collections::{BTreeMap, HashSet};

/// What was done to a register. Values are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Write(u64),
    /// It held the first, and holds the second now.
    Swap(Option<u64>, u64),
    Read(Option<u64>),
}

/// One operation, with when it was called and when it returned; `None`: it may have
/// happened, at any time after its call, or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) key: u64,
    pub(super) op: Op,
    pub(super) called: u64,
    pub(super) returned: Option<u64>,
}

impl Op {
    /// The value it found.
    fn saw(self) -> Option<u64> {
        match self {
            Op::Read(seen) | Op::Swap(seen, _) => seen,
            Op::Write(_) => None,
        }
    }

    fn wrote(self) -> Option<u64> {
        match self {
            Op::Write(new) | Op::Swap(_, new) => Some(new),
            Op::Read(_) => None,
        }
    }

    /// The register after it, if it can happen at all.
    fn after(self, value: Option<u64>) -> Option<Option<u64>> {
        match self {
            Op::Write(new) => Some(Some(new)),
            Op::Swap(old, new) => (old == value).then_some(Some(new)),
            Op::Read(seen) => (seen == value).then_some(value),
        }
    }
}

/// The first key whose events no order explains.
pub(super) fn unexplained(events: &[Event]) -> Option<u64> {
    let mut keys: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    let seen: HashSet<u64> = events.iter().filter_map(|event| event.op.saw()).collect();
    for event in events {
        // What did not return says nothing, unless it wrote what somebody saw: an order with it has
        // one without it.
        if event.returned.is_some() || event.op.wrote().is_some_and(|value| seen.contains(&value)) {
            keys.entry(event.key).or_default().push(*event);
        }
    }
    keys.into_iter().find(|(_, events)| !explained(events)).map(|(key, _)| key)
}

fn explained(events: &[Event]) -> bool {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.called);
    let must = events.iter().filter(|event| event.returned.is_some()).count();
    let mut tried = HashSet::new();
    // Each frame: what has happened by now, the register, and where to look next.
    let mut happened = vec![false; events.len()];
    let mut path: Vec<(usize, Option<u64>)> = Vec::new();
    let (mut value, mut returned, mut next) = (None, 0, 0);
    loop {
        if returned == must {
            return true;
        }
        // Nothing can happen that was called after something returned that has not happened.
        let horizon = events.iter().zip(&happened).filter(|(_, done)| !**done).filter_map(|(event, _)| event.returned);
        let horizon = horizon.min().unwrap_or(u64::MAX);
        let found = (next..events.len())
            .take_while(|at| events[*at].called <= horizon)
            .filter(|at| !happened[*at])
            .find_map(|at| Some((at, events[at].op.after(value)?)));
        if let Some((at, after)) = found {
            happened[at] = true;
            if tried.insert((happened.clone(), after)) {
                path.push((at, value));
                (value, next) = (after, 0);
                returned += usize::from(events[at].returned.is_some());
            } else {
                happened[at] = false;
                next = at + 1;
            }
            continue;
        }
        let Some((at, before)) = path.pop() else { return false };
        happened[at] = false;
        returned -= usize::from(events[at].returned.is_some());
        (value, next) = (before, at + 1);
    }
}

fn event(op: Op, called: u64, returned: u64) -> Event {
    Event { key: 0, op, called, returned: (returned != 0).then_some(returned) }
}

#[test]
fn what_one_client_does_in_order_is_explained() {
    let events = [
        event(Op::Read(None), 1, 2),
        event(Op::Write(5), 3, 4),
        event(Op::Read(Some(5)), 5, 6),
        event(Op::Swap(Some(5), 6), 7, 8),
        event(Op::Read(Some(6)), 9, 10),
    ];
    assert_eq!(unexplained(&events), None);
}

#[test]
fn a_stale_read_is_not_explained() {
    let events = [event(Op::Write(1), 1, 2), event(Op::Write(2), 3, 4), event(Op::Read(Some(1)), 5, 6)];
    assert_eq!(unexplained(&events), Some(0));
}

#[test]
fn a_lost_write_is_not_explained() {
    assert_eq!(unexplained(&[event(Op::Write(1), 1, 2), event(Op::Read(None), 3, 4)]), Some(0));
}

#[test]
fn operations_at_the_same_time_may_have_either_order_but_one() {
    let both = [event(Op::Write(1), 1, 10), event(Op::Write(2), 2, 9)];
    for seen in [1, 2] {
        let mut events = both.to_vec();
        events.push(event(Op::Read(Some(seen)), 11, 12));
        assert_eq!(unexplained(&events), None, "{seen} last");
        events.push(event(Op::Read(Some(3 - seen)), 13, 14));
        assert_eq!(unexplained(&events), Some(0), "not both last");
    }
}

#[test]
fn two_swaps_of_one_value_are_not_explained() {
    let events = [event(Op::Write(1), 1, 2), event(Op::Swap(Some(1), 2), 3, 6), event(Op::Swap(Some(1), 3), 4, 5)];
    assert_eq!(unexplained(&events), Some(0));
}

#[test]
fn what_did_not_return_may_have_happened_late_or_never() {
    let lost = event(Op::Write(1), 1, 0);
    assert_eq!(unexplained(&[lost, event(Op::Read(None), 2, 3)]), None);
    let late = [lost, event(Op::Read(None), 2, 3), event(Op::Read(Some(1)), 4, 5)];
    assert_eq!(unexplained(&late), None);
    let gone = [lost, event(Op::Read(Some(1)), 2, 3), event(Op::Read(None), 4, 5)];
    assert_eq!(unexplained(&gone), Some(0));
}
