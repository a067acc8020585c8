use super::*;

#[test]
fn times_are_written_as_go_writes_them() {
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    assert_eq!(rfc3339(1_709_164_800_020), "2024-02-29T00:00:00.02Z");
    assert_eq!(rfc3339(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
    assert_eq!(rfc3339(4_107_542_400_100), "2100-03-01T00:00:00.1Z");
}

#[test]
fn durations_are_written_as_go_writes_them() {
    let table = [(0, "0s"), (59, "59s"), (90, "1m30s"), (10_800, "3h0m0s"), (-1, "-1s"), (5_405, "1h30m5s")];
    for (secs, wanted) in table {
        assert_eq!(go_duration(secs), wanted);
    }
}

#[test]
fn durations_are_read_as_vault_reads_them() {
    let table = [
        ("60", Some(60)),
        ("-5s", Some(-5)),
        ("1h30m5.5s", Some(5_405)),
        ("1d", Some(86_400)),
        ("+5", Some(5)),
        ("3000000µs", Some(3)),
        ("1.5d", None),
        ("1h5d", None),
        ("1500ms", Some(1)),
        ("1.5h", Some(5_400)),
        (".5m", Some(30)),
        ("1.s", Some(1)),
        ("-1m0.999999999s", Some(-60)),
        ("0.1234567890123s", Some(0)),
        ("1.2.3s", None),
        (".s", None),
        ("999999999999h", None),
        ("x", None),
        ("5x", None),
        ("", None),
    ];
    for (text, wanted) in table {
        assert_eq!(parse_duration(text), wanted, "{text}");
    }
}
