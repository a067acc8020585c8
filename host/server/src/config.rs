//! The server's config: the HCL or JSON of Vault and OpenBao, read into types that
//! cannot be wrong. An unknown key is an error that names the nearest known one; a key
//! that does nothing here is told in the log.

mod audit;
mod cluster;
mod environment;
pub(crate) mod error;
mod files;
mod keys;
mod listener;
mod lockout;
mod seal;
mod stanza;
mod storage;
mod telemetry;

use std::path::PathBuf;

use bulkhead_model::limits::TTL_DEFAULT_SECS;
use bulkhead_model::lockout::LockoutRules;
use tracing_subscriber::filter::LevelFilter;

pub(crate) use self::audit::{AuditConfig, check_audit_options};
pub(crate) use self::cluster::{ClusterConfig, Pem, RetryJoin};
pub(crate) use self::environment::Environment;
use self::error::ConfigError;
use self::files::Sources;
pub(crate) use self::listener::{ListenerConfig, ListenerKind};
pub(crate) use self::seal::{KeySource, SealStanza, SealsConfig, StaticKeyConfig};
pub(crate) use self::stanza::Note;
use self::stanza::Stanza;
pub(crate) use self::storage::{LogLength, Storage};
pub(crate) use self::telemetry::{PushTarget, TelemetryConfig};
use crate::log::LogFormat;

/// What a server is told to be.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) storage: Storage,
    pub(crate) listeners: Vec<ListenerConfig>,
    pub(crate) audits: Vec<AuditConfig>,
    pub(crate) addresses: Addresses,
    /// `None`: the node stays alone.
    pub(crate) cluster: Option<ClusterConfig>,
    pub(crate) log: LogConfig,
    pub(crate) mounts: MountDefaults,
    pub(crate) seals: SealsConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) paths: Paths,
    pub(crate) audit_rules: AuditRules,
    /// Keys that were given and do nothing, with the reason.
    pub(crate) notes: Vec<Note>,
}

/// Files and directories beside the storage's.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) plugins: Option<PathBuf>,
    /// The one that snapshots may be laid down in.
    pub(crate) snapshots: Option<PathBuf>,
}

/// What may be asked of audit devices, as OpenBao's keys of these names have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditRules {
    pub(crate) unsafe_allow_api_audit_creation: bool,
    pub(crate) allow_audit_log_prefixing: bool,
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

/// What holds for mounts that say nothing of their own.
#[derive(Debug, Default)]
pub(crate) struct MountDefaults {
    pub(crate) leases: Leases,
    pub(crate) lockouts: LockoutRules,
}

/// Lifetimes of leases and tokens in seconds; 0: the built-in default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leases {
    pub(crate) default_ttl_secs: u64,
    pub(crate) max_ttl_secs: u64,
}

impl Config {
    /// Reads files and folders (their `*.hcl` and `*.json`), in order; of a key that is
    /// given twice the last one counts, and the environment goes over all of them.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub(crate) fn load(paths: &[PathBuf], environment: &Environment) -> Result<Self, ConfigError> {
        Self::from_sources(&Sources::read(paths)?, environment, None)
    }

    /// The config of a dev server: in memory, plain HTTP on one address, and besides
    /// that what the files say, if there are any.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub(crate) fn dev(address: &str, paths: &[PathBuf], environment: &Environment) -> Result<Self, ConfigError> {
        let sources = if paths.is_empty() { Sources::default() } else { Sources::read(paths)? };
        Self::from_sources(&sources, environment, Some(address))
    }

    /// `dev`: the address of a dev server, if this is one.
    fn from_sources(sources: &Sources, environment: &Environment, dev: Option<&str>) -> Result<Self, ConfigError> {
        let mut notes = Vec::new();
        let top = Stanza::top(sources.placed());
        top.check(keys::TOP, &mut notes)?;
        let storage = match (storage::read(&top, environment, &mut notes)?, dev) {
            (Some(storage), None) => storage,
            (None | Some(Storage::InMemory), Some(_)) => Storage::InMemory,
            (Some(Storage::Raft { .. }), Some(_)) => {
                let text = "-dev keeps everything in memory: leave storage \"raft\" out of its config";
                return Err(ConfigError::Missing(text.to_owned()));
            }
            (None, None) => return Err(storage::missing()),
        };
        let mut listeners = listener::read_all(&top, &mut notes)?;
        match dev {
            Some(address) => listeners.insert(0, ListenerConfig::plain(address)),
            None if listeners.is_empty() => return Err(listener::missing()),
            None => {}
        }
        let audits = audit::read_all(&top, &mut notes)?;
        let seals = seal::read(&top, dev.is_some(), &mut notes)?;
        let telemetry = telemetry::read(&top, &mut notes)?;
        let lockouts = lockout::read(&top, environment, &mut notes)?;
        let addresses = addresses(&top, environment)?;
        let cluster = match &storage {
            Storage::Raft { .. } => cluster::read(&top, &listeners, &addresses, &mut notes)?,
            Storage::InMemory => None,
        };
        Ok(Self {
            storage,
            listeners,
            audits,
            addresses,
            cluster,
            log: log(&top)?,
            mounts: MountDefaults { leases: leases(&top)?, lockouts },
            seals,
            telemetry,
            paths: Paths {
                pid_file: top.string("pid_file")?.filter(|p| !p.is_empty()).map(PathBuf::from),
                plugins: top.string("plugin_directory")?.filter(|p| !p.is_empty()).map(PathBuf::from),
                snapshots: snapshot_directory(&top)?,
            },
            audit_rules: AuditRules {
                unsafe_allow_api_audit_creation: dev.is_some() || top.flag("unsafe_allow_api_audit_creation")?,
                allow_audit_log_prefixing: top.flag("allow_audit_log_prefixing")?,
            },
            notes,
        })
    }

    /// The address clients should use: as given, else the first listener's over TCP.
    pub(crate) fn api_addr(&self) -> String {
        if !self.addresses.api.is_empty() {
            return self.addresses.api.clone();
        }
        self.listeners.iter().find(|listener| listener.is_tcp()).map_or_else(String::new, |listener| {
            let scheme = if listener.tls().is_some() { "https" } else { "http" };
            match listener.port_of_all() {
                Some(port) => format!("{scheme}://0.0.0.0:{port}"),
                None => format!("{scheme}://{}", listener.address),
            }
        })
    }

    /// The address other nodes should use: as given, else what stands for it.
    pub(crate) fn cluster_addr(&self) -> String {
        match &self.cluster {
            Some(cluster) if self.addresses.cluster.is_empty() => format!("https://{}", cluster.address),
            _ => self.addresses.cluster.clone(),
        }
    }

    /// The same as it is told: whatever scheme it was given, nodes speak TLS with one another.
    pub(crate) fn cluster_url(&self) -> String {
        let given = self.cluster_addr();
        given.split_once("://").map(|(_, address)| format!("https://{address}")).unwrap_or(given)
    }

    /// Whether `api_addr` was left to a listener on all addresses, so that it names none
    /// that a client on another machine could use.
    pub(crate) fn is_api_addr_vague(&self) -> bool {
        let first = self.listeners.iter().find(|listener| listener.is_tcp());
        self.addresses.api.is_empty() && first.is_some_and(ListenerConfig::is_on_all)
    }
}

/// Absolute, since API callers name places in it by their whole path.
fn snapshot_directory(top: &Stanza<'_>) -> Result<Option<PathBuf>, ConfigError> {
    let path = top.string("snapshot_directory")?.filter(|path| !path.is_empty()).map(PathBuf::from);
    match path {
        Some(path) if !path.is_absolute() => Err(top.wrong("snapshot_directory", "must be an absolute path")),
        path => Ok(path),
    }
}

fn addresses(top: &Stanza<'_>, environment: &Environment) -> Result<Addresses, ConfigError> {
    let (api, cluster) = (top.string("api_addr")?, top.string("cluster_addr")?);
    let api = environment.api_addr.clone().or(api).unwrap_or_default();
    // Clients are sent there: without a scheme nobody knows how to speak.
    if !api.is_empty() && !api.starts_with("http://") && !api.starts_with("https://") {
        return Err(top.wrong("api_addr", "is not of the form https://host:port"));
    }
    Ok(Addresses {
        api,
        cluster: environment.cluster_addr.clone().or(cluster).unwrap_or_default(),
        cluster_name: top.string("cluster_name")?.unwrap_or_default(),
    })
}

fn log(top: &Stanza<'_>) -> Result<LogConfig, ConfigError> {
    let level = top.string("log_level")?.unwrap_or_default();
    let level = crate::log::level(&level)
        .ok_or_else(|| top.wrong("log_level", "is not one of trace, debug, info, warn, error"))?;
    let format = match top.string("log_format")?.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "standard" => LogFormat::Standard,
        "json" => LogFormat::Json,
        _ => return Err(top.wrong("log_format", "is neither \"standard\" nor \"json\"")),
    };
    Ok(LogConfig { level, format })
}

fn leases(top: &Stanza<'_>) -> Result<Leases, ConfigError> {
    let leases = Leases {
        default_ttl_secs: top.secs("default_lease_ttl")?.unwrap_or(0),
        max_ttl_secs: top.secs("max_lease_ttl")?.unwrap_or(0),
    };
    match leases.max_ttl_secs {
        0 if leases.default_ttl_secs > TTL_DEFAULT_SECS => {
            Err(top.wrong("default_lease_ttl", "is longer than 768h: set max_lease_ttl as well"))
        }
        longest if longest > 0 && leases.default_ttl_secs > longest => {
            Err(top.wrong("default_lease_ttl", "is longer than max_lease_ttl"))
        }
        _ => Ok(leases),
    }
}

#[cfg(test)]
mod tests;
