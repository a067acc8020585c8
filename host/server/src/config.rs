//! The server's config: the HCL or JSON of Vault and OpenBao, read into types that
//! cannot be wrong. An unknown key is an error that names the nearest known one; a key
//! that does nothing here is told in the log.

mod audit;
pub(crate) mod error;
mod files;
mod keys;
mod listener;
mod stanza;
mod storage;

use std::path::PathBuf;

use tracing_subscriber::filter::LevelFilter;

pub(crate) use self::audit::AuditConfig;
use self::error::ConfigError;
use self::files::Sources;
pub(crate) use self::listener::ListenerConfig;
pub(crate) use self::stanza::Note;
use self::stanza::Stanza;
pub(crate) use self::storage::Storage;
use crate::log::LogFormat;

/// What a server is told to be.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) storage: Storage,
    pub(crate) listeners: Vec<ListenerConfig>,
    pub(crate) audits: Vec<AuditConfig>,
    pub(crate) addresses: Addresses,
    pub(crate) log: LogConfig,
    pub(crate) leases: Leases,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) plugin_directory: Option<PathBuf>,
    pub(crate) unsafe_allow_api_audit_creation: bool,
    /// Keys that were given and do nothing, with the reason.
    pub(crate) notes: Vec<Note>,
}

/// How others reach this node, as given; empty: not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) api: String,
    pub(crate) cluster: String,
    pub(crate) cluster_name: String,
}

/// The operator's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogConfig {
    pub(crate) level: LevelFilter,
    pub(crate) format: LogFormat,
}

/// Lifetimes of leases and tokens in seconds; 0: the built-in default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leases {
    pub(crate) default_ttl_secs: u64,
    pub(crate) max_ttl_secs: u64,
}

impl Config {
    /// Reads files and folders (their `*.hcl` and `*.json`), in order; of a key that is
    /// given twice the last one counts.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub(crate) fn load(paths: &[PathBuf]) -> Result<Self, ConfigError> {
        Self::from_sources(&Sources::read(paths)?)
    }

    fn from_sources(sources: &Sources) -> Result<Self, ConfigError> {
        let mut notes = Vec::new();
        let top = Stanza::top(sources.placed());
        top.check(keys::TOP, &mut notes)?;
        let storage = storage::read(&top, &mut notes)?;
        let listeners = listener::read_all(&top, &mut notes)?;
        let audits = audit::read_all(&top)?;
        seal(&top)?;
        let level = top.string("log_level")?.unwrap_or_default();
        let level = crate::log::level(&level)
            .ok_or_else(|| top.wrong("log_level", "is not one of trace, debug, info, warn, error"))?;
        let format = match top.string("log_format")?.unwrap_or_default().as_str() {
            "" | "standard" => LogFormat::Standard,
            "json" => LogFormat::Json,
            _ => return Err(top.wrong("log_format", "is neither \"standard\" nor \"json\"")),
        };
        let leases = Leases {
            default_ttl_secs: top.secs("default_lease_ttl")?.unwrap_or(0),
            max_ttl_secs: top.secs("max_lease_ttl")?.unwrap_or(0),
        };
        if leases.max_ttl_secs > 0 && leases.default_ttl_secs > leases.max_ttl_secs {
            return Err(top.wrong("default_lease_ttl", "is longer than max_lease_ttl"));
        }
        Ok(Self {
            storage,
            listeners,
            audits,
            addresses: Addresses {
                api: top.string("api_addr")?.unwrap_or_default(),
                cluster: top.string("cluster_addr")?.unwrap_or_default(),
                cluster_name: top.string("cluster_name")?.unwrap_or_default(),
            },
            log: LogConfig { level, format },
            leases,
            pid_file: top.string("pid_file")?.filter(|p| !p.is_empty()).map(PathBuf::from),
            plugin_directory: top.string("plugin_directory")?.filter(|p| !p.is_empty()).map(PathBuf::from),
            unsafe_allow_api_audit_creation: top.flag("unsafe_allow_api_audit_creation")?,
            notes,
        })
    }

    /// The config of a dev server: in memory, plain HTTP on one address.
    pub(crate) fn dev(address: &str) -> Self {
        Self {
            storage: Storage::InMemory,
            listeners: vec![ListenerConfig::plain(address)],
            audits: Vec::new(),
            addresses: Addresses::default(),
            log: LogConfig { level: LevelFilter::INFO, format: LogFormat::Standard },
            leases: Leases::default(),
            pid_file: None,
            plugin_directory: None,
            unsafe_allow_api_audit_creation: true,
            notes: Vec::new(),
        }
    }

    /// The address clients should use: as given, else the first listener's.
    pub(crate) fn api_addr(&self) -> String {
        if !self.addresses.api.is_empty() {
            return self.addresses.api.clone();
        }
        self.listeners.first().map_or_else(String::new, |listener| {
            let scheme = if listener.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", listener.address)
        })
    }
}

/// Only Shamir's shares open a node so far.
fn seal(top: &Stanza<'_>) -> Result<(), ConfigError> {
    for seal in top.blocks("seal")? {
        match seal.label() {
            Some("shamir") => {}
            Some(kind) => {
                let text = format!(
                    "seal {kind:?} is not offered: leave the stanza out, and unseal with key shares (\"shamir\")"
                );
                return Err(seal.error(text));
            }
            None => return Err(seal.error("seal needs a type, as in seal \"shamir\" {}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
