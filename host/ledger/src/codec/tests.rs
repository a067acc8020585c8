use bulkhead_model::change::{Change, RangeCheck, ReadCheck, Write};
use bulkhead_model::limits::{CHANGE_RECORDS_MAX, LEDGER_KEY_BYTES_MAX};
use bulkhead_model::seam::ledger::LedgerError;
use proptest::prelude::*;

use super::{FORMAT, decode, encode};

fn changes() -> impl Strategy<Value = Change> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let read = (bytes(), any::<Option<u64>>()).prop_map(|(key, version)| ReadCheck { key, version });
    let range = (bytes(), bytes(), any::<u32>(), any::<[u8; 32]>()).prop_map(|(from, end, limit, digest)| RangeCheck {
        from,
        end,
        limit,
        digest,
    });
    let write = (bytes(), prop::option::of(bytes())).prop_map(|(key, value)| Write { key, value });
    let many = 0..4usize;
    (
        prop::collection::vec(read, many.clone()),
        prop::collection::vec(range, many.clone()),
        prop::collection::vec(write, many),
    )
        .prop_map(|(reads, ranges, writes)| Change { reads, ranges, writes })
}

proptest! {
    #[test]
    fn an_encoded_change_is_a_format_byte_and_the_models_postcard(change in changes()) {
        let bytes = encode(&change).unwrap();
        prop_assert_eq!(bytes[0], FORMAT);
        let back: Change = postcard::from_bytes(&bytes[1..]).unwrap();
        prop_assert_eq!(&back, &change);
        let lines = decode(&bytes).unwrap();
        prop_assert_eq!(lines.writes.len(), change.writes.len());
        for (line, write) in lines.writes.iter().zip(&change.writes) {
            prop_assert_eq!(line.key.0, &write.key[..]);
            prop_assert_eq!(line.value.map(|v| v.0), write.value.as_deref());
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let mut ours = vec![FORMAT];
        ours.extend(bytes);
        let _ = decode(&ours);
    }
}

#[test]
fn bytes_after_a_change_or_of_another_format_are_refused() {
    let mut bytes = encode(&Change::default()).unwrap().to_vec();
    assert!(decode(&bytes).is_some());
    bytes.push(0);
    assert!(decode(&bytes).is_none());
    assert!(decode(&[FORMAT + 1, 0, 0, 0]).is_none());
    assert!(decode(&[]).is_none());
}

// no key or value over the limit comes into the log, nor is one applied that did.
#[test]
fn an_entry_over_a_limit_is_refused_when_applied_as_when_proposed() {
    let key = vec![b'k'; LEDGER_KEY_BYTES_MAX + 1];
    let change = Change { writes: vec![Write { key, value: None }], ..Change::default() };
    assert!(matches!(encode(&change), Err(LedgerError::TooLarge { what: "ledger key", .. })));
    let mut forged = vec![FORMAT];
    forged.extend(postcard::to_stdvec(&change).unwrap());
    assert!(decode(&forged).is_none());

    let many = vec![ReadCheck { key: Vec::new(), version: None }; CHANGE_RECORDS_MAX + 1];
    let change = Change { reads: many, ..Change::default() };
    assert!(matches!(encode(&change), Err(LedgerError::TooLarge { .. })));
}
