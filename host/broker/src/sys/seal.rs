//! `sys/seal-status`, `sys/unseal`, `sys/seal`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Request, Verb};
use bulkhead_model::seam::seal::SealKind;
use serde_json::json;

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::node::{Node, UnsealFailure};
use crate::visit::{After, Ask, Visit, bare};

pub(super) const ROUTES: &[HostRoute] =
    &[HostRoute::new("seal", &[Verb::Write], Handler::Now(seal), "Seal this node.").sudo()];

/// The answer of `sys/seal-status`, and of every step of unsealing.
pub(crate) fn status(node: &Node) -> Result<Reply, Fault> {
    let config = node.seal_config()?;
    let (shares, threshold) = config.map_or((0, 0), |c| (c.shares(), c.threshold()));
    let (progress, nonce) = node.unseal_progress();
    let (facts, seals) = (&node.parts.facts, &node.parts.seals);
    let is_outside = seals.kind() != SealKind::Shamir;
    let mut body = json!({
        "type": seals.kind().name(),
        "initialized": config.is_some(),
        "sealed": node.is_sealed(),
        "t": threshold,
        "n": shares,
        "progress": progress,
        "nonce": nonce,
        "recovery_seal": is_outside,
        "version": super::health::api_version(&facts.version),
        "build_date": facts.build_date,
        "commit_date": facts.build_date,
        "migration": config.is_some_and(|config| seals.differ_from(config)),
        "storage_type": facts.storage_type,
    });
    if is_outside {
        body["recovery_seal_type"] = SealKind::Shamir.name().into();
    }
    if let Some(open) = node.open() {
        body["cluster_name"] = open.cluster_name.as_str().into();
        body["cluster_id"] = open.cluster_id.as_str().into();
    }
    Ok(bare(200, &body))
}

pub(crate) async fn unseal(node: &Arc<Node>, request: &Request) -> Result<Reply, Fault> {
    let fields = super::init::fields(request)?;
    if fields.flag("reset")?.unwrap_or(false) {
        if !node.is_sealed() {
            return Err(Fault::invalid("vault is unsealed"));
        }
        node.reset_unseal();
        return status(node);
    }
    let Some(config) = node.seal_config()? else { return Err(Fault::invalid("Vault is not initialized")) };
    if node.is_sealed() {
        if config.kind() != SealKind::Shamir {
            // Before anything else: without its stanza no share helps.
            node.parts.seals.of(config.kind()).map_err(|failure| Fault::invalid(failure.to_string()))?;
        }
        match (fields.flag("migrate")?.unwrap_or(false), node.parts.seals.differ_from(config)) {
            (false, true) => return Err(Fault::invalid("migrate option not provided and seal migration is pending")),
            (true, false) => return Err(Fault::invalid("can't perform a seal migration, no migration seal found")),
            _ => {}
        }
    }
    let text = Hidden::new(fields.text_or_empty("key")?);
    if text.expose().is_empty() {
        return Err(Fault::invalid("'key' must be specified in request body as JSON, or 'reset' set to true"));
    }
    let unreadable = || Fault::invalid("'key' must be a valid hex or base64 string");
    if !node.is_sealed() {
        // Nothing is done with it, so it need not be a share.
        bytes_of(text.expose()).ok_or_else(unreadable)?;
        return status(node);
    }
    let share = decoded(text.expose()).ok_or_else(unreadable)?;
    match node.unseal(share).await {
        Ok(()) => status(node),
        Err(UnsealFailure::Broken(text)) => Err(Failure::new(FailureKind::Internal, text).into()),
        Err(failure) => Err(Fault::invalid(failure.to_string())),
    }
}

/// A share in hexadecimal or base64. A text of one or two digits could be both and is
/// no share.
pub(super) fn decoded(text: &str) -> Option<Hidden<Vec<u8>>> {
    bytes_of(text).filter(|bytes| bytes.expose().len() >= 16)
}

fn bytes_of(text: &str) -> Option<Hidden<Vec<u8>>> {
    hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok()).map(Hidden::new)
}

fn seal(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    visit.after.push(After::Seal);
    Ok(Reply::Empty)
}
