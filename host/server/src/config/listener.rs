//! `listener "tcp"` and `listener "unix"`: where and how the API is served.

mod proxies;
mod unix;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bulkhead_api::{
    Behind, CONNECTIONS_MAX, ClientCertificates, ListenerLimits, SNAPSHOT_BYTES_MAX, SocketFile, TlsFiles, TlsVersion,
};
use bulkhead_model::request::OpenCeremonies;

use super::error::ConfigError;
use super::keys;
use super::stanza::{Note, Stanza};

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerConfig {
    /// `host:port`, or `:port` for all addresses of the machine; of a Unix socket the file.
    pub(crate) address: String,
    /// Where it listens for other nodes; `None`: beside the API, on the port of `cluster_addr`.
    pub(crate) cluster_address: Option<String>,
    pub(crate) kind: ListenerKind,
    pub(crate) limits: ListenerLimits,
}

/// What is listened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    Tcp {
        /// `None`: plain HTTP.
        tls: Option<TlsFiles>,
        behind: Behind,
    },
    Unix(SocketFile),
}

impl ListenerConfig {
    /// Plain HTTP with the usual limits, for a dev server: as in Vault, its metrics are for all.
    pub(crate) fn plain(address: &str) -> Self {
        let limits = ListenerLimits { open_metrics: true, ..ListenerLimits::default() };
        Self {
            address: with_port(address),
            cluster_address: None,
            kind: ListenerKind::Tcp { tls: None, behind: Behind::default() },
            limits,
        }
    }

    /// Whether it has an address that other machines may reach.
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.kind, ListenerKind::Tcp { .. })
    }

    /// How TLS is spoken, if it is.
    pub(crate) fn tls(&self) -> Option<&TlsFiles> {
        match &self.kind {
            ListenerKind::Tcp { tls, .. } => tls.as_ref(),
            ListenerKind::Unix(_) => None,
        }
    }

    /// Whether one of the two keeps the other from its address: they are the same, or one is every
    /// address of the family that the other is of. Names are not looked up.
    fn meets(&self, other: &Self) -> bool {
        if self.is_tcp() != other.is_tcp() {
            return false;
        }
        if self.address == other.address {
            return self.given().is_none_or(|address| address.port() != 0);
        }
        let (Some(one), Some(another)) = (self.given(), other.given()) else { return false };
        if one.port() == 0 || one.port() != another.port() {
            return false;
        }
        let (ip, other_ip) = (one.ip(), another.ip());
        let is_one_of_all = ip.is_unspecified() || other_ip.is_unspecified() || ip == other_ip;
        let of_both_families = self.port_of_all().is_some() || other.port_of_all().is_some();
        of_both_families || (ip.is_ipv4() == other_ip.is_ipv4() && is_one_of_all)
    }

    /// The address, where it is written in numbers.
    fn given(&self) -> Option<SocketAddr> {
        let all = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        self.port_of_all().map(all).or_else(|| self.address.parse().ok())
    }

    /// The port, if the address has no host: `:8200` is every address of the machine.
    pub(crate) fn port_of_all(&self) -> Option<u16> {
        self.address.strip_prefix(':')?.parse().ok()
    }

    /// Whether it listens on every address of the machine.
    pub(crate) fn is_on_all(&self) -> bool {
        let given: Result<SocketAddr, _> = self.address.parse();
        self.port_of_all().is_some() || given.is_ok_and(|address| address.ip().is_unspecified())
    }
}

const ADDRESS: &str = "127.0.0.1:8200";

/// Adds Vault's port to an address without one.
fn with_port(address: &str) -> String {
    if address.parse::<Ipv6Addr>().is_ok() {
        return format!("[{address}]:8200");
    }
    let bracketed = address.ends_with(']');
    let bare = !address.contains(':') || bracketed;
    if bare { format!("{address}:8200") } else { address.to_owned() }
}

/// Whether it ends in a port that there can be. The colons of a host before it stand in brackets.
fn has_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let is_closed = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    is_closed && port.parse::<u16>().is_ok()
}

/// Every listener of the config; perhaps none.
pub(super) fn read_all(top: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Vec<ListenerConfig>, ConfigError> {
    let stanzas = top.blocks("listener")?;
    let mut listeners: Vec<ListenerConfig> = Vec::with_capacity(stanzas.len());
    for stanza in &stanzas {
        let listener = read(stanza, notes)?;
        if let Some((taken, by)) = listeners.iter().zip(&stanzas).find(|(other, _)| other.meets(&listener)) {
            let (address, taken, place) = (&listener.address, &taken.address, by.place());
            return Err(stanza.wrong(
                "address",
                &format!("{address:?} cannot be listened on beside {taken:?}, which is listened on by {place}"),
            ));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The error of a config that needs a listener and has none.
pub(super) fn missing() -> ConfigError {
    ConfigError::Missing(format!(
        "no listener: add listener \"tcp\" {{ address = {ADDRESS:?} tls_cert_file = \"…\" tls_key_file = \"…\" }}"
    ))
}

fn read(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<ListenerConfig, ConfigError> {
    let kind = match stanza.label() {
        Some(kind @ ("tcp" | "unix")) => kind,
        Some(other) => {
            return Err(stanza.error(format!(
                "listener {other:?} is not offered: use listener \"tcp\" {{ address = {ADDRESS:?} }}, or \"unix\""
            )));
        }
        None => return Err(stanza.error("listener needs a type, as in listener \"tcp\" { … }")),
    };
    stanza.check(&keys::listener(kind), notes)?;
    if stanza.string("type")?.is_some_and(|other| other != kind) {
        return Err(stanza.wrong("type", &format!("contradicts listener {kind:?}: leave it out")));
    }
    if stanza.string("role")?.is_some_and(|role| !matches!(role.as_str(), "" | "default")) {
        return Err(stanza.wrong("role", "is not offered: every listener serves the API, as with \"default\""));
    }
    let mut limits = limits(stanza)?;
    // Shut, unless the stanza says otherwise.
    let opened = |key: &str| -> Result<bool, ConfigError> {
        Ok(stanza.string(key)?.is_some_and(|text| !text.is_empty()) && !stanza.flag(key)?)
    };
    limits.open_ceremonies = OpenCeremonies {
        generate_root: opened("disable_unauthed_generate_root_endpoints")?,
        rekey: opened("disable_unauthed_rekey_endpoints")?,
    };
    for telemetry in stanza.blocks("telemetry")? {
        telemetry.check(keys::LISTENER_TELEMETRY, notes)?;
        limits.open_metrics = telemetry.flag("unauthenticated_metrics_access")?;
    }
    if kind == "unix" { unix::read(stanza, limits) } else { tcp(stanza, limits, notes) }
}

fn tcp(stanza: &Stanza<'_>, limits: ListenerLimits, notes: &mut Vec<Note>) -> Result<ListenerConfig, ConfigError> {
    let address = stanza.string("address")?.filter(|a| !a.is_empty()).unwrap_or_else(|| ADDRESS.to_owned());
    if with_port(&address) != address {
        return Err(stanza.wrong("address", &format!("needs a port, as in {:?}", with_port(&address))));
    }
    if !has_port(&address) {
        return Err(stanza.wrong("address", &no_port(&address)));
    }
    let tls = if stanza.flag("tls_disable")? { None } else { Some(tls(stanza, notes)?) };
    let cluster_address = stanza.string("cluster_address")?.filter(|a| !a.is_empty());
    if let Some(wrong) = cluster_address.as_deref().filter(|address| !has_port(address)) {
        return Err(stanza.wrong("cluster_address", &no_port(wrong)));
    }
    let behind = Behind { proxies: proxies::headers(stanza, notes)?, forwarded: proxies::forwarded(stanza, notes)? };
    Ok(ListenerConfig { address, cluster_address, kind: ListenerKind::Tcp { tls, behind }, limits })
}

fn no_port(address: &str) -> String {
    format!("{address:?} is not a host with a port from 0 to 65535, as in {ADDRESS:?} or \"[::1]:8200\"")
}

fn tls(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<TlsFiles, ConfigError> {
    let file = |key: &str| -> Result<PathBuf, ConfigError> {
        let path = stanza.string(key)?.filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| {
            stanza.error(format!("listener \"tcp\" needs {key}; for plain HTTP say tls_disable = true"))
        })?;
        Ok(PathBuf::from(path))
    };
    let version_min = match stanza.string("tls_min_version")?.as_deref() {
        None | Some("" | "tls12") => TlsVersion::Tls12,
        Some("tls13") => TlsVersion::Tls13,
        Some("tls10" | "tls11") => {
            return Err(stanza.wrong("tls_min_version", "is too old: use \"tls12\" or \"tls13\""));
        }
        Some(_) => return Err(stanza.wrong("tls_min_version", "is neither \"tls12\" nor \"tls13\"")),
    };
    match stanza.string("tls_max_version")?.as_deref() {
        None | Some("" | "tls13") => {}
        Some(_) => return Err(stanza.wrong("tls_max_version", "would forbid TLS 1.3: leave it out")),
    }
    Ok(TlsFiles {
        certificate: file("tls_cert_file")?,
        key: file("tls_key_file")?,
        clients: clients(stanza, notes)?,
        version_min,
    })
}

fn clients(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<ClientCertificates, ConfigError> {
    const AUTHORITY: &str = "tls_client_ca_file";
    let (ignore, require) =
        (stanza.flag("tls_disable_client_certs")?, stanza.flag("tls_require_and_verify_client_cert")?);
    let authority = stanza.string(AUTHORITY)?.filter(|path| !path.is_empty());
    match (ignore, require, authority) {
        (true, true, _) => {
            Err(stanza.wrong("tls_disable_client_certs", "contradicts tls_require_and_verify_client_cert"))
        }
        (false, true, Some(path)) => Ok(ClientCertificates::Required(PathBuf::from(path))),
        (false, true, None) => Err(stanza.wrong("tls_require_and_verify_client_cert", "needs tls_client_ca_file")),
        (true, false, authority) => {
            notes.extend(authority.map(|_| stanza.note(AUTHORITY, "client certificates are not asked for")));
            Ok(ClientCertificates::Ignored)
        }
        (false, false, authority) => {
            let reason =
                "client certificates are asked for and not verified, without tls_require_and_verify_client_cert";
            notes.extend(authority.map(|_| stanza.note(AUTHORITY, reason)));
            Ok(ClientCertificates::Requested)
        }
    }
}

fn limits(stanza: &Stanza<'_>) -> Result<ListenerLimits, ConfigError> {
    let mut limits = ListenerLimits::default();
    let size = stanza.string("max_request_size")?;
    if size.as_deref().is_some_and(|size| size.starts_with('-')) {
        // It would switch the bound off, and the node with it.
        return Err(stanza.wrong("max_request_size", "cannot be without a bound here: give one, of 33554432 at most"));
    }
    if let Some(bytes) = stanza.number("max_request_size")? {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes == 0 || bytes > limits.body_bytes_max {
            return Err(stanza.wrong("max_request_size", "must be between 1 and 33554432"));
        }
        limits.body_bytes_max = bytes;
    }
    if let Some(bytes) = stanza.number("max_snapshot_size")? {
        if bytes == 0 || bytes > limits.snapshot_bytes_max {
            let most = format!("must be between 1 and {SNAPSHOT_BYTES_MAX}");
            return Err(stanza.wrong("max_snapshot_size", &most));
        }
        limits.snapshot_bytes_max = bytes;
    }
    if let Some(strings) = stanza.number("max_request_json_strings")? {
        // Each string costs memory and time, so there is a bound to the bound.
        let strings = usize::try_from(strings).ok().filter(|n| (1..=100_000).contains(n));
        limits.json_strings_max =
            strings.ok_or_else(|| stanza.wrong("max_request_json_strings", "must be between 1 and 100000"))?;
    }
    if let Some(connections) = stanza.number("max_connections_per_address")? {
        let connections = usize::try_from(connections).ok().filter(|n| (1..=CONNECTIONS_MAX).contains(n));
        limits.address_connections_max = connections.ok_or_else(|| {
            stanza.wrong("max_connections_per_address", &format!("must be between 1 and {CONNECTIONS_MAX}"))
        })?;
    }
    for (key, limit) in [
        ("max_request_duration", &mut limits.request_max),
        ("http_read_header_timeout", &mut limits.header_max),
        ("http_read_timeout", &mut limits.body_max),
        ("http_idle_timeout", &mut limits.idle_max),
    ] {
        if let Some(duration) = stanza.duration(key)? {
            if duration.is_zero() || duration > Duration::from_secs(3600) {
                return Err(stanza.wrong(key, "must be between 1s and 1h"));
            }
            *limit = duration;
        }
    }
    Ok(limits)
}
