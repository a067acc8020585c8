//! JSON with its texts hashed. They are hashed as they are read: a body may be large, and who
//! sent it unknown, so no copy of it is made first.

use std::fmt;

use bulkhead_model::reply::wipe;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::Zeroize;

use super::super::trail::Names;
use super::secret;
use crate::book::audits::Device;

/// What of a body is shown.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub device: &'a Device,
    /// Members whose texts the operator wants to see, at whatever depth.
    pub plain: &'a [String],
    pub names: &'a Names,
}

impl Shown<'_> {
    /// JSON with every text hashed, and every member's name too that a caller may have
    /// chosen: kv's members are named by callers. Numbers and booleans stay, as in Vault.
    pub(super) fn json(&self, text: &[u8]) -> Value {
        let mut from = serde_json::Deserializer::from_slice(text);
        let value = Reading { shown: *self, is_plain: false }.deserialize(&mut from);
        let read = value.and_then(|value| from.end().map(|()| value));
        // What cannot be read member by member is hashed as one text rather than left out.
        read.unwrap_or_else(|_| secret(self.device, &String::from_utf8_lossy(text)).into())
    }

    /// The same of an answer to a list, with counts instead of the names themselves.
    pub(super) fn counted(&self, text: &[u8]) -> Value {
        let mut value: Value = serde_json::from_slice(text).unwrap_or_default();
        if let Value::Object(members) = &mut value {
            count(members);
        }
        Reading { shown: *self, is_plain: false }.deserialize(value).unwrap_or_default()
    }

    fn name(&self, mut name: String) -> String {
        let known = match self.names {
            Names::Api => true,
            Names::Callers(declared) => {
                API_WORDS.contains(&name.as_str())
                    || declared.contains(&name)
                    || self.plain.contains(&name)
                    || name.bytes().all(|b| b.is_ascii_digit())
            }
        };
        if known {
            return name;
        }
        let hash = secret(self.device, &name);
        name.zeroize();
        hash
    }
}

/// A value that is being read.
#[derive(Clone, Copy)]
struct Reading<'a> {
    shown: Shown<'a>,
    /// Texts below a member that is shown are shown, until another member's name.
    is_plain: bool,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(if self.is_plain { text.into() } else { secret(self.shown.device, text).into() })
    }

    fn visit_string<E: Error>(self, mut text: String) -> Result<Value, E> {
        let shown = self.visit_str(&text);
        text.zeroize();
        shown
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut shown = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            shown.push(item);
        }
        Ok(shown.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut shown = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if name == NUMBER && shown.is_empty() {
                let number = number(&members.next_value::<String>()?).map_err(A::Error::custom)?;
                return match members.next_key::<IgnoredAny>()? {
                    None => Ok(Value::Number(number)),
                    Some(_) => Err(A::Error::custom("a number with members")),
                };
            }
            let is_plain = self.shown.plain.contains(&name);
            let value = members.next_value_seed(Reading { shown: self.shown, is_plain })?;
            shown.insert(self.shown.name(name), value);
        }
        Ok(Value::Object(shown))
    }
}

/// How the parser hands on a number with all of its digits: as a map with this one member.
const NUMBER: &str = "$serde_json::private::Number";

fn number(digits: &str) -> Result<Number, serde_json::Error> {
    digits.parse()
}

/// Counts the names of a list, and what is told of each.
fn count(members: &mut Map<String, Value>) {
    for name in ["keys", "key_info"] {
        let Some(value) = members.get_mut(name) else { continue };
        let count = match value {
            Value::Array(names) => names.len(),
            Value::Object(about) => about.len(),
            _ => continue,
        };
        wipe(value);
        *value = count.into();
    }
}

/// Words of the API that stand beside names of callers. Whoever names a secret like one
/// of them gives nothing away.
const API_WORDS: [&str; 22] = [
    "cas",
    "cas_required",
    "created_time",
    "current_version",
    "custom_metadata",
    "data",
    "delete_version_after",
    "deletion_time",
    "destroyed",
    "key_info",
    "keys",
    "max_versions",
    "metadata",
    "oldest_version",
    "options",
    "subkeys",
    "ttl",
    "updated_time",
    "version",
    "versions",
    "warnings",
    "value",
];
