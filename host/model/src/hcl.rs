//! HCL version 1 and its JSON form, as Vault's configs and policies are written in it.
//! Parsers on offer read HCL 2 only, which forbids quoted block names (`"listener"
//! "tcp" { … }`) and other things those files use. What the items mean (a listener, a
//! policy path) is told by whoever asks for them, not here.

mod cursor;
mod json_form;
mod native;
mod quoted;

use crate::limits::HCL_BYTES_MAX;

/// `key = value`, or `key "label" … { … }`, in the order of the text. A block that is
/// written twice is two items: nothing is merged here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The first name.
    pub key: String,
    /// The names between the first and the brace.
    pub labels: Vec<String>,
    /// What stands behind them.
    pub value: Value,
    /// Line of the key, from 1.
    pub line: u32,
    /// Column of the key in characters, from 1.
    pub column: u32,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A quoted string or heredoc, escapes undone.
    Str(String),
    /// A number, as written.
    Num(String),
    /// `true` or `false`.
    Bool(bool),
    /// `[ … ]`.
    List(Vec<Value>),
    /// `{ … }`, with or without an equals sign in front.
    Body(Vec<Item>),
}

impl Value {
    /// What it is, for error texts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Str(_) => "a string",
            Self::Num(_) => "a number",
            Self::Bool(_) => "a bool",
            Self::List(_) => "a list",
            Self::Body(_) => "a block",
        }
    }

    /// The text of a string, number or bool: HCL 1 takes `"true"` for `true` and `"5"`
    /// for `5`, and existing files rely on it.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Num(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::List(_) | Self::Body(_) => None,
        }
    }
}

/// Where a text stopped being HCL, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {line}:{column}: {message}")]
pub struct HclError {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

/// Reads a whole text: JSON if it starts with a brace, else HCL.
///
/// # Errors
/// [`HclError`]: not well formed, or over [`HCL_BYTES_MAX`] or
/// [`crate::limits::HCL_DEPTH_MAX`].
pub fn parse(text: &str) -> Result<Vec<Item>, HclError> {
    if text.len() > HCL_BYTES_MAX {
        let message = format!("text is {} bytes, over the limit of {HCL_BYTES_MAX}", text.len());
        return Err(HclError { line: 1, column: 1, message });
    }
    let is_json = is_json(text);
    let text = without_mark(text);
    if is_json { json_form::file(text) } else { native::file(text) }
}

/// Whether a text is read as JSON.
#[must_use]
pub fn is_json(text: &str) -> bool {
    without_mark(text).trim_start().starts_with('{')
}

/// Without the mark that some editors put in front.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests;
