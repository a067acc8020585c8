//! Which entries an audit device is for.

use std::collections::BTreeMap;

use super::{AuditFilter, Entry};

/// Which entries an audit device is for.
#[derive(Debug)]
pub enum Scope {
    /// All of them.
    All,
    /// Those that a filter takes.
    Filtered(AuditFilter),
    /// Those that no other device took.
    Fallback,
}

impl Scope {
    /// Reads a device's options `filter` and `fallback`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn of(options: &BTreeMap<String, String>) -> Result<Self, String> {
        let given = |name: &str| options.get(name).map_or("", |text| text.trim());
        let is_fallback = match given("fallback") {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            other => return Err(format!("fallback is neither true nor false: {other:?}")),
        };
        match given("filter") {
            "" if is_fallback => Ok(Self::Fallback),
            "" => Ok(Self::All),
            _ if is_fallback => Err("cannot configure a fallback device with a filter".to_owned()),
            text => AuditFilter::parse(text).map(Self::Filtered).map_err(|what| format!("filter is none: {what}")),
        }
    }

    /// Whether it is for what no other device took.
    #[must_use]
    pub fn is_fallback(&self) -> bool {
        matches!(self, Self::Fallback)
    }

    /// Whether an entry concerns its device. A fallback's do where no other device took them.
    #[must_use]
    pub fn takes(&self, entry: &Entry<'_>) -> bool {
        match self {
            Self::All | Self::Fallback => true,
            Self::Filtered(filter) => filter.takes(entry),
        }
    }
}
