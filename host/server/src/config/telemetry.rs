//! `telemetry`: how the node's numbers are told.

use bulkhead_model::metrics::Dialect;

use super::error::ConfigError;
use super::keys;
use super::stanza::{Note, Stanza};

/// How numbers are told, besides by `sys/metrics` in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TelemetryConfig {
    /// Whether `sys/metrics` has the text format of Prometheus.
    pub(crate) prometheus: bool,
    /// Whether the machine's name stays out of what is pushed to statsd.
    pub(crate) disable_hostname: bool,
    /// Where they are pushed to.
    pub(crate) pushes: Vec<PushTarget>,
}

/// A server that numbers are pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushTarget {
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) dialect: Dialect,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { prometheus: true, disable_hostname: false, pushes: Vec::new() }
    }
}

/// Reads the stanza; of several, as those of several files, each adds to those before.
pub(super) fn read(top: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<TelemetryConfig, ConfigError> {
    let mut config = TelemetryConfig::default();
    for stanza in top.blocks("telemetry")? {
        stanza.check(keys::TELEMETRY, notes)?;
        // How long numbers are kept says nothing here, as they are not dropped. Zero says no.
        if let Some(kept) = stanza.duration("prometheus_retention_time")? {
            config.prometheus = !kept.is_zero();
        }
        config.disable_hostname |= stanza.flag("disable_hostname")?;
        if let Some(address) = address(&stanza, "statsd_address")? {
            config.pushes.push(PushTarget { address, dialect: Dialect::Statsd });
        }
        if let Some(address) = address(&stanza, "dogstatsd_addr")? {
            let tags = stanza.strings("dogstatsd_tags")?;
            config.pushes.push(PushTarget { address, dialect: Dialect::Dogstatsd(tags) });
        }
    }
    Ok(config)
}

fn address(stanza: &Stanza<'_>, key: &str) -> Result<Option<String>, ConfigError> {
    let Some(address) = stanza.string(key)?.filter(|address| !address.is_empty()) else { return Ok(None) };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_port(port) => Ok(Some(address)),
        _ => Err(stanza.wrong(key, "is not of the form \"host:port\"")),
    }
}
