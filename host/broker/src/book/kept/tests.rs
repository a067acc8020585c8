use super::*;
use crate::book::space;

#[derive(Serialize, Deserialize)]
struct Plain {
    name: String,
    internal: Vec<u8>,
    after: u64,
}

#[derive(Serialize, Deserialize)]
struct Wiped {
    name: String,
    internal: Kept,
    after: u64,
}

#[test]
fn kept_bytes_are_stored_as_plain_ones_were() {
    for len in [0, 1, 200, 100_000] {
        let plain = Plain { name: "a".into(), internal: vec![0xa5; len], after: 7 };
        let wiped =
            Wiped { name: "a".into(), internal: Kept::from(Hidden::new(plain.internal.clone())), after: plain.after };
        let stored = encoded(&[3], &wiped);
        assert_eq!(stored.expose()[0], 3);
        assert_eq!(&stored.expose()[1..], postcard::to_stdvec(&plain).expect("encodes"));
        let again: Wiped = decoded(&stored, 3, (space::JOBS, "a test")).expect("decodes");
        assert_eq!(again.internal.duplicate().expose(), &plain.internal);
        assert_eq!((again.name, again.after), (plain.name, plain.after));
    }
}

#[test]
fn a_record_of_another_format_is_damaged() {
    let stored = encoded(&[2], &7_u64);
    assert!(decoded::<u64>(&stored, 1, (space::JOBS, "a test")).is_err());
    assert!(decoded::<u64>(&Hidden::new(Vec::new()), 1, (space::JOBS, "a test")).is_err());
}
