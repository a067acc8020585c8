use super::{Flag, Parsed, parse};
use crate::env::Environment;

const KNOWN: &[Flag] = &[
    Flag::switch("force", "").alias("f"),
    Flag::text("mount", ""),
    Flag::int("version", ""),
    Flag::span("ttl", "").env("TTL"),
    Flag::list("versions", ""),
    Flag::pairs("metadata", ""),
];

fn read(words: &[&str]) -> Result<Parsed, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    parse(KNOWN, &words, &Environment::of(&[("BAO_TTL", "5m")]))
}

fn refusal(words: &[&str]) -> String {
    read(words).err().expect("the words were taken")
}

#[test]
fn one_dash_or_two_and_equals_or_space_mean_the_same() {
    for words in [&["-mount=kv", "a"][..], &["--mount=kv", "a"], &["-mount", "kv", "a"], &["--mount", "kv", "a"]] {
        let parsed = read(words).expect("the words are right");
        assert_eq!(parsed.text("mount"), Some("kv"));
        assert_eq!(parsed.arguments, ["a"]);
    }
}

#[test]
fn the_first_word_that_is_no_flag_ends_the_flags() {
    let parsed = read(&["-f", "path", "-mount=kv"]).expect("the words are right");
    assert!(parsed.switch("force"));
    assert_eq!(parsed.arguments, ["path", "-mount=kv"]);
    assert_eq!(parsed.text("mount"), None);
}

#[test]
fn a_single_dash_is_an_argument_and_two_end_the_flags() {
    assert_eq!(read(&["-"]).expect("the words are right").arguments, ["-"]);
    assert_eq!(read(&["--", "-f"]).expect("the words are right").arguments, ["-f"]);
}

#[test]
fn a_switch_takes_its_value_only_behind_an_equals_sign() {
    let parsed = read(&["-force=false", "false"]).expect("the words are right");
    assert_eq!(parsed.tristate("force"), Some(false));
    assert_eq!(parsed.arguments, ["false"]);
}

#[test]
fn repeated_flags_add_up_where_they_are_lists_and_else_the_last_counts() {
    let parsed =
        read(&["-versions=1", "-versions=2,3", "-metadata=a=1", "-metadata=b=c=d", "-version=1", "-version=2"])
            .expect("the words are right");
    assert_eq!(parsed.list("versions"), ["1", "2,3"]);
    assert_eq!(parsed.pairs("metadata").get("b").map(String::as_str), Some("c=d"));
    assert_eq!(parsed.int("version"), Some(2));
}

#[test]
fn the_environment_stands_in_only_for_flags_not_given() {
    assert_eq!(read(&[]).expect("no words").span("ttl").map(|ttl| ttl.secs()), Some(300));
    assert_eq!(read(&["-ttl=1m"]).expect("the words are right").span("ttl").map(|ttl| ttl.secs()), Some(60));
}

#[test]
fn mistakes_are_reported_in_gos_words() {
    for (words, text) in [
        (&["-zzz"][..], "flag provided but not defined: -zzz"),
        (&["-version"], "flag needs an argument: -version"),
        (&["-version=a"], "invalid value \"a\" for flag -version: strconv.ParseInt: parsing \"a\": invalid syntax"),
        (&["-force=q"], "invalid boolean value \"q\" for -force: strconv.ParseBool: parsing \"q\": invalid syntax"),
        (&["-ttl=abc"], "invalid value \"abc\" for flag -ttl: time: invalid duration \"abc\""),
        (&["-metadata=a"], "invalid value \"a\" for flag -metadata: missing = in KV pair: \"a\""),
        (&["-=x"], "bad flag syntax: -=x"),
    ] {
        assert_eq!(refusal(words), text);
    }
}
