use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bulkhead_model::change::Verdict;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::seam::seal::SealKind;

use super::*;
use crate::names::plain_key;
use crate::seal::{SEAL_CONFIG, Sealing, init, read_seal_config};
use crate::testing::{Node, leaf, propose};
use crate::{NamedKey, StaticKey, joining_key_of, shamir};

/// Runs what never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a static key answers at once"),
    }
}

fn named(id: &str, byte: u8) -> NamedKey {
    NamedKey { id: id.to_owned(), key: Hidden::new([byte; 32]) }
}

fn static_key(current: (&str, u8), previous: Option<(&str, u8)>) -> StaticKey {
    let previous = previous.map(|(id, byte)| named(id, byte));
    StaticKey::new(named(current.0, current.1), previous, Arc::new(FakeEntropy::seeded(5)))
}

fn config(shares: u64, threshold: u64) -> SealConfig {
    SealConfig::outside(SealKind::Static, shares, threshold).expect("a possible split")
}

/// A node that this key unseals, with these recovery shares.
fn sealed_by(key: &StaticKey, shares: u64, threshold: u64) -> Node {
    let entropy = FakeEntropy::seeded(17);
    let outside = now(Outside::make(config(shares, threshold), key, &entropy)).expect("a static key wraps");
    let made = init(Sealing::Outside(outside, Recovery::Fresh), 1_000, &entropy);
    let ledger = FakeLedger::new();
    assert!(matches!(propose(&ledger, made.change), Verdict::Committed(_)));
    Node { ledger, barrier: made.barrier, shares: made.shares, entropy }
}

fn unsealed(node: &Node, key: &StaticKey) -> Result<Barrier, SealError> {
    let sealed = read_sealed_key(&*node.view()).expect("readable").expect("a key outside unseals");
    let secret = now(unseal_key_of(&sealed, key))?;
    Ok(Barrier::unseal(&*node.view(), &secret).expect("it is this cluster's unseal key"))
}

fn together(shares: &[&Hidden<Vec<u8>>]) -> Hidden<Vec<u8>> {
    shamir::combine(&shares.iter().map(|share| share.duplicate()).collect::<Vec<_>>()).expect("they fit")
}

#[test]
fn the_key_outside_unseals_and_another_one_does_not() {
    let key = static_key(("one", 1), None);
    let node = sealed_by(&key, 3, 2);
    node.put("a", b"1");
    let barrier = unsealed(&node, &key).expect("its own key");
    assert!(barrier.begin(node.view()).get(&leaf("a")).expect("readable").is_some());
    let refused = |key: StaticKey| unsealed(&node, &key).err().expect("it is not its key").to_string();
    assert!(refused(static_key(("one", 2), None)).contains("does not open"));
    assert!(refused(static_key(("two", 1), None)).contains("neither as current_key_id nor as previous_key_id"));
    assert!(unsealed(&node, &static_key(("two", 2), Some(("one", 1)))).is_ok());
}

#[test]
fn recovery_shares_prove_who_asks_and_unseal_nothing() {
    let key = static_key(("one", 1), None);
    let node = sealed_by(&key, 3, 2);
    let [a, b, c] = &node.shares[..] else { panic!("three shares were asked for") };
    let recovery = together(&[c, a]);
    assert!(node.barrier.verify_recovery_key(&*node.view(), &recovery).is_ok());
    assert!(matches!(Barrier::unseal(&*node.view(), &recovery), Err(UnsealError::WrongShares)));
    assert!(matches!(Barrier::unseal(&*node.view(), b), Err(UnsealError::WrongShares)));
    let wrong = Hidden::new(vec![1; 32]);
    assert!(matches!(node.barrier.verify_recovery_key(&*node.view(), &wrong), Err(UnsealError::WrongRecovery)));
    let without = sealed_by(&key, 0, 0);
    assert!(without.shares.is_empty());
    let empty = Hidden::new(Vec::new());
    for secret in [&recovery, &empty] {
        let read = without.barrier.verify_recovery_key(&*without.view(), secret);
        assert!(read.is_err(), "there is no recovery key");
    }
}

#[test]
fn a_node_without_records_finds_the_joining_key_by_the_key_outside() {
    let key = static_key(("one", 1), None);
    let node = sealed_by(&key, 0, 0);
    let record = read_sealed_joining_key(&*node.view()).expect("readable").expect("it is there");
    let found = now(sealed_joining_key(&record, &key)).expect("the same key outside");
    let kept = node.barrier.joining_key(&*node.view()).expect("readable").expect("it is there");
    assert_eq!(found.sign(b"a"), kept.sign(b"a"));
    assert!(now(sealed_joining_key(&record, &static_key(("one", 2), None))).is_err());
    let unseal_record = node.raw_plain(SEALED_KEY);
    assert!(now(sealed_joining_key(&unseal_record, &key)).is_err(), "one does not stand for the other");
    for odd in [&b""[..], b"{}", b"null", &vec![b'['; RECORD_BYTES_MAX + 1]] {
        assert!(now(sealed_joining_key(odd, &key)).is_err());
    }
}

#[test]
fn shares_migrate_to_a_key_outside_and_back() {
    let node = Node::new(3, 2);
    node.put("a", b"1");
    let key = static_key(("one", 1), None);
    let secret = together(&[&node.shares[0], &node.shares[2]]);
    let outside = now(Outside::make(config(3, 2), &key, &node.entropy)).expect("it wraps");
    let mut tx = node.begin();
    let sealing = Sealing::Outside(outside, Recovery::Known(&secret));
    assert!(node.barrier.reseal(&mut tx, sealing, &node.entropy).expect("a change").is_empty());
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    assert_eq!(read_seal_config(&*node.view()).expect("readable"), Some(config(3, 2)));
    assert!(matches!(Barrier::unseal(&*node.view(), &secret), Err(UnsealError::WrongShares)));
    let barrier = unsealed(&node, &key).expect("the key outside");
    barrier.verify_recovery_key(&*node.view(), &secret).expect("the unseal shares are the recovery shares now");

    let mut tx = barrier.begin(node.view());
    let shamir = config(3, 2).under(SealKind::Shamir);
    barrier.reseal(&mut tx, Sealing::Known(shamir, &secret), &node.entropy).expect("a change");
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    assert_eq!(read_seal_config(&*node.view()).expect("readable"), Some(shamir));
    let barrier = Barrier::unseal(&*node.view(), &secret).expect("the shares open it again");
    assert!(barrier.begin(node.view()).get(&leaf("a")).expect("readable").is_some());
    for gone in [SEALED_KEY, SEALED_JOINING_KEY, RECOVERY_KEY] {
        assert_eq!(node.raw(&plain_key(gone)), None, "{gone}");
    }
    let kept = barrier.joining_key(&*node.view()).expect("readable").expect("it is there");
    assert_eq!(joining_key_of(&secret).sign(b"a"), kept.sign(b"a"));
}

#[test]
fn nothing_that_was_altered_unseals() {
    let key = static_key(("one", 1), None);
    let node = sealed_by(&key, 1, 1);
    let opens = |node: &Node| {
        let sealed = read_sealed_key(&*node.view()).ok().flatten()?;
        let secret = now(unseal_key_of(&sealed, &key)).ok()?;
        Barrier::unseal(&*node.view(), &secret).ok()
    };
    for name in [SEALED_KEY, SEAL_CONFIG] {
        let whole = node.raw_plain(name);
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            node.tamper(&plain_key(name), Some(altered));
            assert!(opens(&node).is_none(), "{name}, byte {at}");
        }
        node.tamper(&plain_key(name), Some(whole));
    }
    let whole = node.raw_plain(RECOVERY_KEY);
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        node.tamper(&plain_key(RECOVERY_KEY), Some(altered));
        assert!(node.barrier.verify_recovery_key(&*node.view(), &node.shares[0]).is_err(), "byte {at}");
    }
    node.tamper(&plain_key(RECOVERY_KEY), Some(whole));
    assert!(node.barrier.verify_recovery_key(&*node.view(), &node.shares[0]).is_ok() && opens(&node).is_some());
}
