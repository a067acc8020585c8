//! Whether an answer has the expected shape. What lives here: placeholders such
//! as `<uuid>`, variables, and the comparison. What must not: requests.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::case::Expect;
use crate::http::Reply;

/// Variables of a run: `${name}`.
pub type Variables = BTreeMap<String, String>;

/// Placeholders for text: name and pattern.
static PLACEHOLDERS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let pattern = |name, text: &str| (name, Regex::new(&format!("^(?:{text})$")).expect("a pattern of ours"));
    vec![
        pattern("<uuid>", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        pattern("<time>", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
        pattern("<token>", r"(hv)?[sb]\.[A-Za-z0-9_-]{20,}"),
        pattern("<accessor>", "[A-Za-z0-9]{24}|[a-z0-9_-]+_([0-9a-f]{8}){1,2}"),
        pattern("<version>", r"v?\d+\.\d+\.\d+.*"),
        pattern("<hmac>", "hmac-sha256:[0-9a-f]{64}"),
        pattern("<hex>", "([0-9a-f]{2})+"),
        pattern("<base64>", "[A-Za-z0-9+/]+=*"),
        pattern("<ns>", "[A-Za-z0-9]{6}"),
        pattern("<string>", "(?s).*"),
    ]
});

/// Fills variables in.
pub fn fill(text: &str, variables: &Variables) -> String {
    let mut filled = text.to_owned();
    for (name, value) in variables {
        filled = filled.replace(&format!("${{{name}}}"), value);
    }
    filled
}

/// What is wrong with an answer; nothing if it is as expected.
pub fn faults(expect: &Expect, reply: &Reply, variables: &Variables) -> Vec<String> {
    let mut found = Vec::new();
    if expect.status != 0 && expect.status != reply.status {
        found.push(format!("status {} instead of {}", reply.status, expect.status));
    }
    let body = reply.json();
    for (expected, exact) in [(&expect.is, true), (&expect.has, false)] {
        if let Some(expected) = expected {
            Comparison { exact, variables, found: &mut found }.values(expected, &body, "");
        }
    }
    for path in &expect.lacks {
        if body.pointer(&format!("/{}", path.replace('.', "/"))).is_some() {
            found.push(format!("{path} is there"));
        }
    }
    if let Some(pattern) = &expect.text {
        let filled = Regex::new(&fill(pattern, variables)).expect("a pattern of a case file");
        if !filled.is_match(&reply.text()) {
            found.push(format!("the body does not match /{pattern}/"));
        }
    }
    header_faults(expect, reply, variables, &mut found);
    if !found.is_empty() {
        found.push(format!("the answer was {} {}", reply.status, shortened(&reply.text())));
    }
    found
}

fn header_faults(expect: &Expect, reply: &Reply, variables: &Variables, found: &mut Vec<String>) {
    for (name, value) in &expect.header {
        match reply.header(name) {
            Some(sent) => text_difference(&fill(value, variables), sent, &format!("header {name}"), found),
            None => found.push(format!("no header {name}")),
        }
    }
    found.extend(
        expect
            .no_header
            .iter()
            .filter(|name| reply.header(name).is_some())
            .map(|name| format!("header {name} is there")),
    );
}

/// Fields that Vault has and OpenBao has dropped: an answer may have them.
pub const VAULTS: [&str; 2] = ["build_date", "performance_standby"];

/// A comparison under way.
struct Comparison<'a> {
    /// Whether fields that are not expected count as wrong.
    exact: bool,
    variables: &'a Variables,
    found: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn values(&mut self, expected: &Value, got: &Value, at: &str) {
        match (expected, got) {
            (Value::String(text), _) => self.string(&fill(text, self.variables), got, at),
            (Value::Object(fields), Value::Object(others)) => self.objects(fields, others, at),
            (Value::Array(items), Value::Array(others)) => {
                if items.len() != others.len() {
                    self.found.push(format!("{at} has {} items instead of {}", others.len(), items.len()));
                }
                for (i, (item, other)) in items.iter().zip(others).enumerate() {
                    self.values(item, other, &below(at, &i.to_string()));
                }
            }
            _ if expected == got => {}
            _ => self.found.push(format!("{at} is {} instead of {expected}", shortened(&got.to_string()))),
        }
    }

    fn objects(&mut self, fields: &Map<String, Value>, others: &Map<String, Value>, at: &str) {
        let named: Vec<(String, &Value)> =
            fields.iter().map(|(key, value)| (fill(key, self.variables), value)).collect();
        for (key, value) in &named {
            match others.get(key) {
                Some(other) => self.values(value, other, &below(at, key)),
                None => self.found.push(format!("{} is missing", below(at, key))),
            }
        }
        for (key, value) in others.iter().filter(|(key, _)| !named.iter().any(|(name, _)| name == *key)) {
            if self.exact && !VAULTS.contains(&key.as_str()) {
                self.found.push(format!("{} is there: {}", below(at, key), shortened(&value.to_string())));
            }
        }
    }

    fn string(&mut self, expected: &str, got: &Value, at: &str) {
        let fits = match (expected, got) {
            ("<any>", _) | ("<bool>", Value::Bool(_)) => true,
            ("<int>", Value::Number(number)) => number.is_i64() || number.is_u64(),
            (_, Value::Number(number)) => is_within_secs(expected, number.as_i64()),
            (_, Value::String(text)) => return text_difference(expected, text, at, self.found),
            _ => false,
        };
        if !fits {
            self.found.push(format!("{at} is {} instead of {expected}", shortened(&got.to_string())));
        }
    }
}

/// Whether `<secs 3600>` means this number: that many, or a few less by now.
fn is_within_secs(expected: &str, got: Option<i64>) -> bool {
    const PASSED_SECS_MAX: i64 = 20;
    let secs = expected.strip_prefix("<secs ").and_then(|secs| secs.strip_suffix('>')?.parse::<i64>().ok());
    secs.zip(got).is_some_and(|(secs, got)| got <= secs && got + PASSED_SECS_MAX >= secs)
}

fn text_difference(expected: &str, got: &str, at: &str, found: &mut Vec<String>) {
    if let Some((pattern, tail)) = placeholder(expected) {
        if !got.strip_suffix(tail).is_some_and(|got| pattern.is_match(got)) {
            found.push(format!("{at} is {:?} instead of {expected}", shortened(got)));
        }
    } else if let Some(pattern) = expected.strip_prefix("<re ").and_then(|rest| rest.strip_suffix('>')) {
        if !Regex::new(pattern).expect("a pattern of a case file").is_match(got) {
            found.push(format!("{at} is {:?} instead of /{pattern}/", shortened(got)));
        }
    } else if expected != "<any>" && expected != got {
        found.push(format!("{at} is {:?} instead of {:?}", shortened(got), shortened(expected)));
    }
}

/// The placeholder that a text is, or begins with where the id of a namespace follows it.
fn placeholder(expected: &str) -> Option<(&'static Regex, &str)> {
    PLACEHOLDERS.iter().find_map(|(name, pattern)| {
        let tail = expected.strip_prefix(name)?;
        (tail.is_empty() || tail.starts_with('.')).then_some((pattern, tail))
    })
}

fn below(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// Text short enough for a report.
pub fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 600;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.trim_end().to_owned(),
    }
}

#[test]
fn what_follows_a_placeholder_is_the_namespace_that_an_id_belongs_to() {
    let wrong = |expected: &str, got: &str| {
        let mut found = Vec::new();
        text_difference(expected, got, "at", &mut found);
        found.len()
    };
    let token = "s.AAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(wrong("<token>", token), 0);
    assert_eq!(wrong("<token>.abc123", &format!("{token}.abc123")), 0);
    assert_eq!(wrong("<token>.abc123", &format!("{token}.abc124")), 1);
    assert_eq!(wrong("<token>.abc123", token), 1);
    assert_eq!(wrong("<token>", &format!("{token}.abc123")), 1);
}
