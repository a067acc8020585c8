//! Quoted strings of both dialects, and heredocs.

use super::HclError;
use super::cursor::{Cursor, Place};

/// Whose escapes a string uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Hcl,
    Json,
}

/// A string whose opening quote comes next.
pub(super) fn string(cursor: &mut Cursor<'_>, dialect: Dialect) -> Result<String, HclError> {
    let start = cursor.place();
    cursor.eat("\"");
    let mut text = String::new();
    loop {
        let place = cursor.place();
        match cursor.bump() {
            None | Some('\n') => return Err(start.error("string is not closed")),
            Some('"') => return Ok(text),
            Some('\\') => text.push(escape(cursor, dialect, place)?),
            Some(c) if c == '\0' || dialect == Dialect::Json && c < ' ' => {
                return Err(place.error("control character in a string"));
            }
            Some(c) => text.push(c),
        }
    }
}

/// The character that an escape stands for; the backslash is read already.
fn escape(cursor: &mut Cursor<'_>, dialect: Dialect, place: Place) -> Result<char, HclError> {
    let hcl = dialect == Dialect::Hcl;
    let letter = cursor.bump();
    Ok(match letter {
        Some('"') => '"',
        Some('\\') => '\\',
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('/') if !hcl => '/',
        Some('a') if hcl => '\u{7}',
        Some('v') if hcl => '\u{b}',
        Some('x') if hcl => character(digits(cursor, 2, place)?, place)?,
        Some('U') if hcl => character(digits(cursor, 8, place)?, place)?,
        Some('u') => unicode(cursor, dialect, place)?,
        _ => return Err(place.error("unknown escape in a string; a backslash itself is written \\\\")),
    })
}

/// `\uXXXX`; in JSON two of them may be the halves of one character.
fn unicode(cursor: &mut Cursor<'_>, dialect: Dialect, place: Place) -> Result<char, HclError> {
    let first = digits(cursor, 4, place)?;
    if dialect == Dialect::Json && (0xd800..0xdc00).contains(&first) && cursor.eat("\\u") {
        let second = digits(cursor, 4, place)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(place.error("escape is half of a character"));
        }
        return character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), place);
    }
    character(first, place)
}

fn digits(cursor: &mut Cursor<'_>, count: usize, place: Place) -> Result<u32, HclError> {
    (0..count).try_fold(0_u32, |sum, _| {
        let digit = cursor.bump().and_then(|c| c.to_digit(16));
        digit
            .and_then(|d| sum.checked_mul(16).map(|s| s + d))
            .ok_or_else(|| place.error(format!("escape needs {count} hexadecimal digits")))
    })
}

fn character(code: u32, place: Place) -> Result<char, HclError> {
    match char::from_u32(code) {
        None => Err(place.error("escape is not a character")),
        Some('\0') => Err(place.error("a string may not hold a zero character")),
        Some(c) => Ok(c),
    }
}

/// A heredoc whose `<<` comes next. With `<<-` every line loses the indentation of the
/// closing mark, but only if every line has it: so HCL 1 does it.
pub(super) fn heredoc(cursor: &mut Cursor<'_>) -> Result<String, HclError> {
    let start = cursor.place();
    cursor.eat("<<");
    let unindent = cursor.eat("-");
    let mark = cursor.eat_while(|c| c.is_alphanumeric() || c == '_');
    cursor.eat("\r");
    if mark.is_empty() || !cursor.eat("\n") {
        return Err(start.error("heredoc needs a mark alone on its line, as in <<EOF"));
    }
    let mut lines = Vec::new();
    loop {
        if cursor.rest().is_empty() {
            return Err(start.error(format!("heredoc is not closed by {mark}")));
        }
        let line = cursor.eat_while(|c| c != '\n');
        if line.trim() == mark && line.trim_end_matches('\r').ends_with(mark) {
            let indent = &line[..line.len() - line.trim_start().len()];
            return Ok(joined(&lines, if unindent { indent } else { "" }));
        }
        lines.push(line);
        cursor.bump();
    }
}

fn joined(lines: &[&str], indent: &str) -> String {
    let all_indented = lines.iter().all(|line| line.starts_with(indent));
    let skip = if all_indented { indent.len() } else { 0 };
    lines.iter().flat_map(|line| [&line[skip..], "\n"]).collect()
}
