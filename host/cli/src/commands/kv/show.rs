//! How key-value secrets look on a terminal: headings over tables.

use serde_json::{Map, Value};

use crate::client::Secret;
use crate::fault::Fault;
use crate::session::Session;

/// `== Secret Path ==`, the path, and an empty line.
pub(super) fn path(session: &Session, title: &str, path: &str) {
    session.terminal.out(&format!("{}\n{path}\n", heading(title, path.len())));
}

/// A heading as wide as the table of `map` that follows.
pub(super) fn heading_for(title: &str, map: &Map<String, Value>) -> String {
    let longest = map.keys().map(String::len).max().unwrap_or(0);
    // The gap between the columns and the word "Value" stand behind the longest key.
    heading(title, longest + 4 + 5)
}

fn heading(title: &str, width: usize) -> String {
    let signs = match width.saturating_sub(title.len() + 2) {
        0 => 4,
        odd if odd % 2 == 1 => odd + 1,
        even => even,
    };
    let side = "=".repeat(signs / 2);
    format!("{side} {title} {side}")
}

/// What a write of a version answered.
///
/// # Errors
/// A field that is not there, or a format it cannot be printed in.
pub(super) fn written(session: &Session, full_path: &str, answer: Option<Secret>) -> Result<u8, Fault> {
    let Some(secret) = answer else {
        session.tell(&format!("Success! Data written to: {full_path}"));
        return Ok(0);
    };
    let is_wrapped = secret.wrap_info.as_ref().is_some_and(|wrap| wrap.ttl != 0);
    match &secret.data {
        Some(metadata) if session.is_table() && !is_wrapped && session.flags.text("field").is_none() => {
            path(session, "Secret Path", full_path);
            session.terminal.out(&heading_for("Metadata", metadata));
            session.show_value(&Value::Object(metadata.clone()))
        }
        _ => session.show(&secret),
    }
}
