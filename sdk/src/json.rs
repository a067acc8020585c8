//! Just enough JSON for the hot path: walk over the members of an object or the items of
//! an array without building anything, and write an object by appending. Values stay
//! text, so numbers and unknown members survive digit for digit.
//!
//! For anything more there is `serde_json`, at a price: reading any type through it links
//! tables for floating point numbers, 40 KiB of constants that the host writes anew after
//! every call. A plugin whose calls are to be cheap gets by with this module.

use std::borrow::Cow;

use crate::{Error, Result};

/// The members of a JSON object: names, and values as JSON text.
pub struct Members<'a> {
    text: &'a str,
    at: usize,
}

/// Walks over an object. Empty text counts as an empty object. That commas, colons and the last brace are where they
/// must be, and nothing behind it, is told on the way: who acts on members before the last takes the text for good.
/// Objects and arrays among the values are not looked into.
///
/// # Errors
/// [`Error::Internal`] if the text is not an object; the host never sends such.
pub fn members(data: &[u8]) -> Result<Members<'_>> {
    let text = core::str::from_utf8(data).map_err(|_| malformed())?;
    let at = skip_space(text.as_bytes(), 0);
    if at == text.len() {
        return Ok(Members { text, at });
    }
    let at = opened(text.as_bytes(), at, b'{', b'}').ok_or_else(malformed)?;
    Ok(Members { text, at })
}

fn malformed() -> Error {
    Error::internal("request data is not a JSON object")
}

impl<'a> Members<'a> {
    fn step(&mut self) -> Option<(Cow<'a, str>, &'a str)> {
        let bytes = self.text.as_bytes();
        let name_end = skip_string(bytes, self.at)?;
        let name = unquote(&self.text[self.at..name_end])?;
        let colon = skip_space(bytes, name_end);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip_space(bytes, colon + 1);
        let end = skip_value(bytes, start)?;
        self.at = parted(bytes, end, b'}')?;
        Some((name, &self.text[start..end]))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(Cow<'a, str>, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.text.len() {
            return None;
        }
        let member = self.step();
        if member.is_none() {
            self.at = self.text.len();
        }
        Some(member.ok_or_else(malformed))
    }
}

/// The items of a JSON array, each as JSON text.
pub struct Items<'a> {
    text: &'a str,
    at: usize,
}

/// Walks over an array; `None` if the text is not one. It is held to its form as an object is by [`members`].
#[must_use]
pub fn items(json: &str) -> Option<Items<'_>> {
    let at = opened(json.as_bytes(), skip_space(json.as_bytes(), 0), b'[', b']')?;
    Some(Items { text: json, at })
}

impl<'a> Items<'a> {
    fn step(&mut self) -> Option<&'a str> {
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let end = skip_value(bytes, start)?;
        self.at = parted(bytes, end, b']')?;
        Some(&self.text[start..end])
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.text.len() {
            return None;
        }
        let item = self.step();
        if item.is_none() {
            self.at = self.text.len();
        }
        Some(item.ok_or_else(malformed))
    }
}

/// Past the opening sign that stands here: where the first value begins, or the end of the text if there is none.
fn opened(bytes: &[u8], at: usize, open: u8, close: u8) -> Option<usize> {
    if bytes.get(at) != Some(&open) {
        return None;
    }
    let at = skip_space(bytes, at + 1);
    if *bytes.get(at)? == close { ended(bytes, at + 1) } else { Some(at) }
}

/// Past what stands behind a value: where the next one begins, or the end of the text if it was the last.
fn parted(bytes: &[u8], at: usize, close: u8) -> Option<usize> {
    let at = skip_space(bytes, at);
    let sign = *bytes.get(at)?;
    if sign == close {
        return ended(bytes, at + 1);
    }
    let next = skip_space(bytes, at + 1);
    (sign == b',' && next < bytes.len()).then_some(next)
}

/// The end of the text, if nothing but space is left.
fn ended(bytes: &[u8], at: usize) -> Option<usize> {
    (skip_space(bytes, at) == bytes.len()).then_some(bytes.len())
}

/// The text of a JSON string, unescaped; `None` if it is not a string.
#[must_use]
pub fn unquote(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.as_bytes().contains(&b'\\') { unescape(inner).map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn unescape(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let kind = escape.chars().next()?;
        rest = &escape[kind.len_utf8()..];
        out.push(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unescape_unicode(&mut rest)?,
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(out)
}

/// The character after `\u`; those beyond 16 bits come as two halves.
fn unescape_unicode(rest: &mut &str) -> Option<char> {
    let first = hex4(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = hex4(rest).filter(|half| (0xdc00..0xe000).contains(half))?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

fn hex4(rest: &mut &str) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    digits.bytes().try_fold(0, |value, digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Past the closing quote.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// Past the value that starts here.
fn skip_value(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => skip_string(bytes, start),
        b'{' | b'[' => skip_nested(bytes, start),
        _ => {
            let part = |b: &u8| matches!(b, 0..=b' ' | b',' | b'}' | b']' | b'"' | b'{' | b'[' | b':');
            let length = bytes[start..].iter().position(part);
            let end = length.map_or(bytes.len(), |length| start + length);
            (end > start).then_some(end)
        }
    }
}

fn skip_nested(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = skip_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A JSON object being written.
#[derive(Clone, Debug)]
pub struct Object {
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// An empty object with room for a few members.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(256)
    }

    /// An empty object with room for this many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self { text }
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        push_string(&mut self.text, name);
        self.text.push(':');
    }

    /// A string.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        push_string(&mut self.text, value);
        self
    }

    /// A whole number.
    #[must_use]
    pub fn number(mut self, name: &str, value: u64) -> Self {
        self.name(name);
        push_number(&mut self.text, value);
        self
    }

    /// A boolean.
    #[must_use]
    pub fn boolean(mut self, name: &str, value: bool) -> Self {
        self.name(name);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// A value that is JSON text already.
    #[must_use]
    pub fn json(mut self, name: &str, json: &str) -> Self {
        self.name(name);
        self.text.push_str(json);
        self
    }

    /// The finished text.
    #[must_use]
    pub fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// Appends a number in decimal; `fmt` is slower and larger.
fn push_number(out: &mut String, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Appends a JSON string, escaped where it must be.
pub fn push_string(out: &mut String, value: &str) {
    out.push('"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        push_escape(out, rest.as_bytes()[at]);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'\n' => 'n',
        b'\r' => 'r',
        b'\t' => 't',
        0x08 => 'b',
        0x0c => 'f',
        b'"' | b'\\' => char::from(byte),
        _ => {
            out.push_str("\\u00");
            out.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
            return;
        }
    };
    out.extend(['\\', short]);
}

/// A text as a JSON string.
#[must_use]
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    push_string(&mut out, value);
    out
}

/// A JSON array of strings.
#[must_use]
pub fn strings<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::from("[");
    for value in values {
        if out.len() > 1 {
            out.push(',');
        }
        push_string(&mut out, value);
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests;
