//! Settings of the environment that go over those of the config files: the variables
//! that Vault's and OpenBao's servers read.

use std::ffi::OsString;

use super::error::ConfigError;
use super::stanza;

/// Prefixes in order of precedence, as on the command line: our own, then those that
/// existing units and containers set.
const PREFIXES: [&str; 3] = ["BULKHEAD_", "BAO_", "VAULT_"];

const DISABLE_USER_LOCKOUT: &str = "DISABLE_USER_LOCKOUT";

/// What the environment says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `API_ADDR`.
    pub(super) api_addr: Option<String>,
    /// `DISABLE_USER_LOCKOUT`.
    pub(super) disable_user_lockout: Option<bool>,
    /// `CLUSTER_ADDR`.
    pub(super) cluster_addr: Option<String>,
    /// `RAFT_NODE_ID`.
    pub(super) raft_node_id: Option<String>,
    /// `RAFT_PATH`.
    pub(super) raft_path: Option<String>,
}

impl Environment {
    /// That of this process.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] if one of these variables is not UTF-8.
    pub(crate) fn of_process() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var_os(name))
    }

    pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let setting = |name: &str| -> Result<Option<String>, ConfigError> {
            let names = PREFIXES.iter().map(|prefix| format!("{prefix}{name}"));
            // The first that is there decides, as with OpenBao; an empty one says that it is not set.
            let found = names.filter_map(|name| Some((variable(&name)?, name))).next();
            let Some((value, name)) = found.filter(|(value, _)| !value.is_empty()) else { return Ok(None) };
            let text = value.into_string();
            text.map(Some).map_err(|_| ConfigError::Missing(format!("{name} in the environment is not UTF-8")))
        };
        if let Some(kind) = setting("SEAL_TYPE")?.filter(|kind| kind != "shamir") {
            let text = format!("a seal in the environment (SEAL_TYPE = {kind:?}) is not read: write a seal stanza");
            return Err(ConfigError::Missing(text));
        }
        Ok(Self {
            api_addr: setting("API_ADDR")?,
            disable_user_lockout: setting(DISABLE_USER_LOCKOUT)?.map(|text| flag(&text)).transpose()?,
            cluster_addr: setting("CLUSTER_ADDR")?,
            raft_node_id: setting("RAFT_NODE_ID")?,
            raft_path: setting("RAFT_PATH")?,
        })
    }
}

/// In the spellings Go takes.
fn flag(text: &str) -> Result<bool, ConfigError> {
    stanza::go_bool(text).ok_or_else(|| {
        ConfigError::Missing(format!("{DISABLE_USER_LOCKOUT} in the environment is neither true nor false"))
    })
}
