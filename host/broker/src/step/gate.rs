//! What a node answers whatever its state, and who gets past it. Past here the node
//! is open by type.

use std::sync::Arc;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Request, Verb};

use crate::cluster::joining;
use crate::fault::Fault;
use crate::node::Node;
use crate::open::Open;
use crate::sys::{self, at_gate, open_ceremonies};

/// Answers a path that needs neither an open node nor a token, if this is one. Help is about
/// the path, and goes the usual way.
pub(crate) async fn answer_free(node: &Arc<Node>, request: &Request) -> Option<Reply> {
    let rest = request.path.as_str().strip_prefix("sys/").filter(|_| !request.help)?;
    if rest == "metrics" && request.origin.open_metrics && request.namespace.is_empty() {
        return Some(sys::metrics::free(node, request));
    }
    let route = at_gate::find(rest)?;
    if !request.namespace.is_empty() && !matches!(rest, "seal-status" | "leader") {
        return Some(Reply::Failed(Failure::invalid(route.refusal_in_namespaces())));
    }
    if !route.verbs.contains(&request.verb) {
        return Some(Reply::Failed(Failure { kind: FailureKind::Unsupported, errors: Vec::new() }));
    }
    let answer = match rest {
        "health" => sys::health::read(node, request),
        "seal-status" => sys::seal::status(node),
        "init" if request.verb == Verb::Write => sys::init::write(node, request).await,
        "init" => sys::init::read(node),
        "unseal" => sys::seal::unseal(node, request).await,
        "storage/raft/join" => joining::join(node, request).await,
        _ => sys::leader::read(node),
    };
    Some(answer.unwrap_or_else(|fault: Fault| Reply::Failed(fault.into_failure())))
}

/// Whether a path is about the node that is asked, whoever leads.
pub(crate) fn is_free(request: &Request) -> bool {
    request.path.as_str().strip_prefix("sys/").is_some_and(|rest| at_gate::find(rest).is_some())
}

/// Refuses what an open node does for nobody, token or not: older Vault let callers
/// without a token occupy the only slot of a rekey (CVE-2025-52894).
pub(crate) fn refuse(request: &Request) -> Option<Failure> {
    let failed =
        |kind, errors: &[&str]| Some(Failure { kind, errors: errors.iter().map(|e| (*e).to_owned()).collect() });
    if !request.namespace.is_empty() {
        return None;
    }
    let lists = matches!(request.verb, Verb::List | Verb::Scan);
    let rest = request.path.as_str().strip_prefix("sys/")?;
    let is_shut = open_ceremonies::is_shut(rest, request.origin.open_ceremonies);
    match rest {
        "replication/status" => failed(FailureKind::NotFound, &["unsupported path"]),
        _ if is_shut && rest.starts_with("rekey-recovery-key/") => failed(FailureKind::NotFound, &["unsupported path"]),
        _ if request.help || lists => None,
        "seal" | "step-down" if request.verb != Verb::Write => failed(FailureKind::Unsupported, &[]),
        _ if is_shut => failed(FailureKind::Unsupported, &["unsupported operation"]),
        _ => None,
    }
}

/// Lets a request into an open node.
pub(crate) fn enter(node: &Node, request: &Request) -> Result<Arc<Open>, Reply> {
    match node.open() {
        Some(open) => Ok(open),
        // Sealing a sealed node is no mistake; Vault answers so too.
        None if request.path.as_str() == "sys/seal" && request.verb == Verb::Write => Err(Reply::Empty),
        None => Err(Reply::Failed(Failure::new(FailureKind::Unavailable, "Vault is sealed"))),
    }
}
