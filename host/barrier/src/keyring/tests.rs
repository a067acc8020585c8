use bulkhead_model::fake::entropy::FakeEntropy;

use super::*;

fn keyring() -> Keyring {
    let entropy = FakeEntropy::seeded(1);
    Keyring::generate(7, &entropy).rotated(8, &entropy).rotated(9, &entropy)
}

#[test]
fn a_wrapped_keyring_comes_back_whole() {
    let keyring = keyring();
    let back = Keyring::unwrap(keyring.root_key(), keyring.wrapped([1; NONCE])).expect("it opens");
    assert!(back.serialise() == keyring.serialise());
    assert_eq!(
        back.terms.iter().map(|term| (term.number, term.install_time_ms)).collect::<Vec<_>>(),
        [(1, 7), (2, 8), (3, 9)]
    );
}

#[test]
fn a_keyring_with_any_byte_altered_or_cut_does_not_open() {
    let keyring = keyring();
    let wrapped = keyring.wrapped([1; NONCE]);
    for at in 0..wrapped.len() {
        let mut altered = wrapped.clone();
        altered[at] ^= 0x40;
        assert!(Keyring::unwrap(keyring.root_key(), altered).is_none(), "byte {at}");
        assert!(Keyring::unwrap(keyring.root_key(), wrapped[..at].to_vec()).is_none(), "cut to {at}");
    }
}

#[test]
fn no_serialised_keyring_of_a_wrong_shape_is_taken() {
    let keyring = keyring();
    let plain = keyring.serialise();
    let parse = |bytes: &[u8]| Keyring::parse(Arc::clone(keyring.root_key()), bytes);
    assert!(parse(plain.expose()).is_some());
    for length in 0..plain.expose().len() {
        assert!(parse(&plain.expose()[..length]).is_none(), "cut to {length}");
    }
    let mut repeated = plain.expose().clone();
    repeated[FIXED_BYTES + 3] = 2;
    assert!(parse(&repeated).is_none(), "two terms of one number");
}

// encryptions are counted ahead of use, in blocks that are on record.
#[test]
fn one_caller_in_a_block_is_told_to_reserve_the_next() {
    let term = Term::new(1, 0, known_key(&[0; 32]));
    assert!(term.count(1), "nothing is reserved yet");
    assert_eq!(term.reserve(Recorded::default()), Recorded { known: 1, reserved: 1 + RESERVED_BLOCK });
    assert!(!term.count(1));
    assert!(!term.count(RESERVED_BLOCK - 1));
    assert!(term.count(1), "the block is used up");
}

#[test]
fn a_count_never_falls_behind_the_one_on_record() {
    let term = Term::new(1, 0, known_key(&[0; 32]));
    term.resume(Recorded { known: 40, reserved: 5_000_000 });
    assert_eq!((term.known(), term.used()), (40, 5_000_000));
    assert!(term.count(1), "what was reserved by another life is not this one's");
    let ahead = term.reserve(Recorded { known: 70, reserved: 6_000_000 });
    assert_eq!(ahead, Recorded { known: 70, reserved: 6_000_000 + RESERVED_BLOCK }, "another leader was ahead");
    assert_eq!((term.known(), term.used()), (70, 6_000_000));
}
