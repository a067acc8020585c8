use super::*;

fn style(pairs: &[(&str, &str)], may_prefix: bool) -> Result<Style, String> {
    let options = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Style::of(&options, may_prefix)
}

#[test]
fn lines_are_hashed_json_without_a_prefix_unless_asked_otherwise() {
    let usual =
        Style { raw: false, hashes_accessors: true, elides_lists: false, prefix: String::new(), skips_test: false };
    assert_eq!(style(&[], false), Ok(usual));
    let asked = [
        ("elide_list_responses", "true"),
        ("format", "json"),
        ("hmac_accessor", "0"),
        ("log_raw", "T"),
        ("prefix", "@cee: "),
        ("skip_test", "1"),
    ];
    let other =
        Style { raw: true, hashes_accessors: false, elides_lists: true, prefix: "@cee: ".into(), skips_test: true };
    assert_eq!(style(&asked, true), Ok(other));
}

#[test]
fn unusable_options_are_refused_with_a_reason() {
    for (pair, message) in [
        (("log_raw", "maybe"), "log_raw is neither true nor false: \"maybe\""),
        (("hmac_accessor", ""), "hmac_accessor is neither true nor false: \"\""),
        (("format", "jsonx"), "format \"jsonx\" is not offered: leave it out, or use \"json\""),
        (("format", "xml"), "unknown format type \"xml\""),
        (("prefix", "a\nb"), "prefix must be of one line"),
    ] {
        assert_eq!(style(&[pair], true), Err(message.to_owned()));
    }
    let unasked = style(&[("prefix", "x")], false).expect_err("the config does not allow it");
    assert!(unasked.starts_with("audit log prefixing is not allowed"), "{unasked}");
}
