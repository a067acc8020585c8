use proptest::prelude::*;

use super::*;

#[test]
fn texts_are_read_as_vault_reads_them() {
    for (text, secs) in [
        ("", 0),
        ("0", 0),
        ("-0", 0),
        ("30", 30),
        ("+30", 30),
        ("5d", 432_000),
        ("1h30m", 5_400),
        ("1h0m0s", 3_600),
        ("500ms", 0),
        ("1500ms", 1),
        ("1.5h", 5_400),
        (".5m", 30),
        ("1m1s", 61),
        ("999999us", 0),
        ("2562047h", 9_223_369_200),
    ] {
        assert_eq!(parse_secs(text), Ok(secs), "for {text:?}");
    }
}

#[test]
fn refused_texts_get_gos_words() {
    for (text, message) in [
        ("banana", r#"time: invalid duration "banana""#),
        ("1.5", r#"time: missing unit in duration "1.5""#),
        ("1y", r#"time: unknown unit "y" in duration "1y""#),
        ("1d12h", r#"time: unknown unit "d" in duration "1d12h""#),
        ("1h30", r#"time: missing unit in duration "1h30""#),
        ("-5", r#"cannot provide negative value "-5""#),
        ("-1h", r#"cannot provide negative value "-1h""#),
        (".s", r#"time: invalid duration ".s""#),
        ("1.2.3s", r#"time: invalid duration "1.2.3s""#),
        ("d", r#"time: invalid duration "d""#),
        ("-", r#"time: invalid duration "-""#),
        (" 5", r#"time: invalid duration " 5""#),
        ("2562048h", r#"time: invalid duration "2562048h""#),
        ("9223372037", r#"time: invalid duration "9223372037""#),
        ("99999999999999999999d", r#"time: invalid duration "99999999999999999999d""#),
    ] {
        assert_eq!(parse_secs(text).expect_err(text).to_string(), message, "for {text:?}");
    }
}

#[test]
fn fractions_are_exact() {
    assert_eq!(parse("0.1s"), Ok(Duration::from_millis(100)));
    assert_eq!(parse("1.000000001s"), Ok(Duration::from_nanos(1_000_000_001)));
    assert_eq!(parse("2µs"), Ok(Duration::from_micros(2)));
}

#[test]
fn seconds_are_written_as_go_writes_them() {
    for (secs, text) in [(0, "0s"), (59, "59s"), (90, "1m30s"), (3600, "1h0m0s"), (2_764_800, "768h0m0s")] {
        assert_eq!(format_go(secs), text);
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(secs in 0_u64..9_000_000_000) {
        prop_assert_eq!(parse_secs(&format_go(secs)), Ok(secs));
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[0-9.+\\-hmsdµn a-z]{0,24}") {
        if let Ok(duration) = parse(&text) {
            prop_assert!(duration.as_nanos() <= i64::MAX as u128);
        }
    }
}
