use serde_json::{Value, json};

use super::{Format, json as js, sorted, table, yaml};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the test's JSON is right")
}

#[test]
fn formats_are_known_by_name_in_any_case() {
    assert_eq!(Format::named("JSON"), Some(Format::Json));
    assert_eq!(Format::named("yml"), Some(Format::Yaml));
    assert_eq!(Format::named("xml"), None);
}

#[test]
fn json_is_indented_and_escaped_as_go_does() {
    let value = parsed(r#"{"b":{},"a":[1,"<&>\u0001",[],null,true],"n":1.50}"#);
    let expected = "{\n  \"a\": [\n    1,\n    \"\\u003c\\u0026\\u003e\\u0001\",\n    [],\n    null,\n    true\n  ],\n  \"b\": {},\n  \"n\": 1.50\n}";
    assert_eq!(js::pretty(&sorted(&value)), expected);
    assert_eq!(js::compact(&json!({"data": {"b": "c'd"}, "options": {}})), r#"{"data":{"b":"c'd"},"options":{}}"#);
}

#[test]
fn columns_are_as_wide_as_their_widest_cell_and_the_last_is_ragged() {
    let rows = vec![
        vec!["secret/".to_owned(), "kv".to_owned(), "é".to_owned()],
        vec!["s/".to_owned(), String::new(), "x".to_owned()],
    ];
    let expected = "Path       Type    Note\n----       ----    ----\nsecret/    kv      é\ns/         n/a     x";
    assert_eq!(table::with_header(&["Path", "Type", "Note"], &rows), expected);
}

#[test]
fn values_are_printed_as_gos_percent_v() {
    let value = parsed(r#"[1,"a",{"z":1,"a":[]},null,true,1.50]"#);
    assert_eq!(table::plain(&value), "[1 a map[a:[] z:1] <nil> true 1.50]");
    assert_eq!(table::quoted(&["root".to_owned(), "a\"b".to_owned()]), r#"["root" "a\"b"]"#);
}

#[test]
fn numbers_under_a_duration_s_name_are_shown_as_durations() {
    for (key, shown) in [
        ("ttl", "1h"),
        ("max_ttl", "1h"),
        ("token_period", "1h"),
        ("lease_duration", "1h"),
        ("ttl_max", "1h"),
        ("nettl", "3600"),
        ("version", "3600"),
    ] {
        assert_eq!(table::entry(key, &json!(3600)), shown, "{key}");
    }
    assert_eq!(table::entry("ttl", &json!("3600")), "3600");
}

#[test]
fn yaml_quotes_only_what_would_read_back_as_something_else() {
    for (text, written) in [
        ("plain", "plain"),
        ("true", "\"true\""),
        ("123", "\"123\""),
        ("&x", "'&x'"),
        ("@x", "'@x'"),
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("- x", "'- x'"),
        ("-x", "-x"),
        ("", "\"\""),
        (" lead", "' lead'"),
        ("trail ", "'trail '"),
        ("2001-01-01", "\"2001-01-01\""),
        ("~", "\"~\""),
        ("it's \"q\"", "it's \"q\""),
        ("a\tb", "\"a\\tb\""),
        ("'a'", "'''a'''"),
        ("1e3", "\"1e3\""),
        ("0x1F", "\"0x1F\""),
        ("1_000", "\"1_000\""),
        ("+1", "\"+1\""),
        (".inf", "\".inf\""),
        ("tRue", "tRue"),
        ("<<", "<<"),
        ("=", "="),
        ("12:30:45", "\"12:30:45\""),
        ("2026-11-23T21:44:16.095Z", "\"2026-11-23T21:44:16.095Z\""),
        ("https://a/b", "https://a/b"),
        ("v2.7.2+builtin.bao", "v2.7.2+builtin.bao"),
        ("2.7.2", "2.7.2"),
        ("1x", "1x"),
        ("", "\"\""),
        ("a\\b", "a\\b"),
        ("\u{1b}[0m", "\"\\e[0m\""),
        ("😀", "\"\\U0001F600\""),
        ("é漢", "é漢"),
        ("?", "'?'"),
        ("?a", "?a"),
        ("off", "\"off\""),
    ] {
        assert_eq!(yaml::document(&json!({"k": text})), format!("k: {written}\n"), "{text:?}");
    }
}

#[test]
fn yaml_lists_stand_under_their_key_and_keys_are_in_natural_order() {
    let value = parsed(r#"{"l":[1,"a",{"z":1,"a":[]},[1,2]],"m":{"k":{}},"a10":null,"a2":1.5,"n":1,"A":2}"#);
    let expected = "A: 2\na2: 1.5\na10: null\nl:\n- 1\n- a\n- a: []\n  z: 1\n- - 1\n  - 2\nm:\n  k: {}\n\"n\": 1\n";
    assert_eq!(yaml::document(&value), expected);
}

#[test]
fn yaml_writes_lines_as_a_block_and_folds_long_ones() {
    let value = json!({"keep": "a\n  b\n\n", "one": "x\ny\n", "strip": "x\ny"});
    assert_eq!(yaml::document(&value), "keep: |+\n  a\n    b\n\none: |\n  x\n  y\nstrip: |-\n  x\n  y\n");
    let long = ["word"; 20].join(" ");
    let folded = format!("k: {}\n  {}\n", ["word"; 16].join(" "), ["word"; 4].join(" "));
    assert_eq!(yaml::document(&json!({"k": long})), folded);
}

#[test]
fn yaml_numbers_keep_their_value() {
    let value =
        parsed(r#"{"a":12345678901234567890123,"b":1e21,"c":123456789.5,"d":0.00001,"e":18446744073709551615}"#);
    assert_eq!(
        yaml::document(&value),
        "a: 1.2345678901234568e+22\nb: 1e+21\nc: 1.234567895e+08\nd: 1e-05\ne: 18446744073709551615\n"
    );
}
