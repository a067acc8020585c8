//! `sys/health`: whether this node can serve, as a status code that load balancers read.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Request, Verb};
use serde_json::json;

use crate::fault::Fault;
use crate::node::Node;
use crate::visit::bare;

/// The version of OpenBao whose API this is.
const API: &str = "2.7.2";

/// The version that clients go by: tools switch on what they know of Vault by comparing it with its versions, and leave
/// out without a word what came later than the one they are told.
pub(super) fn api_version(own: &str) -> String {
    format!("{API}+bulkhead.{own}")
}

/// Source of the codes: Vault API docs, `sys/health`.
pub(crate) fn read(node: &Node, request: &Request) -> Result<Reply, Fault> {
    let initialised = node.seal_config()?.is_some();
    let open = node.open();
    let standing = node.parts.ledger.standing();
    for name in ["uninitcode", "sealedcode", "standbycode", "activecode"] {
        if request.query(name).is_some_and(|c| c.parse::<u16>().is_err()) {
            return Err(Failure { kind: FailureKind::Invalid, errors: Vec::new() }.into());
        }
    }
    let code = |name: &str, default: u16| request.query(name).and_then(|c| c.parse().ok()).unwrap_or(default);
    let standby_ok = request.query("standbyok").is_some_and(|v| v == "true" || v.is_empty() || v == "1");
    let status = match (initialised, &open, standing.leader) {
        (false, _, _) => code("uninitcode", 501),
        (true, None, _) => code("sealedcode", 503),
        (true, Some(_), false) if !standby_ok => code("standbycode", 429),
        (true, Some(_), _) => code("activecode", 200),
    };
    if !(100..=599).contains(&status) {
        return Err(Fault::invalid("status codes in the query must be between 100 and 599"));
    }
    let replication = match (&open, node.parts.facts.ha_enabled) {
        (None, _) => "unknown",
        // Vault says "primary" where storage could be shared, whatever replication does.
        (Some(_), true) => "primary",
        (Some(_), false) => "disabled",
    };
    let mut body = json!({
        "initialized": initialised,
        "sealed": open.is_none(),
        "standby": open.is_none() || !standing.leader,
        // Vault's clients in typed languages want it. A node that reads by itself is not told from others here.
        "performance_standby": false,
        "replication_performance_mode": replication,
        "replication_dr_mode": if replication == "unknown" { "unknown" } else { "disabled" },
        "server_time_utc": node.parts.clock.now_secs(),
        "version": api_version(&node.parts.facts.version),
    });
    if let Some(open) = open {
        body["cluster_name"] = open.cluster_name.as_str().into();
        body["cluster_id"] = open.cluster_id.as_str().into();
    }
    match request.verb {
        Verb::Head => Ok(Reply::raw(status, "application/json", Vec::new())),
        _ => Ok(bare(status, &body)),
    }
}
