//! `sys/leader`, `sys/ha-status`, `sys/step-down`.

use std::sync::atomic::Ordering;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::cluster::Leader;
use serde_json::json;

use super::table::{Answer, Handler, HostRoute};
use crate::cluster::admission::of_cluster;
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::node::Node;
use crate::open::Open;
use crate::visit::{Ask, Visit, bare, flat};

/// What every namespace has.
pub(super) const OF_EACH: &[HostRoute] =
    &[HostRoute::new("ha-status", &[Verb::Read], Handler::Now(ha_status), "Tell which nodes there are.")];

pub(super) const ROUTES: &[HostRoute] =
    &[HostRoute::new("step-down", &[Verb::Write], Handler::Later(step_down), "Give up leadership.").sudo()];

/// The answer of `sys/leader`.
pub(crate) fn read(node: &Node) -> Result<Reply, Fault> {
    let facts = &node.parts.facts;
    // Without a cluster there is no leader, sealed or not.
    if !facts.ha_enabled {
        return Ok(bare(200, &json!({ "ha_enabled": false })));
    }
    let Some(open) = node.open() else {
        return Err(Failure::new(FailureKind::Unavailable, "Vault is sealed").into());
    };
    let standing = node.parts.ledger.standing();
    let mut told = json!({ "ha_enabled": true, "is_self": standing.leader });
    if standing.leader {
        told["active_time"] = rfc3339(open.active_since_ms.load(Ordering::Relaxed)).into();
    }
    let (api, cluster) = match leader(&open, standing.leader) {
        Some(leader) => (leader.api_address, url(&leader.cluster_address)),
        None if standing.leader => (facts.api_addr.clone(), facts.cluster_addr.clone()),
        None => (String::new(), String::new()),
    };
    told["leader_address"] = api.into();
    told["leader_cluster_address"] = cluster.into();
    told["raft_committed_index"] = standing.committed_index.into();
    told["raft_applied_index"] = standing.applied_index.into();
    Ok(bare(200, &told))
}

/// Who leads, where it is another node.
fn leader(open: &Open, is_self: bool) -> Option<Leader> {
    open.parts.peers.as_ref().filter(|_| !is_self)?;
    open.ledger().cluster()?.leader()
}

/// How clients reach the node that leads; how they reach this one while none is known.
pub(crate) fn api_address(open: &Open) -> String {
    match leader(open, open.ledger().standing().leader) {
        Some(leader) => leader.api_address,
        None => open.parts.facts.api_addr.clone(),
    }
}

/// An address as the API shows it.
fn url(address: &str) -> String {
    if address.is_empty() { String::new() } else { format!("https://{address}") }
}

fn ha_status(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let facts = &visit.open.parts.facts;
    let mut nodes = vec![json!({
        "hostname": facts.hostname,
        "api_address": facts.api_addr,
        "cluster_address": facts.cluster_addr,
        "active_node": visit.open.ledger().standing().leader,
        "last_echo": null,
        "version": facts.version,
        "upgrade_version": facts.version,
    })];
    let cluster = visit.open.ledger().cluster().filter(|_| visit.open.parts.peers.is_some());
    if let Some(cluster) = cluster {
        let me = cluster.candidate().number;
        let heard = visit.open.peering.heard.lock().clone();
        nodes.extend(cluster.peers().into_iter().filter(|peer| peer.number != me).map(|peer| {
            let heard = heard.get(&peer.number);
            json!({
                "hostname": heard.map_or("", |heard| heard.hostname.as_str()),
                "api_address": peer.api_address,
                "cluster_address": url(&peer.address),
                "active_node": peer.leader,
                "last_echo": heard.map(|heard| rfc3339(heard.at_ms)),
                "version": peer.version,
                "upgrade_version": peer.version,
            })
        }));
    }
    Ok(flat(&json!({ "nodes": nodes })))
}

/// A cluster of one has nobody to hand over to, and Vault answers the same then.
fn step_down<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let open = visit.open.clone();
        let cluster = open.ledger().cluster().filter(|_| visit.open.parts.peers.is_some());
        let Some(cluster) = cluster else { return Ok(Reply::Empty) };
        if cluster.peers().iter().filter(|peer| peer.voter).count() > 1 {
            // Not to be done again by the node that leads next.
            visit.outside = true;
            cluster.step_down(None).await.map_err(|error| of_cluster(&error))?;
        }
        Ok(Reply::Empty)
    })
}
