//! The native syntax of HCL 1: items with bare or quoted names, blocks, lists, commas
//! allowed but never needed between items.

use super::cursor::{Cursor, Place};
use super::quoted::{Dialect, heredoc, string};
use super::{HclError, Item, Value};

/// A whole file.
pub(super) fn file(text: &str) -> Result<Vec<Item>, HclError> {
    items(&mut Cursor::new(text), None)
}

/// Items up to the end of the text, or to the brace that closes the one at `opened`.
fn items(cursor: &mut Cursor<'_>, opened: Option<Place>) -> Result<Vec<Item>, HclError> {
    let mut found = Vec::new();
    loop {
        cursor.skip_blank()?;
        match (cursor.peek(), opened) {
            (None, None) => return Ok(found),
            (None, Some(place)) => return Err(place.error("'{' is not closed")),
            (Some('}'), Some(_)) => {
                cursor.bump();
                return Ok(found);
            }
            (Some('}'), None) => return Err(cursor.error("'}' without a '{'")),
            (Some(','), _) if !found.is_empty() => {
                cursor.bump();
            }
            _ => found.push(item(cursor)?),
        }
    }
}

fn item(cursor: &mut Cursor<'_>) -> Result<Item, HclError> {
    let place = cursor.place();
    let mut names: Vec<String> = Vec::new();
    let value = loop {
        match cursor.peek() {
            Some('"') => names.push(string(cursor, Dialect::Hcl)?),
            Some(c) if starts_name(c) => names.push(name(cursor)),
            Some('=') if names.len() == 1 => {
                cursor.bump();
                break value(cursor)?;
            }
            Some('=') if names.len() > 1 => return Err(cursor.error("a block with labels takes '{' here, not '='")),
            Some('{') if !names.is_empty() => break body(cursor)?,
            other => return Err(unexpected(cursor, &names, other)),
        }
        cursor.skip_blank()?;
    };
    let labels = names.split_off(1);
    let key = names.pop().expect("a value is read only behind a name");
    Ok(Item { key, labels, value, line: place.line, column: place.column })
}

fn unexpected(cursor: &Cursor<'_>, names: &[String], found: Option<char>) -> HclError {
    match (names.last(), found) {
        (Some(last), _) => cursor.error(format!("key '{last}' expected start of object ('{{') or assignment ('=')")),
        (None, Some(found)) => cursor.error(format!("expected a name, found {found:?}")),
        (None, None) => cursor.error("expected a name, found the end"),
    }
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn name(cursor: &mut Cursor<'_>) -> String {
    cursor.eat_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')).to_owned()
}

fn value(cursor: &mut Cursor<'_>) -> Result<Value, HclError> {
    cursor.skip_blank()?;
    match cursor.peek() {
        Some('"') => string(cursor, Dialect::Hcl).map(Value::Str),
        Some('<') if cursor.rest().starts_with("<<") => heredoc(cursor).map(Value::Str),
        Some('{') => body(cursor),
        Some('[') => list(cursor),
        Some(c) if c == '-' || c.is_ascii_digit() => cursor.number(),
        Some(c) if starts_name(c) => word(cursor),
        Some(c) => Err(cursor.error(format!("expected a value, found {c:?}"))),
        None => Err(cursor.error("expected a value, found the end")),
    }
}

fn word(cursor: &mut Cursor<'_>) -> Result<Value, HclError> {
    let place = cursor.place();
    match name(cursor).as_str() {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        other => Err(place.error(format!("expected a value, found {other}: strings need quotes"))),
    }
}

fn body(cursor: &mut Cursor<'_>) -> Result<Value, HclError> {
    let opened = cursor.place();
    cursor.enter()?;
    cursor.eat("{");
    let items = items(cursor, Some(opened))?;
    cursor.leave();
    Ok(Value::Body(items))
}

fn list(cursor: &mut Cursor<'_>) -> Result<Value, HclError> {
    let opened = cursor.place();
    cursor.enter()?;
    cursor.eat("[");
    let mut values = Vec::new();
    loop {
        cursor.skip_blank()?;
        if cursor.eat("]") {
            cursor.leave();
            return Ok(Value::List(values));
        }
        if cursor.rest().is_empty() {
            return Err(opened.error("'[' is not closed"));
        }
        values.push(value(cursor)?);
        cursor.skip_blank()?;
        if !cursor.eat(",") && cursor.peek() != Some(']') {
            return Err(cursor.error("expected ',' or ']' in a list"));
        }
    }
}
