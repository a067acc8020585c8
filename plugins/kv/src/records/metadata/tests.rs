use super::*;

fn sample() -> Metadata {
    Metadata {
        current: 300,
        oldest: 299,
        created_ms: 1_700_000_000_000,
        updated_ms: 1_700_000_000_001,
        max_versions: 2,
        cas_required: true,
        metadata_cas_required: true,
        delete_after: DeleteAfter::Secs(60),
        revision: 7,
        custom: r#"{"a":"b"}"#.to_owned(),
        versions: vec![
            Version { number: 299, created_ms: 1, deleted_ms: 2, destroyed: true },
            Version { number: 300, created_ms: 3, deleted_ms: 0, destroyed: false },
        ],
    }
}

#[test]
fn metadata_reads_back_as_it_was_written() {
    assert_eq!(Metadata::decode(&sample().encode().unwrap()).unwrap(), sample());
    assert_eq!(Metadata::decode(&Metadata::default().encode().unwrap()).unwrap(), Metadata::default());
}

#[test]
fn a_field_of_a_later_layout_is_skipped() {
    let mut bytes = sample().encode().unwrap();
    let mut later = Writer::new();
    later.bytes(99, b"new");
    bytes.extend_from_slice(&later.end()[1..]);
    assert_eq!(Metadata::decode(&bytes).unwrap(), sample());
}

#[test]
fn the_mount_bounds_how_long_a_secret_keeps_versions() {
    use DeleteAfter::{Disabled, Secs, Unset};
    let table = [
        (Unset, Unset, 0),
        (Secs(5), Unset, 5_000),
        (Unset, Secs(5), 5_000),
        (Secs(5), Secs(9), 5_000),
        (Secs(9), Secs(5), 5_000),
        (Disabled, Secs(5), 0),
    ];
    for (mount, secret, wanted) in table {
        assert_eq!(Ends { mount, secret }.of_version_written(0), wanted, "{mount:?} {secret:?}");
    }
}
