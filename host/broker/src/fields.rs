//! Reading the parameters of the host's own routes, as weakly typed as Vault reads them.

use std::collections::BTreeMap;

use bulkhead_model::duration;
use bulkhead_model::framework::{convert, null_is_absent};
use bulkhead_model::plugin::FieldKind;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// The parameters of one request.
#[derive(Default)]
pub(crate) struct Fields {
    values: Map<String, Value>,
    /// Whether the route tells create from update. In Vault that meets the fields first, and
    /// says less of one that does not fit.
    has_existence_check: bool,
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.values.values_mut().for_each(bulkhead_model::reply::wipe);
    }
}

impl Fields {
    pub(crate) fn new(values: Map<String, Value>) -> Self {
        Self { values, has_existence_check: false }
    }

    /// The parameters of a route that tells create from update.
    pub(crate) fn behind_existence_check(self, has_existence_check: bool) -> Self {
        let mut fields = self;
        fields.has_existence_check = has_existence_check;
        fields
    }

    /// Whether the caller sent it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// All that was sent.
    pub(crate) fn all(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Whether null was sent, for those few that Vault does not ask its framework for.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(Value::is_null)
    }

    /// What was sent, as its kind wants it. As in Vault, null is the kind's empty value, so that it takes back what
    /// was set, and only for times it counts as not sent.
    fn converted(&self, name: &str, kind: FieldKind) -> Result<Option<Value>, Fault> {
        let sent = self.values.get(name).filter(|value| !(value.is_null() && null_is_absent(kind)));
        let Some(value) = sent else { return Ok(None) };
        convert(kind, value.clone()).map(Some).map_err(|cause| self.unfit(name, &cause))
    }

    fn unfit(&self, name: &str, cause: &str) -> Fault {
        let preface = if self.has_existence_check { "" } else { "Field validation failed: " };
        Fault::invalid(format!("{preface}error converting input for field {name:?}: {cause}"))
    }

    /// A text; numbers and booleans are taken for one.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        // A secret is not to lie about in more copies than the one that is given away.
        if let Some(Value::String(text)) = self.values.get(name) {
            return Ok(Some(text.clone()));
        }
        Ok(match self.converted(name, FieldKind::Text)? {
            Some(Value::String(text)) => Some(text),
            _ => None,
        })
    }

    /// A text, or the empty one.
    pub(crate) fn text_or_empty(&self, name: &str) -> Result<String, Fault> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// A boolean; `"true"`, `"1"` and the numbers 0 and 1 are taken for one.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        Ok(self.converted(name, FieldKind::Boolean)?.and_then(|value| value.as_bool()))
    }

    /// A whole number, perhaps as a string.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Fault> {
        Ok(self.converted(name, FieldKind::Integer)?.and_then(|value| value.as_i64()))
    }

    /// A number, perhaps as a string.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>, Fault> {
        Ok(self.converted(name, FieldKind::Float)?.and_then(|value| value.as_f64()))
    }

    /// A duration in seconds: a number of seconds, or Go's notation with days.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<u64>, Fault> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => parse_seconds(&text, name).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`seconds`](Self::seconds), where Vault declares the field as a duration.
    pub(crate) fn seconds_of_field(&self, name: &str) -> Result<Option<u64>, Fault> {
        Ok(self.converted(name, FieldKind::Duration)?.and_then(|value| value.as_u64()))
    }

    /// A moment, in milliseconds since 1970: RFC 3339, or seconds.
    pub(crate) fn moment_ms(&self, name: &str) -> Result<Option<u64>, Fault> {
        use time::OffsetDateTime;
        use time::format_description::well_known::Rfc3339;
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let moment = match text.parse::<i64>() {
            Ok(secs) => OffsetDateTime::from_unix_timestamp(secs).ok(),
            Err(_) => OffsetDateTime::parse(&text, &Rfc3339).ok(),
        };
        let moment = moment.ok_or_else(|| self.unfit(name, "could not parse string as date and time"))?;
        // One before 1970 is over too.
        Ok(Some(u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(1)))
    }

    /// A list of strings; a single string is a list of one, split at commas if asked.
    pub(crate) fn strings(&self, name: &str, split_commas: bool) -> Result<Option<Vec<String>>, Fault> {
        match self.values.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) if split_commas => {
                return Ok(Some(text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()));
            }
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(Vec::new())),
            Some(Value::String(text)) => return Ok(Some(vec![text.clone()])),
            Some(_) => {}
        }
        let kind = if split_commas { FieldKind::CommaStringList } else { FieldKind::StringList };
        let Some(Value::Array(items)) = self.converted(name, kind)? else { return Ok(None) };
        let text = |item| if let Value::String(text) = item { Some(text) } else { None };
        Ok(Some(items.into_iter().filter_map(text).collect()))
    }

    /// An object; null and an empty list count as not sent.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>, Fault> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) if items.is_empty() => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => {
                let cause = convert(FieldKind::AnyMap, other.clone()).err();
                Err(self.unfit(name, &cause.unwrap_or_else(|| "expected an object".to_owned())))
            }
        }
    }

    /// Pairs of texts: a map, a list of maps, of which the later ones count, or `name=value`, once or as a list,
    /// as the command line sends them. Null has none.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<(String, String)>>, Fault> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        if let Some(pairs) = members(value) {
            return Ok(Some(pairs));
        }
        let items = if let Value::Array(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
        if items.iter().any(|item| plain(item).is_none()) {
            let cause = convert(FieldKind::StringList, Value::Array(items.to_vec())).err().unwrap_or_default();
            return Err(self.unfit(name, &cause));
        }
        let pair = |(at, item): (usize, &Value)| {
            let text = plain(item).unwrap_or_default();
            let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| self.unfit(name, &format!("invalid key pair at index {at} in field {name:?}")))
        };
        items.iter().enumerate().map(pair).collect::<Result<_, _>>().map(Some)
    }
}

/// The pairs of a map, or of a list of maps.
fn members(value: &Value) -> Option<Vec<(String, String)>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Object(map) => map.iter().map(|(name, value)| Some((name.clone(), plain(value)?))).collect(),
        Value::Array(maps) => {
            let maps: Option<Vec<_>> = maps.iter().map(members).collect();
            let union: BTreeMap<_, _> = maps?.into_iter().flatten().collect();
            Some(union.into_iter().collect())
        }
        _ => None,
    }
}

/// What is a text, or counts as one.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Seconds from Vault's notation, with the error texts of Go, which clients print.
pub(crate) fn parse_seconds(text: &str, name: &str) -> Result<u64, Fault> {
    if text.starts_with('-') {
        return Err(Fault::invalid(format!("{name} must be positive")));
    }
    duration::parse_secs(text).map_err(|e| Fault::invalid(e.to_string()))
}

/// Whole seconds from now until then, as Vault tells them: it counts from the nearest full second.
pub(crate) fn secs_until(ends_ms: u64, now_ms: u64) -> u64 {
    let now_ms = now_ms.saturating_add(500) / 1000 * 1000;
    ends_ms.saturating_sub(now_ms) / 1000
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_from_the_nearest_full_one() {
        for (ends_ms, now_ms, secs) in
            [(60_000, 0, 60), (60_400, 400, 60), (60_499, 499, 60), (60_600, 600, 59), (60_900, 901, 59), (900, 901, 0)]
        {
            assert_eq!(secs_until(ends_ms, now_ms), secs, "{now_ms}");
        }
    }
}
