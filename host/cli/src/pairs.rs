//! `K=V` arguments: `key=value`, `key=@file`, `key=\@text`, `key=-` (stdin), `@file` and
//! `-` (a whole JSON object). From words to one JSON object, and nothing about requests.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Map, Value};

/// Most bytes read from a file or stdin for one value. Source: the server's largest
/// request body. Why: more would be refused anyway, after being held here.
const VALUE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why the arguments are not data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PairError {
    /// One of them is at fault.
    #[error("invalid key/value pair {word:?}: {source}")]
    Word {
        /// The argument.
        word: String,
        /// What is wrong with it.
        source: Box<PairError>,
    },
    /// No `=`.
    #[error("format must be key=value")]
    NoEquals,
    /// A value whose file cannot be read.
    #[error("error reading file: {0}")]
    Value(Box<PairError>),
    /// A file that cannot be read.
    #[error("open {path}: {}", crate::fault::plain_io(source))]
    File {
        /// Its path.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Stdin cannot be read.
    #[error("error reading stdin: {0}")]
    Stdin(std::io::Error),
    /// Stdin was asked for twice; the second would be empty.
    #[error("stdin already consumed")]
    StdinTwice,
    /// More bytes than any request may have.
    #[error("{from} is larger than {VALUE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file, or stdin.
        from: String,
    },
    /// A value that is not text.
    #[error("{from} is not UTF-8 text")]
    NotText {
        /// The file, or stdin.
        from: String,
    },
    /// A whole-object argument that is not a JSON object.
    #[error("{from} does not hold a JSON object: {source}")]
    NotObject {
        /// The file, or stdin.
        from: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A value that has to be one text is a list or an object.
    #[error("failed to convert values to strings: {key} is not a string")]
    NotOneText {
        /// Its key.
        key: String,
    },
}

/// Everything the arguments say, keys in the order they came. A key given twice holds
/// a list.
///
/// # Errors
/// The first argument that is not a pair, or a file or stdin that cannot be read.
pub(crate) fn parse(words: &[String], stdin: &mut dyn Read) -> Result<Map<String, Value>, PairError> {
    let mut builder = Builder { result: Map::new(), stdin: Some(stdin) };
    for word in words {
        builder.add(word).map_err(|source| PairError::Word { word: word.clone(), source: Box::new(source) })?;
    }
    Ok(builder.result)
}

/// [`parse`], for places that take one text per key.
///
/// # Errors
/// As [`parse`], and for a key with a list or an object.
pub(crate) fn parse_texts(words: &[String], stdin: &mut dyn Read) -> Result<BTreeMap<String, String>, PairError> {
    let mut texts = BTreeMap::new();
    for (key, value) in parse(words, stdin)? {
        let text = one_text(&value).ok_or_else(|| PairError::NotOneText { key: key.clone() })?;
        texts.insert(key, text);
    }
    Ok(texts)
}

/// [`parse`], for query strings: every key with all of its texts.
///
/// # Errors
/// As [`parse`], and for a key with an object.
pub(crate) fn parse_queries(words: &[String], stdin: &mut dyn Read) -> Result<Vec<(String, String)>, PairError> {
    let mut queries = Vec::new();
    for (key, value) in parse(words, stdin)? {
        let values = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        for value in &values {
            let text = one_text(value).ok_or_else(|| PairError::NotOneText { key: key.clone() })?;
            queries.push((key.clone(), text));
        }
    }
    Ok(queries)
}

/// A scalar as text; the peers write true as 1 here.
fn one_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(if *on { "1" } else { "0" }.to_owned()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

struct Builder<'a> {
    result: Map<String, Value>,
    stdin: Option<&'a mut dyn Read>,
}

impl Builder<'_> {
    fn add(&mut self, word: &str) -> Result<(), PairError> {
        if word.is_empty() {
            return Ok(());
        }
        if word == "-" {
            let text = self.take_stdin()?;
            return self.add_object(&text, "stdin");
        }
        if let Some(path) = word.strip_prefix('@') {
            let text = read_file(path)?;
            return self.add_object(&text, path);
        }
        let Some((key, raw)) = word.split_once('=') else {
            return Err(PairError::NoEquals);
        };
        let value = self.value(raw)?;
        self.insert(key, Value::String(value));
        Ok(())
    }

    fn value(&mut self, raw: &str) -> Result<String, PairError> {
        if raw == "-" {
            return self.take_stdin();
        }
        match raw.strip_prefix('@') {
            Some(path) => read_file(path).map_err(|error| PairError::Value(Box::new(error))),
            // A backslash lets a value begin with the sign itself.
            None if raw.starts_with("\\@") => Ok(raw[1..].to_owned()),
            None => Ok(raw.to_owned()),
        }
    }

    fn insert(&mut self, key: &str, value: Value) {
        match self.result.get_mut(key) {
            None => {
                self.result.insert(key.to_owned(), value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(existing) => {
                let first = existing.take();
                *existing = Value::Array(vec![first, value]);
            }
        }
    }

    fn add_object(&mut self, text: &str, from: &str) -> Result<(), PairError> {
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|source| PairError::NotObject { from: from.to_owned(), source })?;
        for (key, value) in object {
            self.insert(&key, value);
        }
        Ok(())
    }

    fn take_stdin(&mut self) -> Result<String, PairError> {
        let stdin = self.stdin.take().ok_or(PairError::StdinTwice)?;
        read_text(stdin, "stdin", PairError::Stdin)
    }
}

fn read_file(path: &str) -> Result<String, PairError> {
    let failed = |source| PairError::File { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    read_text(&mut file, path, failed)
}

fn read_text(
    source: &mut dyn Read,
    from: &str,
    failed: impl Fn(std::io::Error) -> PairError,
) -> Result<String, PairError> {
    let mut bytes = Vec::new();
    source.take(VALUE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > VALUE_BYTES_MAX {
        return Err(PairError::TooLarge { from: from.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| PairError::NotText { from: from.to_owned() })
}

#[cfg(test)]
mod tests;
