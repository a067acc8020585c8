//! Values as text. Nothing here knows a command or prints; what a user or script sees
//! must have the same form as the peers' output, down to the byte.

pub(crate) mod json;
pub(crate) mod table;
pub(crate) mod yaml;

use serde_json::Value;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// Indented JSON.
    Json,
    /// YAML.
    Yaml,
    /// A form that only cluster commands of the peers have; known so that the error
    /// is theirs.
    Pretty,
    /// The server's answer as it came, for `read`.
    Raw,
}

impl Format {
    /// The format of that name, in any case; none if there is no such format.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "table" => Some(Self::Table),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "pretty" => Some(Self::Pretty),
            "raw" => Some(Self::Raw),
            _ => None,
        }
    }
}

/// The value with the keys of every object in order, as Go writes its maps.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
