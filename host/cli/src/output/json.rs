//! JSON as Go's encoder writes it: two spaces, and `<`, `>`, `&` escaped. serde_json
//! would write the same values, but not the same bytes.

use std::fmt::Write;

use serde_json::Value;

/// Indented by two spaces, in the order the value has.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, Some(0));
    text
}

/// On one line, without spaces.
pub(crate) fn compact(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, None);
    text
}

/// `depth` is none for the compact form.
fn write_value(text: &mut String, value: &Value, depth: Option<usize>) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(on) => text.push_str(if *on { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => write_string(text, string),
        Value::Array(items) => write_series(text, ('[', ']'), depth, items, |text, item, depth| {
            write_value(text, item, depth);
        }),
        Value::Object(map) => write_series(text, ('{', '}'), depth, map, |text, (key, item), depth| {
            write_string(text, key);
            text.push_str(if depth.is_some() { ": " } else { ":" });
            write_value(text, item, depth);
        }),
    }
}

fn write_series<I: IntoIterator>(
    text: &mut String,
    brackets: (char, char),
    depth: Option<usize>,
    items: I,
    write_item: impl Fn(&mut String, I::Item, Option<usize>),
) {
    text.push(brackets.0);
    let inner = depth.map(|depth| depth + 1);
    let mut any = false;
    for item in items {
        if any {
            text.push(',');
        }
        any = true;
        break_line(text, inner);
        write_item(text, item, inner);
    }
    if any {
        break_line(text, depth);
    }
    text.push(brackets.1);
}

fn break_line(text: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    }
}

/// A JSON string with Go's choice of escapes.
fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write!(text, "\\u{:04x}", c as u32).expect("a String takes everything");
            }
            c => text.push(c),
        }
    }
    text.push('"');
}
