use std::io::Write;

use serde_json::{Value, json};

use super::{PairError, parse, parse_queries, parse_texts};

fn read(words: &[&str], stdin: &str) -> Result<Value, PairError> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    parse(&words, &mut stdin.as_bytes()).map(Value::Object)
}

/// What the user is told about words that are no data.
fn told(words: &[&str], stdin: &str) -> String {
    read(words, stdin).expect_err("they are no data").to_string()
}

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("the test may write files");
    file.write_all(text.as_bytes()).expect("the test may write files");
    file
}

#[test]
fn the_first_equals_sign_ends_the_key() {
    assert_eq!(read(&["a=b=c", "d="], "").expect("pairs"), json!({"a": "b=c", "d": ""}));
}

#[test]
fn a_value_comes_from_a_file_or_stdin_byte_for_byte() {
    let file = file_with("line\n");
    let word = format!("a=@{}", file.path().display());
    assert_eq!(read(&[&word, "b=-"], " in\n").expect("pairs"), json!({"a": "line\n", "b": " in\n"}));
}

#[test]
fn a_backslash_lets_a_value_begin_with_an_at_sign() {
    assert_eq!(read(&["a=\\@b", "c=\\d"], "").expect("pairs"), json!({"a": "@b", "c": "\\d"}));
}

#[test]
fn a_whole_object_comes_from_a_file_or_stdin_and_keeps_its_types() {
    let file = file_with(r#"{"n": 1, "o": {"x": [true]}}"#);
    let word = format!("@{}", file.path().display());
    assert_eq!(
        read(&[&word, "-"], r#"{"f": 1.50}"#).expect("pairs").to_string(),
        r#"{"n":1,"o":{"x":[true]},"f":1.50}"#
    );
}

#[test]
fn a_key_given_twice_becomes_a_list() {
    assert_eq!(read(&["a=1", "a=2", "a=3"], "").expect("pairs"), json!({"a": ["1", "2", "3"]}));
}

#[test]
fn stdin_can_be_read_once_only() {
    assert_eq!(told(&["a=-", "b=-"], "x"), "invalid key/value pair \"b=-\": stdin already consumed");
}

#[test]
fn words_that_are_no_pair_and_files_that_are_not_there_are_errors() {
    assert_eq!(told(&["abc"], ""), "invalid key/value pair \"abc\": format must be key=value");
    assert_eq!(
        told(&["a=@/no/file"], ""),
        "invalid key/value pair \"a=@/no/file\": error reading file: open /no/file: no such file or directory"
    );
    assert_eq!(
        told(&["@/no/file"], ""),
        "invalid key/value pair \"@/no/file\": open /no/file: no such file or directory"
    );
    assert!(told(&["-"], "[1]").starts_with("invalid key/value pair \"-\": stdin does not hold a JSON object"));
}

#[test]
fn texts_and_queries_take_scalars_only() {
    let words = vec!["-".to_owned()];
    let texts = parse_texts(&words, &mut r#"{"n":1,"b":true}"#.as_bytes()).expect("scalars");
    assert_eq!(texts.get("n").map(String::as_str), Some("1"));
    assert_eq!(texts.get("b").map(String::as_str), Some("1"));
    assert!(parse_texts(&words, &mut r#"{"n":{}}"#.as_bytes()).is_err());
    let queries = parse_queries(&["a=1".to_owned(), "a=2".to_owned()], &mut std::io::empty()).expect("pairs");
    assert_eq!(queries, [("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]);
}
