//! The words that a filter is made of.

use std::fmt;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Open,
    Close,
    Equal,
    Unequal,
    /// A keyword, a name, or a value without quotes.
    Bare(String),
    Quoted(String),
}

impl Word {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Bare(text) if text == keyword)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("\"(\""),
            Self::Close => f.write_str("\")\""),
            Self::Equal => f.write_str("\"==\""),
            Self::Unequal => f.write_str("\"!=\""),
            Self::Bare(text) | Self::Quoted(text) => write!(f, "{text:?}"),
        }
    }
}

/// Takes a filter apart.
///
/// # Errors
/// A text that says what is wrong, as the end of a sentence.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, length) = word(rest)?;
        words.push(word);
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// The first word of a text that begins with one, and how long it is.
fn word(rest: &str) -> Result<(Word, usize), String> {
    for (sign, word) in [("(", Word::Open), (")", Word::Close), ("==", Word::Equal), ("!=", Word::Unequal)] {
        if rest.starts_with(sign) {
            return Ok((word, sign.len()));
        }
    }
    if rest.starts_with('"') {
        let mut json = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let text = json.next().and_then(Result::ok).ok_or("a quoted value does not end, or is not one")?;
        return Ok((Word::Quoted(text), json.byte_offset()));
    }
    if let Some(raw) = rest.strip_prefix('`') {
        let (text, _) = raw.split_once('`').ok_or("a quoted value does not end")?;
        return Ok((Word::Quoted(text.to_owned()), text.len() + 2));
    }
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'));
    let length = rest.find(ends).unwrap_or(rest.len());
    if length == 0 {
        let sign = rest.chars().next().unwrap_or_default();
        return Err(format!("{sign:?} needs quotes around it"));
    }
    Ok((Word::Bare(rest[..length].to_owned()), length))
}
