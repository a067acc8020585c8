use bulkhead_model::change::Verdict;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::seam::ledger::Ledger;

use super::*;
use crate::testing::{Node, leaf, propose};
use crate::unseal::UnsealError;

fn secret(shares: &[&Hidden<Vec<u8>>]) -> Hidden<Vec<u8>> {
    match shares {
        [only] => only.duplicate(),
        _ => shamir::combine(&shares.iter().map(|share| share.duplicate()).collect::<Vec<_>>()).expect("they fit"),
    }
}

#[test]
fn only_splits_that_vault_would_make_are_possible() {
    use SealConfigError::*;
    let table = [
        ((1, 1), Ok(())),
        ((5, 3), Ok(())),
        ((2, 2), Ok(())),
        ((255, 255), Ok(())),
        ((0, 0), Err(NoShares)),
        ((0, 1), Err(NoShares)),
        ((1, 0), Err(NoThreshold)),
        ((3, 1), Err(OneOfMany)),
        ((256, 3), Err(ManyShares)),
        ((255, 256), Err(HighThreshold)),
        ((3, 4), Err(OutOfReach)),
        ((1, 2), Err(OutOfReach)),
    ];
    for ((shares, threshold), expected) in table {
        assert_eq!(SealConfig::new(shares, threshold).map(|_| ()), expected, "{threshold} of {shares}");
    }
}

#[test]
fn any_threshold_of_the_shares_unseals_and_fewer_do_not() {
    let node = Node::new(4, 3);
    node.put("a", b"1");
    let [a, b, c, d] = &node.shares[..] else { panic!("four shares were asked for") };
    for chosen in [[a, b, c], [d, b, a], [c, d, a], [b, c, d]] {
        let barrier = Barrier::unseal(&*node.view(), &secret(&chosen)).expect("three of three");
        let value = barrier.begin(node.view()).get(&leaf("a")).expect("readable").expect("it is there");
        assert_eq!(value.expose(), b"1");
    }
    assert!(matches!(Barrier::unseal(&*node.view(), &secret(&[a, d])), Err(UnsealError::WrongShares)));
}

#[test]
fn a_single_share_is_the_unseal_key_itself() {
    let node = Node::new(1, 1);
    assert_eq!(node.shares[0].expose().len(), 32);
    assert!(Barrier::unseal(&*node.view(), &node.shares[0]).is_ok());
    assert!(Barrier::verify_unseal_key(&*node.view(), &node.shares[0]).is_ok());
}

#[test]
fn the_configuration_is_read_back_and_absent_before_initialisation() {
    let fresh = FakeLedger::new().view().expect("memory has views");
    assert_eq!(read_seal_config(&*fresh).expect("readable"), None);
    let node = Node::new(5, 3);
    let config = read_seal_config(&*node.view()).expect("readable").expect("it is there");
    assert_eq!((config.shares(), config.threshold(), config.share_bytes()), (5, 3, 33));
}

#[test]
fn a_second_initialisation_conflicts() {
    let node = Node::new(1, 1);
    let second = init(Sealing::Fresh(SealConfig::new(1, 1).expect("possible")), 0, &FakeEntropy::seeded(99));
    assert_eq!(propose(&node.ledger, second.change), Verdict::Conflict);
    assert!(Barrier::unseal(&*node.view(), &node.shares[0]).is_ok());
}

#[test]
fn an_altered_configuration_does_not_unseal() {
    let node = Node::new(5, 3);
    let lower = SealConfig::new(5, 2).expect("possible").to_json();
    node.tamper(&plain_key(SEAL_CONFIG), Some(lower));
    let [a, b, c, ..] = &node.shares[..] else { panic!("five shares were asked for") };
    assert!(matches!(Barrier::unseal(&*node.view(), &secret(&[a, b, c])), Err(UnsealError::WrongShares)));
    node.tamper(&plain_key(SEAL_CONFIG), Some(b"{}".to_vec()));
    assert!(matches!(read_seal_config(&*node.view()), Err(StoreError::Damaged { .. })));
}

#[test]
fn no_altered_byte_of_the_wrapped_keys_unseals() {
    let node = Node::new(1, 1);
    for name in [ROOT_KEY, KEYRING] {
        let whole = node.raw_plain(name);
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            node.tamper(&plain_key(name), Some(altered));
            let refused = Barrier::unseal(&*node.view(), &node.shares[0]).err();
            assert!(
                matches!(refused, Some(UnsealError::WrongShares | UnsealError::Damaged { .. })),
                "{name}, byte {at}"
            );
        }
        node.tamper(&plain_key(name), None);
        assert!(matches!(Barrier::unseal(&*node.view(), &node.shares[0]), Err(UnsealError::Damaged { .. })));
        node.tamper(&plain_key(name), Some(whole));
    }
    assert!(Barrier::unseal(&*node.view(), &node.shares[0]).is_ok());
}

#[test]
fn the_keyring_of_another_cluster_does_not_open() {
    let (node, other) = (Node::new(1, 1), Node::new(2, 2));
    node.tamper(&plain_key(KEYRING), Some(other.raw_plain(KEYRING)));
    assert!(matches!(Barrier::unseal(&*node.view(), &node.shares[0]), Err(UnsealError::Damaged { .. })));
}

#[test]
fn after_a_new_split_new_shares_open_and_old_ones_do_not() {
    let node = Node::new(1, 1);
    node.put("a", b"1");
    let mut tx = node.begin();
    let config = SealConfig::new(3, 2).expect("possible");
    let shares = node.barrier.reseal(&mut tx, Sealing::Fresh(config), &node.entropy).expect("a new split");
    assert!(Barrier::unseal(&*node.view(), &node.shares[0]).is_ok(), "nothing changes before the commit");
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    assert_eq!(read_seal_config(&*node.view()).expect("readable"), Some(config));
    assert!(matches!(Barrier::unseal(&*node.view(), &node.shares[0]), Err(UnsealError::WrongShares)));
    let barrier = Barrier::unseal(&*node.view(), &secret(&[&shares[2], &shares[0]])).expect("two of three");
    assert!(barrier.begin(node.view()).get(&leaf("a")).expect("readable").is_some());
    assert_eq!(node.read("a"), Some(b"1".to_vec()), "the open barrier goes on");
}

#[test]
fn of_two_new_splits_at_once_one_conflicts() {
    let node = Node::new(1, 1);
    let config = SealConfig::new(3, 2).expect("possible");
    let (mut one, mut other) = (node.begin(), node.begin());
    node.barrier.reseal(&mut one, Sealing::Fresh(config), &node.entropy).expect("a new split");
    node.barrier.reseal(&mut other, Sealing::Fresh(config), &node.entropy).expect("a new split");
    assert!(matches!(node.commit(one), Verdict::Committed(_)));
    assert_eq!(node.commit(other), Verdict::Conflict);
}

#[test]
fn the_joining_key_is_what_the_shares_give_and_changes_with_them() {
    let node = Node::new(3, 2);
    let [a, b, c] = &node.shares[..] else { panic!("three shares were asked for") };
    let barrier = Barrier::unseal(&*node.view(), &secret(&[a, b])).expect("two of two");
    let kept = |barrier: &Barrier| barrier.joining_key(&*node.view()).expect("readable").expect("it is there");
    let derived = |secret: Hidden<Vec<u8>>| crate::joining_key_of(&secret).sign(b"a");
    let before = kept(&barrier).sign(b"a");
    assert_eq!(before, derived(secret(&[c, a])));
    assert_ne!(before.as_slice(), secret(&[c, a]).expose().as_slice());
    let mut tx = barrier.begin(node.view());
    let config = SealConfig::new(1, 1).expect("a split");
    let shares = barrier.reseal(&mut tx, Sealing::Fresh(config), &FakeEntropy::seeded(9)).expect("it can be split");
    propose(&node.ledger, tx.into_change(&FakeEntropy::seeded(10)).expect("a change"));
    assert_ne!(kept(&barrier).sign(b"a"), before);
    assert_eq!(kept(&barrier).sign(b"a"), derived(shares[0].duplicate()));
}
