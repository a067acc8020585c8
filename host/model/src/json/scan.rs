//! The scanner: one step per element, with a stack of open levels instead of recursion.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::{Bounds, JsonError};

const VALUE: &str = "looking for beginning of value";

/// An open object or array.
#[derive(Clone, Copy)]
struct Level {
    object: bool,
    empty: bool,
    /// Where this object's names begin in [`Scan::names`].
    names_from: usize,
}

/// Members beyond which an object's names are kept in order. Why: few are compared faster
/// than they are sorted in; many, one with each, would take time that grows with the square.
const COMPARED_MAX: usize = 32;

/// A member's name: its hash, and where its raw text lies.
struct Name {
    hash: u64,
    from: usize,
    to: usize,
}

/// A name as it stands in the text; equal to any other spelling of it.
struct Spelled<'a>(&'a str);

impl Ord for Spelled<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        unescaped(self.0).cmp(unescaped(other.0))
    }
}

impl PartialOrd for Spelled<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Spelled<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Spelled<'_> {}

/// A position in a text, and what is open there.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    levels: Vec<Level>,
    /// Names of the open objects only, so never more than strings may be.
    names: Vec<Name>,
    /// Names of the open objects that have many, innermost last, with the number of levels
    /// that were open.
    many: Vec<(usize, BTreeSet<Spelled<'a>>)>,
    strings: usize,
    values: usize,
    bounds: Bounds,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str, bounds: Bounds) -> Self {
        Self { text, at: 0, levels: Vec::new(), names: Vec::new(), many: Vec::new(), strings: 0, values: 0, bounds }
    }

    /// The whole text must be one object.
    pub(super) fn object(mut self) -> Result<(), JsonError> {
        self.skip_spaces();
        match self.peek() {
            Some(b'{') => self.open(true)?,
            Some(b'[') => return Err(JsonError::NotObject("array")),
            Some(b'"') => return Err(JsonError::NotObject("string")),
            Some(b't' | b'f') => return Err(JsonError::NotObject("bool")),
            Some(b'-' | b'0'..=b'9') => return Err(JsonError::NotObject("number")),
            _ => return Err(self.unexpected(VALUE)),
        }
        while let Some(level) = self.levels.last().copied() {
            self.element(level)?;
        }
        self.skip_spaces();
        if self.at == self.text.len() {
            return Ok(());
        }
        // Go looks at what follows before it minds that it is there.
        let after = self.unexpected("after top-level value");
        self.value()?;
        Err(after)
    }

    /// Reads the next element of the innermost level, or the level's end.
    fn element(&mut self, level: Level) -> Result<(), JsonError> {
        let close = if level.object { b'}' } else { b']' };
        self.skip_spaces();
        if self.peek() == Some(close) {
            self.at += 1;
            if self.many.last().is_some_and(|(level, _)| *level == self.levels.len()) {
                self.many.pop();
            }
            self.levels.pop();
            self.names.truncate(level.names_from);
            return Ok(());
        }
        if !level.empty {
            self.comma(level.object, close)?;
        }
        if let Some(level) = self.levels.last_mut() {
            level.empty = false;
        }
        if level.object {
            self.name(level.names_from)?;
        }
        self.value()
    }

    fn comma(&mut self, object: bool, close: u8) -> Result<(), JsonError> {
        if self.peek() != Some(b',') {
            return Err(self.unexpected(if object { "after object key:value pair" } else { "after array element" }));
        }
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some(close) {
            return Err(JsonError::Character { found: ',', place: VALUE });
        }
        Ok(())
    }

    /// A member's name and its colon.
    fn name(&mut self, names_from: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => {}
            Some(b'{' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => return Err(JsonError::Name),
            _ => return Err(self.unexpected(VALUE)),
        }
        let (from, to) = self.string()?;
        if super::is_reserved(unescaped(&self.text[from..to])) {
            return Err(JsonError::Reserved);
        }
        if !self.is_new(names_from, from, to) {
            return Err(JsonError::Duplicate);
        }
        self.skip_spaces();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("after object key"));
        }
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some(b'}') { Err(JsonError::NoValue) } else { Ok(()) }
    }

    /// Takes note of a name; false if the innermost object has it already.
    fn is_new(&mut self, names_from: usize, from: usize, to: usize) -> bool {
        let text = self.text;
        let open = self.levels.len();
        if let Some((_, names)) = self.many.last_mut().filter(|(level, _)| *level == open) {
            return names.insert(Spelled(&text[from..to]));
        }
        let hash = hash(&text[from..to]);
        let same = |n: &Name| n.hash == hash && unescaped(&text[n.from..n.to]).eq(unescaped(&text[from..to]));
        if self.names[names_from..].iter().any(same) {
            return false;
        }
        self.names.push(Name { hash, from, to });
        if self.names.len() - names_from > COMPARED_MAX {
            let names = self.names.drain(names_from..).map(|n| Spelled(&text[n.from..n.to])).collect();
            self.many.push((open, names));
        }
        true
    }

    fn value(&mut self) -> Result<(), JsonError> {
        self.values += 1;
        if self.values > self.bounds.values_max {
            return Err(JsonError::Values);
        }
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.open(true),
            Some(b'[') => self.open(false),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected(VALUE)),
        }
    }

    fn open(&mut self, object: bool) -> Result<(), JsonError> {
        if self.levels.len() >= self.bounds.depth_max {
            return Err(JsonError::Depth);
        }
        self.at += 1;
        self.levels.push(Level { object, empty: true, names_from: self.names.len() });
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        for expected in word.chars() {
            match self.here() {
                Some(found) if found == expected => self.at += 1,
                Some(found) => return Err(JsonError::Literal { found, word, expected }),
                None => return Err(JsonError::End),
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        self.skip_if(b'-');
        if !self.skip_if(b'0') {
            self.digits()?;
        }
        if self.skip_if(b'.') {
            self.digits()?;
        }
        if self.skip_if(b'e') || self.skip_if(b'E') {
            let _ = self.skip_if(b'+') || self.skip_if(b'-');
            self.digits()?;
        }
        // Only a long number or one with an exponent can be beyond a double, and engines
        // that read it as one would see infinity.
        let text = &self.text[from..self.at];
        let suspect = text.len() > 300 || text.contains(['e', 'E']);
        if suspect && !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(JsonError::NumberRange);
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.unexpected("in numeric literal"));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// A string; gives where its raw text lies, between the quotes.
    fn string(&mut self) -> Result<(usize, usize), JsonError> {
        self.strings += 1;
        if self.strings > self.bounds.strings_max {
            return Err(JsonError::Strings);
        }
        self.at += 1;
        let from = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            self.at += rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).ok_or(JsonError::End)?;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((from, self.at - 1));
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.unexpected("in string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek().ok_or(JsonError::End)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let first = self.unit()?;
                let pair = (0xd800..0xdc00).contains(&first);
                if (0xdc00..0xe000).contains(&first) || pair && !self.low_half()? {
                    return Err(JsonError::Surrogate);
                }
            }
            _ => return Err(JsonError::Escape(self.here().unwrap_or(' '))),
        }
        Ok(())
    }

    /// Whether the second half of a pair comes next; reads it.
    fn low_half(&mut self) -> Result<bool, JsonError> {
        if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            return Ok(false);
        }
        self.at += 1;
        Ok((0xdc00..0xe000).contains(&self.unit()?))
    }

    /// The four digits behind a `u`, which comes next.
    fn unit(&mut self) -> Result<u32, JsonError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let found = self.here().ok_or(JsonError::End)?;
            let digit = found.to_digit(16).ok_or(JsonError::Escape('u'))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn here(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_if(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, place: &'static str) -> JsonError {
        self.here().map_or(JsonError::End, |found| JsonError::Character { found, place })
    }
}

/// FNV-1a over the characters meant, so that two spellings of a name hash the same.
/// Collisions only cost a comparison.
fn hash(raw: &str) -> u64 {
    unescaped(raw)
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, c| (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0100_0000_01b3))
}

/// The characters a checked string means.
fn unescaped(raw: &str) -> impl Iterator<Item = char> + '_ {
    let mut rest = raw.chars();
    std::iter::from_fn(move || {
        let c = rest.next()?;
        if c != '\\' {
            return Some(c);
        }
        let letter = rest.next()?;
        Some(match letter {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => escaped_unicode(&mut rest),
            other => other,
        })
    })
}

fn escaped_unicode(rest: &mut std::str::Chars<'_>) -> char {
    let first = code_unit(rest);
    let code = if (0xd800..0xdc00).contains(&first) {
        rest.by_ref().nth(1);
        0x10000 + ((first & 0x3ff) << 10) + (code_unit(rest) & 0x3ff)
    } else {
        first
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn code_unit(rest: &mut std::str::Chars<'_>) -> u32 {
    rest.by_ref().take(4).filter_map(|c| c.to_digit(16)).fold(0, |sum, digit| sum * 16 + digit)
}
