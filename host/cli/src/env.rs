//! Environment variables, read once at the start. Every setting is looked up under
//! three prefixes; whoever wants a variable asks here and never the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Prefixes in order of precedence: our own, then those existing scripts set.
const PREFIXES: [&str; 3] = ["BULKHEAD_", "BAO_", "VAULT_"];

/// Those of the peers alone, for what means something else under ours.
const PEERS: [&str; 2] = ["BAO_", "VAULT_"];

/// The process environment at start-up.
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// What the process was started with; variables that are not UTF-8 are left out.
    pub(crate) fn of_process() -> Self {
        let readable =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        // Without `HOME` it is what the list of users says.
        Self { variables: readable.collect(), home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()) }
    }

    /// An environment made up for a test.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let variables = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut made = Self { variables, home: None };
        made.home = made.raw("HOME").map(PathBuf::from);
        made
    }

    /// The setting `name` (without prefix, such as `ADDR`). The first variable that is there
    /// decides, and an empty one says that it is unset: a script switches a setting off with
    /// `BAO_ADDR=`, whatever `VAULT_ADDR` is.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.under(&PREFIXES, name)
    }

    /// The setting `name` as the peers call it, and not under our own prefix.
    pub(crate) fn peers_setting(&self, name: &str) -> Option<&str> {
        self.under(&PEERS, name)
    }

    fn under(&self, prefixes: &[&str], name: &str) -> Option<&str> {
        let value = prefixes.iter().find_map(|prefix| self.variables.get(&format!("{prefix}{name}")));
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The full name of the variable that says `name`; our own where none does.
    pub(crate) fn variable(&self, name: &str) -> String {
        let mut names = PREFIXES.iter().map(|prefix| format!("{prefix}{name}"));
        names.find(|full| self.variables.contains_key(full)).unwrap_or_else(|| format!("{}{name}", PREFIXES[0]))
    }

    /// A variable under its full name, such as `SSL_CERT_FILE`; empty counts as unset.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The user's home: `HOME`, else what the list of users says.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// A path, with the home for the `~` at its beginning.
    pub(crate) fn expanded(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }
}

#[cfg(test)]
mod tests;
