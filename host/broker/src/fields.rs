//! Reading the parameters of the host's own routes, as weakly typed as Vault reads them.

use bulkhead_model::duration;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// The parameters of one request.
#[derive(Default)]
pub(crate) struct Fields(pub Map<String, Value>);

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(bulkhead_model::reply::wipe);
    }
}

fn mismatch(name: &str, wanted: &str) -> Fault {
    Fault::invalid(format!("Field validation failed: error converting input for field {name:?}: expected {wanted}"))
}

impl Fields {
    /// Whether the caller sent it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text; numbers and booleans are taken for one.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(n)) => Ok(Some(n.to_string())),
            Some(Value::Bool(b)) => Ok(Some(if *b { "1" } else { "0" }.into())),
            Some(_) => Err(mismatch(name, "a string")),
        }
    }

    /// A text, or the empty one.
    pub(crate) fn text_or_empty(&self, name: &str) -> Result<String, Fault> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// A boolean; `"true"`, `"1"` and numbers are taken for one.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(Value::Number(n)) => Ok(Some(n.to_string() != "0")),
            Some(Value::String(text)) => match text.to_ascii_lowercase().as_str() {
                "1" | "t" | "true" => Ok(Some(true)),
                "0" | "f" | "false" | "" => Ok(Some(false)),
                _ => Err(mismatch(name, "a boolean")),
            },
            Some(_) => Err(mismatch(name, "a boolean")),
        }
    }

    /// A whole number, perhaps as a string.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Fault> {
        let text = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(n)) => n.to_string(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(b)) => i64::from(*b).to_string(),
            Some(_) => return Err(mismatch(name, "an integer")),
        };
        text.trim().parse().map(Some).map_err(|_| mismatch(name, "an integer"))
    }

    /// A number, perhaps as a string.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| {
            Fault::invalid(format!(
                "Field validation failed: error converting input for field {name:?}: '' cannot parse value as \
                 'float64': strconv.ParseFloat: invalid syntax"
            ))
        })
    }

    /// A duration in seconds: a number of seconds, or Go's notation with days.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<u64>, Fault> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => parse_seconds(&text, name).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`seconds`](Self::seconds), with the text Vault has where a field is declared
    /// as a duration.
    pub(crate) fn seconds_of_field(&self, name: &str) -> Result<Option<u64>, Fault> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => duration::parse_secs(&text).map(Some).map_err(|e| {
                Fault::invalid(format!("Field validation failed: error converting input for field {name:?}: {e}"))
            }),
            _ => Ok(None),
        }
    }

    /// A list of strings; a single string is a list of one, split at commas if asked.
    pub(crate) fn strings(&self, name: &str, split_commas: bool) -> Result<Option<Vec<String>>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if split_commas => {
                Ok(Some(text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()))
            }
            Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
            Some(Value::Array(items)) => {
                let one = |item: &Value| match item {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(n) => Some(n.to_string()),
                    Value::Bool(b) => Some(b.to_string()),
                    _ => None,
                };
                items.iter().map(one).collect::<Option<Vec<_>>>().map(Some).ok_or_else(|| mismatch(name, "strings"))
            }
            Some(_) => Err(mismatch(name, "a list of strings")),
        }
    }

    /// An object.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(Fault::invalid(format!(
                "Field validation failed: error converting input for field {name:?}: '' expected type \
                 'map[string]interface {{}}', got unconvertible type 'string'"
            ))),
        }
    }

    /// An object whose values are texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<(String, String)>>, Fault> {
        match self.0.get(name) {
            Some(one @ Value::String(_)) => return pairs(name, std::slice::from_ref(one)).map(Some),
            Some(Value::Array(many)) => return pairs(name, many).map(Some),
            _ => {}
        }
        let Some(map) = self.object(name)? else { return Ok(None) };
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(if *b { "1" } else { "0" }.to_owned()),
            _ => None,
        };
        let pairs = map.iter().map(|(k, v)| text(v).map(|v| (k.clone(), v)));
        pairs.collect::<Option<Vec<_>>>().map(Some).ok_or_else(|| mismatch(name, "strings"))
    }
}

/// Pairs as the command line sends them: `name=value`, once or as a list.
fn pairs(field: &str, items: &[Value]) -> Result<Vec<(String, String)>, Fault> {
    let pair = |(at, item): (usize, &Value)| {
        let (name, value) = item.as_str().and_then(|text| text.split_once('=')).ok_or_else(|| {
            Fault::invalid(format!(
                "Field validation failed: error converting input for field {field:?}: invalid key pair at index {at} \
                 in field {field:?}"
            ))
        })?;
        Ok((name.to_owned(), value.to_owned()))
    };
    items.iter().enumerate().map(pair).collect()
}

/// Seconds from Vault's notation, with the error texts of Go, which clients print.
pub(crate) fn parse_seconds(text: &str, name: &str) -> Result<u64, Fault> {
    if text.starts_with('-') {
        return Err(Fault::invalid(format!("{name} must be positive")));
    }
    duration::parse_secs(text).map_err(|e| Fault::invalid(e.to_string()))
}

/// RFC 3339 in UTC, with as many digits after the point as there are, as Go prints it.
pub(crate) fn rfc3339(ms: u64) -> String {
    use time::format_description::well_known::Rfc3339;
    let nanos = i128::from(ms) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_else(|| "9999-12-31T23:59:59Z".into())
}
