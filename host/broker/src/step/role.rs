//! Asks an auth method with which role somebody logs in, for the limits that are for one. Nobody
//! is known yet, and nothing is written.

use std::sync::Arc;

use bulkhead_model::failure::FailureKind;
use bulkhead_model::path::ApiPath;
use bulkhead_model::plugin::Operation;
use bulkhead_model::request::{Request, Verb};
use bulkhead_model::seam::plugin::Returned;
use serde::Deserialize;

use crate::book::config::Config;
use crate::book::mounts::{Engine, Mount, Table};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::dispatch::{call_guest, mismatched};
use crate::step::expire;
use crate::step::route::{self, GuestTarget, Target};
use crate::visit::Visit;

/// What a plugin answers.
#[derive(Deserialize)]
struct Told {
    role: String,
}

/// Whether this is an auth method that tells roles.
pub(crate) fn is_told_by(mount: &Mount) -> bool {
    let Engine::Plugin(plugin, _) = &mount.engine else { return false };
    let mut operations = plugin.descriptor().routes.iter().flat_map(|route| &route.operations);
    mount.entry.table == Table::Auth && operations.any(|doc| doc.operation == Operation::ResolveRole)
}

/// The role of a login, in lower case, if a limit of rates may be for it; none also where the method does
/// not know it: then what is for the method counts.
pub(crate) async fn of_login(open: &Arc<Open>, config: &Config, asked: (&ApiPath, &Request)) -> Option<String> {
    if !config.quotas.rules.has_roles(asked.0.as_str()) {
        return None;
    }
    known(open, config, asked).await.unwrap_or_else(|fault| {
        tracing::debug!(request = %asked.1.id, cause = ?fault, "the role of a login is not known");
        None
    })
}

/// The same, if a quota of leases may be for it; empty: none.
///
/// # Errors
/// The method could not be asked: what it would have said may be full.
pub(crate) async fn of_leases(visit: &Visit, request: &Request) -> Result<String, Fault> {
    let config = &visit.config;
    let full = match visit.namespace.path() {
        "" => request.path.clone(),
        path => request.path.below(path),
    };
    if !config.lease_quotas.rules.has_roles(full.as_str()) {
        return Ok(String::new());
    }
    Ok(known(&visit.open, config, (&full, request)).await?.unwrap_or_default())
}

/// `None`: there is no such role, or no request for one.
async fn known(
    open: &Arc<Open>,
    config: &Config,
    (full, request): (&ApiPath, &Request),
) -> Result<Option<String>, Fault> {
    if request.verb != Verb::Write || request.help {
        return Ok(None);
    }
    let Target::Guest(guest) = route::find(&config.mounts, full, (request.verb, false)).target else {
        return Ok(None);
    };
    if !guest.route().operations.iter().any(|doc| doc.operation == Operation::ResolveRole) {
        return Ok(None);
    }
    match asked(open, &guest, request).await {
        Ok(role) => Ok(Some(role.to_lowercase())),
        Err(Fault::Answer(failure)) if is_definite(failure.kind) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether the method said that there is no such role, and not that it cannot tell.
fn is_definite(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Invalid | FailureKind::Denied | FailureKind::NotFound)
}

async fn asked(open: &Arc<Open>, guest: &GuestTarget, request: &Request) -> Result<String, Fault> {
    let mut visit = expire::visit(open, open.parts.clock.now_ms())?;
    let sent = (request, &request.body);
    let Returned::Login { response, auth: None } =
        call_guest(&mut visit, sent, guest, Operation::ResolveRole).await?.returned
    else {
        return Err(mismatched());
    };
    let data = response.data.ok_or_else(|| Fault::invalid("no role is told"))?;
    serde_json::from_slice::<Told>(data.expose()).map(|told| told.role).map_err(|_| mismatched())
}
