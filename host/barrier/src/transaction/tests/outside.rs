//! What is sealed for the outside: it opens here, for its purpose, unaltered; or not at all.

use super::*;

#[test]
fn what_was_sealed_opens_for_its_purpose_alone_and_only_here() {
    let (node, other) = (Node::new(1, 1), Node::new(3, 2));
    let sealed = node.begin().seal_outside("token", b"who", &node.entropy).expect("counted");
    assert!(!sealed.windows(3).any(|part| part == b"who"));
    let mut tx = node.begin();
    assert_eq!(value(tx.open_outside("token", sealed.clone())), Some(b"who".to_vec()));
    assert_eq!(value(tx.open_outside("other", sealed.clone())), None);
    assert_eq!(value(other.begin().open_outside("token", sealed)), None);
}

#[test]
fn no_altered_or_shortened_text_opens() {
    let node = Node::new(1, 1);
    let sealed = node.begin().seal_outside("token", b"who", &node.entropy).expect("counted");
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert_eq!(value(node.begin().open_outside("token", altered)), None, "byte {at}");
        assert_eq!(value(node.begin().open_outside("token", sealed[..at].to_vec())), None, "cut at {at}");
    }
}

#[test]
fn it_opens_after_a_rotation_and_counts_as_an_encryption() {
    let node = Node::new(1, 1);
    let before = node.barrier.key_status().encryptions;
    let mut tx = node.begin();
    let sealed = tx.seal_outside("token", b"who", &node.entropy).expect("counted");
    assert_eq!(node.barrier.key_status().encryptions, before + 1);
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    let mut tx = node.begin();
    let rotated = node.barrier.prepare_rotation(&mut tx, 2_000, &node.entropy).expect("a keyring");
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    node.barrier.install(rotated);
    assert_eq!(value(node.begin().open_outside("token", sealed)), Some(b"who".to_vec()));
}
