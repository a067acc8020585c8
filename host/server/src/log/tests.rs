use std::io::Write as _;

use super::*;

const HOSTILE: &str = "a\nb\r\u{1b}[2J\u{9b}31m\u{7f}\u{202e}c\u{2028}d\u{2066}\u{200f}\u{61c}é\u{1f511} \\";

#[test]
fn characters_that_a_terminal_acts_on_are_escaped_and_letters_are_not() {
    let shown = legible(HOSTILE);
    assert_eq!(
        shown,
        r"a\nb\r\u{1b}[2J\u{9b}31m\u{7f}\u{202e}c\u{2028}d\u{2066}\u{200f}\u{61c}é\u{1f511} \"
            .replace(r"\u{1f511}", "\u{1f511}")
    );
    assert!(!shown.chars().any(is_active));
}

#[test]
fn a_json_line_stays_the_same_json_and_shows_nothing_active() {
    let line = format!("{}\n", serde_json::json!({ "message": HOSTILE }));
    let mut written = JsonLines(Vec::new());
    written.write_all(line.as_bytes()).expect("a vector takes all");
    let text = String::from_utf8(written.0).expect("is text");
    assert_eq!(text.chars().filter(|c| is_active(*c)).collect::<String>(), "\n");
    let value: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(value["message"], HOSTILE);
}
