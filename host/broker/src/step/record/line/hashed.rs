//! JSON with its texts hashed. What was parsed for it is wiped.

use bulkhead_model::reply::wipe;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::super::trail::Names;
use super::secret;
use crate::book::audits::Device;

/// What of a body is shown.
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
        match serde_json::from_slice(text) {
            Ok(value) => self.value(value, false),
            Err(_) => Value::Null,
        }
    }

    /// The same of an answer to a list, with counts instead of the names themselves.
    pub(super) fn counted(&self, text: &[u8]) -> Value {
        let mut value: Value = serde_json::from_slice(text).unwrap_or_default();
        if let Value::Object(members) = &mut value {
            count(members);
        }
        self.value(value, false)
    }

    /// Texts below a member that is shown are shown, until another member's name.
    fn value(&self, value: Value, is_plain: bool) -> Value {
        match value {
            Value::String(text) if is_plain => text.into(),
            Value::String(mut text) => {
                let hash = secret(self.device, &text);
                text.zeroize();
                hash.into()
            }
            Value::Array(items) => items.into_iter().map(|item| self.value(item, is_plain)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(name, value)| {
                    let value = self.value(value, self.plain.contains(&name));
                    (self.name(name), value)
                })
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
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
