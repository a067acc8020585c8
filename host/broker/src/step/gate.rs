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
use crate::sys;

/// Paths that need neither an open node nor a token, with the verbs they take.
const FREE: [(&str, &[Verb]); 6] = [
    ("sys/health", &[Verb::Read, Verb::Head]),
    ("sys/seal-status", &[Verb::Read]),
    ("sys/init", &[Verb::Read, Verb::Write, Verb::Head]),
    ("sys/unseal", &[Verb::Write]),
    ("sys/leader", &[Verb::Read]),
    ("sys/storage/raft/join", &[Verb::Write]),
];

/// Answers a path that is free for all, if this is one.
pub(crate) async fn answer_free(node: &Arc<Node>, request: &Request) -> Option<Reply> {
    let path = request.path.as_str();
    let (_, verbs) = FREE.iter().find(|(free, _)| *free == path)?;
    if !verbs.contains(&request.verb) {
        return Some(Reply::Failed(Failure { kind: FailureKind::Unsupported, errors: Vec::new() }));
    }
    let answer = match path {
        "sys/health" => sys::health::read(node, request),
        "sys/seal-status" => sys::seal::status(node),
        "sys/init" if request.verb == Verb::Write => sys::init::write(node, request).await,
        "sys/init" => sys::init::read(node),
        "sys/unseal" => sys::seal::unseal(node, request).await,
        "sys/storage/raft/join" => joining::join(node, request).await,
        _ => sys::leader::read(node),
    };
    Some(answer.unwrap_or_else(|fault: Fault| Reply::Failed(fault.into_failure())))
}

/// Refuses what an open node does for nobody, token or not: older Vault let callers
/// without a token occupy the only slot of a rekey (CVE-2025-52894).
pub(crate) fn refuse(request: &Request) -> Option<Reply> {
    let path = request.path.as_str();
    let failed = |kind, errors: &[&str]| {
        Some(Reply::Failed(Failure { kind, errors: errors.iter().map(|e| (*e).to_owned()).collect() }))
    };
    match path {
        "sys/replication/status" => failed(FailureKind::NotFound, &["unsupported path"]),
        // Help is about the path, and goes the usual way.
        "sys/seal" | "sys/step-down" if request.verb != Verb::Write && !request.help => {
            failed(FailureKind::Unsupported, &[])
        }
        _ if path.starts_with("sys/rekey/") && !path.ends_with("backup") || path.starts_with("sys/generate-root/") => {
            failed(FailureKind::Unsupported, &["unsupported operation"])
        }
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
