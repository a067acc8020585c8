use bulkhead_model::change::Verdict;

use crate::keyring::Recorded;
use crate::names::plain_key;
use crate::testing::{Node, SPACE, leaf, propose};
use crate::{Barrier, ENCRYPTIONS_MAX, StoreError, UnsealError};

fn rotate(node: &Node, now_ms: u64) -> Verdict {
    let mut tx = node.begin();
    let rotated = node.barrier.prepare_rotation(&mut tx, now_ms, &node.entropy).expect("a readable keyring");
    let verdict = node.commit(tx);
    if verdict != Verdict::Conflict {
        node.barrier.install(rotated);
    }
    verdict
}

/// The term each of the mount's records is under.
fn terms(node: &Node) -> Vec<u8> {
    let records = node.ledger_keys().into_iter().filter(|key| key.starts_with(&SPACE.0));
    let mut terms: Vec<u8> = records.map(|key| node.raw(&key).expect("it is there")[4]).collect();
    terms.sort_unstable();
    terms
}

#[test]
fn rotation_keeps_old_records_readable_and_writes_new_ones_under_the_new_term() {
    let node = Node::new(1, 1);
    node.put("old", b"1");
    rotate(&node, 2_000);
    node.put("new", b"2");
    assert_eq!(node.barrier.key_status().term, 2);
    assert_eq!(node.barrier.key_status().install_time_ms, 2_000);
    assert_eq!(terms(&node), [1, 2]);
    assert_eq!((node.read("old"), node.read("new")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    let again = Barrier::unseal(&*node.view(), &node.shares[0]).expect("the share is the key");
    assert_eq!(again.key_status().term, 2);
    assert!(again.begin(node.view()).get(&leaf("old")).expect("readable").is_some());
}

#[test]
fn a_rotation_that_was_not_committed_changes_nothing() {
    let node = Node::new(1, 1);
    let mut tx = node.begin();
    let rotated = node.barrier.prepare_rotation(&mut tx, 2_000, &node.entropy).expect("a readable keyring");
    assert_eq!(node.barrier.key_status().term, 1);
    drop((tx, rotated));
    node.put("a", b"1");
    assert_eq!(terms(&node), [1]);
}

#[test]
fn of_two_rotations_at_once_one_conflicts() {
    let node = Node::new(1, 1);
    let (mut first, mut second) = (node.begin(), node.begin());
    let one = node.barrier.prepare_rotation(&mut first, 2_000, &node.entropy).expect("a readable keyring");
    node.barrier.prepare_rotation(&mut second, 2_000, &node.entropy).expect("a readable keyring");
    assert!(matches!(node.commit(first), Verdict::Committed(_)));
    assert_eq!(node.commit(second), Verdict::Conflict);
    node.barrier.install(one);
    assert_eq!(node.barrier.key_status().term, 2);
}

#[test]
fn a_standby_reads_records_of_a_new_term_after_it_has_refreshed() {
    let node = Node::new(1, 1);
    let standby = Barrier::unseal(&*node.view(), &node.shares[0]).expect("the share is the key");
    rotate(&node, 2_000);
    node.put("new", b"2");
    let read = || standby.begin(node.view()).get(&leaf("new")).map(|found| found.map(|value| value.expose().clone()));
    assert!(matches!(read(), Err(StoreError::UnknownTerm { term: 2, .. })));
    assert!(standby.refresh(&*node.view()).expect("a readable keyring"));
    assert!(!standby.refresh(&*node.view()).expect("a readable keyring"), "there is nothing newer");
    assert_eq!(read().expect("readable now"), Some(b"2".to_vec()));
}

#[test]
fn a_node_that_missed_a_rotation_loses_no_term_when_it_rotates() {
    let node = Node::new(1, 1);
    let behind = Barrier::unseal(&*node.view(), &node.shares[0]).expect("the share is the key");
    rotate(&node, 2_000);
    node.put("two", b"2");
    let mut tx = behind.begin(node.view());
    let rotated = behind.prepare_rotation(&mut tx, 3_000, &node.entropy).expect("a readable keyring");
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    behind.install(rotated);
    assert_eq!(behind.key_status().term, 3);
    assert!(behind.begin(node.view()).get(&leaf("two")).expect("readable").is_some());
}

#[test]
fn derived_keys_differ_by_label_and_outlive_rotation_and_sealing() {
    let node = Node::new(1, 1);
    let (token, audit) = (node.barrier.subkey("token"), node.barrier.subkey("audit"));
    assert!(token != audit);
    let hmac = node.barrier.hmac_key("token").sign(b"x");
    rotate(&node, 2_000);
    assert!(node.barrier.subkey("token") == token);
    let again = Barrier::unseal(&*node.view(), &node.shares[0]).expect("the share is the key");
    assert!(again.subkey("token") == token);
    assert_eq!(again.hmac_key("token").sign(b"x"), hmac);
    assert!(Node::new(2, 2).barrier.subkey("token") != token, "another cluster has other keys");
}

// no restart begins to count anew.
#[test]
fn encryptions_are_counted_per_term_and_the_count_survives_unsealing() {
    let node = Node::new(1, 1);
    for n in 0..5 {
        node.put(&format!("key-{n}"), b"value");
    }
    assert_eq!(node.barrier.key_status().encryptions, 5);
    let again = Barrier::unseal(&*node.view(), &node.shares[0]).expect("the share is the key");
    assert!(again.key_status().encryptions_bound >= 5);
    assert!(again.key_status().encryptions <= 5, "what is reserved ahead is not told as done");
    rotate(&node, 2_000);
    assert_eq!(node.barrier.key_status().encryptions, 0);
    let again = Barrier::unseal(&*node.view(), &node.shares[0]).expect("the share is the key");
    assert_eq!(again.key_status().encryptions, 0, "the count on record was of the older term");
}

#[test]
fn a_count_that_was_tampered_with_does_not_unseal() {
    let node = Node::new(1, 1);
    node.put("key", b"value");
    let key = plain_key("core/encryptions");
    let mut record = node.raw(&key).expect("a block was reserved");
    *record.last_mut().expect("not empty") ^= 1;
    node.tamper(&key, Some(record));
    let refused = Barrier::unseal(&*node.view(), &node.shares[0]);
    assert!(matches!(refused, Err(UnsealError::Damaged { .. })));
}

// a key is not used up before another takes its place.
#[test]
fn rotation_is_due_at_vaults_number_of_encryptions() {
    let node = Node::new(1, 1);
    node.barrier.keyring().newest().resume(Recorded { known: 0, reserved: ENCRYPTIONS_MAX - 1 });
    assert!(!node.barrier.needs_rotation());
    node.put("key", b"value");
    assert!(node.barrier.needs_rotation());
    rotate(&node, 2_000);
    assert!(!node.barrier.needs_rotation());
}

#[test]
fn a_keyring_that_was_tampered_with_is_neither_refreshed_nor_rotated() {
    let node = Node::new(1, 1);
    let mut record = node.raw_plain("core/keyring");
    record[40] ^= 1;
    node.tamper(&plain_key("core/keyring"), Some(record));
    assert!(matches!(node.barrier.refresh(&*node.view()), Err(StoreError::Damaged { .. })));
    let mut tx = node.begin();
    let refused = node.barrier.prepare_rotation(&mut tx, 2_000, &node.entropy);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
}

#[test]
fn nothing_of_names_or_values_is_legible_in_the_ledger() {
    let node = Node::new(1, 1);
    node.put("canary-folder/canary-name", b"canary-value");
    let mut tx = node.begin();
    tx.put(&leaf("canary-folder/other"), b"canary-value").expect("a write");
    let change = tx.into_change(&node.entropy).expect("a change");
    propose(&node.ledger, change);
    for key in node.ledger_keys() {
        for bytes in [node.raw(&key).expect("it is there"), key] {
            assert!(!bytes.windows(6).any(|window| window == b"canary"), "{bytes:?}");
        }
    }
}

#[test]
fn sealing_leaves_nobody_with_the_keys_once_transactions_have_ended() {
    let node = Node::new(1, 1);
    let tx = node.begin();
    let keyring = std::sync::Arc::downgrade(&node.barrier.keyring());
    drop(node.barrier);
    assert!(keyring.upgrade().is_some(), "a transaction under way goes on");
    drop(tx);
    assert!(keyring.upgrade().is_none());
}
