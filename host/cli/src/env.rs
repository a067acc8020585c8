//! Environment variables, read once at the start. Every setting is looked up under
//! three prefixes; whoever wants a variable asks here and never the process.

use std::collections::BTreeMap;

/// Prefixes in order of precedence: our own, then those existing scripts set.
const PREFIXES: [&str; 3] = ["BULKHEAD_", "BAO_", "VAULT_"];

/// The process environment at start-up.
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// What the process was started with; variables that are not UTF-8 are left out.
    pub(crate) fn of_process() -> Self {
        let readable =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self(readable.collect())
    }

    /// An environment made up for a test.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    /// The setting `name` (without prefix, such as `ADDR`). An empty variable counts
    /// as unset, so that a script can switch one off with `BAO_ADDR=`.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        PREFIXES.iter().find_map(|prefix| self.raw(&format!("{prefix}{name}")))
    }

    /// The full name of the variable that says `name`; our own where none does.
    pub(crate) fn variable(&self, name: &str) -> String {
        let said = PREFIXES.iter().map(|prefix| format!("{prefix}{name}")).find(|full| self.raw(full).is_some());
        said.unwrap_or_else(|| format!("{}{name}", PREFIXES[0]))
    }

    /// A variable under its full name, such as `HOME`; empty counts as unset.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests;
