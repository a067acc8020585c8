//! YAML as the peers' emitter writes it: keys sorted, lists not indented under their
//! key, long lines folded at 80 columns, and a string quoted where it would read back
//! as something else.

mod scalar;

use serde_json::{Map, Value};

use scalar::Style;

const INDENT: usize = 2;

/// The value as a YAML document, with a newline at the end.
pub(crate) fn document(value: &Value) -> String {
    let mut page = Page { text: String::new() };
    match value {
        Value::Object(map) if !map.is_empty() => page.map(map, 0),
        Value::Array(items) if !items.is_empty() => page.list(items, 0),
        // A scalar on its own is continued without indentation.
        other => page.leaf(other, 0),
    }
    page.text
}

struct Page {
    text: String,
}

impl Page {
    fn map(&mut self, map: &Map<String, Value>, indent: usize) {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by(|(left, _), (right, _)| natural_order(left, right));
        for (position, (key, value)) in entries.into_iter().enumerate() {
            if position > 0 || self.at_line_start() {
                self.margin(indent);
            }
            self.text.push_str(&scalar::key(key));
            self.text.push(':');
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    self.text.push('\n');
                    self.map(inner, indent + INDENT);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.text.push('\n');
                    self.list(items, indent);
                }
                leaf => {
                    self.text.push(' ');
                    self.leaf(leaf, indent + INDENT);
                }
            }
        }
    }

    fn list(&mut self, items: &[Value], indent: usize) {
        for (position, item) in items.iter().enumerate() {
            if position > 0 || self.at_line_start() {
                self.margin(indent);
            }
            self.text.push_str("- ");
            match item {
                Value::Object(inner) if !inner.is_empty() => self.map(inner, indent + INDENT),
                Value::Array(inner) if !inner.is_empty() => self.list(inner, indent + INDENT),
                leaf => self.leaf(leaf, indent + INDENT),
            }
        }
    }

    /// A value that fits on one line, or a string continued at `indent`.
    fn leaf(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(on) => self.text.push_str(if *on { "true" } else { "false" }),
            Value::Number(number) => self.text.push_str(&scalar::number(&number.to_string())),
            Value::Array(_) => self.text.push_str("[]"),
            Value::Object(_) => self.text.push_str("{}"),
            Value::String(string) => {
                let style = Style::of(string);
                if style == Style::Literal {
                    self.text.push_str(&scalar::literal(string, indent));
                    return;
                }
                let column = self.text.len() - self.text.rfind('\n').map_or(0, |at| at + 1);
                self.text.push_str(&scalar::flow(string, style, scalar::Place { indent, column }));
            }
        }
        self.text.push('\n');
    }

    fn at_line_start(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('\n')
    }

    fn margin(&mut self, indent: usize) {
        self.text.push_str(&" ".repeat(indent));
    }
}

/// Keys in the emitter's order: letters after other characters, and runs of digits by
/// their value (`a2` before `a10`).
fn natural_order(left: &str, right: &str) -> std::cmp::Ordering {
    let (l, r): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let Some(at) = l.iter().zip(&r).position(|(a, b)| a != b) else {
        return l.len().cmp(&r.len());
    };
    let (a, b) = (l[at], r[at]);
    if a.is_alphabetic() != b.is_alphabetic() {
        return a.is_alphabetic().cmp(&b.is_alphabetic());
    }
    if a.is_alphabetic() {
        return a.cmp(&b);
    }
    let (left_value, left_len) = digits(&l[at..]);
    let (right_value, right_len) = digits(&r[at..]);
    left_value.cmp(&right_value).then(left_len.cmp(&right_len)).then(a.cmp(&b))
}

fn digits(chars: &[char]) -> (u64, usize) {
    let run: Vec<u64> = chars.iter().map_while(|c| c.to_digit(10).map(u64::from)).collect();
    (run.iter().fold(0u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(*digit)), run.len())
}
