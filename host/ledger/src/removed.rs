//! Which nodes were members and are none any more. Their certificates are good still, and
//! Raft asks nobody for membership, so that they are not heard under their old numbers. The
//! list is part of the state: every node has it from the same entries, and it is in snapshots.
//!
//! Who is in no list is heard, member or not: a node that joins knows no member yet, and one
//! that lags behind may be led by a member that it has not heard of.

use std::collections::BTreeSet;

use parking_lot::RwLock;

use crate::raft::Membership;

/// Numbers remembered; beyond it the oldest goes. Source: ours. Why: it is written with every
/// batch of entries, and a certificate ends after a year.
const NUMBERS_MAX: usize = 1024;

/// The numbers, for whoever hears others.
#[derive(Debug, Default)]
pub(crate) struct Removed(RwLock<BTreeSet<u64>>);

impl Removed {
    /// Whether this node was removed.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.read().contains(&number)
    }

    /// What the state has by now.
    pub(crate) fn set(&self, numbers: &[u64]) {
        *self.0.write() = numbers.iter().copied().collect();
    }
}

/// The list after another membership, the oldest first. Who is a member is in no list, however
/// that came about.
pub(crate) fn after(mut list: Vec<u64>, before: &Membership, now: &Membership) -> Vec<u64> {
    list.extend(before.nodes().map(|(number, _)| *number));
    trimmed(list, now)
}

/// Two nodes' lists as one.
pub(crate) fn merged(mut list: Vec<u64>, other: &[u64], now: &Membership) -> Vec<u64> {
    list.extend_from_slice(other);
    trimmed(list, now)
}

fn trimmed(mut list: Vec<u64>, now: &Membership) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    list.retain(|number| now.get_node(number).is_none() && seen.insert(*number));
    list.drain(..list.len().saturating_sub(NUMBERS_MAX));
    list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::raft::Member;

    fn members(numbers: impl IntoIterator<Item = u64>) -> Membership {
        let nodes: BTreeMap<u64, Member> = numbers.into_iter().map(|number| (number, Member::default())).collect();
        let voters: BTreeSet<u64> = nodes.keys().copied().take(1).collect();
        Membership::new(vec![voters], nodes).unwrap()
    }

    #[test]
    fn who_was_a_member_and_is_none_is_in_the_list_until_it_is_one_again() {
        let list = after(Vec::new(), &members([1, 2, 3]), &members([1, 2, 4]));
        assert_eq!(list, [3]);
        let list = after(list, &members([1, 2, 4]), &members([1]));
        assert_eq!(list, [3, 2, 4]);
        assert_eq!(merged(list.clone(), &[9, 3], &members([1])), [3, 2, 4, 9]);
        assert_eq!(after(list, &members([1]), &members([1, 2])), [3, 4]);
    }

    #[test]
    fn the_list_has_a_bound_and_the_oldest_goes_first() {
        let list = after(Vec::new(), &members(0..2000), &members([5000]));
        assert_eq!((list.len(), list[0]), (NUMBERS_MAX, 2000 - NUMBERS_MAX as u64));
    }
}
