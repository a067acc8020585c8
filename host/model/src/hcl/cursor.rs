//! Walks over a text character by character, knowing line and column. No grammar here
//! but what both dialects share: blanks, comments, numbers and the depth bound.

use super::{HclError, Value};
use crate::limits::HCL_DEPTH_MAX;

/// A line and a column, from 1.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    pub(super) fn error(self, message: impl Into<String>) -> HclError {
        HclError { line: self.line, column: self.column, message: message.into() }
    }
}

/// A position in a text.
pub(super) struct Cursor<'a> {
    rest: &'a str,
    place: Place,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, place: Place { line: 1, column: 1 }, depth: 0 }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn error(&self, message: impl Into<String>) -> HclError {
        self.place.error(message)
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        if next == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(next)
    }

    /// Reads this text if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            for _ in text.chars() {
                self.bump();
            }
        }
        found
    }

    /// Reads on for as long as the characters please.
    pub(super) fn eat_while(&mut self, pleases: impl Fn(char) -> bool) -> &'a str {
        let from = self.rest;
        while self.peek().is_some_and(&pleases) {
            self.bump();
        }
        &from[..from.len() - self.rest.len()]
    }

    pub(super) fn skip_spaces(&mut self) {
        self.eat_while(char::is_whitespace);
    }

    /// Skips spaces and comments.
    pub(super) fn skip_blank(&mut self) -> Result<(), HclError> {
        loop {
            self.skip_spaces();
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.eat_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                self.skip_block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_block_comment(&mut self) -> Result<(), HclError> {
        let start = self.place;
        self.eat("/*");
        while !self.eat("*/") {
            if self.bump().is_none() {
                return Err(start.error("comment is not closed"));
            }
        }
        Ok(())
    }

    /// A number, kept as written.
    pub(super) fn number(&mut self) -> Result<Value, HclError> {
        let start = self.place;
        let from = self.rest;
        let mut before = ' ';
        while let Some(next) = self.peek() {
            let sign = matches!(next, '-' | '+') && matches!(before, ' ' | 'e' | 'E');
            if !(next.is_ascii_alphanumeric() || next == '.' || sign) {
                break;
            }
            before = next;
            self.bump();
        }
        let text = &from[..from.len() - self.rest.len()];
        if is_number(text) {
            Ok(Value::Num(text.to_owned()))
        } else {
            Err(start.error(format!("{text:?} is not a number")))
        }
    }

    /// Goes a level deeper. The parsers recurse, so without a bound a short text could
    /// use up the stack.
    pub(super) fn enter(&mut self) -> Result<(), HclError> {
        self.depth += 1;
        if self.depth > HCL_DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {HCL_DEPTH_MAX} levels")));
        }
        Ok(())
    }

    /// Comes back up.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return !hex.is_empty() && hex.chars().all(|c| c.is_ascii_hexdigit());
    }
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok()
}
