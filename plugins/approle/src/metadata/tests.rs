use super::*;

fn shown(text: &str) -> String {
    match parse(text) {
        Ok(metadata) => metadata.iter().map(|(name, value)| format!("{name}={value};")).collect(),
        Err(Error::InvalidRequest(text)) => text.trim_start_matches("failed to parse metadata: ").to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn metadata_is_read_as_vault_reads_it() {
    let format = "failed to parse the input: invalid <key,value> format";
    for (text, expected) in [
        ("", ""),
        ("{}", ""),
        ("{\"A\":\"B\"}", "A=B;"),
        ("{\"a\":\"b\\n\\u00e4\",\"c\":\"d\"}", "a=b\nä;c=d;"),
        ("A=B,c=D,A=Z", "a=z;c=d;"),
        (" a = b , c=d ", "a=b;c=d;"),
        (",a=b,", "a=b;"),
        ("eyJhIjoiYiJ9", "a=b;"),
        ("{\"a\":\"b\",\"n\":5}", format),
        ("{\"a\":\"b\"", format),
        ("nonsense", format),
        ("a=b=c", format),
        ("[]", format),
        ("\"x\"", format),
        ("a=", "failed to parse the input: invalid <key,value> pair: key: \"a\" value: \"\""),
        ("{\"a\":\"\"}", "invalid value for key \"a\""),
        ("{\"a\":null}", "invalid value for key \"a\""),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn metadata_that_a_login_could_not_carry_is_refused() {
    let pairs = |count: usize| (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
    assert!(parse(&pairs(999)).is_ok());
    assert_eq!(shown(&pairs(1000)), "more than 1000 pairs of metadata");
    assert_eq!(shown(&format!("a={}", "v".repeat(16_385))), "one of the pairs of metadata is longer than 16384 bytes");
}
