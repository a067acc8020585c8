//! What makes a node one of several: where the others reach it, and whom it joins.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::listener::ListenerConfig;
use super::stanza::{Note, Stanza};
use super::{Addresses, keys};

/// Port of a `cluster_addr` that names none. Source: Vault.
const PORT: u16 = 8201;

/// The most that `stale_reads_max` may be. Source: ours. Why: a token that was revoked can be
/// used for so long.
const STALE_READS_MAX: Duration = Duration::from_secs(60);

/// A node that has peers, or may get some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterConfig {
    /// Where it listens for them: `host:port`, or `:port` for all addresses.
    pub(crate) bind: String,
    /// Where they reach it: `host:port`.
    pub(crate) address: String,
    pub(crate) retry_join: Vec<RetryJoin>,
    /// It shall never vote.
    pub(crate) non_voter: bool,
    /// The oldest state that clients may ask for; zero: none may.
    pub(crate) stale_reads_max: Duration,
}

/// A node of a cluster that is asked to take this one in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryJoin {
    pub(crate) url: String,
    pub(crate) server_name: String,
    pub(crate) authority: Pem,
    pub(crate) certificate: Pem,
    pub(crate) key: Option<PathBuf>,
}

/// Certificates, as text or in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pem {
    #[default]
    None,
    Text(String),
    File(PathBuf),
}

/// The cluster of the config. None without an address for it, nor where clustering is disabled.
pub(super) fn read(
    top: &Stanza<'_>,
    listeners: &[ListenerConfig],
    addresses: &Addresses,
    notes: &mut Vec<Note>,
) -> Result<Option<ClusterConfig>, ConfigError> {
    let mut retry_join = Vec::new();
    let mut non_voter = false;
    for storage in top.blocks("storage")?.iter().chain(&top.blocks("backend")?) {
        non_voter |= storage.flag("retry_join_as_non_voter")?;
        for stanza in storage.blocks("retry_join")? {
            retry_join.push(one(&stanza, notes)?);
        }
    }
    let named = listeners.iter().find_map(|listener| listener.cluster_address.clone());
    let wanted = !addresses.cluster.is_empty() || named.is_some() || !retry_join.is_empty();
    if top.flag("disable_clustering")? || !wanted {
        return Ok(None);
    }
    let reached = if !addresses.cluster.is_empty() {
        with_port(&addresses.cluster)
    } else if !addresses.api.is_empty() {
        with_port(&addresses.api).and_then(|api| one_above(&api))
    } else {
        named.clone().filter(|bind| ![":", "0.0.0.0", "[::]"].iter().any(|all| bind.starts_with(all)))
    };
    let address = reached.ok_or_else(|| {
        ConfigError::Missing(
            "other nodes need an address of this one: set cluster_addr, as in \"https://10.0.0.5:8201\"".to_owned(),
        )
    })?;
    let bind = named.unwrap_or_else(|| beside(listeners, &address));
    let stale_reads_max = top.duration("stale_reads_max")?.unwrap_or_default();
    if stale_reads_max > STALE_READS_MAX {
        return Err(top.wrong("stale_reads_max", "is longer than 60s"));
    }
    Ok(Some(ClusterConfig { bind, address, retry_join, non_voter, stale_reads_max }))
}

fn one(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<RetryJoin, ConfigError> {
    stanza.check(keys::RETRY_JOIN, notes)?;
    let given = |key: &str| Ok::<_, ConfigError>(stanza.string(key)?.filter(|text| !text.is_empty()));
    let pem = |text: &str, file: &str| {
        Ok::<_, ConfigError>(match (given(text)?, given(file)?) {
            (Some(text), _) => Pem::Text(text),
            (None, Some(path)) => Pem::File(PathBuf::from(path)),
            (None, None) => Pem::None,
        })
    };
    let url = given("leader_api_addr")?;
    let url = url.ok_or_else(|| stanza.error("retry_join needs leader_api_addr: the address of a node to join"))?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(stanza.wrong("leader_api_addr", "is not of the form https://host:port"));
    }
    let certificate = pem("leader_client_cert", "leader_client_cert_file")?;
    let key = given("leader_client_key_file")?.map(PathBuf::from);
    if key.is_some() != (certificate != Pem::None) {
        return Err(
            stanza.error("retry_join needs both of leader_client_cert_file and leader_client_key_file, or none")
        );
    }
    let server_name = given("leader_tls_servername")?.unwrap_or_default();
    Ok(RetryJoin { url, server_name, authority: pem("leader_ca_cert", "leader_ca_cert_file")?, certificate, key })
}

/// Host and port of an address, which may have a scheme and a path.
fn with_port(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://").unwrap_or(("", address));
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    let bare = !host.contains(':') || host.ends_with(']');
    Some(if bare { format!("{host}:{PORT}") } else { host.to_owned() })
}

/// Where the API listens, on the port of this address; without such a place, at the address.
fn beside(listeners: &[ListenerConfig], address: &str) -> String {
    let api = listeners.iter().find(|listener| listener.is_tcp());
    let host = api.and_then(|listener| listener.address.rsplit_once(':')).map(|(host, _)| host);
    match (host, address.rsplit_once(':')) {
        (Some(host), Some((_, port))) => format!("{host}:{port}"),
        _ => address.to_owned(),
    }
}

/// The same address, one port above.
fn one_above(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    Some(format!("{host}:{}", port.checked_add(1)?))
}
