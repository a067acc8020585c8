use bulkhead_model::fake::entropy::FakeEntropy;
use proptest::prelude::*;

use super::*;
use crate::names::opaque_key;

fn keyring() -> Keyring {
    Keyring::generate(0, &FakeEntropy::seeded(1))
}

fn place(byte: u8) -> Vec<u8> {
    opaque_key(SpaceId([9; 16]), &[byte])
}

fn sealed(keyring: &Keyring, value: &[u8]) -> Vec<u8> {
    seal(keyring.newest(), &place(1), value, [5; NONCE], &mut Vec::new())
}

fn opened(keyring: &Keyring, place: &[u8], record: &[u8]) -> Result<Vec<u8>, StoreError> {
    open(keyring, place, record.to_vec(), &mut Vec::new()).map(|value| value.expose().clone())
}

proptest! {
    #[test]
    fn a_value_comes_back(value in prop::collection::vec(any::<u8>(), 0..300)) {
        let keyring = keyring();
        let record = sealed(&keyring, &value);
        prop_assert_eq!(record.len(), value.len() + OVERHEAD);
        prop_assert_eq!(opened(&keyring, &place(1), &record).expect("it opens"), value);
    }

    #[test]
    fn any_altered_byte_of_record_or_key_is_noticed(
        value in prop::collection::vec(any::<u8>(), 0..40), at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let keyring = keyring();
        let mut record = sealed(&keyring, &value);
        let record_bytes = record.len();
        let mut key = place(1);
        match at.index(record_bytes + key.len()) {
            n if n < record_bytes => record[n] ^= flip,
            n => key[n - record_bytes] ^= flip,
        }
        let refused = opened(&keyring, &key, &record);
        let noticed = matches!(refused, Err(StoreError::Damaged { .. } | StoreError::UnknownTerm { .. }));
        prop_assert!(noticed);
    }
}

// whatever is altered of a ciphertext, and wherever it is cut, the error is one and the same.
#[test]
fn r64_no_error_tells_what_is_wrong_with_a_ciphertext() {
    let keyring = keyring();
    let record = sealed(&keyring, b"a value");
    let mut told = std::collections::BTreeSet::new();
    for at in 5..record.len() {
        for flip in [1, 0x10, 0x80, 0xff] {
            let mut altered = record.clone();
            altered[at] ^= flip;
            told.insert(opened(&keyring, &place(1), &altered).expect_err("it is altered").to_string());
        }
        told.insert(opened(&keyring, &place(1), &record[..at]).expect_err("it is cut").to_string());
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_record_moved_to_another_key_or_space_does_not_open() {
    let keyring = keyring();
    let record = sealed(&keyring, b"value");
    for elsewhere in [place(2), opaque_key(SpaceId([8; 16]), &[1])] {
        assert!(matches!(opened(&keyring, &elsewhere, &record), Err(StoreError::Damaged { .. })));
    }
}

#[test]
fn a_record_relabelled_to_another_term_does_not_open() {
    let keyring = keyring().rotated(1, &FakeEntropy::seeded(2));
    let mut record = sealed(&keyring, b"value");
    record[4] = 1;
    assert!(matches!(opened(&keyring, &place(1), &record), Err(StoreError::Damaged { .. })));
    record[4] = 3;
    assert!(matches!(opened(&keyring, &place(1), &record), Err(StoreError::UnknownTerm { term: 3, .. })));
}

#[test]
fn a_record_cut_anywhere_or_lengthened_does_not_open() {
    let keyring = keyring();
    let record = sealed(&keyring, b"value");
    for length in 0..record.len() {
        assert!(opened(&keyring, &place(1), &record[..length]).is_err(), "cut to {length} bytes");
    }
    assert!(opened(&keyring, &place(1), &[record.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_wrapped_key_opens_under_its_key_and_label_only() {
    let wrapped = wrap(&[1; 32], b"label", b"a key", [5; NONCE]);
    let opened = |key, label: &[u8]| unwrap(key, label, wrapped.clone()).map(|plain| plain.expose().clone());
    assert_eq!(opened(&[1; 32], b"label"), Some(b"a key".to_vec()));
    assert_eq!(opened(&[2; 32], b"label"), None);
    assert_eq!(opened(&[1; 32], b"lapel"), None);
}
