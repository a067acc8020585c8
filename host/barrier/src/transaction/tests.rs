use bulkhead_model::change::Verdict;
use bulkhead_model::limits::{CHANGE_BYTES_MAX, VALUE_BYTES_MAX};

use super::*;
use crate::key::{Folder, SpaceId};
use crate::testing::{Node, SPACE, leaf};

mod large;
mod listing;
mod outside;
mod serial;

fn opaque(bytes: &[u8]) -> Key {
    Key::opaque(SPACE, bytes).expect("a key")
}

fn value(found: Option<Hidden<Vec<u8>>>) -> Option<Vec<u8>> {
    found.map(|value| value.expose().clone())
}

#[test]
fn own_writes_are_read_before_they_are_committed_and_by_nobody_else() {
    let node = Node::new(1, 1);
    node.put("a", b"old");
    let mut tx = node.begin();
    assert!(!tx.has_writes());
    tx.put(&leaf("a"), b"new").expect("a write");
    tx.put(&leaf("b"), b"new").expect("a write");
    assert!(tx.has_writes());
    assert_eq!(value(tx.get(&leaf("a")).expect("readable")), Some(b"new".to_vec()));
    assert_eq!(tx.version(&leaf("b")).expect("readable"), Some(UNCOMMITTED));
    tx.delete(&leaf("a")).expect("a write");
    assert_eq!(value(tx.get(&leaf("a")).expect("readable")), None);
    assert_eq!(tx.version(&leaf("a")).expect("readable"), None);
    assert_eq!((node.read("a"), node.read("b")), (Some(b"old".to_vec()), None));
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    assert_eq!((node.read("a"), node.read("b")), (None, Some(b"new".to_vec())));
}

#[test]
fn a_version_is_the_one_the_record_was_committed_at() {
    let node = Node::new(1, 1);
    let mut tx = node.begin();
    tx.put(&leaf("a"), b"1").expect("a write");
    let Verdict::Committed(version) = node.commit(tx) else { panic!("nothing conflicts") };
    assert_eq!(node.begin().version(&leaf("a")).expect("readable"), Some(version));
    assert_eq!(node.begin().version_untracked(&leaf("b")).expect("readable"), None);
}

#[test]
fn a_renewed_transaction_sees_what_was_committed_meanwhile_unless_it_had_read_it() {
    let node = Node::new(1, 1);
    node.put("read", b"old");
    let mut tx = node.begin();
    assert_eq!(value(tx.get(&leaf("read")).expect("readable")), Some(b"old".to_vec()));
    drop(tx.list(&Folder::new(SPACE, "folder/").expect("a folder"), None, 9).expect("readable"));
    node.put("unread", b"new");
    assert_eq!(value(tx.get_untracked(&leaf("unread")).expect("readable")), None);
    assert!(tx.renew(node.view()).expect("readable"), "nothing that was read has changed");
    assert_eq!(value(tx.get(&leaf("unread")).expect("readable")), Some(b"new".to_vec()));
    tx.put(&leaf("own"), b"mine").expect("a write");

    node.put("folder/name", b"new");
    assert!(!tx.renew(node.view()).expect("readable"), "a listed folder has changed");
    let mut other = node.begin();
    drop(other.get(&leaf("read")).expect("readable"));
    node.put("read", b"new");
    assert!(!other.renew(node.view()).expect("readable"), "a record that was read has changed");
    assert_eq!(value(tx.get(&leaf("own")).expect("readable")), Some(b"mine".to_vec()));
}

#[test]
fn what_was_written_after_the_snapshot_is_removed_if_it_is_still_that() {
    let node = Node::new(1, 1);
    let mut first = node.begin();
    let mut second = node.begin();
    let mut write = node.begin();
    write.put(&leaf("later"), b"x").expect("a write");
    let Verdict::Committed(version) = node.commit(write) else { panic!("nothing conflicts") };
    first.delete_later(&leaf("later"), version).expect("a write");
    assert!(matches!(node.commit(first), Verdict::Committed(_)));
    assert_eq!(node.read("later"), None);
    second.delete_later(&leaf("later"), version).expect("a write");
    assert!(matches!(node.commit(second), Verdict::Conflict), "it is gone already");
}

#[test]
fn each_kind_of_read_conflicts_with_a_later_write_unless_it_is_untracked() {
    type Read = fn(&mut Transaction);
    let table: [(&str, bool, Read); 10] = [
        ("get", true, |tx| drop(tx.get(&leaf("a")))),
        ("version", true, |tx| drop(tx.version(&leaf("a")))),
        ("list", true, |tx| drop(tx.list(&Folder::root(SPACE), None, 9))),
        ("scan", true, |tx| drop(tx.scan(&Folder::root(SPACE), None, 9))),
        ("walk", true, |tx| drop(tx.walk(&Folder::root(SPACE), None, 9))),
        ("opaque_range", true, |tx| drop(tx.opaque_range(SPACE, &[0], &[9], 9))),
        ("get_untracked", false, |tx| drop(tx.get_untracked(&leaf("a")))),
        ("version_untracked", false, |tx| drop(tx.version_untracked(&leaf("a")))),
        ("list_untracked", false, |tx| drop(tx.list_untracked(&Folder::root(SPACE), None, 9))),
        ("opaque_range_untracked", false, |tx| drop(tx.opaque_range_untracked(SPACE, &[0], &[9], 9))),
    ];
    for (name, conflicts, read) in table {
        let node = Node::new(1, 1);
        let mut tx = node.begin();
        read(&mut tx);
        tx.put(&leaf("elsewhere/x"), b"").expect("a write");
        let mut other = node.begin();
        other.put(&leaf("a"), b"1").expect("a write");
        other.put(&opaque(&[5]), b"1").expect("a write");
        assert!(matches!(node.commit(other), Verdict::Committed(_)));
        assert_eq!(node.commit(tx) == Verdict::Conflict, conflicts, "{name}");
    }
}

#[test]
fn a_write_without_a_read_conflicts_with_nothing() {
    let node = Node::new(1, 1);
    let mut tx = node.begin();
    tx.put(&leaf("a"), b"mine").expect("a write");
    node.put("a", b"theirs");
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    assert_eq!(node.read("a"), Some(b"mine".to_vec()));
}

#[test]
fn values_and_changes_have_a_largest_size() {
    let node = Node::new(1, 1);
    let mut tx = node.begin();
    let too_large = tx.put(&leaf("a"), &vec![0; VALUE_BYTES_MAX + 1]);
    assert!(matches!(too_large, Err(StoreError::TooLarge { limit: VALUE_BYTES_MAX, .. })));
    let largest = vec![0; VALUE_BYTES_MAX];
    for _ in 0..20 {
        tx.put(&leaf("a"), &largest).expect("the same record again adds nothing");
    }
    let fits = CHANGE_BYTES_MAX / (VALUE_BYTES_MAX + 100);
    for n in 1..fits {
        tx.put(&leaf(&format!("a{n}")), &largest).expect("it still fits");
    }
    let too_large = tx.put(&leaf("one-more"), &largest);
    assert!(matches!(too_large, Err(StoreError::TooLarge { limit: CHANGE_BYTES_MAX, .. })));
    assert!(matches!(node.commit(tx), Verdict::Committed(_)), "what fitted is taken by the ledger");
    assert_eq!(node.read("a"), Some(largest));
}

#[test]
fn a_transaction_touches_only_so_many_records() {
    let node = Node::new(1, 1);
    let mut tx = node.begin();
    let key = opaque(b"k");
    for _ in 0..RECORDS_MAX {
        tx.get_untracked(&key).expect("within the limit");
    }
    assert!(matches!(tx.get_untracked(&key), Err(StoreError::TooMany { .. })));
    assert!(matches!(tx.put(&key, b""), Err(StoreError::TooMany { .. })));
}

#[test]
fn a_tampered_record_is_an_error_and_never_a_value() {
    let node = Node::new(1, 1);
    node.put("folder/a", b"value");
    node.put("folder/b", b"other");
    let keys: Vec<_> = node.ledger_keys().into_iter().filter(|key| key.starts_with(&SPACE.0)).collect();
    let (one, other) = (node.raw(&keys[0]), node.raw(&keys[1]));
    node.tamper(&keys[0], other);
    node.tamper(&keys[1], one);
    for name in ["folder/a", "folder/b"] {
        let refused = node.begin().get(&leaf(name));
        assert!(matches!(refused, Err(StoreError::Damaged { space: SPACE, .. })), "ciphertexts were exchanged");
    }
}

#[test]
fn no_error_text_contains_a_name() {
    let node = Node::new(1, 1);
    node.put("canary/canary", b"value");
    for key in node.ledger_keys() {
        node.tamper(&key, Some(b"rot".to_vec()));
    }
    let error = node.begin().get(&leaf("canary/canary")).err().expect("the record is damaged");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn the_same_value_is_another_ciphertext_each_time() {
    let node = Node::new(1, 1);
    let seal = || {
        let mut tx = node.begin();
        tx.put(&leaf("a"), b"same").expect("a write");
        tx.put(&leaf("b"), b"same").expect("a write");
        let change = tx.into_change(&node.entropy).expect("a change");
        change.writes.into_iter().filter_map(|write| write.value).collect::<Vec<_>>()
    };
    let mut nonces: Vec<_> = [seal(), seal()].concat().into_iter().map(|value| value[5..17].to_vec()).collect();
    let drawn = nonces.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), drawn, "a nonce was used twice");
}

#[test]
fn a_space_is_dropped_in_slices_and_others_stay() {
    let node = Node::new(1, 1);
    let other = SpaceId([0xa2; 16]);
    let mut tx = node.begin();
    for n in 0..7u8 {
        tx.put(&leaf(&format!("folder/{n}")), b"").expect("a write");
        tx.put(&opaque(&[n]), b"").expect("a write");
    }
    tx.put(&Key::opaque(other, &[1]).expect("a key"), b"kept").expect("a write");
    node.commit(tx);
    for (slice, more) in [(10, true), (10, false), (10, false)] {
        let mut tx = node.begin();
        assert_eq!(tx.drop_space(SPACE, slice).expect("a write"), more);
        assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    }
    assert!(!node.ledger_keys().iter().any(|key| key.starts_with(&SPACE.0)));
    assert!(node.begin().get(&Key::opaque(other, &[1]).expect("a key")).expect("readable").is_some());
}

#[test]
#[should_panic(expected = "the barrier's own records cannot be dropped")]
fn the_barriers_own_space_cannot_be_dropped() {
    let _ = Node::new(1, 1).begin().drop_space(SpaceId::BARRIER, 10);
}

#[test]
fn a_transaction_can_move_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    sendable(&Node::new(1, 1).begin());
}
