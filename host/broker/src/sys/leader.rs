//! `sys/leader`, `sys/ha-status`, `sys/step-down`.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::json;

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::node::Node;
use crate::visit::{Ask, Visit, bare, flat};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("ha-status", &[Verb::Read], Handler::Now(ha_status), "Tell which nodes there are."),
    HostRoute::new("step-down", &[Verb::Write], Handler::Now(step_down), "Give up leadership.").sudo(),
];

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
    Ok(bare(
        200,
        &json!({
            "ha_enabled": true,
            "is_self": standing.leader,
            "active_time": rfc3339(open.active_since_ms),
            "leader_address": facts.api_addr,
            "leader_cluster_address": facts.cluster_addr,
            "raft_committed_index": standing.committed_index,
            "raft_applied_index": standing.applied_index,
        }),
    ))
}

fn ha_status(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let facts = &visit.open.parts.facts;
    let node = json!({
        "hostname": facts.hostname,
        "api_address": facts.api_addr,
        "cluster_address": facts.cluster_addr,
        "active_node": visit.open.ledger().standing().leader,
        "last_echo": null,
        "version": facts.version,
        "upgrade_version": facts.version,
    });
    Ok(flat(&json!({ "nodes": [node] })))
}

/// A cluster of one has nobody to hand over to, and Vault answers the same then.
fn step_down(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(Reply::Empty)
}
