use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::seam::ledger::Ledger;

use super::*;
use crate::seal::read_seal_config;
use crate::testing::Node;

fn progress(node: &Node) -> UnsealProgress {
    UnsealProgress::new(read_seal_config(&*node.view()).expect("readable").expect("initialised"))
}

fn complete(submitted: Result<Submitted, UnsealError>) -> Option<Hidden<Vec<u8>>> {
    match submitted.expect("a share is taken") {
        Submitted::Collecting => None,
        Submitted::Complete(secret) => Some(secret),
    }
}

#[test]
fn the_share_that_reaches_the_threshold_completes_the_secret() {
    let node = Node::new(5, 3);
    let mut progress = progress(&node);
    assert_eq!((progress.collected(), progress.nonce()), (0, ""));
    assert!(complete(progress.submit(node.shares[4].duplicate(), &node.entropy)).is_none());
    let nonce = progress.nonce().to_owned();
    assert_eq!(nonce.len(), 36);
    assert!(complete(progress.submit(node.shares[1].duplicate(), &node.entropy)).is_none());
    assert_eq!((progress.collected(), progress.nonce()), (2, nonce.as_str()));
    let secret = complete(progress.submit(node.shares[0].duplicate(), &node.entropy)).expect("three of three");
    assert!(Barrier::unseal(&*node.view(), &secret).is_ok());
    assert_eq!((progress.collected(), progress.nonce()), (0, ""), "the attempt is over");
}

#[test]
fn the_only_share_of_one_completes_at_once() {
    let node = Node::new(1, 1);
    let secret = complete(progress(&node).submit(node.shares[0].duplicate(), &node.entropy)).expect("one of one");
    assert!(Barrier::unseal(&*node.view(), &secret).is_ok());
}

#[test]
fn a_share_that_came_before_is_ignored() {
    let node = Node::new(3, 2);
    let mut progress = progress(&node);
    for _ in 0..5 {
        assert!(complete(progress.submit(node.shares[0].duplicate(), &node.entropy)).is_none());
        assert_eq!(progress.collected(), 1);
    }
}

#[test]
fn a_share_of_a_wrong_length_is_refused_and_the_attempt_goes_on() {
    let node = Node::new(3, 2);
    let mut progress = progress(&node);
    assert!(complete(progress.submit(node.shares[0].duplicate(), &node.entropy)).is_none());
    for bytes in [0, 1, 32, 34, 1000] {
        let refused = progress.submit(Hidden::new(vec![1; bytes]), &node.entropy).err();
        assert!(matches!(refused, Some(UnsealError::ShareLength { expected: 33, .. })), "{bytes} bytes");
    }
    assert_eq!(progress.collected(), 1);
}

#[test]
fn a_wrong_share_opens_nothing_and_says_so() {
    let node = Node::new(3, 2);
    let mut progress = progress(&node);
    assert!(complete(progress.submit(node.shares[0].duplicate(), &node.entropy)).is_none());
    let mut wrong = node.shares[1].duplicate();
    wrong.expose_mut()[7] ^= 1;
    let secret = complete(progress.submit(wrong, &node.entropy)).expect("two shares came");
    assert!(matches!(Barrier::unseal(&*node.view(), &secret), Err(UnsealError::WrongShares)));
    assert!(matches!(Barrier::verify_unseal_key(&*node.view(), &secret), Err(UnsealError::WrongShares)));
}

#[test]
fn shares_that_cannot_belong_together_end_the_attempt() {
    let node = Node::new(3, 2);
    for last in [0, *node.shares[0].expose().last().expect("not empty")] {
        let mut progress = progress(&node);
        assert!(complete(progress.submit(node.shares[0].duplicate(), &node.entropy)).is_none());
        let mut wrong = node.shares[1].duplicate();
        *wrong.expose_mut().last_mut().expect("not empty") = last;
        let refused = progress.submit(wrong, &node.entropy).err();
        assert!(matches!(refused, Some(UnsealError::WrongShares)));
        assert_eq!(progress.collected(), 0);
    }
}

#[test]
fn a_reset_forgets_every_share() {
    let node = Node::new(3, 2);
    let mut progress = progress(&node);
    assert!(complete(progress.submit(node.shares[0].duplicate(), &node.entropy)).is_none());
    progress.reset();
    assert_eq!((progress.collected(), progress.nonce()), (0, ""));
    assert!(complete(progress.submit(node.shares[1].duplicate(), &node.entropy)).is_none());
}

#[test]
fn a_ledger_that_was_never_initialised_does_not_unseal() {
    let view = FakeLedger::new().view().expect("memory has views");
    let refused = Barrier::unseal(&*view, &Hidden::new(vec![0; 32]));
    assert!(matches!(refused, Err(UnsealError::NotInitialised)));
}

#[test]
fn a_secret_of_a_wrong_length_is_wrong_shares() {
    let node = Node::new(1, 1);
    for bytes in [0, 31, 33] {
        let refused = Barrier::unseal(&*node.view(), &Hidden::new(vec![0; bytes]));
        assert!(matches!(refused, Err(UnsealError::WrongShares)), "{bytes} bytes");
    }
}
