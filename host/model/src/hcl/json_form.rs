//! The JSON form of HCL 1. Objects within objects become labels, and lists of objects
//! become repeated blocks, so that `{"path": {"a/*": {"capabilities": ["read"]}}}`
//! is the same tree as `path "a/*" { capabilities = ["read"] }`.

use super::cursor::Cursor;
use super::quoted::{Dialect, string};
use super::{HclError, Item, Value};

/// A whole file.
pub(super) fn file(text: &str) -> Result<Vec<Item>, HclError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_spaces();
    let items = object(&mut cursor)?;
    cursor.skip_spaces();
    if cursor.rest().is_empty() {
        Ok(all_flat(items))
    } else {
        Err(cursor.error("text after the end of the JSON object"))
    }
}

/// An object's members as written, up to and with its closing brace.
fn object(cursor: &mut Cursor<'_>) -> Result<Vec<Item>, HclError> {
    let opened = cursor.place();
    cursor.enter()?;
    cursor.eat("{");
    let mut items = Vec::new();
    loop {
        cursor.skip_spaces();
        if items.is_empty() && cursor.eat("}") {
            break;
        }
        member(cursor, &mut items)?;
        cursor.skip_spaces();
        if cursor.eat("}") {
            break;
        }
        if cursor.rest().is_empty() {
            return Err(opened.error("'{' is not closed"));
        }
        if !cursor.eat(",") {
            return Err(cursor.error("expected ',' or '}' in an object"));
        }
    }
    cursor.leave();
    Ok(items)
}

fn member(cursor: &mut Cursor<'_>, items: &mut Vec<Item>) -> Result<(), HclError> {
    let place = cursor.place();
    if cursor.peek() != Some('"') {
        return Err(cursor.error("expected a quoted name"));
    }
    let key = string(cursor, Dialect::Json)?;
    cursor.skip_spaces();
    if !cursor.eat(":") {
        return Err(cursor.error("expected ':' after a name"));
    }
    // `null` is how generators of JSON spell "not given".
    if let Some(value) = value(cursor)? {
        items.push(Item { key, labels: Vec::new(), value, line: place.line, column: place.column });
    }
    Ok(())
}

/// One item, or several where the value holds nothing but objects. Works from the
/// outside in, as HCL 1 does: a list of objects within an object is no label.
fn flatten(item: Item, flat: &mut Vec<Item>) {
    let Item { key, labels, value, line, column } = item;
    match value {
        Value::List(values) if !values.is_empty() && values.iter().all(is_body) => {
            for value in values {
                flatten(Item { key: key.clone(), labels: labels.clone(), value, line, column }, flat);
            }
        }
        Value::Body(inner) if !inner.is_empty() && inner.iter().all(|i| is_body(&i.value)) => {
            for item in inner {
                let labels = labels.iter().cloned().chain([item.key]).collect();
                flatten(Item { key: key.clone(), labels, value: item.value, line, column }, flat);
            }
        }
        value => flat.push(Item { key, labels, value: flat_within(value), line, column }),
    }
}

fn is_body(value: &Value) -> bool {
    matches!(value, Value::Body(_))
}

fn flat_within(value: Value) -> Value {
    match value {
        Value::Body(inner) => Value::Body(all_flat(inner)),
        Value::List(values) => Value::List(values.into_iter().map(flat_within).collect()),
        scalar => scalar,
    }
}

fn all_flat(items: Vec<Item>) -> Vec<Item> {
    let mut flat = Vec::with_capacity(items.len());
    items.into_iter().for_each(|item| flatten(item, &mut flat));
    flat
}

fn value(cursor: &mut Cursor<'_>) -> Result<Option<Value>, HclError> {
    cursor.skip_spaces();
    Ok(Some(match cursor.peek() {
        Some('"') => Value::Str(string(cursor, Dialect::Json)?),
        Some('{') => Value::Body(object(cursor)?),
        Some('[') => list(cursor)?,
        Some(c) if c == '-' || c.is_ascii_digit() => cursor.number()?,
        Some(_) if cursor.eat("true") => Value::Bool(true),
        Some(_) if cursor.eat("false") => Value::Bool(false),
        Some(_) if cursor.eat("null") => return Ok(None),
        _ => return Err(cursor.error("expected a JSON value")),
    }))
}

fn list(cursor: &mut Cursor<'_>) -> Result<Value, HclError> {
    let opened = cursor.place();
    cursor.enter()?;
    cursor.eat("[");
    let mut values = Vec::new();
    loop {
        cursor.skip_spaces();
        if values.is_empty() && cursor.eat("]") {
            break;
        }
        let place = cursor.place();
        values.push(value(cursor)?.ok_or_else(|| place.error("null in a list"))?);
        cursor.skip_spaces();
        if cursor.eat("]") {
            break;
        }
        if cursor.rest().is_empty() {
            return Err(opened.error("'[' is not closed"));
        }
        if !cursor.eat(",") {
            return Err(cursor.error("expected ',' or ']' in a list"));
        }
    }
    cursor.leave();
    Ok(Value::List(values))
}
