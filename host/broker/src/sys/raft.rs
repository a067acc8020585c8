//! `sys/storage/raft/*`: the cluster's members, and what its autopilot does with them.

use std::time::Duration;

use bulkhead_barrier::{Key, StoreError, Transaction};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::cluster::{AutopilotConfig, Cluster, ClusterError, Peer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::table::{Answer, Handler, HostRoute};
use crate::book::{opaque, space};
use crate::cluster::admission::of_cluster;
use crate::fault::{Fault, wrapped};
use crate::fields::rfc3339;
use crate::open::Open;
use crate::visit::{After, Ask, Visit, data};

const R: &[Verb] = &[Verb::Read];
const W: &[Verb] = &[Verb::Write];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("storage/raft/configuration", R, Handler::Now(configuration), "List the Raft peers."),
    HostRoute::new("storage/raft/remove-peer", W, Handler::Later(remove), "Take a node out of the cluster.")
        .fields(&["server_id"]),
    HostRoute::new("storage/raft/promote", W, Handler::Later(promote), "Make a node a voter.").fields(&["server_id"]),
    HostRoute::new("storage/raft/demote", W, Handler::Later(demote), "Make a node one that does not vote.")
        .fields(&["server_id"]),
    HostRoute::new("storage/raft/autopilot/state", R, Handler::Now(state), "Tell how the cluster is."),
    HostRoute::new("storage/raft/digest", R, Handler::Later(digest), "Digest the records this node holds.").sudo(),
    HostRoute::new(
        "storage/raft/autopilot/configuration",
        R,
        Handler::Now(autopilot),
        "Read the autopilot's settings.",
    ),
    HostRoute::new("storage/raft/autopilot/configuration", W, Handler::Now(set_autopilot), "Set the autopilot.")
        .fields(&[
            "cleanup_dead_servers",
            "dead_server_last_contact_threshold",
            "last_contact_threshold",
            "max_trailing_logs",
            "min_quorum",
            "server_stabilization_time",
        ]),
];

/// Shortest silence after which a node is removed for good. Source: Vault.
const DEAD_MIN: Duration = Duration::from_secs(60);

/// Shortest silence after which a node counts as gone, so that another may take its name. Source: ours.
const SILENT_MIN: Duration = Duration::from_secs(1);

/// Fewest voters that must be left where silent ones are removed. Source: Vault.
const CLEANUP_QUORUM_MIN: u32 = 3;

pub(super) fn cluster(open: &Open) -> Result<&dyn Cluster, Fault> {
    let unsupported = || Failure::new(FailureKind::NotFound, wrapped("unsupported path"));
    Ok(open.ledger().cluster().ok_or_else(unsupported)?)
}

/// Its address, which a node that is alone has from its config only.
fn address(open: &Open, cluster: &dyn Cluster, peer: &Peer) -> String {
    if open.parts.peers.is_some() || peer.number != cluster.candidate().number {
        return peer.address.clone();
    }
    let told = &open.parts.facts.cluster_addr;
    told.split_once("://").map_or(told.as_str(), |(_, address)| address).to_owned()
}

fn configuration(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let open = visit.open.clone();
    let cluster = cluster(&open)?;
    let servers = cluster.peers().into_iter().map(|peer| {
        json!({
            "node_id": peer.id,
            "address": address(&open, cluster, &peer),
            "leader": peer.leader,
            "protocol_version": "3",
            "voter": peer.voter,
        })
    });
    Ok(data(&json!({ "config": { "servers": servers.collect::<Vec<_>>(), "index": 0 } })))
}

fn named(ask: &Ask<'_>) -> Result<String, Fault> {
    let id = ask.fields.text_or_empty("server_id")?;
    if id.is_empty() { Err(Fault::invalid("no server id provided")) } else { Ok(id) }
}

fn remove<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        match cluster(&visit.open)?.remove(&named(ask)?).await {
            // Whoever is not there is removed, as Vault has it.
            Ok(()) | Err(ClusterError::UnknownPeer { .. }) => Ok(Reply::Empty),
            Err(error) => Err(of_cluster(&error)),
        }
    })
}

fn promote<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let promoted = cluster(&visit.open)?.promote(&named(ask)?).await;
        promoted.map(|()| Reply::Empty).map_err(|error| of_cluster(&error))
    })
}

fn demote<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let demoted = cluster(&visit.open)?.demote(&named(ask)?).await;
        demoted.map(|()| Reply::Empty).map_err(|error| of_cluster(&error))
    })
}

/// Nodes that applied the same entries hold the same records, to the byte.
fn digest<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let digested = cluster(&visit.open)?.state_digest().await;
        let (index, digest) = digested.map_err(|error| of_cluster(&error))?;
        Ok(data(&json!({ "applied_index": index, "digest": hex::encode(digest) })))
    })
}

fn state(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let open = visit.open.clone();
    let cluster = cluster(&open)?;
    let state = cluster.autopilot_state().map_err(|error| of_cluster(&error))?;
    let standing = open.ledger().standing();
    let mut servers = Map::new();
    for peer in &state.peers {
        servers.insert(peer.id.clone(), server(visit.now_ms, standing.term, (peer, address(&open, cluster, peer))));
    }
    let leader = state.peers.iter().find(|peer| peer.leader).map_or("", |peer| peer.id.as_str());
    let voters: Vec<&str> = state.peers.iter().filter(|peer| peer.voter).map(|peer| peer.id.as_str()).collect();
    let mut told = json!({
        "failure_tolerance": state.failure_tolerance,
        "healthy": state.healthy,
        "leader": leader,
        "servers": servers,
        "voters": voters,
    });
    let others: Vec<&str> = state.peers.iter().filter(|peer| !peer.voter).map(|peer| peer.id.as_str()).collect();
    if !others.is_empty() {
        told["non_voters"] = json!(others);
    }
    Ok(data(&told))
}

fn server(now_ms: u64, term: u64, (peer, address): (&Peer, String)) -> Value {
    let contact = peer.contact.unwrap_or_default();
    let healthy_ms = u64::try_from(contact.healthy_for.as_millis()).unwrap_or(u64::MAX);
    let since_ms = if contact.healthy { now_ms.saturating_sub(healthy_ms) } else { now_ms };
    json!({
        "id": peer.id,
        "name": peer.id,
        "address": address,
        "node_status": if contact.healthy { "alive" } else { "failed" },
        "last_contact": contact.last.map_or_else(|| "never".to_owned(), go_duration),
        "last_term": term,
        "last_index": contact.matched_index,
        "healthy": contact.healthy,
        "stable_since": rfc3339(since_ms),
        "status": if peer.leader { "leader" } else if peer.voter { "voter" } else { "non-voter" },
        "version": peer.version,
        "node_type": if peer.non_voter { "non-voter" } else { "voter" },
    })
}

/// A duration as Go prints it.
fn go_duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    match (secs, duration.subsec_millis()) {
        (0, 0) => "0s".to_owned(),
        (0, ms) => format!("{ms}ms"),
        (1..60, 0) => format!("{secs}s"),
        (1..60, ms) => format!("{secs}.{ms:03}s"),
        (60..3600, _) => format!("{}m{}s", secs / 60, secs % 60),
        _ => format!("{}h{}m{}s", secs / 3600, secs / 60 % 60, secs % 60),
    }
}

/// The settings as they are stored.
#[derive(Serialize, Deserialize)]
struct AutopilotRecord {
    cleanup_dead_servers: bool,
    dead_server_last_contact_threshold_ms: u64,
    last_contact_threshold_ms: u64,
    max_trailing_logs: u64,
    min_quorum: u32,
    server_stabilization_time_ms: u64,
}

impl From<AutopilotConfig> for AutopilotRecord {
    fn from(config: AutopilotConfig) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            cleanup_dead_servers: config.cleanup_dead_servers,
            dead_server_last_contact_threshold_ms: ms(config.dead_server_last_contact_threshold),
            last_contact_threshold_ms: ms(config.last_contact_threshold),
            max_trailing_logs: config.max_trailing_logs,
            min_quorum: config.min_quorum,
            server_stabilization_time_ms: ms(config.server_stabilization_time),
        }
    }
}

impl From<AutopilotRecord> for AutopilotConfig {
    fn from(record: AutopilotRecord) -> Self {
        Self {
            cleanup_dead_servers: record.cleanup_dead_servers,
            dead_server_last_contact_threshold: Duration::from_millis(record.dead_server_last_contact_threshold_ms),
            last_contact_threshold: Duration::from_millis(record.last_contact_threshold_ms),
            max_trailing_logs: record.max_trailing_logs,
            min_quorum: record.min_quorum,
            server_stabilization_time: Duration::from_millis(record.server_stabilization_time_ms),
        }
    }
}

fn key() -> Key {
    opaque(space::HOST, b"autopilot")
}

fn stored(tx: &mut Transaction) -> Result<AutopilotConfig, StoreError> {
    let Some(bytes) = tx.get(&key())? else { return Ok(AutopilotConfig::default()) };
    let record = serde_json::from_slice::<AutopilotRecord>(bytes.expose());
    record.map(AutopilotConfig::from).map_err(|_| crate::book::damaged(space::HOST, "the autopilot's settings"))
}

/// Has the ledger go by the settings that are stored.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn apply_autopilot(open: &Open) -> Result<(), Fault> {
    if let Some(cluster) = open.ledger().cluster() {
        cluster.set_autopilot(stored(&mut open.begin()?)?);
    }
    Ok(())
}

fn autopilot(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    cluster(&visit.open)?;
    let config = stored(&mut visit.tx)?;
    Ok(data(&json!({
        "cleanup_dead_servers": config.cleanup_dead_servers,
        "dead_server_last_contact_threshold": go_duration(config.dead_server_last_contact_threshold),
        "last_contact_threshold": go_duration(config.last_contact_threshold),
        "max_trailing_logs": config.max_trailing_logs,
        "min_quorum": config.min_quorum,
        "server_stabilization_time": go_duration(config.server_stabilization_time),
    })))
}

fn set_autopilot(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    cluster(&visit.open)?;
    let mut config = stored(&mut visit.tx)?;
    let fields = &ask.fields;
    if let Some(cleanup) = fields.flag("cleanup_dead_servers")? {
        config.cleanup_dead_servers = cleanup;
    }
    for (name, setting) in [
        ("dead_server_last_contact_threshold", &mut config.dead_server_last_contact_threshold),
        ("last_contact_threshold", &mut config.last_contact_threshold),
        ("server_stabilization_time", &mut config.server_stabilization_time),
    ] {
        if let Some(secs) = fields.seconds_of_field(name)? {
            *setting = Duration::from_secs(secs);
        }
    }
    if config.cleanup_dead_servers && config.dead_server_last_contact_threshold < DEAD_MIN {
        return Err(Fault::invalid(format!(
            "dead_server_last_contact_threshold should not be set to less than 1m; received: {}",
            go_duration(config.dead_server_last_contact_threshold)
        )));
    }
    if config.last_contact_threshold < SILENT_MIN {
        return Err(Fault::invalid("last_contact_threshold must be a second at least: nodes are heard twice a second"));
    }
    let number = |name: &str| -> Result<Option<u64>, Fault> {
        let number = fields.integer(name)?.map(u64::try_from).transpose();
        number.map_err(|_| Fault::invalid(format!("{name} must not be negative")))
    };
    if let Some(logs) = number("max_trailing_logs")? {
        config.max_trailing_logs = logs;
    }
    if let Some(quorum) = number("min_quorum")? {
        config.min_quorum = u32::try_from(quorum).map_err(|_| Fault::invalid("min_quorum is too large"))?;
    }
    if config.cleanup_dead_servers && config.min_quorum < CLEANUP_QUORUM_MIN {
        return Err(Fault::invalid(format!(
            "min_quorum must be set when cleanup_dead_servers is set and it should at least be {CLEANUP_QUORUM_MIN}; \
             cleanup_dead_servers: true, min_quorum: {:#x}",
            config.min_quorum
        )));
    }
    let record = serde_json::to_vec(&AutopilotRecord::from(config)).expect("a struct of numbers is JSON");
    visit.tx.put(&key(), &record)?;
    visit.after.push(After::Autopilot);
    Ok(Reply::Empty)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::go_duration;

    #[test]
    fn durations_are_printed_as_go_does() {
        let table =
            [(0, "0s"), (295, "295ms"), (3262, "3.262s"), (10_000, "10s"), (86_400_000, "24h0m0s"), (90_000, "1m30s")];
        for (ms, expected) in table {
            assert_eq!(go_duration(Duration::from_millis(ms)), expected);
        }
    }
}
