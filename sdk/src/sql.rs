//! Statements that operators write, with places for names and passwords: how they are divided, and
//! how the places are filled, so that a value stays the value it is, whatever stands in it.
//!
//! One walk over the text knows what is quoted how ([`scan`]); both follow it.

use crate::json;
use crate::time::rfc3339;
use crate::{Error, Result, Secret};

mod scan;

use scan::{Piece, Scanner};

/// How a database quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `'…'` with `''`, `E'…'` with backslashes, `"…"` for names, `$tag$…$tag$`, comments that nest.
    Postgres,
    /// `'…'` and `"…"` with backslashes, `` `…` `` for names, comments after `#` too.
    MySql,
}

/// Where a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    /// Outside of any quotes.
    None,
    /// Within quotes that are doubled to stand for themselves; with backslashes, or without.
    Like { quote: u8, backslash: bool },
}

/// The single statements of what an operator wrote for one: texts with `;` between them, or a JSON
/// array of them, either of it perhaps in base64. A `;` within quotes, bodies and comments divides nothing, and
/// nothing does where the word `END` ends a body that is not quoted.
#[must_use]
pub fn statements(written: &str, dialect: Dialect) -> Vec<String> {
    let decoded = decoded(written.trim());
    let text = decoded.as_deref().unwrap_or(written);
    match listed(text.trim()) {
        Some(list) => list.into_iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect(),
        None => divided(text, dialect).into_iter().map(str::to_owned).collect(),
    }
}

fn listed(text: &str) -> Option<Vec<String>> {
    let unquoted = |item: Result<&str>| item.ok().and_then(json::unquote).map(std::borrow::Cow::into_owned);
    json::items(text)?.map(unquoted).collect()
}

/// A text that is in base64 as a whole: no statement is, since there are spaces in all of them.
fn decoded(text: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    if text.is_empty() {
        return None;
    }
    STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

fn divided(text: &str, dialect: Dialect) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut is_whole = false;
    for (at, piece) in Scanner::new(text, dialect) {
        match piece {
            Piece::Semicolon => {
                statements.push(&text[start..at]);
                start = at + 1;
            }
            Piece::Word("END") => is_whole = true,
            _ => {}
        }
    }
    statements.push(&text[start..]);
    if is_whole {
        statements = vec![text];
    }
    statements.into_iter().map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

/// Fills the places `{{name}}` of a statement. A name without a value stays as it is, and so does
/// what stands in a comment.
///
/// # Errors
/// [`Error::InvalidRequest`]: a value stands where none of its kind can, such as one with spaces outside of quotes. The
/// value is not told.
pub fn fill(statement: &str, values: &[(&str, &str)], dialect: Dialect) -> Result<String> {
    let mut out = String::with_capacity(statement.len() + 128);
    let mut copied = 0;
    let mut scanner = Scanner::new(statement, dialect);
    while let Some((at, piece)) = scanner.next() {
        let Piece::Place { name, quote } = piece else { continue };
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else { continue };
        // A `$` at its rim could become a part of the tag that ends a body.
        let ends = |tag: &str| value.contains(tag) || value.starts_with('$') || value.ends_with('$');
        if value.contains('\0') || scanner.bodies().any(ends) {
            return Err(misplaced(name));
        }
        out.push_str(&statement[copied..at]);
        push_value(&mut out, name, value, quote)?;
        copied = at + name.len() + "{{}}".len();
    }
    out.push_str(&statement[copied..]);
    Ok(out)
}

fn push_value(out: &mut String, name: &str, value: &str, quote: Quote) -> Result<()> {
    match quote {
        Quote::None => {
            // A sign such as `-` or `;` would be read as the database's own.
            let is_plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_plain {
                return Err(misplaced(name));
            }
            out.push_str(value);
        }
        Quote::Like { quote, backslash } => {
            for c in value.chars() {
                if c == char::from(quote) || (backslash && c == '\\') {
                    out.push(c);
                }
                out.push(c);
            }
        }
    }
    Ok(())
}

fn misplaced(name: &str) -> Error {
    Error::invalid(format!("the value of {{{{{name}}}}} cannot stand where the statement has it; put quotes around it"))
}

/// What is put into the statements of one call.
#[derive(Debug)]
pub struct Values {
    name: String,
    password: Option<Secret<String>>,
    expiration: Option<String>,
}

impl Values {
    /// The name of a user, for `{{name}}` and `{{username}}`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), password: None, expiration: None }
    }

    /// Puts this in place of `{{password}}`.
    #[must_use]
    pub fn password(mut self, password: Option<&str>) -> Self {
        self.password = password.map(|password| Secret::new(password.to_owned()));
        self
    }

    /// Puts this in place of `{{expiration}}`.
    #[must_use]
    pub fn expiration(mut self, expiration: Option<String>) -> Self {
        self.expiration = expiration;
        self
    }

    /// The single statements of what the operator wrote, with everything in its place.
    ///
    /// # Errors
    /// As for [`fill`].
    pub fn fill(&self, written: &[String], dialect: Dialect) -> Result<Vec<String>> {
        let mut values = vec![("name", self.name.as_str()), ("username", self.name.as_str())];
        values.extend(self.password.as_ref().map(|password| ("password", password.expose().as_str())));
        values.extend(self.expiration.as_ref().map(|expiration| ("expiration", expiration.as_str())));
        let single = written.iter().flat_map(|text| statements(text, dialect));
        single.map(|statement| fill(&statement, &values, dialect)).collect()
    }
}

/// Whether the operator wrote nothing.
#[must_use]
pub fn is_blank(written: &[String]) -> bool {
    written.iter().all(|text| text.trim().is_empty())
}

/// A time as databases read it, such as `2026-01-02 03:04:05+0000`.
#[must_use]
pub fn timestamp(at_ms: u64) -> String {
    let text = rfc3339(at_ms);
    format!("{}+0000", text.get(..19).unwrap_or_default().replace('T', " "))
}

/// A value as a text of SQL, in quotes. For [`Dialect::MySql`] where backslashes are signs.
#[must_use]
pub fn literal(value: &str, dialect: Dialect) -> String {
    quoted(value, Quote::Like { quote: b'\'', backslash: dialect == Dialect::MySql })
}

/// A name in the quotes of names.
#[must_use]
pub fn identifier(name: &str, dialect: Dialect) -> String {
    let quote = if dialect == Dialect::MySql { b'`' } else { b'"' };
    quoted(name, Quote::Like { quote, backslash: false })
}

fn quoted(value: &str, quote: Quote) -> String {
    let Quote::Like { quote: mark, .. } = quote else { return value.to_owned() };
    let mut out = String::from(char::from(mark));
    // Within quotes any value can stand.
    push_value(&mut out, "", value, quote).unwrap_or_default();
    out.push(char::from(mark));
    out
}

#[cfg(test)]
mod tests;
