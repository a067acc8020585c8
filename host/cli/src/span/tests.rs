use super::Span;

#[test]
fn flags_take_seconds_go_notation_and_days() {
    for (text, secs) in
        [("30", 30), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800), ("-1", -1)]
    {
        assert_eq!(Span::parse(text), Ok(Span::of_secs(secs)), "{text}");
    }
    for text in ["", "abc", "5x", "h", "1.2.3s"] {
        assert!(Span::parse(text).is_err(), "{text} was taken");
    }
}

#[test]
fn a_span_is_written_as_go_writes_it() {
    for (text, written) in [
        ("0", "0s"),
        ("90", "1m30s"),
        ("3600", "1h0m0s"),
        ("1.5s", "1.5s"),
        ("3h25m19s", "3h25m19s"),
        ("1500us", "1.5ms"),
        ("10ns", "10ns"),
        ("-90s", "-1m30s"),
        ("768h", "768h0m0s"),
    ] {
        assert_eq!(Span::parse(text).expect(text).to_string(), written);
    }
}

#[test]
fn the_short_form_drops_units_that_are_zero_at_the_end() {
    for (secs, short) in
        [(0, "0s"), (60, "1m"), (3600, "1h"), (2_764_800, "768h"), (3660, "1h1m"), (3601, "1h0m1s"), (59, "59s")]
    {
        assert_eq!(Span::of_secs(secs).short(), short);
    }
}
