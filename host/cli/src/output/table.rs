//! Aligned columns, and values as Go's `%v` and `%q` print them.

use serde_json::Value;

use crate::span::Span;

const GLUE: &str = "    ";

/// What stands in a cell that has nothing to show.
const EMPTY: &str = "n/a";

/// Rows under a header that is underlined with dashes.
pub(crate) fn with_header(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut all = Vec::with_capacity(rows.len() + 2);
    all.push(header.iter().map(|cell| (*cell).to_owned()).collect());
    all.push(header.iter().map(|cell| "-".repeat(cell.len())).collect());
    all.extend_from_slice(rows);
    columns(&all)
}

/// `Key` and `Value` columns; nothing at all without rows.
pub(crate) fn key_value(rows: &[(String, String)]) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let rows: Vec<Vec<String>> = rows.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect();
    Some(with_header(&["Key", "Value"], &rows))
}

/// An object's entries by key, durations for people.
pub(crate) fn object_rows(map: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let mut rows: Vec<_> = map.iter().map(|(key, value)| (key.clone(), entry(key, value))).collect();
    rows.sort();
    rows
}

/// Rows side by side, every column as wide as its widest cell; the last one ragged.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let count = cells.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines: Vec<String> = cells.iter().map(|row| line(row, &widths)).collect();
    lines.join("\n").trim_end_matches('\n').to_owned()
}

fn shown(cell: &str) -> &str {
    let cell = cell.trim();
    if cell.is_empty() { EMPTY } else { cell }
}

fn line(row: &[&str], widths: &[usize]) -> String {
    let last = row.len().saturating_sub(1);
    let padded = row.iter().enumerate().map(|(column, cell)| {
        if column == last { (*cell).to_owned() } else { format!("{cell:<width$}", width = widths[column]) }
    });
    padded.collect::<Vec<_>>().join(GLUE)
}

/// The value of `key`, which may be a duration by its name.
pub(crate) fn entry(key: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if names_a_duration(key) => match number.to_string().parse() {
            Ok(secs) => Span::of_secs(secs).short(),
            Err(_) => number.to_string(),
        },
        value => plain(value),
    }
}

/// The peers tell durations from numbers by the name alone.
fn names_a_duration(key: &str) -> bool {
    let stems = ["period", "ttl", "duration"];
    let by_stem =
        stems.iter().any(|stem| key.strip_suffix(stem).is_some_and(|front| front.is_empty() || front.ends_with('_')));
    by_stem || key == "lease_max" || key == "ttl_max"
}

/// Go's `%v`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> =
                entries.into_iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// Go's `%q` of a list of strings.
pub(crate) fn quoted(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}
