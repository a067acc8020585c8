use proptest::prelude::*;

use super::*;
use crate::limits::HCL_DEPTH_MAX;

/// An item without its place, to compare two spellings.
fn write_item(out: &mut String, item: &Item) {
    out.push_str(&format!("{}{:?}=", item.key, item.labels));
    write_value(out, &item.value);
    out.push(';');
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Str(text) => out.push_str(&format!("{text:?}")),
        Value::Num(_) | Value::Bool(_) => out.push_str(value.scalar().expect("is a scalar")),
        Value::List(values) => values.iter().for_each(|v| {
            out.push(',');
            write_value(out, v);
        }),
        Value::Body(items) => {
            out.push('{');
            items.iter().for_each(|i| write_item(out, i));
            out.push('}');
        }
    }
}

fn shape(text: &str) -> String {
    let mut out = String::new();
    parse(text).expect("parses").iter().for_each(|i| write_item(&mut out, i));
    out
}

fn refused(text: &str) -> String {
    parse(text).expect_err("is refused").to_string()
}

fn string_of(text: &str) -> String {
    match &parse(text).expect("parses")[0].value {
        Value::Str(text) => text.clone(),
        other => panic!("{other:?} is not a string"),
    }
}

#[test]
fn names_may_be_bare_or_quoted_and_equals_signs_are_optional_before_a_brace() {
    let expected = r#"listener["tcp"]={address[]="127.0.0.1:1";};"#;
    assert_eq!(shape("listener \"tcp\" { address = \"127.0.0.1:1\" }"), expected);
    assert_eq!(shape("\"listener\" \"tcp\" {\n \"address\" = \"127.0.0.1:1\"\n}"), expected);
    assert_eq!(shape("listener tcp { address = \"127.0.0.1:1\", }"), expected);
    assert_eq!(shape("a = { b = 1 }"), shape("a { b = 1 }"));
}

#[test]
fn a_policy_reads_as_its_json_form_does() {
    let native = r#"
        path "secret/*" { capabilities = ["read", "list",] }
        path "secret/a" { capabilities = ["deny"] allowed_parameters = { "x" = [] } }
    "#;
    let json = r#"{"path": {
        "secret/*": {"capabilities": ["read", "list"]},
        "secret/a": {"capabilities": ["deny"], "allowed_parameters": {"x": []}}
    }}"#;
    assert_eq!(shape(native), shape(json));
}

#[test]
fn a_list_of_objects_in_json_is_a_repeated_block() {
    let json = r#"{"listener": [{"tcp": {"address": "a"}}, {"tcp": {"address": "b"}}], "ui": true}"#;
    assert_eq!(shape(json), shape("listener tcp { address = \"a\" } listener tcp { address = \"b\" } ui = true"));
}

#[test]
fn a_list_of_objects_within_a_json_object_is_no_label() {
    let json = r#"{"storage": {"raft": {"retry_join": [{"leader_api_addr": "x"}]}}}"#;
    assert_eq!(shape(json), shape("storage raft { retry_join { leader_api_addr = \"x\" } }"));
}

#[test]
fn null_in_json_is_as_if_not_given() {
    assert_eq!(shape(r#"{"a": null, "b": 1}"#), shape("b = 1"));
}

#[test]
fn blocks_written_twice_are_two_items() {
    assert_eq!(parse("a {}\na {}\na = 1").expect("parses").len(), 3);
}

#[test]
fn comments_of_all_three_kinds_are_skipped() {
    assert_eq!(shape("# x\na = 1 // y\n/* z = 2\n */ b = /* q */ 2 # end"), "a[]=1;b[]=2;");
}

#[test]
fn strings_have_their_escapes_undone() {
    assert_eq!(string_of(r#"a = "x\n\t\"\\\u00e9\x41""#), "x\n\t\"\\éA");
    assert_eq!(string_of(r#"{"a": "\ud83d\ude00\/"}"#), "😀/");
}

#[test]
fn heredocs_keep_their_lines() {
    assert_eq!(string_of("a = <<EOF\n x\n\n  y\nEOF\n"), " x\n\n  y\n");
    assert_eq!(string_of("a = <<-EOF\n    x\n      y\n    EOF\n"), "x\n  y\n");
    assert_eq!(string_of("a = <<-EOF\n  x\n    EOF\n"), "  x\n");
    assert_eq!(string_of("a = <<EOF\nEOF"), "");
    assert_eq!(string_of("a = <<EOF\r\nx\r\nEOF\r\n"), "x\r\n");
}

#[test]
fn numbers_are_kept_as_written() {
    assert_eq!(shape("a = [1, -2, 1.5, 1e3, 1e-3, 0x1F]"), "a[]=,1,-2,1.5,1e3,1e-3,0x1F;");
    assert_eq!(refused("a = 1h"), "at 1:5: \"1h\" is not a number");
    assert_eq!(refused("a = -"), "at 1:5: \"-\" is not a number");
}

#[test]
fn errors_name_the_place() {
    for (text, message) in [
        ("a", "at 1:2: key 'a' expected start of object ('{') or assignment ('=')"),
        ("a\nb = 1\n", "at 2:3: a block with labels takes '{' here, not '='"),
        ("a {\n b = 1\n", "at 1:3: '{' is not closed"),
        ("a = [1,", "at 1:5: '[' is not closed"),
        ("a = [1 2]", "at 1:8: expected ',' or ']' in a list"),
        ("}", "at 1:1: '}' without a '{'"),
        ("a = b", "at 1:5: expected a value, found b: strings need quotes"),
        ("a = \"x\ny\"", "at 1:5: string is not closed"),
        ("a = \"\\q\"", "at 1:6: unknown escape in a string; a backslash itself is written \\\\"),
        ("é = 1\n  ü = }", "at 2:7: expected a value, found '}'"),
        ("/* x", "at 1:1: comment is not closed"),
        ("a = <<EOF\nx\n", "at 1:5: heredoc is not closed by EOF"),
        (r#"{"a": 1} x"#, "at 1:10: text after the end of the JSON object"),
        (r#"{"a" 1}"#, "at 1:6: expected ':' after a name"),
        (r#"{"a": 1"#, "at 1:1: '{' is not closed"),
        (r#"{"a": [null]}"#, "at 1:8: null in a list"),
        (r#"{a: 1}"#, "at 1:2: expected a quoted name"),
    ] {
        assert_eq!(refused(text), message, "for {text:?}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = |levels: usize| format!("a = {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&deep(HCL_DEPTH_MAX)).is_ok());
    assert_eq!(refused(&deep(HCL_DEPTH_MAX + 1)), "at 1:37: nested deeper than 32 levels");
    assert!(refused(&format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))).contains("nested deeper"));
    assert!(refused(&" ".repeat(HCL_BYTES_MAX + 1)).contains("over the limit"));
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "[a-z\"{}\\[\\]=,:<\\-#/*\\\\ \n0-9é]{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }

    #[test]
    fn any_string_written_with_escapes_is_read_back(text in "[^\0]{0,40}") {
        let escaped: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
        prop_assert_eq!(string_of(&format!("a = \"{escaped}\"")), text.clone());
        let json = serde_json::json!({ "a": text }).to_string();
        prop_assert_eq!(string_of(&json), text);
    }
}
