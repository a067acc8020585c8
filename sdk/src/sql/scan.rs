//! A walk over SQL, as far as quotes go.

use super::{Dialect, Quote};

/// What matters to whoever divides or fills a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A `;` outside of everything.
    Semicolon,
    /// A word outside of everything.
    Word(&'a str),
    /// A place to be filled: `{{name}}`.
    Place { name: &'a str, quote: Quote },
}

/// Longest name of a place, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Walks over a text. A body in `$tag$…$tag$` is walked over like any other text, because what
/// stands in it is read as statements later.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
    quote: Quote,
    /// The tags of the bodies that it is in, with what was around each.
    bodies: Vec<(&'a str, Quote)>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self { text, at: 0, dialect, quote: Quote::None, bodies: Vec::new() }
    }

    /// The tags that may not come up here: they would end a body.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &'a str> {
        self.bodies.iter().map(|(tag, _)| *tag)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn is_outside(&self) -> bool {
        self.quote == Quote::None && self.bodies.is_empty()
    }

    /// One step; what it found, if anything.
    fn step(&mut self) -> Option<Piece<'a>> {
        if let Some(name) = place(self.rest()) {
            self.at += name.len() + "{{}}".len();
            return Some(Piece::Place { name, quote: self.quote });
        }
        // Whatever is around a body ends with it: its tag is looked for before all else.
        if let Some((tag, around)) = self.bodies.last().copied()
            && self.rest().starts_with(tag)
        {
            self.bodies.pop();
            self.quote = around;
            self.at += tag.len();
            return None;
        }
        match self.quote {
            Quote::None => self.unquoted(),
            Quote::Like { quote, backslash } => {
                self.quoted(quote, backslash);
                None
            }
        }
    }

    fn quoted(&mut self, quote: u8, backslash: bool) {
        let rest = self.rest();
        let mut signs = rest.chars();
        let first = signs.next().unwrap_or_default();
        self.at += first.len_utf8();
        if first == '\\' && backslash {
            self.at += signs.next().map_or(0, char::len_utf8);
        } else if first == char::from(quote) {
            if signs.next() == Some(first) {
                self.at += 1;
            } else {
                self.quote = Quote::None;
            }
        }
    }

    fn unquoted(&mut self) -> Option<Piece<'a>> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or_default();
        if let Some(length) = self.comment() {
            self.at += length;
            return None;
        }
        if is_word(first) {
            return self.word();
        }
        if first == '$'
            && self.dialect == Dialect::Postgres
            && let Some(tag) = tag(rest)
        {
            self.bodies.push((tag, Quote::None));
            self.at += tag.len();
            return None;
        }
        self.at += first.len_utf8();
        let is_mysql = self.dialect == Dialect::MySql;
        match first {
            '\'' => self.quote = Quote::Like { quote: b'\'', backslash: is_mysql },
            '"' => self.quote = Quote::Like { quote: b'"', backslash: is_mysql },
            '`' if is_mysql => self.quote = Quote::Like { quote: b'`', backslash: false },
            ';' if self.bodies.is_empty() => return Some(Piece::Semicolon),
            _ => {}
        }
        None
    }

    /// A word, with the quotes that it opens: `E'…'` has backslashes.
    fn word(&mut self) -> Option<Piece<'a>> {
        let rest = self.rest();
        // A `$` within a word begins no body.
        let length = rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        if self.dialect == Dialect::Postgres && word.eq_ignore_ascii_case("e") && self.rest().starts_with('\'') {
            self.at += 1;
            self.quote = Quote::Like { quote: b'\'', backslash: true };
            return None;
        }
        self.is_outside().then_some(Piece::Word(word))
    }

    /// The length of the comment that begins here.
    fn comment(&self) -> Option<usize> {
        let rest = self.rest();
        let to_line_end = || Some(rest.find('\n').unwrap_or(rest.len()));
        match self.dialect {
            Dialect::Postgres if rest.starts_with("--") => to_line_end(),
            Dialect::Postgres if rest.starts_with("/*") => Some(nested_comment(rest)),
            Dialect::MySql if rest.starts_with('#') => to_line_end(),
            Dialect::MySql if rest.starts_with("--") => {
                let next = rest[2..].chars().next();
                if next.is_none_or(|c| c.is_whitespace() || c.is_control()) { to_line_end() } else { None }
            }
            // What stands in `/*! … */` is run, so it is no comment.
            Dialect::MySql if rest.starts_with("/*") && !rest.starts_with("/*!") && !rest.starts_with("/*M!") => {
                Some(rest[2..].find("*/").map_or(rest.len(), |end| end + 4))
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = (usize, Piece<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            let at = self.at;
            if let Some(piece) = self.step() {
                return Some((at, piece));
            }
        }
        None
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii()
}

/// The name of the place that a text begins with.
fn place(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("{{")?;
    let name = &rest[..rest.find("}}")?];
    let is_name = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(name)
}

/// The tag of the body that a text begins with, with both signs of it.
fn tag(text: &str) -> Option<&str> {
    let inner = &text[1..];
    let end = inner.find(|c: char| !is_word(c))?;
    let is_tag = inner[end..].starts_with('$') && !inner.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| &text[..end + 2])
}

/// The length of a comment in which others may stand.
fn nested_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}
